"""How results are written: the formats of one line per node, and the choice among all formats.

Every format is a function from a `Rendering` to text, deterministic for the same graph and result. Drawings are in
format_graph.py, XML and build-file text in format_markup.py. Knows nothing of expressions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

from zerorepo.errors import did_you_mean
from zerorepo.query.errors import QuerySyntaxError
from zerorepo.query.format_graph import as_dot, as_mermaid, as_tree
from zerorepo.query.format_markup import as_build, as_xml
from zerorepo.query.graph import QueryGraph
from zerorepo.query.ordering import maximum_ranks, minimum_ranks
from zerorepo.query.rendering import Order, Rendering


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _label(result: Rendering) -> str:
    labels = result.graph.labels
    return _lines(labels[node] for node in result.ordered)


def _label_kind(result: Rendering) -> str:
    graph = result.graph
    return _lines(f"{graph.infos[node].kind} {graph.labels[node]}" for node in result.ordered)


def _location(result: Rendering) -> str:
    graph = result.graph
    return _lines(
        f"{graph.infos[node].location or '<unknown>'}: {graph.infos[node].kind} {graph.labels[node]}"
        for node in result.ordered
    )


def _package(result: Rendering) -> str:
    return _lines(sorted(set(map(result.graph.package_of, result.nodes))))


def _minrank(result: Rendering) -> str:
    return _ranked(result, minimum_ranks(result.edges))


def _maxrank(result: Rendering) -> str:
    return _ranked(result, maximum_ranks(result.edges))


def _ranked(result: Rendering, ranks: Mapping[int, int]) -> str:
    return _lines(f"{ranks[node]} {result.graph.labels[node]}" for node in sorted(ranks, key=lambda n: (ranks[n], n)))


def _record(graph: QueryGraph, node: int, rank: float | None) -> dict[str, object]:
    info = graph.infos[node]
    record: dict[str, object] = {
        "label": graph.labels[node],
        "kind": info.kind,
        "package": graph.package_of(node),
        "location": info.location,
        "deps": [graph.labels[target] for target in graph.forward[node]],
    }
    if info.is_rule:
        references = {name: list(labels) for name, labels in info.references.items()}
        record |= {"tags": list(info.tags), "attributes": {**references, **graph.attributes(node)}}
    if rank is not None:
        record["rank"] = rank
    return record


def _records(result: Rendering) -> list[str]:
    return [
        json.dumps(_record(result.graph, node, result.ranking.get(node)), ensure_ascii=False, default=str)
        for node in result.ordered
    ]


def _json(result: Rendering) -> str:
    records = _records(result)
    return "[\n  " + ",\n  ".join(records) + "\n]\n" if records else "[]\n"


def _jsonl(result: Rendering) -> str:
    return _lines(_records(result))


FORMATS: Mapping[str, Callable[[Rendering], str]] = {
    "label": _label,
    "label_kind": _label_kind,
    "package": _package,
    "location": _location,
    "build": as_build,
    "graph": as_dot,
    "mermaid": as_mermaid,
    "tree": as_tree,
    "json": _json,
    "jsonl": _jsonl,
    "xml": as_xml,
    "minrank": _minrank,
    "maxrank": _maxrank,
}

# These draw or rank the edges of a result; Bazel's universe functions do not go with them.
STRUCTURED_FORMATS = frozenset({"graph", "mermaid", "tree", "minrank", "maxrank"})


def check_format(output: str, order: str) -> None:
    """QuerySyntaxError (exit code 2) unless both are known."""
    _check("output format", output, FORMATS)
    _check("order", order, [member.value for member in Order])


def _check(what: str, word: str, known: Iterable[str]) -> None:
    names = list(known)
    if word not in names:
        names += ["svg"] if known is FORMATS else []  # which the command line makes of `graph`
        hint = did_you_mean(word, names) or f"there are: {', '.join(names)}"
        raise QuerySyntaxError(f"There is no {what} `{word}`", hint=hint)


def render(result: Rendering, output: str) -> str:
    """The result in one of `FORMATS`."""
    return FORMATS[output](result)
