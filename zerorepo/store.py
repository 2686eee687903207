"""A persistent map from short byte keys to bytes, on ``diskcache``: the ground under CAS, action cache, traces and state.

Bytes only: a row that would need unpickling is refused, so a cache from a stranger cannot run code. Several processes may use
one store at once (SQLite in WAL mode). Knows nothing of what the bytes mean.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import diskcache
from diskcache.core import MODE_BINARY, MODE_RAW

from zerorepo.errors import EnvironmentFailure

SCHEMA_VERSION = 1
_SCHEMA_KEY = b"zerorepo-schema"


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
    """One store in one folder. ``get`` of an unreadable row answers None, as if it had never been written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._cache: Any = diskcache.Cache(
                str(folder), disk=_BytesDisk, eviction_policy="none", cull_limit=0, size_limit=1 << 62
            )
            self._check_schema()
        except (OSError, sqlite3.Error, diskcache.Timeout) as error:
            raise EnvironmentFailure(
                f"Cannot open the store: {error}",
                where=str(folder),
                hint="check the folder's permissions and free space; deleting it loses only cached work",
            ) from error

    def _check_schema(self) -> None:
        found = self.get(_SCHEMA_KEY)
        if found is None:
            self.put(_SCHEMA_KEY, b"%d" % SCHEMA_VERSION)
        elif not found.isdigit() or int(found) > SCHEMA_VERSION:
            raise EnvironmentFailure(
                "The store was written by a newer ZeroRepo",
                where=str(self.folder),
                hint="use that version, or another [cache] dir",
            )
        elif int(found) < SCHEMA_VERSION:
            self._cache.clear()
            self.put(_SCHEMA_KEY, b"%d" % SCHEMA_VERSION)

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        try:
            value = self._cache.get(key, default=None, retry=True)
        except (ValueError, OSError, sqlite3.DatabaseError):
            return None
        return value if isinstance(value, bytes) else None

    def put(self, key: bytes, value: bytes) -> None:
        """Store durably: after this returns, a killed process loses nothing. EnvironmentFailure when the disk refuses."""
        try:
            self._cache.set(key, value, retry=True)
        except (OSError, sqlite3.Error) as error:
            raise EnvironmentFailure(
                f"Cannot write to the store: {error}",
                where=str(self.folder),
                hint="free some space or mend the permissions; what was finished is kept",
            ) from error

    def has(self, key: bytes) -> bool:
        """Whether there is a value."""
        return key in self._cache

    def delete(self, key: bytes) -> None:
        """Forget one key."""
        self._cache.delete(key, retry=True)

    def all_keys(self) -> list[bytes]:
        """Every key."""
        return [bytes(key) for key in self._cache if bytes(key) != _SCHEMA_KEY]

    def size(self) -> int:
        """Bytes on disk, as diskcache counts them."""
        return int(self._cache.volume())

    def clear(self) -> None:
        """Forget everything."""
        self._cache.clear(retry=True)
        self.put(_SCHEMA_KEY, b"%d" % SCHEMA_VERSION)

    def close(self) -> None:
        """Release the files."""
        self._cache.close()
