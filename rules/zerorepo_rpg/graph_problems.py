"""The integrity that every planning graph has: everything that is wrong with nodes and edges, told at once.

Knows nothing of how a graph is stored, made or drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from zerorepo_rpg import digraph
from zerorepo_rpg.graph_parts import NEEDS, EdgeType, InterfaceType, Level, NodeType, RPGEdge, RPGNode, Source

_RANK = {Level.MODULE: 0, Level.COMPONENT: 1, Level.FEATURE: 2}
_MAY_GO_ROUND = (EdgeType.DATA_FLOW, EdgeType.ORDERING, EdgeType.INVOCATION)


def graph_problems(nodes: Sequence[RPGNode], edges: Sequence[RPGEdge]) -> list[str]:
    """Every broken rule of integrity, each one line; empty when the graph is sound.

    Among nodes that a person wrote a cycle is no problem, unless of INHERITANCE: recursion and imports that go round are legal
    Python, and a scan tells what there is. A plan has no cycles.
    """
    by_id = {node.id: node for node in nodes}
    found = (
        [f"duplicate node id `{i}`" for i in _repeated(node.id for node in nodes)] if len(by_id) < len(nodes) else []
    )
    by_type: dict[EdgeType, list[RPGEdge]] = {kind: [] for kind in EdgeType}
    for edge in edges:
        by_type[edge.type].append(edge)
    ends = {kind: [(edge.source, edge.target) for edge in chosen] for kind, chosen in by_type.items()}
    for kind, chosen in by_type.items():
        found += _repeated_edges(chosen, ends[kind])
    for node in nodes:
        found += _node_problems(node, by_id)
    for kind, chosen in by_type.items():
        found += _edge_problems(kind, chosen, by_id)
    found += _hierarchy_problems(nodes, set(ends[EdgeType.HIERARCHY]), by_id)
    for kind in NEEDS:
        found += _cycle_problems(kind, ends[kind], by_id)
    return found


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


def _repeated_edges(edges: Sequence[RPGEdge], ends: Sequence[tuple[str, str]]) -> list[str]:
    if len(set(ends)) == len(edges):
        return []
    counts = Counter(edge.key for edge in edges)
    again = {edge.key: edge for edge in edges if counts[edge.key] > 1}
    return [f"duplicate edge {again[key]}" for key in sorted(again)]


def _edge_problems(kind: EdgeType, edges: Sequence[RPGEdge], by_id: dict[str, RPGNode]) -> list[str]:
    found = []
    for edge in edges:
        source, target = edge.source, edge.target
        if source not in by_id or target not in by_id or source == target:
            found += _end_problems(edge, by_id)
    if kind is not EdgeType.DATA_FLOW:
        found += [
            f"edge {edge}: only a DATA_FLOW edge has data_name and data_type"
            for edge in edges
            if edge.data_name or edge.data_type
        ]
    return found


def _end_problems(edge: RPGEdge, by_id: dict[str, RPGNode]) -> list[str]:
    found = [
        f"edge {edge}: the {end} `{name}` is no node of the graph"
        for end, name in (("source", edge.source), ("target", edge.target))
        if name not in by_id
    ]
    if edge.source == edge.target:
        found.append(f"edge {edge}: an edge from a node to itself")
    return found


def _node_problems(node: RPGNode, by_id: dict[str, RPGNode]) -> list[str]:
    found = []
    if not node.id:
        found.append(f"node named `{node.name}` has an empty id")
    if node.folder_path or node.file_path:
        found += _path_problems(node)
    if node.interface_type:
        if not node.signature:
            found.append(f"node `{node.id}`: a {node.interface_type} needs a signature")
    elif node.node_type is NodeType.FUNCTION_AUGMENTED:
        found.append(f"node `{node.id}`: FUNCTION_AUGMENTED needs an interface_type")
    if node.parent is None:
        return found
    parent = by_id.get(node.parent)
    if parent is None:
        found.append(f"node `{node.id}`: its parent `{node.parent}` is no node of the graph")
    elif _RANK[node.level] < _RANK[parent.level] or (
        node.level is parent.level is Level.FEATURE and parent.interface_type is not InterfaceType.CLASS
    ):
        found.append(f"node `{node.id}`: a {node.level} may not stand below the {parent.level} `{parent.id}`")
    return found


def _path_problems(node: RPGNode) -> list[str]:
    found = []
    for path in (node.folder_path, node.file_path):
        if path and (path.startswith("/") or "\\" in path or {"", ".", ".."} & set(path.split("/"))):
            found.append(f"node `{node.id}`: `{path}` is not a plain relative path")
    folder = node.folder_path.split("/") if node.folder_path else []
    if node.file_path and node.file_path.split("/")[:-1][: len(folder)] != folder:
        found.append(f"node `{node.id}`: file `{node.file_path}` is not inside folder `{node.folder_path}`")
    return found


def _hierarchy_problems(nodes: Sequence[RPGNode], shown: set[tuple[str, str]], by_id: dict[str, RPGNode]) -> list[str]:
    said = {(node.parent, node.id) for node in nodes if node.parent is not None}
    found = [f"node `{c}` says parent `{p}`, but no HIERARCHY edge says so" for p, c in sorted(said - shown, key=str)]
    found += [
        f"HIERARCHY edge {parent} -> {child}: node `{child}` has parent `{by_id[child].parent}`"
        for parent, child in sorted(shown - said)
        if child in by_id
    ]
    # Along a cycle the level would have to go up somewhere: only nodes whose level is not below their parent's can close one.
    if any(
        node.parent in by_id and _RANK[by_id[node.parent].level] >= _RANK[node.level] for node in nodes if node.parent
    ):
        up = [(node.id, node.parent) for node in nodes if node.parent in by_id and node.parent != node.id]
        found += ["the hierarchy is no tree: " + " -> ".join((*cycle, cycle[0])) for cycle in _cycles(up)]
    return found


def _cycle_problems(kind: EdgeType, ends: Sequence[tuple[str, str]], by_id: dict[str, RPGNode]) -> list[str]:
    # An edge to itself or to nowhere is reported with the edge.
    known = [(a, b) for a, b in ends if a != b and a in by_id and b in by_id]
    if kind.needed_is_source:
        known = [(target, source) for source, target in known]
    return [
        f"cycle of {kind} edges (each needs the next): " + " -> ".join((*cycle, cycle[0]))
        for cycle in _cycles(known)
        if kind not in _MAY_GO_ROUND or not all(by_id[name].source is Source.HUMAN for name in cycle)
    ]


def _cycles(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, ...]]:
    if not pairs or digraph.acyclic(pairs):
        return []
    needs: dict[str, list[str]] = {}
    for user, needed in pairs:
        needs.setdefault(user, []).append(needed)
        needs.setdefault(needed, [])
    return digraph.cycles(needs)


__all__ = ["graph_problems"]
