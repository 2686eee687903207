"""Whole closures of a graph in both directions: walked for its first queries, looked up in an index from then on.

The index pays where one process asks a graph again and again; a command asks once. For smaller graphs it is one integer for
each node whose bits say what the node reaches; larger ones, and those with cycles, are handed to rustworkx. Knows nothing of
labels or expressions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import compress
from typing import TYPE_CHECKING, Protocol

from zerorepo.query import walk
from zerorepo.query.ordering import topological
from zerorepo.query.walk import Adjacency, Nodes

if TYPE_CHECKING:
    import rustworkx

WALKED_QUERIES = 2
"""An index takes as long to make as some ten walks."""
MOST_BITS = 12_000
"""Nodes; bits take the square of their number for each direction: 18 MB."""
_MOST_STARTS = 64
"""From more nodes than these a walk has few levels left, and is the faster way."""


class _Index(Protocol):
    """Answers for at most ``most`` starting nodes."""

    most: int

    def below(self, start: Nodes) -> set[int]: ...

    def above(self, start: Nodes) -> set[int]: ...


class Reach:
    """What is reached from where, over edges that functions give when they are first needed."""

    def __init__(self, size: int, forward: Callable[[], Adjacency], reverse: Callable[[], Adjacency]) -> None:
        self._size = size
        self._forward = forward
        self._reverse = reverse
        self._queries = 0

    def count_query(self) -> None:
        """Another query is about to ask."""
        self._queries += 1

    def below(self, start: Nodes, depth: int | None = None) -> set[int]:
        """``start`` and everything that it depends on in at most ``depth`` steps (None: any number)."""
        if depth is None and (index := self._index_for(start)):
            return index.below(start)
        return walk.closure(self._forward(), start, depth)

    def above(self, start: Nodes, depth: int | None = None) -> set[int]:
        """``start`` and everything that depends on it in at most ``depth`` steps."""
        if depth is None and (index := self._index_for(start)):
            return index.above(start)
        return walk.closure(self._reverse(), start, depth)

    def above_within(self, universe: Nodes, targets: Nodes, depth: int | None = None) -> set[int]:
        """What, in the closure of ``universe``, reaches ``targets`` in at most ``depth`` steps.

        Equal to computing the closure of the universe and walking back inside it, and never visits the part of it that
        does not lead to ``targets``: the closure is closed under dependencies, so a path that begins in it stays in it.
        """
        near = self.above(targets, depth)
        if len(universe) == self._size or near <= universe:
            return near
        if index := self._index_for(universe):
            return near & index.below(universe)
        # The rest is in the universe's closure where something of the universe reaches it; that something is an ancestor.
        every = near if depth is None else self.above(near)
        return near & walk.reach_within(self._forward(), every & universe, every)

    def between(self, sources: Nodes, targets: Nodes) -> set[int]:
        """Every node on some path from ``sources`` to ``targets``."""
        index = self._index_for(sources)
        if isinstance(index, _Bits) and len(targets) <= index.most:
            return index.between(sources, targets)
        leading = self.above(targets)
        return walk.reach_within(self._forward(), leading & sources, leading)

    def path(self, sources: Nodes, targets: Nodes) -> list[int]:
        """A shortest path from ``sources`` to ``targets``, both ends included; empty when there is none."""
        return walk.some_path(self._forward(), self._reverse(), sources, targets)

    def _index_for(self, start: Nodes) -> _Index | None:
        if self._queries <= WALKED_QUERIES or len(start) > self._index.most:
            return None
        return self._index

    @cached_property
    def _index(self) -> _Index:
        forward = self._forward()
        if self._size <= MOST_BITS and (order := _acyclic_order(forward)) is not None:
            return _Bits(order, forward, self._reverse())
        return _Compiled(self._size, forward)


def _acyclic_order(forward: Adjacency) -> list[int] | None:
    """All nodes, dependents before dependencies; None where a cycle forbids it."""
    order = topological(dict(enumerate(forward)))
    place = [0] * len(order)
    for at, node in enumerate(order):
        place[node] = at
    upward = any(place[target] <= at for at, node in enumerate(order) for target in forward[node])
    return None if upward else order


class _Bits:
    """For each node, and each direction, an integer with the bits of everything reached."""

    most = _MOST_STARTS

    def __init__(self, order: list[int], forward: Adjacency, reverse: Adjacency) -> None:
        self._below = _reached(reversed(order), forward)
        self._above = _reached(order, reverse)
        self._numbers = list(range(len(order)))

    def below(self, start: Nodes) -> set[int]:
        return self._members(_joined(self._below, start))

    def above(self, start: Nodes) -> set[int]:
        return self._members(_joined(self._above, start))

    def between(self, sources: Nodes, targets: Nodes) -> set[int]:
        return self._members(_joined(self._below, sources) & _joined(self._above, targets))

    def _members(self, bits: int) -> set[int]:
        digits = format(bits, "b")[::-1].encode().translate(_DIGITS)
        return set(compress(self._numbers, digits))


_DIGITS = bytes(character == ord("1") for character in range(256))


def _reached(order: Iterable[int], edges: Adjacency) -> list[int]:
    """``order`` has what a node's edges lead to before the node."""
    reached = [0] * len(edges)
    for node in order:
        bits = 1 << node
        for target in edges[node]:
            bits |= reached[target]
        reached[node] = bits
    return reached


def _joined(reached: list[int], start: Nodes) -> int:
    bits = 0
    for node in start:
        bits |= reached[node]
    return bits


class _Compiled:
    """The graph as rustworkx has it, which walks from one node."""

    most = 1

    def __init__(self, size: int, forward: Adjacency) -> None:
        import rustworkx

        self._graph: rustworkx.PyDiGraph[None, None] = rustworkx.PyDiGraph()
        self._graph.add_nodes_from([None] * size)
        self._graph.extend_from_edge_list(
            [(node, target) for node, targets in enumerate(forward) for target in targets]
        )
        self._descendants, self._ancestors = rustworkx.descendants, rustworkx.ancestors

    def below(self, start: Nodes) -> set[int]:
        return {*start}.union(*(self._descendants(self._graph, node) for node in start))

    def above(self, start: Nodes) -> set[int]:
        return {*start}.union(*(self._ancestors(self._graph, node) for node in start))
