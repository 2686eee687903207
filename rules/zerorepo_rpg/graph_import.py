"""Planning graphs read back from GraphML, DOT, Mermaid, CSV, YAML and JSON; also graphs that others drew.

A format's own names count where ours are missing: a DOT label is a name, a Mermaid subgraph a parent, an arrow's kind an edge
type. What comes in is as sound as any graph: everything wrong is told at once. Knows nothing of files.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from xml.etree import ElementTree

from pydantic import ValidationError

from zerorepo.errors import UsageError
from zerorepo_rpg import dot_text
from zerorepo_rpg.graph import EdgeType, Level, RPGEdge, RPGGraph, RPGNode, unsound
from zerorepo_rpg.graph_export import ARROWS, EDGE_FIELDS, NODE_FIELDS

_ESCAPED = re.compile(r"_x([0-9A-F]{4})_")


def _graph(nodes: Iterable[Mapping[str, Any]], edges: Iterable[Mapping[str, Any]], where: str) -> RPGGraph:
    """A graph of raw values; an edge that only says what ``parent`` says may be missing."""
    try:
        made = [RPGNode.model_validate(_node(values)) for values in nodes]
        drawn = [
            RPGEdge.model_validate({"type": EdgeType.INVOCATION, **_known(values, EDGE_FIELDS)}) for values in edges
        ]
        parents = {edge.target: edge.source for edge in drawn if edge.type is EdgeType.HIERARCHY}
        made = [
            node.model_copy(update={"parent": parents[node.id]}) if node.parent is None and node.id in parents else node
            for node in made
        ]
        return RPGGraph.build(made, drawn)
    except ValidationError as error:
        raise unsound(error, where) from None


def _node(values: Mapping[str, Any]) -> dict[str, Any]:
    found = _known(values, NODE_FIELDS)
    found.setdefault("name", found.get("id", ""))
    found.setdefault("level", Level.FEATURE)
    return found


def _known(values: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    found = {name: value for name, value in values.items() if name in fields and value is not None}
    if isinstance(found.get("features"), str):
        text = found["features"]
        found["features"] = json.loads(text) if text.startswith("[") else [part for part in text.split(";") if part]
    return found


def from_graphml(text: str, where: str = "graph.graphml") -> RPGGraph:
    """A graph from GraphML, ours or another tool's; attributes with our names count, others are left aside."""
    if re.search(r"<!DOCTYPE|<!ENTITY", text):
        raise UsageError("GraphML with a DOCTYPE is not read: it may name entities and files", where=where)
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise UsageError(f"Not XML: {error}", where=f"{where}:{error.position[0]}") from None
    names = {key.get("id"): key.get("attr.name") or key.get("id") or "" for key in root.iter() if _tag(key) == "key"}

    def data(item: ElementTree.Element) -> dict[str, str]:
        return {names.get(part.get("key"), ""): _unescaped(part.text or "") for part in item if _tag(part) == "data"}

    nodes = [{**data(item), "id": _unescaped(item.get("id") or "")} for item in root.iter() if _tag(item) == "node"]
    edges = [
        {**data(item), **{end: _unescaped(item.get(end) or "") for end in ("source", "target")}}
        for item in root.iter()
        if _tag(item) == "edge"
    ]
    return _graph(nodes, edges, where)


def _tag(item: ElementTree.Element) -> str:
    return str(item.tag).rpartition("}")[2]


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)


def from_dot(text: str, where: str = "graph.dot") -> RPGGraph:
    """A graph from DOT; a ``subgraph`` groups and nothing more. UsageError with the line of what is not DOT."""
    nodes, edges = dot_text.parse(text, where)
    return _graph(
        [{"id": name, "name": values.get("label", name), **_ours(values)} for name, values in nodes.items()],
        [{"source": source, "target": target, **_ours(values)} for source, target, values in edges],
        where,
    )


def _ours(values: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix("rpg_"): value for name, value in values.items() if name.startswith("rpg_")}


_MERMAID_NODE = re.compile(r"""(\w+)\s*(?:[\[({>]+\s*"?(.*?)"?\s*[\])}]+)?$""")
_MERMAID_EDGE = re.compile(r"""^(.*?)\s*(==>|-\.->|--o|-->|---)\s*(?:\|"?(.*?)"?\|)?\s*(.+)$""")


def from_mermaid(text: str, where: str = "graph.mmd") -> RPGGraph:
    """A graph from a Mermaid flowchart: ours by what its comments say, or one drawn by others as far as it is drawn."""
    lines = text.split("\n")
    said: dict[str, list[dict[str, Any]]] = {"node": [], "edge": []}
    for number, line in enumerate(lines, 1):
        if match := re.match(r"%% (node|edge) (?:n\d+ )?(?=\{)", line):
            said[match[1]].append(_json(line[match.end() :], where, number))
    if said["node"]:
        return _graph(said["node"], said["edge"], where)
    flowchart = _Flowchart(where)
    for number, line in enumerate(lines, 1):
        flowchart.read(line.strip().rstrip(";"), number)
    return _graph(flowchart.nodes.values(), flowchart.edges, where)


class _Flowchart:
    """A flowchart drawn by others, read line by line."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.nodes: dict[str, dict[str, Any]] = {}
        self.edges: list[dict[str, Any]] = []
        self.inside: list[str] = []

    def read(self, line: str, number: int) -> None:
        if not line or line.startswith(("%%", "flowchart", "graph ", "direction ", "style ", "classDef ", "class ")):
            return
        if line.startswith("subgraph "):
            level = Level.COMPONENT if self.inside else Level.MODULE
            self.inside.append(self.node(line.removeprefix("subgraph "), number, level))
        elif line == "end":
            if not self.inside:
                raise UsageError("`end` without a `subgraph`", where=f"{self.where}:{number}")
            self.inside.pop()
        elif edge := _MERMAID_EDGE.match(line):
            kind = {arrow: kind for kind, arrow in ARROWS.items()}.get(edge[2], EdgeType.INVOCATION)
            values = {"type": kind, "source": self.node(edge[1], number), "target": self.node(edge[4], number)}
            if edge[3] and kind is EdgeType.DATA_FLOW:
                values["data_name"] = _unquoted(edge[3])
            self.edges.append(values)
        else:
            self.node(line, number)

    def node(self, piece: str, line: int, level: Level = Level.FEATURE) -> str:
        match = _MERMAID_NODE.match(piece.strip())
        if not match:
            raise UsageError(f"Not a node of a flowchart: {piece.strip()}", where=f"{self.where}:{line}")
        known = self.nodes.setdefault(match[1], {"id": match[1], "level": level})
        if match[2]:
            known["name"] = _unquoted(match[2])
        if self.inside and "parent" not in known and self.inside[-1] != match[1]:
            known["parent"] = self.inside[-1]
        return match[1]


def _json(text: str, where: str, line: int) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError(f"The comment is not what was exported: {error}", where=f"{where}:{line}") from None
    if not isinstance(found, dict):
        raise UsageError("The comment is not what was exported", where=f"{where}:{line}")
    return found


def _unquoted(text: str) -> str:
    return text.replace("&lt;", "<").replace("&quot;", '"').replace("&amp;", "&")


def from_csv(texts: Mapping[str, str], where: str = "nodes.csv, edges.csv") -> RPGGraph:
    """A graph from the texts of ``nodes.csv`` and ``edges.csv``; the latter may be missing."""
    if "nodes.csv" not in texts:
        raise UsageError("There is no nodes.csv", where=where)
    rows = {name: list(csv.DictReader(io.StringIO(text, newline=""))) for name, text in texts.items()}
    for name, wanted in (("nodes.csv", "id"), ("edges.csv", "source")):
        if rows.get(name) and wanted not in rows[name][0]:
            raise UsageError(f"{name} has no column `{wanted}`", where=where)
    nodes, edges = (
        [{name: value for name, value in row.items() if value or name == "name"} for row in rows.get(file, ())]
        for file in ("nodes.csv", "edges.csv")
    )
    return _graph(nodes, edges, where)


def from_yaml(text: str, where: str = "graph.yaml") -> RPGGraph:
    """A graph from YAML; safe: no tag makes an object."""
    import yaml

    try:
        body = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}" if mark else where
        raise UsageError(f"Not YAML: {getattr(error, 'problem', None) or error}", where=place) from None
    if not isinstance(body, dict):
        raise UsageError("A graph is a mapping of `nodes` and `edges`", where=where)
    return RPGGraph.from_json(json.dumps(body, default=str), where)


IMPORTERS: dict[str, Callable[[str, str], RPGGraph]] = {
    "dot": from_dot,
    "graphml": from_graphml,
    "json": RPGGraph.from_json,
    "mermaid": from_mermaid,
    "yaml": from_yaml,
}
"""Format name to function, for formats that are one text."""


def format_of(text: str) -> str:
    """Which of the formats a text is in, by its beginning: names of files say less."""
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith("<"):
        return "graphml"
    if start.startswith("{"):
        return "json"
    first = re.sub(r"(?m)^\s*(//|%%).*$", "", start).lstrip()
    if re.match(r"(strict\s+)?(di)?graph\b[^\n]*\{", first):
        return "dot"
    if re.match(r"(flowchart|graph)\s+(LR|RL|TB|TD|BT)\b", first):
        return "mermaid"
    return "yaml"


__all__ = ["IMPORTERS", "format_of", "from_csv", "from_dot", "from_graphml", "from_mermaid", "from_yaml"]
