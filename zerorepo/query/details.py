"""What nodes are, as plain rows, made into ``NodeInfo`` for those that somebody asks about. Knows nothing of edges."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, overload

from zerorepo.query.graph import NodeInfo

Row: TypeAlias = tuple[Any, ...]
"""The fields of a ``NodeInfo``, in their order; attributes may be packed (``packed``)."""


class Details(Sequence[NodeInfo]):
    """The details of each node. ``rows`` may be a function that finds them when first needed."""

    def __init__(self, size: int, rows: Sequence[Row] | Callable[[], Sequence[Row]]) -> None:
        self._size = size
        self._given = rows
        self._rows: Sequence[Row] | None = None
        self._made: dict[int, NodeInfo] = {}

    @property
    def rows(self) -> Sequence[Row]:
        """One for each node."""
        if self._rows is None:
            self._rows = self._given() if callable(self._given) else self._given
        return self._rows

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
            row = self.rows[node]
            if type(row[4]) is bytes:
                row = (
                    *row[:4],
                    marshal.loads(row[4]),
                    *row[5:],
                )  # our own bytes, from this process or intact by a checksum
            found = self._made[node] = NodeInfo(*row)
        return found


def packed(attributes: Mapping[str, Any]) -> bytes:
    """Attributes as a row may hold them: most queries look at none, and bytes are read and written fast."""
    try:
        return marshal.dumps(dict(attributes), 2)
    except ValueError:  # of other types than Python's own
        return marshal.dumps(plain(attributes), 2)


def plain(value: Any) -> Any:
    """The same value of Python's own types only. ValueError for anything that is none."""
    kind = type(value)
    if kind is str or value is None or kind is int or kind is bool or kind is float:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bool | int | float):
        return value
    raise ValueError(f"{type(value).__name__} cannot be stored")
