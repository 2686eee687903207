"""Walks over adjacency lists: closures and paths.

Whole closures go level by level with set operations, which measured fastest of the plain Python ways on 100,000 nodes and
500,000 edges (a loop over a queue with marks takes twice as long). Knows nothing of labels or expressions.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from zerorepo.query.graph import Adjacency, Nodes


def closure(edges: Adjacency, start: Iterable[int], depth: int | None = None) -> set[int]:
    """``start`` and everything reached from it in at most ``depth`` steps (None: any number)."""
    seen = set(start)
    frontier: set[int] = seen
    while frontier and depth != 0:
        # `difference` looks at each of the frontier; `-=` would look at each of `seen`, once a level.
        frontier = set(chain.from_iterable([edges[node] for node in frontier])).difference(seen)
        seen.update(frontier)
        if depth is not None:
            depth -= 1
    return seen


def _reach_within(edges: Adjacency, start: Iterable[int], within: Nodes) -> set[int]:
    """What of ``within`` is reached from ``start``, which is part of it, over nodes of ``within`` only."""
    seen = set(start)
    frontier = seen
    while frontier:
        found = set(chain.from_iterable([edges[node] for node in frontier]))
        frontier = found.intersection(within).difference(seen)
        seen.update(frontier)
    return seen


def _marks(nodes: Iterable[int], size: int) -> bytearray:
    marks = bytearray(size)
    for node in nodes:
        marks[node] = 1
    return marks


def ancestors_in_universe(
    forward: Adjacency, reverse: Adjacency, universe: Nodes, targets: Nodes, depth: int | None = None
) -> set[int]:
    """What, in the closure of ``universe``, reaches ``targets`` in at most ``depth`` steps.

    Equal to computing the closure of the universe and walking back inside it, and never visits the part of it that
    does not lead to ``targets``: the closure is closed under dependencies, so a path that begins in it stays in it.
    """
    near = closure(reverse, targets, depth)
    if near <= universe:
        return near
    # The rest is in the universe's closure where something of the universe reaches it; that something is an ancestor.
    every = near if depth is None else closure(reverse, near)
    return near.intersection(_reach_within(forward, every & universe, every))


def all_paths(forward: Adjacency, reverse: Adjacency, sources: Nodes, targets: Nodes) -> set[int]:
    """Every node on some path from ``sources`` to ``targets``."""
    leading = closure(reverse, targets)
    return _reach_within(forward, leading & sources, leading)


def some_path(forward: Adjacency, sources: Nodes, targets: Nodes) -> list[int]:
    """A shortest path from ``sources`` to ``targets``, both ends included; empty when there is none."""
    order = sorted(sources)
    if direct := sources & targets:
        return [min(direct)]
    unseen = bytearray(b"\1") * len(forward)
    for node in order:
        unseen[node] = 0
    parents: dict[int, int] = {}
    wanted = _marks(targets, len(forward))
    for node in order:
        for target in forward[node]:
            if unseen[target]:
                unseen[target] = 0
                parents[target] = node
                if wanted[target]:
                    return _trace(parents, target)
                order.append(target)
    return []


def _trace(parents: dict[int, int], end: int) -> list[int]:
    path = [end]
    while path[-1] in parents:
        path.append(parents[path[-1]])
    path.reverse()
    return path
