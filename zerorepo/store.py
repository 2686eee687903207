"""A persistent map from short byte keys to bytes, on ``diskcache``: the ground under CAS, action cache, traces and state.

Bytes only: a row that would need unpickling is refused, so a cache from a stranger cannot run code. Several processes may use
one store at once (SQLite in WAL mode). Knows nothing of what the bytes mean.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diskcache
from diskcache.core import DBNAME, MODE_BINARY, MODE_RAW

from zerorepo.errors import EnvironmentFailure

SCHEMA_VERSION = 1
_SCHEMA_KEY = b"zerorepo-schema"

Report = Callable[[str], None]


class _BytesDisk(diskcache.Disk):  # type: ignore[misc]
    """diskcache's storage, restricted to bytes."""

    def put(self, key: Any) -> tuple[Any, bool]:
        return sqlite3.Binary(key), True

    def get(self, key: Any, raw: bool) -> bytes:
        return bytes(key)

    def store(self, value: Any, read: bool, key: Any = None) -> Any:
        if not isinstance(value, bytes):
            raise TypeError("a store holds bytes only")
        return super().store(value, read, key)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        if mode not in (MODE_RAW, MODE_BINARY):
            raise ValueError("a row of this store is not bytes")
        return super().fetch(mode, filename, value, read)


class Store:
    """One store in one folder. ``get`` of an unreadable row answers None, as if it had never been written.

    A damaged database is set aside and begun anew, and ``report`` hears of it: what it held was only ever a memory of work.
    """

    read_only = False

    def __init__(self, folder: Path, report: Report | None = None) -> None:
        self.folder = folder
        self._report = report
        self._cache: Any = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                self._open()
            except sqlite3.DatabaseError as error:
                self._begin_anew(error)
        except (OSError, sqlite3.Error, diskcache.Timeout) as error:
            raise EnvironmentFailure(
                f"Cannot open the store: {error}",
                where=str(folder),
                hint="check the folder's permissions and free space; deleting it loses only cached work",
            ) from error

    def _open(self) -> None:
        self._cache = diskcache.Cache(
            str(self.folder), disk=_BytesDisk, eviction_policy="none", cull_limit=0, size_limit=1 << 62
        )
        found = self._cache.get(_SCHEMA_KEY)
        if found is None:
            self._cache.set(_SCHEMA_KEY, b"%d" % SCHEMA_VERSION)
            return
        _refuse_newer(found, self.folder)
        if int(found) < SCHEMA_VERSION:
            self.clear()

    def _begin_anew(self, error: sqlite3.DatabaseError) -> None:
        # OperationalError is a full disk, a lock or a permission: the database itself is well.
        if isinstance(error, sqlite3.OperationalError):
            raise error
        if self._cache is not None:
            self._cache.close()
        aside = f"{DBNAME}.damaged-{time.time_ns()}"
        with contextlib.suppress(FileNotFoundError):
            (self.folder / DBNAME).rename(self.folder / aside)
        for suffix in ("-wal", "-shm"):
            (self.folder / (DBNAME + suffix)).unlink(missing_ok=True)
        self._open()
        if self._report:
            self._report(
                f"the store {self.folder} was damaged ({error}); it begins anew, the old one is kept as {aside}"
            )

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        try:
            value = self._cache.get(key)
        except (ValueError, OSError, sqlite3.DatabaseError):
            return None
        return value if isinstance(value, bytes) else None

    def put(self, key: bytes, value: bytes) -> None:
        """Store durably: after this returns, a killed process loses nothing. EnvironmentFailure when the disk refuses."""
        try:
            try:
                # Without diskcache's own retry: it would try forever on a full disk. SQLite itself waits for a lock.
                self._cache.set(key, value)
            except sqlite3.DatabaseError as error:
                self._begin_anew(error)
                self._cache.set(key, value)
        except (OSError, sqlite3.Error, diskcache.Timeout) as error:
            raise EnvironmentFailure(
                f"Cannot write to the store: {error or 'it is locked, read-only, or the disk is full'}",
                where=str(self.folder),
                hint="free some space or mend the permissions; what was finished is kept",
            ) from error

    def has(self, key: bytes) -> bool:
        """Whether there is a value."""
        try:
            return key in self._cache
        except sqlite3.DatabaseError:
            return False

    def delete(self, key: bytes) -> None:
        """Forget one key."""
        with contextlib.suppress(
            sqlite3.DatabaseError, diskcache.Timeout
        ):  # what cannot be forgotten is verified when used
            self._cache.delete(key)

    def keys(self, prefix: bytes = b"") -> list[bytes]:
        """Every key that starts with ``prefix``, sorted."""
        # diskcache's own iteration reads row by row and has no prefixes.
        rows = self._cache._sql("SELECT key FROM Cache WHERE key >= ? ORDER BY key", (sqlite3.Binary(prefix),))
        return _with_prefix(rows, prefix)

    def size(self) -> int:
        """Bytes on disk, as diskcache counts them."""
        return int(self._cache.volume())

    def clear(self) -> None:
        """Forget everything."""
        self._cache.clear()
        self._cache.set(_SCHEMA_KEY, b"%d" % SCHEMA_VERSION)

    def close(self) -> None:
        """Release the files."""
        self._cache.close()


class ReadOnlyStore(Store):
    """A store that leaves the disk as it is, for dry runs and questions: what is put is kept in memory, and seen again."""

    read_only = True

    def __init__(self, folder: Path, report: Report | None = None) -> None:
        self.folder = folder
        self._added: dict[bytes, bytes | None] = {}
        self._db: sqlite3.Connection | None = None
        self._disk = _BytesDisk(str(folder))
        path = folder / DBNAME
        if not path.is_file():
            return
        # A database without a write-ahead log is complete; "immutable" keeps SQLite from making lock files beside it.
        mode = "mode=ro" if Path(f"{path}-wal").exists() else "mode=ro&immutable=1"
        try:
            self._db = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, check_same_thread=False)
            found = self._stored(_SCHEMA_KEY)
        except sqlite3.DatabaseError:
            self._db = None  # a build would begin it anew
            return
        if found is not None:
            _refuse_newer(found, folder)

    def _stored(self, key: bytes) -> bytes | None:
        if self._db is None:
            return None
        row = self._db.execute(
            "SELECT mode, filename, value FROM Cache WHERE key = ?", (sqlite3.Binary(key),)
        ).fetchone()
        if row is None:
            return None
        value = self._disk.fetch(row[0], row[1], row[2], False)
        return value if isinstance(value, bytes) else None

    def get(self, key: bytes) -> bytes | None:
        if key in self._added:
            return self._added[key]
        try:
            return self._stored(key)
        except (ValueError, OSError, sqlite3.DatabaseError):
            return None

    def put(self, key: bytes, value: bytes) -> None:
        self._added[key] = value

    def has(self, key: bytes) -> bool:
        return self.get(key) is not None

    def delete(self, key: bytes) -> None:
        self._added[key] = None

    def keys(self, prefix: bytes = b"") -> list[bytes]:
        rows = self._db.execute("SELECT key FROM Cache ORDER BY key").fetchall() if self._db else []
        return _with_prefix([*rows, *((key,) for key in self._added)], prefix)

    def size(self) -> int:
        with contextlib.suppress(OSError):
            return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        return 0

    def close(self) -> None:
        if self._db is not None:
            self._db.close()


def _with_prefix(rows: Any, prefix: bytes) -> list[bytes]:
    return [key for row in rows if (key := bytes(row[0])).startswith(prefix) and key != _SCHEMA_KEY]


def _refuse_newer(found: bytes, folder: Path) -> None:
    if not found.isdigit() or int(found) > SCHEMA_VERSION:
        raise EnvironmentFailure(
            "The store was written by a newer ZeroRepo",
            where=str(folder),
            hint="use that version, or another [cache] dir",
        )
