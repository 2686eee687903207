"""Rows of bytes in a ``diskcache`` database: opened, brought up to date, set aside and begun anew when it is damaged.

Bytes only: a row that would need unpickling is refused, so a cache from a stranger cannot run code. Knows nothing of batches, nor
of what the bytes mean.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import diskcache
from diskcache.core import DBNAME, MODE_BINARY, MODE_RAW

from zerorepo.claims import Claims
from zerorepo.errors import EnvironmentFailure
from zerorepo.salvage import check_sum, salvage

SCHEMA_VERSION = 2
SCHEMA_KEY = b"zerorepo-schema"
_FORGOTTEN_BY = {1: (b"t", b"l", b"s")}
"""Schema version to the prefixes of rows whose form changed after it. Results and blobs, which cost money, are kept."""

GENERATION = "generation"
"""A file beside the database that is gone when something was taken from the store: then what was seen of it counts no more."""

_ANEW = b"begin anew"
_ANEW_S = 30.0
_TOUCH_S = 24 * 3600.0  # as ``relatime`` does: when a row was last used is noted once a day

_UPSERT = (
    "INSERT OR REPLACE INTO Cache(key, raw, store_time, expire_time, access_time, access_count, tag, size, mode, filename, value)"
    " VALUES (?, 1, ?, NULL, ?, 0, ?, ?, 1, NULL, ?)"
)
GET = "SELECT mode, filename, value, access_time, tag FROM Cache WHERE key = ? AND raw = 1"
STAMPS = "SELECT key, tag, store_time FROM Cache NOT INDEXED WHERE key >= ? AND key < ?"
"""Beside each key what is another value whenever the row was put again; all rows of a table are read faster without an index."""

Report = Callable[[str], None]


class BytesDisk(diskcache.Disk):  # type: ignore[misc]
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


class Rows:
    """The database of one folder. Subclasses add what is put but not yet here (``_opened``, ``_discard``)."""

    def __init__(self, folder: Path, report: Report | None) -> None:
        self.folder = folder
        self._report = report
        self._cache: Any = None
        self._inode: int | None = None
        self._sizes: dict[bytes, int] = {}
        self._used: set[bytes] = set()
        self._guard = threading.RLock()
        self._claims: Claims | None = None

    def _opened(self) -> None:
        """The database is there and of this version."""

    def _discard(self, key: bytes) -> None:
        """A row is not as it was written."""

    def _open(self) -> None:
        self._inode = _inode(self.folder / DBNAME)
        self._cache = diskcache.Cache(
            str(self.folder), disk=BytesDisk, eviction_policy="none", cull_limit=0, size_limit=1 << 62
        )
        self._inode = self._inode or _inode(self.folder / DBNAME)
        self._thread, self._own = threading.get_ident(), self._cache._con
        found = self._select(SCHEMA_KEY)
        if found is None:
            self._cache.set(SCHEMA_KEY, b"%d" % SCHEMA_VERSION)
        else:
            refuse_newer(found, self.folder)
            if int(found) < SCHEMA_VERSION:
                self._migrate(int(found))
        self._opened()

    def _migrate(self, version: int) -> None:
        with self._transaction() as con:
            for older in range(version, SCHEMA_VERSION):
                for prefix in _FORGOTTEN_BY.get(older, (b"",)):
                    con.execute("DELETE FROM Cache WHERE key >= ? AND key < ?", (prefix, after(prefix)))
            version_now = b"%d" % SCHEMA_VERSION
            con.execute(_UPSERT, (SCHEMA_KEY, 0.0, 0.0, check_sum(SCHEMA_KEY, version_now), 0, version_now))

    def _begin_anew(self, error: sqlite3.DatabaseError) -> None:
        # OperationalError is a full disk, a lock or a permission: the database itself is well.
        if isinstance(error, sqlite3.OperationalError):
            raise error
        if self._cache is not None:
            self._cache.close()
        saved = 0
        self.claims.take_soon(_ANEW, _ANEW_S)
        try:
            if _inode(self.folder / DBNAME) != self._inode:
                self._open()  # another process has done it
                return
            (self.folder / GENERATION).unlink(missing_ok=True)
            aside = f"{DBNAME}.damaged-{time.time_ns()}"
            for suffix in ("", "-wal"):
                with contextlib.suppress(FileNotFoundError):
                    (self.folder / (DBNAME + suffix)).rename(self.folder / (aside + suffix))
            (self.folder / f"{DBNAME}-shm").unlink(missing_ok=True)
            self._open()
            now = time.time()
            with self._transaction() as con:
                for key, value, size in salvage(self.folder / aside):
                    if not key.startswith(b"zerorepo-"):
                        con.execute(_UPSERT, (key, now, now, check_sum(key, value), size, value))
                        saved += 1
        finally:
            self.claims.release(_ANEW)
        if self._report:
            self._report(
                f"the store {self.folder} was damaged ({error}); it begins anew with the {saved} entries that could be read,"
                f" and the damaged one is kept as {aside}"
            )

    @property
    def _con(self) -> Any:
        """The connection; diskcache's own look-up, which asks for the process number each time, for other threads only."""
        return self._own if threading.get_ident() == self._thread else self._cache._con

    def _select(self, key: bytes) -> bytes | None:
        row = self._con.execute(GET, (key,)).fetchone()
        if row is None:
            return None
        mode, filename, value, used, tag = row
        if abs(time.time() - (used or 0.0)) > _TOUCH_S:  # also one of a clock that went wrong
            self._used.add(key)
        if mode == MODE_RAW and filename is None and isinstance(value, bytes):
            if tag is None or tag == check_sum(key, value):  # rows of the first version have none
                return value
            self._discard(key)
            return None
        value = self._cache.disk.fetch(mode, filename, value, False)
        return value if isinstance(value, bytes) else None

    def _rows(self, query: str, args: tuple[Any, ...] = ()) -> list[Any]:
        """Answer of a query over many rows. EnvironmentFailure when the disk refuses."""
        try:
            try:
                return list(self._con.execute(query, args).fetchall())
            except sqlite3.DatabaseError as error:
                with self._guard:
                    self._begin_anew(error)
                return list(self._con.execute(query, args).fetchall())
        except sqlite3.Error as error:
            raise EnvironmentFailure(
                f"Cannot read the store: {error}", where=str(self.folder), hint="check the folder's permissions"
            ) from error

    def _commit(self, *parts: Mapping[bytes, bytes | None]) -> None:
        rows = {key: value for part in parts for key, value in part.items()}
        try:
            self._commit_once(rows)
        except sqlite3.DatabaseError as error:
            self._begin_anew(error)
            self._commit_once(rows)

    def _commit_once(self, rows: Mapping[bytes, bytes | None]) -> None:
        now = time.time()
        puts = [
            (key, now, now, check_sum(key, value), self._sizes.get(key, 0), value)
            for key, value in rows.items()
            if value is not None
        ]
        with self._transaction() as con:
            con.executemany(_UPSERT, puts)
            con.executemany("DELETE FROM Cache WHERE key = ?", [(k,) for k, v in rows.items() if v is None])
        if self._sizes:
            for key in rows:
                self._sizes.pop(key, None)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Any]:
        # Without diskcache's own retry: it would try forever on a full disk. SQLite itself waits for a lock.
        con = self._con
        con.execute("BEGIN IMMEDIATE")
        try:
            yield con
            con.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                con.execute("ROLLBACK")
            raise

    def _touch(self) -> None:
        if self._used:
            now = time.time()
            with contextlib.suppress(sqlite3.Error), self._transaction() as con:  # when a row was used is no result
                con.executemany("UPDATE Cache SET access_time = ? WHERE key = ?", [(now, key) for key in self._used])
            self._used.clear()

    @property
    def claims(self) -> Claims:
        """Names that one process holds at a time among all that use this store."""
        if self._claims is None:
            try:
                self._claims = Claims(self.folder)
            except OSError as error:
                raise EnvironmentFailure(
                    f"Cannot use the store: {error.strerror}",
                    where=str(self.folder),
                    hint="something removed or closed its folder while it was in use; build again",
                ) from error
        return self._claims


def after(prefix: bytes) -> bytes:
    """The least key above every one that starts with ``prefix``."""
    return prefix + b"\xff" * 8


def refuse_newer(found: bytes, folder: Path) -> None:
    """EnvironmentFailure when a schema version is one that this version does not know."""
    if not found.isdigit() or int(found) > SCHEMA_VERSION:
        raise newer(folder)


def newer(folder: Path) -> EnvironmentFailure:
    """What refuses a store of a later version."""
    return EnvironmentFailure(
        "The store was written by a newer ZeroRepo",
        where=str(folder),
        hint="use that version, or another [cache] dir",
    )


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None
