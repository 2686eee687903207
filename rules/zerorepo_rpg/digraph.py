"""Algorithms on directed graphs given as ``node -> the nodes it needs``: iterative, deterministic, near linear.

Graphs given as pairs go to rustworkx, for a hundred thousand nodes; it is loaded then. Knows nothing of what the nodes are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import rustworkx

Graph = Mapping[str, Iterable[str]]


def indexed(nodes: Sequence[str], pairs: Iterable[tuple[str, str]]) -> rustworkx.PyDiGraph[str, None]:
    """A rustworkx graph whose indices are positions in ``nodes``; each pair is an edge. KeyError on an end that is no node."""
    import rustworkx

    graph: rustworkx.PyDiGraph[str, None] = rustworkx.PyDiGraph(multigraph=True)
    graph.add_nodes_from(nodes)
    index = {name: number for number, name in enumerate(nodes)}
    graph.add_edges_from_no_data([(index[source], index[target]) for source, target in pairs])
    return graph


def acyclic(pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether the edges form no cycle."""
    import rustworkx

    return not pairs or rustworkx.is_directed_acyclic_graph(
        indexed([*{name for pair in pairs for name in pair}], pairs)
    )


def layers(needs: Graph) -> tuple[tuple[str, ...], ...]:
    """Topological layers: each node stands one layer after the last of what it needs; sorted within a layer.

    Names that are needed but are no keys are left out. ValueError with the path when there is a cycle (Kahn 1962).
    """
    waiting: dict[str, int] = {}
    users: dict[str, list[str]] = {node: [] for node in needs}
    for node, needed in needs.items():
        known = {other for other in needed if other in users}
        waiting[node] = len(known)
        for other in known:
            users[other].append(node)
    layer = sorted(node for node, count in waiting.items() if not count)
    found: list[tuple[str, ...]] = []
    done = 0
    while layer:
        found.append(tuple(layer))
        done += len(layer)
        following = []
        for node in layer:
            for user in users[node]:
                waiting[user] -= 1
                if not waiting[user]:
                    following.append(user)
        layer = sorted(following)
    if done < len(waiting):
        cycle = next(iter(cycles({node: needs[node] for node, count in waiting.items() if count})))
        raise ValueError("cycle: " + " -> ".join((*cycle, cycle[0])))
    return tuple(found)


def reachable(needs: Graph, start: Iterable[str]) -> set[str]:
    """Everything that ``start`` needs, directly or not, without ``start`` unless a cycle leads back to it."""
    found: set[str] = set()
    stack = [other for node in start for other in needs.get(node, ())]
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(other for other in needs.get(node, ()) if other not in found)
    return found


def reverse(needs: Graph) -> dict[str, tuple[str, ...]]:
    """The same edges the other way round; nodes that are only named become keys too."""
    users: dict[str, list[str]] = {}
    for node, needed in needs.items():
        users.setdefault(node, [])
        for other in needed:
            users.setdefault(other, []).append(node)
    return {node: tuple(sorted(set(names))) for node, names in users.items()}


def components(needs: Graph) -> list[tuple[str, ...]]:
    """Strongly connected components, each sorted, in the order of their first members (Tarjan 1972, iterative)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[tuple[str, ...]] = []
    for root in needs:
        if root in order:
            continue
        work = [(root, iter(needs[root]))]
        order[root] = low[root] = len(order)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in needs:
                    continue
                if other not in order:
                    order[other] = low[other] = len(order)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(needs[other])))
                    break
                if other in on_stack:
                    low[node] = min(low[node], order[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == order[node]:
                    members = [stack.pop()]
                    while members[-1] != node:
                        members.append(stack.pop())
                    on_stack.difference_update(members)
                    found.append(tuple(sorted(members)))
    return sorted(found)


def cycles(needs: Graph) -> list[tuple[str, ...]]:
    """One shortest cycle for each group of nodes that need each other, from its first name on; sorted."""
    found = []
    # Taking away what has no needs left is many times faster than components, and a sound graph ends there.
    for members in components(_waiting(needs)):
        if len(members) > 1 or members[0] in needs[members[0]]:
            found.append(_shortest_cycle(needs, members))
    return sorted(found)


def _waiting(needs: Graph) -> dict[str, Iterable[str]]:
    """The nodes that stand on a cycle or need one that does."""
    users: dict[str, list[str]] = {}
    waiting: dict[str, int] = {}
    for node, needed in needs.items():
        known = {other for other in needed if other in needs}
        if known:
            waiting[node] = len(known)
            for other in known:
                users.setdefault(other, []).append(node)
    ready = [node for node in users if node not in waiting]
    while ready:
        for user in users.get(ready.pop(), ()):
            waiting[user] -= 1
            if not waiting[user]:
                del waiting[user]
                ready.append(user)
    return {node: needs[node] for node in waiting}


def _shortest_cycle(needs: Graph, members: tuple[str, ...]) -> tuple[str, ...]:
    inside = set(members)
    start = members[0]
    came_from: dict[str, str] = {}
    level = [start]
    while level:
        following = []
        for node in level:
            for other in sorted(set(needs[node]) & inside):
                if other == start:
                    path = [node]
                    while path[-1] != start:
                        path.append(came_from[path[-1]])
                    return tuple(reversed(path))
                if other not in came_from:
                    came_from[other] = node
                    following.append(other)
        level = following
    raise AssertionError("a strongly connected component has a cycle through each member")


__all__ = ["Graph", "acyclic", "components", "cycles", "indexed", "layers", "reachable", "reverse"]
