"""What can still be read of a damaged database: rows that match their check sums. Knows nothing of what the rows mean."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

_PAGE = 64  # rows asked for at once; where one of them cannot be read, one by one
_GIVE_UP = 2000  # unreadable rows in a row, after which the rest counts as lost

Saved = tuple[bytes, bytes, int]
"""Key, value, and the size of a file that belongs to the row."""


def check_sum(key: bytes, value: bytes) -> int:
    """What shows that a row is as it was written; every flipped bit changes it."""
    return crc32(value, crc32(key))


def salvage(path: Path) -> Iterator[Saved]:
    """Rows of the database that are whole; none when it cannot be opened at all."""
    with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(sqlite3.connect(path)) as con:
        (last,) = con.execute("SELECT MAX(rowid) FROM Cache").fetchone()
        at, step, lost = 0, _PAGE, 0
        while at < (last or 0) and lost < _GIVE_UP:
            try:
                rows = con.execute(
                    "SELECT key, value, size, tag FROM Cache NOT INDEXED WHERE rowid > ? AND rowid <= ?",
                    (at, at + step),
                ).fetchall()
            except sqlite3.DatabaseError:
                if step > 1:
                    step = 1
                    continue
                rows, lost = [], lost + 1
            else:
                lost = 0
            at += step
            if at % _PAGE == 0:
                step = _PAGE
            yield from _whole(rows)


def _whole(rows: list[tuple[object, ...]]) -> Iterator[Saved]:
    for key, value, size, tag in rows:
        if isinstance(key, bytes) and isinstance(value, bytes) and tag == check_sum(key, value):
            yield key, value, size if isinstance(size, int) else 0


__all__ = ["check_sum", "salvage"]
