"""Walks over adjacency lists: closures and paths.

Whole closures go level by level with set operations, which measured fastest of the plain Python ways on 100,000 nodes and
500,000 edges (a loop over a queue with marks takes twice as long). Knows nothing of labels or expressions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import TypeAlias

Nodes: TypeAlias = AbstractSet[int]
Adjacency: TypeAlias = Sequence[tuple[int, ...]]


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


def reach_within(edges: Adjacency, start: Iterable[int], within: Nodes) -> set[int]:
    """What of ``within`` is reached from ``start``, which is part of it, over nodes of ``within`` only."""
    seen = set(start)
    frontier = seen
    while frontier:
        found = set(chain.from_iterable([edges[node] for node in frontier]))
        frontier = found.intersection(within).difference(seen)
        seen.update(frontier)
    return seen


def some_path(forward: Adjacency, reverse: Adjacency, sources: Nodes, targets: Nodes) -> list[int]:
    """A shortest path from ``sources`` to ``targets``, both ends included; empty when there is none.

    Searched from both ends, a level at a time of whichever has the smaller one: what one search meets of the other is on a shortest
    path, since a shorter one would have met before.
    """
    if direct := sources & targets:
        return [min(direct)]
    front, back = sorted(sources), sorted(targets)
    ahead, behind = dict.fromkeys(front, -1), dict.fromkeys(back, -1)
    met: int | None = None
    while front and back and met is None:
        if len(front) <= len(back):
            front, met = _next_level(forward, front, ahead, behind)
        else:
            back, met = _next_level(reverse, back, behind, ahead)
    if met is None:
        return []
    path = [met]
    while (before := ahead[path[-1]]) >= 0:
        path.append(before)
    path.reverse()
    while (after := behind[path[-1]]) >= 0:
        path.append(after)
    return path


def _next_level(
    edges: Adjacency, level: list[int], seen: dict[int, int], other: dict[int, int]
) -> tuple[list[int], int | None]:
    """The nodes one step on, each noted in ``seen`` with where it was come from; or one that the other search has seen."""
    found: list[int] = []
    for node in level:
        for target in edges[node]:
            if target not in seen:
                seen[target] = node
                if target in other:
                    return found, target
                found.append(target)
    return found, None
