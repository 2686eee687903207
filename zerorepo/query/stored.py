"""A `QueryGraph` as bytes and back: what a query needs is taken out, the rest stays packed.

``unpack(pack(graph))`` answers every query as ``graph`` does. The bytes are Python's own (``marshal``): they are for the same
version of Python, and for whoever has made sure that they are whole. Knows nothing of files.
"""

from __future__ import annotations

import gc
import marshal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from zerorepo.query.details import Details, plain
from zerorepo.query.graph import PackageInfo, QueryGraph

FORMAT = 2


def pack(graph: QueryGraph) -> dict[str, bytes]:
    """The parts of a graph by name. ValueError when an attribute is no plain value."""
    packages = [
        (each.name, each.build_file, each.loads, each.error, each.default_visibility)
        for each in graph.packages.values()
    ]
    parts: dict[str, Any] = {
        "labels": "\0".join(graph.labels),
        "forward": list(graph.forward),
        "reverse": list(graph.reverse),
        "kinds": {kind: sorted(found) for kind, found in graph.by_kind.items()},
        "packages": packages,
        "missing": dict(graph.missing),
        "hidden": sorted(graph.hidden),
        "tools": sorted(graph.tool_edges),
        "defaults": {rule: plain(values) for rule, values in graph.defaults.items()},
    }
    # Version 2 does not look for what is the same, which makes it faster to read and to write.
    return {"details": _packed_details(graph), **{name: marshal.dumps(part, 2) for name, part in parts.items()}}


def _packed_details(graph: QueryGraph) -> bytes:
    try:
        return marshal.dumps(list(graph.infos.rows), 2)
    except ValueError:  # functions for attributes, or kinds of strings
        rows = [
            (
                info.kind,
                info.location,
                info.tags,
                info.is_test,
                plain(graph.attributes(node)),
                {name: list(labels) for name, labels in info.references.items()},
                info.generated_by,
            )
            for node, info in enumerate(graph.infos)
        ]
        return marshal.dumps(rows, 2)


def unpack(parts: Mapping[str, bytes]) -> QueryGraph:
    """The graph of these parts. KeyError, ValueError, TypeError or EOFError when they are not those of ``pack``."""

    def load(name: str) -> Any:
        with _without_collecting():
            return marshal.loads(parts[name])

    labels = load("labels").split("\0") if load("labels") else []
    return QueryGraph(
        labels,
        Details(len(labels), lambda: load("details")),
        lambda: load("forward"),
        {row[0]: PackageInfo(*row) for row in load("packages")},
        missing=load("missing"),
        hidden=load("hidden"),
        tool_edges=load("tools"),
        defaults=load("defaults"),
        reverse=lambda: load("reverse"),
        by_kind=lambda: {kind: frozenset(nodes) for kind, nodes in load("kinds").items()},
    )


@contextmanager
def _without_collecting() -> Iterator[None]:
    """A million new tuples make the collector look for cycles among them again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
