"""Code that people wrote, in the lock: one ``[[node]]`` table for each node of its graph, with the edges that it needs others by.

``inherits`` and ``calls`` name what the node depends on, ``after`` what it is loaded after, ``takes`` the data that reaches it
(``from``, ``name``, ``type``); HIERARCHY is ``parent``. Knows nothing of the rest of the lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, ValidationError

from zerorepo.values import Value
from zerorepo_rpg import toml_text
from zerorepo_rpg.graph import EdgeType, RPGEdge, RPGGraph, RPGNode, Source

_EDGES = {"inherits": EdgeType.INHERITANCE, "calls": EdgeType.INVOCATION, "after": EdgeType.ORDERING}
_KEPT = tuple(name for name in RPGNode.model_fields if name not in ("source", "folder_path"))


class TakenData(Value):
    """Data that a node takes from another one."""

    source: str = Field(alias="from")
    name: str = ""
    type: str = ""


class NodeTable(RPGNode):
    """A node as it stands in the lock. ``source`` is human and ``folder_path`` that of ``file_path`` when they are left out."""

    source: Source = Source.HUMAN
    inherits: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    takes: tuple[TakenData, ...] = ()

    def node(self) -> RPGNode:
        """The node alone."""
        values = {name: getattr(self, name) for name in RPGNode.model_fields}
        if not self.folder_path and "/" in self.file_path:
            values["folder_path"] = self.file_path.rpartition("/")[0]
        return RPGNode(**values)

    def edges(self) -> list[RPGEdge]:
        """The edges that it says."""
        found = [
            RPGEdge(
                type=kind,
                source=other if kind.needed_is_source else self.id,
                target=self.id if kind.needed_is_source else other,
            )
            for name, kind in _EDGES.items()
            for other in getattr(self, name)
        ]
        return found + [
            RPGEdge(
                type=EdgeType.DATA_FLOW, source=each.source, target=self.id, data_name=each.name, data_type=each.type
            )
            for each in self.takes
        ]


def render_graph(graph: RPGGraph) -> list[str]:
    """The tables of a graph, sorted by id."""
    edges: dict[str, dict[str, list[Any]]] = {}
    names = {kind: name for name, kind in _EDGES.items()}
    for edge in graph.edges:
        if edge.type is EdgeType.DATA_FLOW:
            edges.setdefault(edge.target, {}).setdefault("takes", []).append(edge)
        elif edge.type in names:
            user, needed = (edge.target, edge.source) if edge.type.needed_is_source else (edge.source, edge.target)
            edges.setdefault(user, {}).setdefault(names[edge.type], []).append(needed)
    return [_table(node, edges.get(node.id, {})) for node in graph.nodes]


def _table(node: RPGNode, edges: Mapping[str, Sequence[Any]]) -> str:
    lines = ["[[node]]"]
    for name in _KEPT:
        value, field = getattr(node, name), RPGNode.model_fields[name]
        if field.is_required() or value != field.get_default():
            lines.append(
                f"{name} = {toml_text.array(value) if isinstance(value, tuple) else toml_text.string(str(value))}"
            )
    if node.source is not Source.HUMAN:
        lines.append(f'source = "{node.source}"')
    if node.folder_path and node.folder_path != node.file_path.rpartition("/")[0]:
        lines.append(f"folder_path = {toml_text.string(node.folder_path)}")
    for name in _EDGES:
        if name in edges:
            lines.append(f"{name} = {toml_text.array(sorted(edges[name]))}")
    if "takes" in edges:
        lines += [
            "takes = [",
            *(f"    {_taken(edge)}," for edge in sorted(edges["takes"], key=lambda edge: edge.key)),
            "]",
        ]
    return "\n".join(lines) + "\n"


def _taken(edge: RPGEdge) -> str:
    parts = {"from": edge.source, "name": edge.data_name, "type": edge.data_type}
    # An inline table stands on one line.
    return "{ " + ", ".join(f"{name} = {toml_text.one_line(value)}" for name, value in parts.items() if value) + " }"


def graph_of(tables: Sequence[NodeTable]) -> RPGGraph:
    """The graph of the tables. ValueError that lists everything unsound."""
    try:
        return RPGGraph.build([table.node() for table in tables], [edge for table in tables for edge in table.edges()])
    except ValidationError as error:
        raise ValueError("\n".join(item["msg"].removeprefix("Value error, ") for item in error.errors())) from None


__all__ = ["NodeTable", "graph_of", "render_graph"]
