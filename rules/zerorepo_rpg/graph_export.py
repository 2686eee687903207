"""A planning graph in other people's formats: GraphML, DOT, Mermaid, CSV, YAML, JSON. Knows nothing of how it came about.

Each format carries everything that a node or an edge says, so that ``graph_import`` gives the same graph back: what a format
has no place for stands in attributes that its other readers ignore, or (Mermaid) in comments.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from zerorepo_rpg.graph import EdgeType, Level, RPGEdge, RPGGraph, RPGNode

NODE_FIELDS = tuple(RPGNode.model_fields)
EDGE_FIELDS = tuple(RPGEdge.model_fields)

_SHAPES = {Level.MODULE: "folder", Level.COMPONENT: "note", Level.FEATURE: "box"}
_STYLES = {
    EdgeType.HIERARCHY: "dotted",
    EdgeType.DATA_FLOW: "bold",
    EdgeType.ORDERING: "dashed",
    EdgeType.INHERITANCE: "solid",
    EdgeType.INVOCATION: "solid",
}
ARROWS = {EdgeType.DATA_FLOW: "==>", EdgeType.ORDERING: "-.->", EdgeType.INHERITANCE: "--o", EdgeType.INVOCATION: "-->"}


def plain(item: RPGNode | RPGEdge) -> dict[str, str]:
    """The fields that are not as always, as texts; ``features`` as a JSON array."""
    values = item.model_dump(mode="json", exclude_defaults=True)
    return {
        name: json.dumps(value, ensure_ascii=False) if isinstance(value, list) else str(value)
        for name, value in values.items()
    }


def to_dot(graph: RPGGraph) -> str:
    """Graphviz source. Fields that Graphviz does not know are attributes with the prefix ``rpg_``, which it leaves alone."""
    lines = ["digraph rpg {", "  rankdir=LR;"]
    for node in graph.nodes:
        own = _attributes(plain(node), without=("id",))
        lines.append(f"  {_dot(node.id)} [label={_dot(node.name)}, shape={_SHAPES[node.level]}{own}];")
    for edge in graph.edges:
        label = edge.data_name or edge.type.value.lower()
        own = _attributes(plain(edge), without=("source", "target"))
        lines.append(
            f"  {_dot(edge.source)} -> {_dot(edge.target)} [label={_dot(label)}, style={_STYLES[edge.type]}{own}];"
        )
    return "\n".join([*lines, "}"]) + "\n"


def _attributes(values: Mapping[str, str], without: Iterable[str]) -> str:
    return "".join(f", rpg_{name}={_dot(value)}" for name, value in values.items() if name not in without)


def _dot(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return '"' + escaped.replace("\x00", "\\0") + '"'


def to_mermaid(graph: RPGGraph) -> str:
    """A Mermaid flowchart: modules and files as subgraphs, so the hierarchy is drawn as nesting.

    What the drawing does not show stands in comments, a node (``%% node``) or an edge (``%% edge``) each.
    """
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
    for edge in graph.edges:
        if edge.type is not EdgeType.HIERARCHY:
            label = f"|{_mermaid(edge.data_name)}|" if edge.data_name else ""
            lines.append(f"  {numbers[edge.source]} {ARROWS[edge.type]}{label} {numbers[edge.target]}")
    lines += [f"%% node {numbers[node.id]} {_comment(node)}" for node in graph.nodes]
    lines += [f"%% edge {_comment(edge)}" for edge in graph.edges]
    return "\n".join(lines) + "\n"


def _comment(item: RPGNode | RPGEdge) -> str:
    # ASCII only, and no line can end inside: Mermaid reads comments to the end of their line.
    return json.dumps(item.model_dump(mode="json", exclude_defaults=True))


def _mermaid(text: str) -> str:
    clean = "".join(" " if char < " " or char in "\x85\u2028\u2029" else char for char in text)
    return '"' + clean.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;") + '"'


def to_csv(graph: RPGGraph) -> dict[str, str]:
    """``nodes.csv`` and ``edges.csv`` (RFC 4180); ``features`` is a JSON array."""
    texts = {}
    files: list[tuple[str, tuple[str, ...], Iterable[RPGNode | RPGEdge]]] = [
        ("nodes.csv", NODE_FIELDS, graph.nodes),
        ("edges.csv", EDGE_FIELDS, graph.edges),
    ]
    for name, fields, items in files:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(fields)
        for item in items:
            values = {field: _cell(value) for field, value in item.model_dump(mode="json").items()}
            writer.writerow([values[field] for field in fields])
        texts[name] = text.getvalue()
    return texts


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False) if value else ""
    return "" if value is None else str(value)


def to_graphml(graph: RPGGraph) -> str:
    """GraphML as yEd, Gephi and networkx read it. A character that XML forbids is written ``_xHHHH_`` (as in ECMA-376)."""
    node_keys, edge_keys = NODE_FIELDS[1:], tuple(name for name in EDGE_FIELDS if name not in ("source", "target"))
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">']
    for domain, keys in (("node", node_keys), ("edge", edge_keys)):
        for key in keys:
            lines.append(f'  <key id="{domain}_{key}" for="{domain}" attr.name="{key}" attr.type="string"/>')
    lines.append('  <graph edgedefault="directed">')
    for node in graph.nodes:
        lines.append(f"    <node id={_quoted(node.id)}>")
        lines += _data("node", node_keys, plain(node))
        lines.append("    </node>")
    for edge in graph.edges:
        lines.append(f"    <edge source={_quoted(edge.source)} target={_quoted(edge.target)}>")
        lines += _data("edge", edge_keys, plain(edge))
        lines.append("    </edge>")
    return "\n".join([*lines, "  </graph>", "</graphml>"]) + "\n"


def _data(domain: str, keys: tuple[str, ...], values: Mapping[str, str]) -> list[str]:
    return [
        f'      <data key="{domain}_{key}">{escape(_xml(values[key]), {chr(13): "&#13;"})}</data>'
        for key in keys
        if key in values
    ]


def _quoted(text: str) -> str:
    return quoteattr(_xml(text), {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"})


_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|_(?=x[0-9A-F]{4}_)")


def _xml(text: str) -> str:
    return _FORBIDDEN.sub(lambda match: f"_x{ord(match[0]):04X}_", text)


def to_yaml(graph: RPGGraph) -> str:
    """YAML, one mapping of ``nodes`` and ``edges``."""
    import yaml

    body = graph.model_dump(mode="json", exclude_defaults=True)
    body = {name: body.get(name, []) for name in ("nodes", "edges")}
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(body, Dumper=dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


EXPORTERS: dict[str, Callable[[RPGGraph], str]] = {
    "dot": to_dot,
    "graphml": to_graphml,
    "json": RPGGraph.to_json,
    "mermaid": to_mermaid,
    "yaml": to_yaml,
}
"""Format name to function, for formats that are one text; ``to_csv`` makes two."""

__all__ = ["EXPORTERS", "to_csv", "to_dot", "to_graphml", "to_mermaid", "to_yaml"]
