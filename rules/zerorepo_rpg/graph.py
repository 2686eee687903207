"""The Repository Planning Graph (arXiv 2509.16198): nodes, typed edges, and the integrity that every graph has.

A graph that exists is sound: the constructor refuses dangling edges, cycles and the rest, all named at once. Knows
nothing of plans, files on disk, or how it is drawn (``graph_export``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from enum import StrEnum
from functools import cached_property

from pydantic import ValidationError, model_validator

from zerorepo.errors import UsageError
from zerorepo.target import Provider
from zerorepo.values import Value
from zerorepo_rpg import digraph


class Level(StrEnum):
    """Depth in the functional view."""

    MODULE = "MODULE"
    COMPONENT = "COMPONENT"
    FEATURE = "FEATURE"


class NodeType(StrEnum):
    """How far a node is tied to the structural view."""

    FUNCTIONALITY = "FUNCTIONALITY"
    FOLDER_AUGMENTED = "FOLDER_AUGMENTED"
    FILE_AUGMENTED = "FILE_AUGMENTED"
    FUNCTION_AUGMENTED = "FUNCTION_AUGMENTED"


class InterfaceType(StrEnum):
    """What a FUNCTION_AUGMENTED node is in code."""

    FUNCTION = "FUNCTION"
    CLASS = "CLASS"
    METHOD = "METHOD"


class Source(StrEnum):
    """Who wrote the node: a model planned it, or a person's code was scanned."""

    MODEL = "model"
    HUMAN = "human"


class EdgeType(StrEnum):
    """HIERARCHY: parent to child. DATA_FLOW, ORDERING: *source is needed by target*. INHERITANCE, INVOCATION: *source
    depends on target*."""

    HIERARCHY = "HIERARCHY"
    DATA_FLOW = "DATA_FLOW"
    ORDERING = "ORDERING"
    INHERITANCE = "INHERITANCE"
    INVOCATION = "INVOCATION"

    @property
    def needed_is_source(self) -> bool:
        """Whether the source is what the target needs; otherwise the source needs the target."""
        return self in (EdgeType.HIERARCHY, EdgeType.DATA_FLOW, EdgeType.ORDERING)


NEEDS = (EdgeType.DATA_FLOW, EdgeType.ORDERING, EdgeType.INHERITANCE, EdgeType.INVOCATION)
"""The edge types that say who needs whom."""


class RPGNode(Value):
    """A module, component or feature. ``id`` is a stable slug path, never random."""

    id: str
    name: str
    level: Level
    node_type: NodeType = NodeType.FUNCTIONALITY
    parent: str | None = None
    folder_path: str = ""
    file_path: str = ""
    interface_type: InterfaceType | None = None
    signature: str = ""
    docstring: str = ""
    description: str = ""
    features: tuple[str, ...] = ()
    source: Source = Source.MODEL


class RPGEdge(Value):
    """A typed edge; see ``EdgeType`` for its direction. ``data_name`` and ``data_type`` belong to DATA_FLOW only."""

    type: EdgeType
    source: str
    target: str
    data_name: str = ""
    data_type: str = ""
    description: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it this edge and no other; also the sort order."""
        return (self.type.value, self.source, self.target, self.data_name)

    def __str__(self) -> str:
        return f"{self.type} {self.source} -> {self.target}" + (f" ({self.data_name})" if self.data_name else "")


class GraphDiff(Value):
    """What became of the first graph in the second, by content; ids and edge texts, sorted."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    edges_added: tuple[str, ...] = ()
    edges_removed: tuple[str, ...] = ()
    edges_changed: tuple[str, ...] = ()


class RPGGraph(Provider):
    """Nodes sorted by id and edges sorted by key; ValidationError, with every broken rule, when it is not sound."""

    nodes: tuple[RPGNode, ...] = ()
    edges: tuple[RPGEdge, ...] = ()

    @model_validator(mode="after")
    def _sound(self) -> RPGGraph:
        problems = graph_problems(self.nodes, self.edges)
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @classmethod
    def build(cls, nodes: Iterable[RPGNode], edges: Iterable[RPGEdge] = ()) -> RPGGraph:
        """A graph of these nodes: sorted, with the HIERARCHY edges that ``parent`` implies added."""
        listed = sorted(nodes, key=lambda node: node.id)
        all_edges = list(edges)
        known = {edge.key for edge in all_edges}
        for node in listed:
            if node.parent is not None:
                edge = RPGEdge(type=EdgeType.HIERARCHY, source=node.parent, target=node.id)
                if edge.key not in known:
                    all_edges.append(edge)
        return cls(nodes=tuple(listed), edges=tuple(sorted(all_edges, key=lambda edge: edge.key)))

    @classmethod
    def from_json(cls, text: str | bytes, where: str = "graph") -> RPGGraph:
        """The graph of ``to_json``; UsageError that lists everything wrong with it."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            lines = []
            for item in error.errors(include_url=False, include_input=False):
                place = ".".join(map(str, item["loc"]))
                lines.append(f"{place}: {item['msg']}" if place else item["msg"].removeprefix("Value error, "))
            raise UsageError("Not a sound planning graph:\n" + "\n".join(lines), where=where) from None

    def to_json(self) -> str:
        """JSON with an ending newline; ``from_json`` and back gives the same bytes."""
        return self.model_dump_json(indent=2) + "\n"

    @cached_property
    def by_id(self) -> dict[str, RPGNode]:
        """Node id to node."""
        return {node.id: node for node in self.nodes}

    def needs(self, types: Iterable[EdgeType] = NEEDS) -> dict[str, tuple[str, ...]]:
        """Node id to what it needs by edges of these types, sorted, every node a key."""
        return _needs(self.nodes, self.edges, frozenset(types))

    def layers(self, types: Iterable[EdgeType] = NEEDS) -> tuple[tuple[str, ...], ...]:
        """Topological layers of all nodes: what a node needs comes earlier. ValueError with the path on a cycle."""
        return digraph.layers(self.needs(types))

    def dependencies(self, node_id: str, types: Iterable[EdgeType] = NEEDS) -> set[str]:
        """What the node needs, directly or not."""
        return digraph.reachable(self.needs(types), [node_id])

    def dependents(self, node_id: str, types: Iterable[EdgeType] = NEEDS) -> set[str]:
        """What needs the node, directly or not."""
        return digraph.reachable(digraph.reverse(self.needs(types)), [node_id])

    def ancestors(self, node_id: str) -> tuple[str, ...]:
        """Parent, its parent, and so on to the root."""
        found: list[str] = []
        parent = self.by_id[node_id].parent
        while parent is not None:
            found.append(parent)
            parent = self.by_id[parent].parent
        return tuple(found)

    def descendants(self, node_id: str) -> set[str]:
        """Everything below it in the hierarchy."""
        return self.dependents(node_id, [EdgeType.HIERARCHY])

    def subgraph(self, keep: Callable[[RPGNode], bool]) -> RPGGraph:
        """The nodes that ``keep`` accepts and the edges among them. A node whose parent goes is hung on the nearest
        ancestor that stays."""
        kept = {node.id for node in self.nodes if keep(node)}
        nodes = []
        for node in self.nodes:
            if node.id in kept:
                parent = next((up for up in self.ancestors(node.id) if up in kept), None)
                nodes.append(node if parent == node.parent else node.model_copy(update={"parent": parent}))
        edges = [
            edge
            for edge in self.edges
            if edge.type is not EdgeType.HIERARCHY and edge.source in kept and edge.target in kept
        ]
        return RPGGraph.build(nodes, edges)

    def cycles(self, types: Iterable[EdgeType] = NEEDS) -> list[tuple[str, ...]]:
        """One shortest cycle for each group of nodes that need each other by these edges taken together."""
        return digraph.cycles(self.needs(types))

    def diff(self, new: RPGGraph) -> GraphDiff:
        """What changed from this graph to ``new``, by content."""
        old_edges = {edge.key: edge for edge in self.edges}
        new_edges = {edge.key: edge for edge in new.edges}
        both = self.by_id.keys() & new.by_id.keys()
        same = {node_id for node_id in both if self.by_id[node_id] == new.by_id[node_id]}
        moved = [key for key in old_edges.keys() & new_edges.keys() if old_edges[key] != new_edges[key]]
        return GraphDiff(
            added=tuple(sorted(new.by_id.keys() - both)),
            removed=tuple(sorted(self.by_id.keys() - both)),
            changed=tuple(sorted(both - same)),
            kept=tuple(sorted(same)),
            edges_added=tuple(str(new_edges[key]) for key in sorted(new_edges.keys() - old_edges.keys())),
            edges_removed=tuple(str(old_edges[key]) for key in sorted(old_edges.keys() - new_edges.keys())),
            edges_changed=tuple(str(new_edges[key]) for key in sorted(moved)),
        )


def _needs(
    nodes: Sequence[RPGNode], edges: Sequence[RPGEdge], types: Collection[EdgeType]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {node.id: [] for node in nodes}
    for edge in edges:
        if edge.type in types:
            user, needed = (edge.target, edge.source) if edge.type.needed_is_source else (edge.source, edge.target)
            if user in found and needed in found:
                found[user].append(needed)
    return {node: tuple(sorted(set(needed))) for node, needed in found.items()}


_RANK = {Level.MODULE: 0, Level.COMPONENT: 1, Level.FEATURE: 2}


def graph_problems(nodes: Sequence[RPGNode], edges: Sequence[RPGEdge]) -> list[str]:
    """Every broken rule of integrity, each one line; empty when the graph is sound.

    A cycle of INVOCATION among nodes that a person wrote is no problem: recursion is legal Python.
    """
    by_id = {node.id: node for node in nodes}
    found = [f"duplicate node id `{i}`" for i in _repeated(node.id for node in nodes)]
    found += [f"duplicate edge {RPGEdge.__str__(e)}" for e in _repeated_edges(edges)]
    for node in nodes:
        found += _node_problems(node, by_id)
    for edge in edges:
        found += [
            f"edge {edge}: the {end} `{name}` is no node of the graph"
            for end, name in (("source", edge.source), ("target", edge.target))
            if name not in by_id
        ]
        if edge.source == edge.target:
            found.append(f"edge {edge}: an edge from a node to itself")
        if edge.type is not EdgeType.DATA_FLOW and (edge.data_name or edge.data_type):
            found.append(f"edge {edge}: only a DATA_FLOW edge has data_name and data_type")
    found += _hierarchy_problems(nodes, edges, by_id)
    for kind in NEEDS:
        # An edge to itself is reported above, with the edge.
        chosen = [edge for edge in edges if edge.type is kind and edge.source != edge.target]
        ends = {name for edge in chosen for name in (edge.source, edge.target)}
        for cycle in digraph.cycles(_needs([by_id[name] for name in ends if name in by_id], chosen, NEEDS)):
            if kind is EdgeType.INVOCATION and all(by_id[name].source is Source.HUMAN for name in cycle):
                continue
            found.append(f"cycle of {kind} edges (each needs the next): " + " -> ".join((*cycle, cycle[0])))
    return found


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


def _repeated_edges(edges: Sequence[RPGEdge]) -> list[RPGEdge]:
    seen: dict[tuple[str, str, str, str], RPGEdge] = {}
    again: dict[tuple[str, str, str, str], RPGEdge] = {}
    for edge in edges:
        if edge.key in seen:
            again[edge.key] = edge
        seen[edge.key] = edge
    return [again[key] for key in sorted(again)]


def _node_problems(node: RPGNode, by_id: dict[str, RPGNode]) -> list[str]:
    found = []
    if not node.id:
        found.append(f"node named `{node.name}` has an empty id")
    for path in (node.folder_path, node.file_path):
        if path and (path.startswith("/") or "\\" in path or {"", ".", ".."} & set(path.split("/"))):
            found.append(f"node `{node.id}`: `{path}` is not a plain relative path")
    folder = node.folder_path.split("/") if node.folder_path else []
    if node.file_path and node.file_path.split("/")[:-1][: len(folder)] != folder:
        found.append(f"node `{node.id}`: file `{node.file_path}` is not inside folder `{node.folder_path}`")
    if node.interface_type and not node.signature:
        found.append(f"node `{node.id}`: a {node.interface_type} needs a signature")
    if node.node_type is NodeType.FUNCTION_AUGMENTED and not node.interface_type:
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


def _hierarchy_problems(nodes: Sequence[RPGNode], edges: Sequence[RPGEdge], by_id: dict[str, RPGNode]) -> list[str]:
    said = {(node.parent, node.id) for node in nodes if node.parent is not None}
    drawn = {(edge.source, edge.target) for edge in edges if edge.type is EdgeType.HIERARCHY}
    found = [f"node `{c}` says parent `{p}`, but no HIERARCHY edge says so" for p, c in sorted(said - drawn, key=str)]
    found += [
        f"HIERARCHY edge {parent} -> {child}: node `{child}` has parent `{by_id[child].parent}`"
        for parent, child in sorted(drawn - said)
        if child in by_id
    ]
    up = {node.id: (node.parent,) if node.parent in by_id else () for node in nodes if node.parent != node.id}
    found += ["the hierarchy is no tree: " + " -> ".join((*cycle, cycle[0])) for cycle in digraph.cycles(up)]
    return found


__all__ = [
    "NEEDS",
    "EdgeType",
    "GraphDiff",
    "InterfaceType",
    "Level",
    "NodeType",
    "RPGEdge",
    "RPGGraph",
    "RPGNode",
    "Source",
    "graph_problems",
]
