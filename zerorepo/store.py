"""A persistent map from short byte keys to bytes, on ``diskcache``: the ground under CAS, action cache, traces and state.

Bytes only: a row that would need unpickling is refused, so a cache from a stranger cannot run code. Several processes may use
one store at once (SQLite in WAL mode). A *batched* store, that of a build, writes what is put to its ``journal`` at once and to
the database by the hundred: durable like the other, at a tenth of the price. Knows nothing of what the bytes mean.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import diskcache
from diskcache.core import DBNAME, MODE_BINARY, MODE_RAW

from zerorepo.claims import Claims
from zerorepo.errors import EnvironmentFailure
from zerorepo.journal import Journal, abandoned

SCHEMA_VERSION = 2
SCHEMA_KEY = b"zerorepo-schema"
MARK = b"zerorepo-journal:"
_FORGOTTEN_BY = {1: (b"t", b"l", b"s")}
"""Schema version to the prefixes of rows whose form changed after it. Results and blobs, which cost money, are kept."""

GENERATION = "generation"
"""A file beside the database that is gone when something was taken from the store: then what was seen of it counts no more."""

_BATCH_ROWS = 500
_BATCH_BYTES = 4 << 20
_TOUCH_S = 24 * 3600.0  # as ``relatime`` does: when a row was last used is noted once a day

_UPSERT = (
    "INSERT OR REPLACE INTO Cache(key, raw, store_time, expire_time, access_time, access_count, tag, size, mode, filename, value)"
    " VALUES (?, 1, ?, NULL, ?, 0, NULL, ?, 1, NULL, ?)"
)
GET = "SELECT mode, filename, value, access_time FROM Cache WHERE key = ? AND raw = 1"

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


class Store:
    """One store in one folder. ``get`` of an unreadable row answers None, as if it had never been written.

    A damaged database is set aside and begun anew, and ``report`` hears of it: what it held was only ever a memory of work.
    """

    read_only = False

    def __init__(self, folder: Path, report: Report | None = None, *, batched: bool = False) -> None:
        self.folder = folder
        self._report = report
        self._cache: Any = None
        self._guard = threading.RLock()
        self._pending: dict[bytes, bytes | None] = {}
        self._with_next: dict[bytes, bytes | None] = {}
        self._sizes: dict[bytes, int] = {}
        self._used: set[bytes] = set()
        self._since = 0.0
        self._finished: list[bytes] = []
        self._journal: Journal | None = None
        self._claims: Claims | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                self._open()
            except sqlite3.DatabaseError as error:
                self._begin_anew(error)
            if batched:
                self._journal = Journal(folder)
                self._journal.batch = int(self.get(MARK + self._journal.name.encode()) or 0) + 1
        except (OSError, sqlite3.Error, diskcache.Timeout) as error:
            raise EnvironmentFailure(
                f"Cannot open the store: {error}",
                where=str(folder),
                hint="check the folder's permissions and free space; deleting it loses only cached work",
            ) from error

    def _open(self) -> None:
        self._cache = diskcache.Cache(
            str(self.folder), disk=BytesDisk, eviction_policy="none", cull_limit=0, size_limit=1 << 62
        )
        self._thread, self._own = threading.get_ident(), self._cache._con
        found = self._select(SCHEMA_KEY)
        if found is None:
            self._cache.set(SCHEMA_KEY, b"%d" % SCHEMA_VERSION)
        else:
            refuse_newer(found, self.folder)
            if int(found) < SCHEMA_VERSION:
                self._migrate(int(found))
        for name, batch, records in abandoned(self.folder):
            mark = MARK + name.encode()
            if batch > int(self._select(mark) or 0):
                self._commit(dict(records), {mark: b"%d" % batch})

    def _migrate(self, version: int) -> None:
        with self._transaction() as con:
            for older in range(version, SCHEMA_VERSION):
                for prefix in _FORGOTTEN_BY.get(older, (b"",)):
                    con.execute("DELETE FROM Cache WHERE key >= ? AND key < ?", (prefix, _after(prefix)))
            con.execute(_UPSERT, (SCHEMA_KEY, 0.0, 0.0, 0, b"%d" % SCHEMA_VERSION))

    def _begin_anew(self, error: sqlite3.DatabaseError) -> None:
        # OperationalError is a full disk, a lock or a permission: the database itself is well.
        if isinstance(error, sqlite3.OperationalError):
            raise error
        if self._cache is not None:
            self._cache.close()
        (self.folder / GENERATION).unlink(missing_ok=True)
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

    @property
    def _con(self) -> Any:
        """The connection; diskcache's own look-up, which asks for the process number each time, for other threads only."""
        return self._own if threading.get_ident() == self._thread else self._cache._con

    # --- reading

    def _select(self, key: bytes) -> bytes | None:
        row = self._con.execute(GET, (key,)).fetchone()
        if row is None:
            return None
        mode, filename, value, used = row
        if time.time() - (used or 0.0) > _TOUCH_S:
            self._used.add(key)
        if mode == MODE_RAW and filename is None:
            return value if isinstance(value, bytes) else None
        value = self._cache.disk.fetch(mode, filename, value, False)
        return value if isinstance(value, bytes) else None

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        if key in self._pending:
            return self._pending[key]
        try:
            return self._select(key)
        except (ValueError, OSError, sqlite3.DatabaseError):
            return None

    def has(self, key: bytes) -> bool:
        """Whether there is a value."""
        return self.get(key) is not None

    def keys(self, prefix: bytes = b"") -> list[bytes]:
        """Every key that starts with ``prefix``, sorted."""
        self.flush()
        rows = self._con.execute(
            "SELECT key FROM Cache WHERE key >= ? AND key < ? ORDER BY key", (prefix, _after(prefix))
        )
        return [key for row in rows.fetchall() if not (key := bytes(row[0])).startswith(b"zerorepo-")]

    def size(self) -> int:
        """Bytes on disk: pages of the database that hold something, and the files that rows stand for."""
        self.flush()
        pages, free, page = (
            self._con.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * page + self._cache.reset("size"))

    def oldest(self, *, until: float | None = None) -> Iterator[tuple[bytes, int]]:
        """Keys, the longest unused first, each with the bytes that go with it: those of the row and of the file it stands for.

        ``until``: only those that were last used before that time (seconds since the Unix epoch).
        """
        self.flush()
        self._touch()
        rows = self._con.execute(
            "SELECT key, size + LENGTH(value) + 100 FROM Cache WHERE access_time < ? ORDER BY access_time, rowid",
            (float("inf") if until is None else until,),
        )
        for key, size in rows.fetchall():
            if not bytes(key).startswith(b"zerorepo-"):
                yield bytes(key), int(size)

    # --- writing

    def put(self, key: bytes, value: bytes, *, stands_for: int = 0) -> None:
        """Store durably: after this returns, a killed process loses nothing. EnvironmentFailure when the disk refuses.

        ``stands_for``: size in bytes of a file that belongs to the row, for ``size``.
        """
        self._write({key: value}, {key: stands_for} if stands_for else None)

    def delete(self, key: bytes) -> None:
        """Forget one key."""
        with contextlib.suppress(EnvironmentFailure):  # what cannot be forgotten is verified when used
            self._write({key: None})

    def put_soon(self, key: bytes, value: bytes) -> None:
        """Store with the next batch: for what a killed process may lose, since it is found out again."""
        if self._journal is None:
            self.put(key, value)
        else:
            self._pend({key: value})

    def put_with_next(self, key: bytes, value: bytes) -> None:
        """Store together with whatever is put next, before that: for what is of no use without it."""
        if self._journal is None:
            self.put(key, value)
        else:
            with self._guard:
                self._with_next[key] = value
                self._pend({key: value})

    def _write(self, rows: Mapping[bytes, bytes | None], sizes: Mapping[bytes, int] | None = None) -> None:
        with self._guard:
            if sizes:
                self._sizes.update(sizes)
            try:
                if self._journal is None:
                    self._commit(rows)
                    return
                if self._with_next:
                    rows, self._with_next = {**self._with_next, **rows}, {}
                self._journal.append(rows.items())
            except (OSError, sqlite3.Error, diskcache.Timeout) as error:
                raise self._failure(error) from error
            self._pend(rows)

    def _pend(self, rows: Mapping[bytes, bytes | None]) -> None:
        with self._guard:
            if not self._pending:
                self._since = time.monotonic()
            self._pending.update(rows)
            if len(self._pending) >= _BATCH_ROWS or (self._journal and self._journal.size >= _BATCH_BYTES):
                self.flush()

    def flush(self, *, older_than_s: float = 0.0) -> None:
        """Bring what is pending into the database, for other processes to see, and let go of finished claims."""
        with self._guard:
            if self._pending and self._journal and time.monotonic() - self._since >= older_than_s:
                mark = {MARK + self._journal.name.encode(): b"%d" % self._journal.batch}
                try:
                    self._commit(self._pending, mark)
                    self._journal.settled()
                except (OSError, sqlite3.Error, diskcache.Timeout) as error:
                    raise self._failure(error) from error
                self._pending, self._with_next = {}, {}
            if not self._pending:
                for name in self._finished:
                    self.claims.release(name)
                self._finished.clear()

    def _commit(self, *parts: Mapping[bytes, bytes | None]) -> None:
        rows = {key: value for part in parts for key, value in part.items()}
        try:
            self._commit_once(rows)
        except sqlite3.DatabaseError as error:
            self._begin_anew(error)
            self._commit_once(rows)

    def _commit_once(self, rows: Mapping[bytes, bytes | None]) -> None:
        now = time.time()
        puts = [(key, now, now, self._sizes.pop(key, 0), value) for key, value in rows.items() if value is not None]
        with self._transaction() as con:
            con.executemany(_UPSERT, puts)
            con.executemany("DELETE FROM Cache WHERE key = ?", [(k,) for k, v in rows.items() if v is None])

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

    def _failure(self, error: Exception) -> EnvironmentFailure:
        return EnvironmentFailure(
            f"Cannot write to the store: {error or 'it is locked, read-only, or the disk is full'}",
            where=str(self.folder),
            hint="free some space or mend the permissions; what was finished is kept",
        )

    def forget(self, keys: Iterable[bytes]) -> None:
        """Forget several keys at once."""
        (self.folder / GENERATION).unlink(missing_ok=True)
        self._write(dict.fromkeys(keys))
        self.flush()

    def compact(self) -> None:
        """Give the database's unused pages back to the file system. Nothing happens while another process is at work on it."""
        self.flush()
        with contextlib.suppress(sqlite3.OperationalError):
            self._con.execute("VACUUM")

    def clear(self) -> None:
        """Forget everything."""
        self._pending.clear()
        self._cache.clear()
        self._cache.set(SCHEMA_KEY, b"%d" % SCHEMA_VERSION)

    # --- together with other processes

    @property
    def claims(self) -> Claims:
        """Names that one process holds at a time among all that use this store."""
        if self._claims is None:
            self._claims = Claims(self.folder)
        return self._claims

    def finish(self, name: bytes, *, now: bool = False) -> None:
        """Let go of a claim once what was put under it can be seen by others; ``now`` brings that about."""
        self._finished.append(name)
        if now or not self._pending:
            self.flush()

    def close(self) -> None:
        """Bring everything into the database and release the files. What the disk refuses stays in the journal."""
        with self._guard:
            try:
                self.flush()
                self._touch()
            finally:
                self._close_journal()
                if self._claims is not None:
                    self._claims.close()
                    self._claims = None
                self._cache.close()

    def _touch(self) -> None:
        if self._used:
            now = time.time()
            with contextlib.suppress(sqlite3.Error), self._transaction() as con:  # when a row was used is no result
                con.executemany("UPDATE Cache SET access_time = ? WHERE key = ?", [(now, key) for key in self._used])
            self._used.clear()

    def _close_journal(self) -> None:
        if self._journal is None:
            return
        journal, self._journal = self._journal, None
        if self._pending:
            journal.abandon()
            return
        journal.close()
        with contextlib.suppress(sqlite3.Error), self._transaction() as con:
            con.execute("DELETE FROM Cache WHERE key = ?", (MARK + journal.name.encode(),))


def _after(prefix: bytes) -> bytes:
    """The least key above every one that starts with ``prefix``."""
    return prefix + b"\xff" * 8


def refuse_newer(found: bytes, folder: Path) -> None:
    """EnvironmentFailure when a schema version is one that this version does not know."""
    if not found.isdigit() or int(found) > SCHEMA_VERSION:
        raise EnvironmentFailure(
            "The store was written by a newer ZeroRepo",
            where=str(folder),
            hint="use that version, or another [cache] dir",
        )
