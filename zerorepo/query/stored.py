"""A `QueryGraph` as bytes and back: what a query needs is taken out, the rest stays packed.

``unpack(pack(graph))`` answers every query as ``graph`` does. The bytes are Python's own (``marshal``): they are for the same
version of Python, and for whoever has made sure that they are whole. Knows nothing of files.
"""

from __future__ import annotations

import gc
import marshal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, overload

from zerorepo.query.graph import NodeInfo, PackageInfo, QueryGraph

FORMAT = 1
T = TypeVar("T")


def pack(graph: QueryGraph) -> dict[str, bytes]:
    """The parts of a graph by name. ValueError when an attribute is no plain value."""
    nodes = range(len(graph))
    details = [
        (
            info.kind,
            info.location,
            info.tags,
            info.is_test,
            _plain(graph.attributes(node)),
            {name: list(labels) for name, labels in info.references.items()},
            info.generated_by,
        )
        for node, info in zip(nodes, graph.infos, strict=True)
    ]
    packages = [
        (each.name, each.build_file, each.loads, each.error, each.default_visibility)
        for each in graph.packages.values()
    ]
    parts: dict[str, Any] = {
        "labels": "\0".join(graph.labels),
        "forward": list(graph.forward),
        "reverse": list(graph.reverse),
        "kinds": {kind: sorted(found) for kind, found in graph.by_kind.items()},
        "details": details,
        "packages": packages,
        "missing": dict(graph.missing),
        "hidden": sorted(graph.hidden),
        "tools": sorted(graph.tool_edges),
        "defaults": {rule: _plain(values) for rule, values in graph.defaults.items()},
    }
    # Version 2 does not look for what is the same, which makes it faster to read and to write.
    return {name: marshal.dumps(part, 2) for name, part in parts.items()}


def unpack(parts: Mapping[str, bytes]) -> QueryGraph:
    """The graph of these parts. KeyError, ValueError, TypeError or EOFError when they are not those of ``pack``."""

    def load(name: str) -> Any:
        with _without_collecting():
            return marshal.loads(parts[name])

    labels = load("labels").split("\0") if load("labels") else []
    return QueryGraph(
        labels,
        _Infos(len(labels), lambda: load("details")),
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


class _Infos(Sequence[NodeInfo]):
    """What each node is, taken out of the packed rows when somebody asks."""

    def __init__(self, size: int, load: Callable[[], list[Any]]) -> None:
        self._size = size
        self._load = load
        self._rows: list[Any] | None = None
        self._made: dict[int, NodeInfo] = {}

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, node: int) -> NodeInfo: ...
    @overload
    def __getitem__(self, node: slice) -> list[NodeInfo]: ...
    def __getitem__(self, node: int | slice) -> NodeInfo | list[NodeInfo]:
        if isinstance(node, slice):
            return [self[each] for each in range(*node.indices(self._size))]
        found = self._made.get(node)
        if found is None:
            if self._rows is None:
                self._rows = self._load()
            found = self._made[node] = NodeInfo(*self._rows[node])
        return found


def _plain(value: Any) -> Any:
    """The same value of Python's own types only. ValueError for anything that is none."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise ValueError(f"{type(value).__name__} cannot be stored")
