"""A planning graph in other people's formats: DOT, Mermaid, CSV, GraphML. Knows nothing of how it came about.

JSON is the graph's own (``RPGGraph.to_json``) and the only one that is read back.
"""

from __future__ import annotations

import csv
import io
from xml.sax.saxutils import escape, quoteattr

from zerorepo_rpg.graph import EdgeType, Level, RPGGraph, RPGNode

_SHAPES = {Level.MODULE: "folder", Level.COMPONENT: "note", Level.FEATURE: "box"}
_STYLES = {
    EdgeType.HIERARCHY: "dotted",
    EdgeType.DATA_FLOW: "bold",
    EdgeType.ORDERING: "dashed",
    EdgeType.INHERITANCE: "solid",
    EdgeType.INVOCATION: "solid",
}


def to_dot(graph: RPGGraph) -> str:
    """Graphviz source."""
    lines = ["digraph rpg {", "  rankdir=LR;"]
    for node in graph.nodes:
        lines.append(f"  {_dot(node.id)} [label={_dot(node.name)}, shape={_SHAPES[node.level]}];")
    for edge in graph.edges:
        label = edge.data_name or edge.type.value.lower()
        style = _STYLES[edge.type]
        lines.append(f"  {_dot(edge.source)} -> {_dot(edge.target)} [label={_dot(label)}, style={style}];")
    return "\n".join([*lines, "}"]) + "\n"


def _dot(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def to_mermaid(graph: RPGGraph) -> str:
    """A Mermaid flowchart: modules and files as subgraphs, so the hierarchy is drawn as nesting."""
    numbers = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    children: dict[str | None, list[RPGNode]] = {}
    for node in graph.nodes:
        children.setdefault(node.parent, []).append(node)
    lines = ["flowchart LR"]
    # Depth first with a stack of lines or nodes: a deep hierarchy must not meet the recursion limit.
    work: list[tuple[int, RPGNode | str]] = [(1, node) for node in reversed(children.get(None, []))]
    while work:
        depth, item = work.pop()
        if isinstance(item, str):
            lines.append("  " * depth + item)
        elif item.id in children:
            lines.append("  " * depth + f"subgraph {numbers[item.id]}[{_mermaid(item.name)}]")
            work.append((depth, "end"))
            work.extend((depth + 1, child) for child in reversed(children[item.id]))
        else:
            lines.append("  " * depth + f"{numbers[item.id]}[{_mermaid(item.name)}]")
    arrows = {EdgeType.DATA_FLOW: "==>", EdgeType.ORDERING: "-.->"}
    for edge in graph.edges:
        if edge.type is not EdgeType.HIERARCHY:
            label = f"|{_mermaid(edge.data_name)}|" if edge.data_name else ""
            lines.append(f"  {numbers[edge.source]} {arrows.get(edge.type, '-->')}{label} {numbers[edge.target]}")
    return "\n".join(lines) + "\n"


def _mermaid(text: str) -> str:
    return '"' + text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace("\n", " ") + '"'


def to_csv(graph: RPGGraph) -> dict[str, str]:
    """``nodes.csv`` and ``edges.csv`` (RFC 4180, but with plain newlines)."""
    nodes, edges = io.StringIO(), io.StringIO()
    fields = ["id", "name", "level", "node_type", "parent", "file_path", "interface_type", "features", "source"]
    writer = csv.writer(nodes, lineterminator="\n")
    writer.writerow(fields)
    for node in graph.nodes:
        row = {**node.model_dump(mode="json"), "features": ";".join(node.features)}
        writer.writerow(["" if row[name] is None else row[name] for name in fields])
    writer = csv.writer(edges, lineterminator="\n")
    writer.writerow(["type", "source", "target", "data_name", "data_type"])
    for edge in graph.edges:
        writer.writerow([edge.type.value, edge.source, edge.target, edge.data_name, edge.data_type])
    return {"nodes.csv": nodes.getvalue(), "edges.csv": edges.getvalue()}


def to_graphml(graph: RPGGraph) -> str:
    """GraphML as yEd, Gephi and networkx read it. Characters that XML forbids are left out."""
    node_keys = ("name", "level", "node_type", "file_path", "interface_type", "signature", "description", "source")
    edge_keys = ("type", "data_name", "data_type")
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">']
    for domain, keys in (("node", node_keys), ("edge", edge_keys)):
        for key in keys:
            lines.append(f'  <key id="{domain}_{key}" for="{domain}" attr.name="{key}" attr.type="string"/>')
    lines.append('  <graph edgedefault="directed">')
    for node in graph.nodes:
        lines.append(f"    <node id={quoteattr(_xml(node.id))}>")
        lines += _data("node", node_keys, node.model_dump(mode="json"))
        lines.append("    </node>")
    for edge in graph.edges:
        lines.append(f"    <edge source={quoteattr(_xml(edge.source))} target={quoteattr(_xml(edge.target))}>")
        lines += _data("edge", edge_keys, edge.model_dump(mode="json"))
        lines.append("    </edge>")
    return "\n".join([*lines, "  </graph>", "</graphml>"]) + "\n"


def _data(domain: str, keys: tuple[str, ...], values: dict[str, object]) -> list[str]:
    return [
        f'      <data key="{domain}_{key}">{escape(_xml(str(values[key])))}</data>' for key in keys if values.get(key)
    ]


def _xml(text: str) -> str:
    return "".join(
        char for char in text if char in "\t\n\r" or "\x20" <= char <= "\ud7ff" or "\ue000" <= char != "\uffff"
    )


EXPORTERS = {"dot": to_dot, "mermaid": to_mermaid, "graphml": to_graphml, "json": RPGGraph.to_json}
"""Format name to function, for formats that are one text; ``to_csv`` makes two."""

__all__ = ["EXPORTERS", "to_csv", "to_dot", "to_graphml", "to_mermaid"]
