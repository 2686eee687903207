"""A store that leaves the disk as it is: for dry runs, questions and explanations.

It sees what other processes have put, in the database and in their journals. Knows nothing of what the bytes mean.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from diskcache.core import DBNAME

from zerorepo.journal import UnknownFormat, pending
from zerorepo.rows import GET, SCHEMA_KEY, SCHEMA_VERSION, STAMPS, BytesDisk, Report, after, newer, refuse_newer
from zerorepo.salvage import check_sum
from zerorepo.store import MARK, Store


class ReadOnlyStore(Store):
    """A store that leaves the disk as it is, for dry runs and questions: what is put is kept in memory, and seen again."""

    read_only = True

    def __init__(
        self, folder: Path, report: Report | None = None, *, batched: bool = False, damaged: Report | None = None
    ) -> None:
        self.folder = folder
        self._added: dict[bytes, bytes | None] = {}
        self._db: sqlite3.Connection | None = None
        self._disk = BytesDisk(str(folder))
        path = folder / DBNAME
        if not path.is_file():
            return
        # A database without a write-ahead log is complete; "immutable" keeps SQLite from making lock files beside it.
        mode = "mode=ro" if Path(f"{path}-wal").exists() else "mode=ro&immutable=1"
        try:
            self._db = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, check_same_thread=False)
            found = self._stored(SCHEMA_KEY)
        except sqlite3.DatabaseError as error:
            self._db = None
            if report and not isinstance(error, sqlite3.OperationalError):
                report(f"the store {folder} is damaged ({error}); a build begins it anew with what can be read")
            return
        if found is not None:
            refuse_newer(found, folder)
            if int(found) < SCHEMA_VERSION:
                self._db = None  # a build would bring it up to date
                return
        try:
            for name, batch, records in pending(folder):
                if batch > int(self._stored(MARK + name.encode()) or 0):
                    self._added.update(records)
        except UnknownFormat:
            raise newer(folder) from None

    def _stored(self, key: bytes) -> bytes | None:
        if self._db is None:
            return None
        row = self._db.execute(GET, (key,)).fetchone()
        if row is None:
            return None
        value = self._disk.fetch(row[0], row[1], row[2], False)
        if not isinstance(value, bytes) or (row[4] is not None and row[4] != check_sum(key, value)):
            return None
        return value

    def catch_up(self) -> None:
        """Nothing to do: what was there at the beginning counts."""

    def elsewhere(self, key: bytes) -> list[bytes]:
        found = self.get(key)
        return [] if found is None else [found]

    def get(self, key: bytes) -> bytes | None:
        if key in self._added:
            return self._added[key]
        try:
            return self._stored(key)
        except (ValueError, OSError, sqlite3.DatabaseError):
            return None

    def put(self, key: bytes, value: bytes, *, stands_for: int = 0) -> None:
        self._added[key] = value

    def put_soon(self, key: bytes, value: bytes) -> None:
        self._added[key] = value

    def put_with_next(self, key: bytes, value: bytes) -> None:
        self._added[key] = value

    def delete(self, key: bytes) -> None:
        self._added[key] = None

    def keys(self, prefix: bytes = b"") -> list[bytes]:
        rows = []
        with contextlib.suppress(sqlite3.DatabaseError):  # what cannot be listed counts as not there
            rows = self._db.execute("SELECT key FROM Cache").fetchall() if self._db else []
        found = {bytes(row[0]) for row in rows if self._added.get(bytes(row[0]), b"") is not None}
        found |= {key for key, value in self._added.items() if value is not None}
        return sorted(key for key in found if key.startswith(prefix) and not key.startswith(b"zerorepo-"))

    def stamps(self, prefix: bytes) -> dict[bytes, tuple[object, ...]]:
        rows = []
        with contextlib.suppress(sqlite3.DatabaseError):
            rows = self._db.execute(STAMPS, (prefix, after(prefix))).fetchall() if self._db else []
        found: dict[bytes, tuple[object, ...]] = {row[0]: row[1:] for row in rows}
        for key, value in self._added.items():
            if key.startswith(prefix):
                found.pop(key, None)
                if value is not None:
                    found[key] = (value,)
        return found

    def size(self) -> int:
        with contextlib.suppress(OSError):
            return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        return 0

    def flush(self, *, older_than_s: float = 0.0) -> None:
        """Nothing to do."""

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
