"""The Repository Planning Graph (arXiv 2509.16198): sound by construction, and the operations on it.

A graph that exists is sound: the constructor refuses dangling edges, cycles and the rest, all named at once
(``graph_problems``). Knows nothing of plans, files on disk, or how it is drawn (``graph_export``).
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from pydantic import ValidationError, model_validator

from zerorepo.errors import UsageError
from zerorepo.target import Provider
from zerorepo.values import Value
from zerorepo_rpg import digraph
from zerorepo_rpg.graph_parts import NEEDS, EdgeType, InterfaceType, Level, NodeType, RPGEdge, RPGNode, Source
from zerorepo_rpg.graph_problems import graph_problems

if TYPE_CHECKING:
    import rustworkx


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
        with _no_collection():
            listed = sorted(nodes, key=lambda node: node.id)
            all_edges = list(edges)
            drawn = {(edge.source, edge.target) for edge in all_edges if edge.type is EdgeType.HIERARCHY}
            all_edges += [
                RPGEdge(type=EdgeType.HIERARCHY, source=node.parent, target=node.id)
                for node in listed
                if node.parent is not None and (node.parent, node.id) not in drawn
            ]
            return cls(nodes=tuple(listed), edges=tuple(sorted(all_edges, key=lambda edge: edge.key)))

    @classmethod
    def from_json(cls, text: str | bytes, where: str = "graph") -> RPGGraph:
        """The graph of ``to_json``; UsageError that lists everything wrong with it."""
        try:
            with _no_collection():
                return cls.model_validate_json(text)
        except ValidationError as error:
            raise unsound(error, where) from None

    def to_json(self) -> str:
        """JSON, a node or an edge a line, without what is as always; ``from_json`` and back gives the same bytes."""
        body = self.model_dump(mode="json", exclude_defaults=True)
        parts = []
        for name in ("nodes", "edges"):
            lines = ",\n".join("  " + json.dumps(item, ensure_ascii=False) for item in body.get(name, ()))
            parts.append(f'"{name}": [\n{lines}\n]' if lines else f'"{name}": []')
        return "{" + ", ".join(parts) + "}\n"

    def edited(
        self, nodes: Iterable[RPGNode] = (), edges: Iterable[RPGEdge] = (), removed: Collection[str] = ()
    ) -> RPGGraph:
        """The graph with these nodes and edges added, or put in the place of those of the same id or key.

        Nodes in ``removed`` go with their edges. UsageError that lists everything that would be wrong: a child that is left
        without its parent, an edge to nowhere, a cycle, an id in ``removed`` that is no node.
        """
        unknown = sorted(set(removed) - self.by_id.keys())
        given = {node.id: node for node in nodes}
        kept = {node.id: node for node in self.nodes if node.id not in removed} | given
        drawn = {
            edge.key: edge
            for edge in self.edges
            if edge.type is not EdgeType.HIERARCHY and not {edge.source, edge.target} & set(removed)
        } | {edge.key: edge for edge in edges}
        if unknown:
            raise UsageError(f"No node of the graph: {', '.join(unknown)}")
        try:
            return RPGGraph.build(kept.values(), drawn.values())
        except ValidationError as error:
            raise unsound(error, "the edited graph") from None

    @cached_property
    def by_id(self) -> dict[str, RPGNode]:
        """Node id to node."""
        return {node.id: node for node in self.nodes}

    def _pairs(self, types: Iterable[EdgeType]) -> list[tuple[str, str]]:
        """``(user, needed)`` of each edge of these types."""
        pairs: list[tuple[str, str]] = []
        for kind in dict.fromkeys(types):
            edges = self._by_type.get(kind, ())
            if kind.needed_is_source:
                pairs += [(edge.target, edge.source) for edge in edges]
            else:
                pairs += [(edge.source, edge.target) for edge in edges]
        return pairs

    @cached_property
    def _by_type(self) -> dict[EdgeType, list[RPGEdge]]:
        found: dict[EdgeType, list[RPGEdge]] = {}
        for edge in self.edges:
            found.setdefault(edge.type, []).append(edge)
        return found

    def _indexed(self, types: Iterable[EdgeType], *, users: bool = False) -> rustworkx.PyDiGraph[str, None]:
        """The graph for the library: an edge from what is needed to its user, or with ``users`` the other way round."""
        pairs = self._pairs(types)
        return digraph.indexed([node.id for node in self.nodes], pairs if users else [(b, a) for a, b in pairs])

    def needs(self, types: Iterable[EdgeType] = NEEDS) -> dict[str, tuple[str, ...]]:
        """Node id to what it needs by edges of these types, sorted, every node a key."""
        found: dict[str, list[str]] = {node.id: [] for node in self.nodes}
        for user, needed in self._pairs(types):
            found[user].append(needed)
        return {node: tuple(sorted(set(needed))) for node, needed in found.items()}

    def layers(self, types: Iterable[EdgeType] = NEEDS) -> tuple[tuple[str, ...], ...]:
        """Topological layers of all nodes: what a node needs comes earlier. ValueError with the path on a cycle."""
        import rustworkx

        with _no_collection():
            graph, ids = self._indexed(types), [node.id for node in self.nodes]
            try:
                generations = rustworkx.topological_generations(graph)
            except rustworkx.DAGHasCycle:
                cycle = self.cycles(types)[0]
                raise ValueError("cycle: " + " -> ".join((*cycle, cycle[0]))) from None
            return tuple(tuple(sorted(ids[index] for index in layer)) for layer in generations)

    def dependencies(self, node_id: str, types: Iterable[EdgeType] = NEEDS) -> set[str]:
        """What the node needs, directly or not; itself when it stands on a cycle. KeyError on an unknown id."""
        return self._reached(node_id, types, users=True)

    def dependents(self, node_id: str, types: Iterable[EdgeType] = NEEDS) -> set[str]:
        """What needs the node, directly or not; itself when it stands on a cycle. KeyError on an unknown id."""
        return self._reached(node_id, types, users=False)

    def _reached(self, node_id: str, types: Iterable[EdgeType], *, users: bool) -> set[str]:
        import rustworkx

        if node_id not in self.by_id:
            raise KeyError(node_id)
        graph, ids = self._indexed(types, users=users), [node.id for node in self.nodes]
        start = next(index for index, name in enumerate(ids) if name == node_id)
        found = {ids[index] for index in rustworkx.descendants(graph, start)} - {node_id}
        if any(ids[index] in found or index == start for index in graph.predecessor_indices(start)):
            found.add(node_id)
        return found

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

    def select(
        self,
        *,
        modules: Collection[str] = (),
        levels: Collection[Level] = (),
        types: Collection[NodeType] = (),
        sources: Collection[Source] = (),
        edges: Collection[EdgeType] = (),
    ) -> RPGGraph:
        """The subgraph of the nodes that pass every filter that is not empty; ``modules`` keeps what is in or below them.

        KeyError on a module that is no node. ``edges`` keeps edges of these types (HIERARCHY stays: it is the tree).
        """
        below: set[str] = set()
        for module in modules:
            below |= {module} | self.descendants(module)

        def keep(node: RPGNode) -> bool:
            return (
                (not modules or node.id in below)
                and (not levels or node.level in levels)
                and (not types or node.node_type in types)
                and (not sources or node.source in sources)
            )

        found = self.subgraph(keep)
        if not edges:
            return found
        return RPGGraph.build(found.nodes, [edge for edge in found.edges if edge.type in edges])

    def cycles(self, types: Iterable[EdgeType] = NEEDS) -> list[tuple[str, ...]]:
        """One shortest cycle for each group of nodes that need each other by these edges taken together."""
        pairs = self._pairs(types)
        return [] if digraph.acyclic(pairs) else digraph.cycles(self.needs(types))

    def every_cycle(self, types: Iterable[EdgeType] = NEEDS, limit: int = 1000) -> list[tuple[str, ...]]:
        """Elementary cycles, each from its first name on, sorted; at most ``limit`` of them, for there may be 2 to the n."""
        import rustworkx

        ids = [node.id for node in self.nodes]
        found = []
        for cycle in islice(rustworkx.simple_cycles(self._indexed(types, users=True)), limit):
            names = [ids[index] for index in cycle]
            first = names.index(min(names))
            found.append((*names[first:], *names[:first]))
        return sorted(found)

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


def unsound(error: ValidationError, where: str) -> UsageError:
    """Everything that is wrong with a graph, as one error for people."""
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        place = ".".join(map(str, item["loc"]))
        lines.append(f"{place}: {item['msg']}" if place else item["msg"].removeprefix("Value error, "))
    return UsageError("Not a sound planning graph:\n" + "\n".join(lines), where=where)


@contextmanager
def _no_collection() -> Iterator[None]:
    """A hundred thousand new objects that all stay: looking for garbage among them takes longer than making them."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


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
    "unsound",
]
