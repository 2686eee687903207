"""A persistent map from short byte keys to bytes: the ground under CAS, action cache, traces and state.

Several processes may use one store at once (SQLite in WAL mode). A *batched* store, that of a build, writes what is put to its
``journal`` at once and to the database by the hundred: durable like the other, at a tenth of the price. Knows nothing of what the
bytes mean.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import diskcache

from zerorepo.errors import EnvironmentFailure
from zerorepo.journal import Journal, UnknownFormat, abandoned, journals, pending
from zerorepo.rows import GENERATION, SCHEMA_KEY, SCHEMA_VERSION, STAMPS, Report, Rows, after, newer

MARK = b"zerorepo-journal:"
_BATCH_ROWS = 500
_BATCH_BYTES = 4 << 20
_QUIET_NS = 50_000_000  # a change of a folder within one tick of the kernel's clock does not show


class Store(Rows):
    """One store in one folder. ``get`` of an unreadable row answers None, as if it had never been written.

    A damaged database is set aside and begun anew with what is whole of it, and ``report`` hears of it. A damaged row is forgotten,
    and ``damaged`` hears of it.
    """

    read_only = False

    def __init__(
        self, folder: Path, report: Report | None = None, *, batched: bool = False, damaged: Report | None = None
    ) -> None:
        super().__init__(folder, report)
        self._damaged = damaged
        self._company = True
        self._scanned_ns = 0
        self._pending: dict[bytes, bytes | None] = {}
        self._with_next: dict[bytes, bytes | None] = {}
        self._since = 0.0
        self._finished: list[bytes] = []
        self._journal: Journal | None = None
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
                f"Cannot open the store: {'it is on a read-only disk' if _is_read_only(folder) else error}",
                where=str(folder),
                hint="check the folder's permissions and free space; deleting it loses only cached work",
            ) from error

    def _opened(self) -> None:
        self._take_in()

    def _take_in(self) -> None:
        try:
            for name, batch, records in abandoned(self.folder):
                mark = MARK + name.encode()
                if batch > int(self._select(mark) or 0):
                    self._commit_once({**dict(records), mark: b"%d" % batch})
        except UnknownFormat:
            raise newer(self.folder) from None

    def catch_up(self) -> None:
        """Take in what processes had put that have died since this store was opened. A ``stat`` when there were none."""
        changed = self.folder.stat().st_mtime_ns
        if changed == self._scanned_ns and not self._company:
            return
        with self._guard:
            quiet = time.time_ns() - changed > _QUIET_NS
            self._take_in()
            own = self._journal.name if self._journal else ""
            self._company = any(name != own for name in journals(self.folder))
            self._scanned_ns = changed if quiet else 0

    def elsewhere(self, key: bytes) -> list[bytes]:
        """What other processes last put under ``key``, whether or not they have brought it into the database yet."""
        found = []
        for name, batch, records in pending(self.folder):
            if (self._journal is None or name != self._journal.name) and batch > int(
                self.get(MARK + name.encode()) or 0
            ):
                found.append(dict(records).get(key))
        with contextlib.suppress(ValueError, OSError, sqlite3.DatabaseError):
            found.append(self._select(key))  # what was pending a moment ago is here by now
        return [value for value in found if value is not None]

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        if key in self._pending:
            return self._pending[key]
        try:
            return self._select(key)
        except (ValueError, OSError, sqlite3.OperationalError):
            return None
        except sqlite3.DatabaseError as error:
            with self._guard, contextlib.suppress(sqlite3.Error):
                self._begin_anew(error)
                return self._select(key)
            return None

    def _discard(self, key: bytes) -> None:
        self.delete(key)
        if self._damaged:
            self._damaged(f"{key[:13].decode(errors='replace')} in {self.folder}")

    def has(self, key: bytes) -> bool:
        """Whether there is a value."""
        return self.get(key) is not None

    def keys(self, prefix: bytes = b"") -> list[bytes]:
        """Every key that starts with ``prefix``, sorted."""
        self.flush()
        rows = self._rows("SELECT key FROM Cache WHERE key >= ? AND key < ? ORDER BY key", (prefix, after(prefix)))
        return [key for row in rows if not (key := bytes(row[0])).startswith(b"zerorepo-")]

    def stamps(self, prefix: bytes) -> dict[bytes, tuple[object, ...]]:
        """For every key that starts with ``prefix`` plain values that are others when something else has been put since."""
        self.flush()
        return {bytes(row[0]): tuple(row[1:]) for row in self._rows(STAMPS, (prefix, after(prefix)))}

    def size(self) -> int:
        """Bytes on disk: pages of the database that hold something, and the files that rows stand for."""
        self.flush()
        pages, free, page = (
            self._rows(f"PRAGMA {name}")[0][0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * page + self._cache.reset("size"))

    def oldest(self, *, until: float | None = None) -> Iterator[tuple[bytes, int]]:
        """Keys, the longest unused first, each with the bytes that go with it: those of the row and of the file it stands for.

        ``until``: only those that were last used before that time (seconds since the Unix epoch).
        """
        self.flush()
        self._touch()
        rows = self._rows(
            "SELECT key, size + LENGTH(value) + 100 FROM Cache WHERE access_time < ? ORDER BY access_time, rowid",
            (float("inf") if until is None else until,),
        )
        for key, size in rows:
            if not bytes(key).startswith(b"zerorepo-"):
                yield bytes(key), int(size)

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


def _is_read_only(folder: Path) -> bool:
    return folder.is_dir() and not os.access(folder, os.W_OK)


__all__ = ["MARK", "Report", "Store"]
