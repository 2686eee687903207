"""Orders of a result: topological, by rank, and grouped for drawing.

Works on the edges within the result only, as Bazel's output does. Cycles are no error. Knows nothing of output formats.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def topological(edges: Mapping[int, Sequence[int]]) -> list[int]:
    """Dependents before dependencies: the reversed postorder of a depth-first walk in label order."""
    done: set[int] = set()
    order: list[int] = []
    for root in edges:
        if root in done:
            continue
        done.add(root)
        stack = [(root, iter(edges[root]))]
        while stack:
            node, targets = stack[-1]
            for target in targets:
                if target not in done:
                    done.add(target)
                    below = edges[target]
                    if below:
                        stack.append((target, iter(below)))
                        break
                    order.append(target)
            else:
                order.append(node)
                stack.pop()
    order.reverse()
    return order


def implied(edges: Mapping[int, Sequence[int]]) -> set[tuple[int, int]]:
    """The edges that a longer path says already (those that the transitive reduction leaves out); none within cycles.

    One bit for each node in a set for each node: meant for what a picture can hold.
    """
    reached: dict[int, int] = {}
    found: set[tuple[int, int]] = set()
    for node in reversed(topological(edges)):
        targets = edges[node]
        if any(target not in reached for target in targets):
            return set()  # a cycle: a longer path would lead around it
        below = [reached[target] & ~(1 << target) for target in targets]
        beyond = 0
        for each in below:
            beyond |= each
        found.update((node, target) for target in targets if beyond >> target & 1)
        reached[node] = beyond | 1 << node
        for target in targets:
            reached[node] |= 1 << target
    return found


def minimum_ranks(edges: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """The length of the shortest path to each node from a root; members of a cycle have one rank."""
    component, below = _condensation(edges)
    targets = {target for found in below.values() for target in found}
    level = [root for root in below if root not in targets]
    ranks = dict.fromkeys(level, 0)
    rank = 0
    while level:
        rank += 1
        level = [target for node in level for target in below[node]]
        level = [target for target in dict.fromkeys(level) if target not in ranks]
        ranks.update(dict.fromkeys(level, rank))
    return {node: ranks[component[node]] for node in edges}


def maximum_ranks(edges: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """The length of the longest path to each node from a root; members of a cycle have one rank."""
    component, below = _condensation(edges)
    ranks = dict.fromkeys(below, 0)
    for node in topological({node: sorted(targets) for node, targets in below.items()}):
        for target in below[node]:
            ranks[target] = max(ranks[target], ranks[node] + 1)
    return {node: ranks[component[node]] for node in edges}


def _condensation(edges: Mapping[int, Sequence[int]]) -> tuple[dict[int, int], dict[int, set[int]]]:
    """For each node a node that stands for its cycle, and the edges between these."""
    component = _components(edges)
    below: dict[int, set[int]] = {representative: set() for representative in component.values()}
    for node, targets in edges.items():
        own = component[node]
        below[own].update(component[target] for target in targets)
        below[own].discard(own)
    return component, below


def _components(edges: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """Strongly connected components by Kosaraju's algorithm: each node's representative."""
    reverse: dict[int, list[int]] = {node: [] for node in edges}
    for node, targets in edges.items():
        for target in targets:
            reverse[target].append(node)
    component: dict[int, int] = {}
    for root in topological(edges):
        if root in component:
            continue
        component[root] = root
        stack = [root]
        while stack:
            for source in reverse[stack.pop()]:
                if source not in component:
                    component[source] = root
                    stack.append(source)
    return component


def factored(edges: Mapping[int, Sequence[int]]) -> tuple[list[tuple[int, ...]], dict[int, list[int]]]:
    """Nodes with the same dependencies and the same dependents as one group.

    Returns the groups, ordered by their labels, and for each group (by its place in the list) those it depends on.
    """
    sources: dict[int, list[int]] = {node: [] for node in edges}
    for node, targets in edges.items():
        for target in targets:
            sources[target].append(node)
    by_shape: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
    for node in edges:
        by_shape.setdefault((tuple(edges[node]), tuple(sources[node])), []).append(node)
    groups = sorted(map(tuple, by_shape.values()))
    place = {node: i for i, group in enumerate(groups) for node in group}
    return groups, {i: _places(place, edges[group[0]]) for i, group in enumerate(groups)}


def _places(place: Mapping[int, int], nodes: Iterable[int]) -> list[int]:
    return sorted({place[node] for node in nodes})
