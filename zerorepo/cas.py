"""The CAS: digest to bytes. Verifies on read; a damaged blob is thrown away and counts as missing.

Small blobs are rows of the store; larger ones are files, each with a row that knows its size. A file of the workspace may be
*lent*: its bytes count as present without being copied, for as long as they have that digest. Knows nothing of what refers to one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from zerorepo.digest import Digest, DigestFunction
from zerorepo.errors import EnvironmentFailure
from zerorepo.fileio import sweep, write_atomic
from zerorepo.store import Store

_SCRATCH = "tmp"
_INLINE_LIMIT = 32 * 1024  # below this a row costs less than a file's create, rename and inode
_ROW, _FILE = b"b", b"f"


class BlobMissing(EnvironmentFailure):
    """A blob is not in the CAS (never put, evicted, or damaged). Whoever needs it makes it again."""

    def __init__(self, digest: Digest) -> None:
        super().__init__(f"The cache has no blob {digest.short}", hint="build again; it will be made anew")
        self.digest = digest


class Cas:
    """Content-addressed blobs under one digest function."""

    def __init__(
        self, store: Store, folder: Path, function: DigestFunction, on_damage: Callable[[Digest], None] | None = None
    ) -> None:
        self.function = function
        self._store = store
        self._folder = folder
        self._on_damage = on_damage
        self._known: set[str] = set()
        self._lent: dict[str, str] = {}
        self._withdrawn: set[str] = set()
        self._added: dict[str, bytes] | None = {} if store.read_only else None
        if self._added is None:
            sweep(folder / _SCRATCH)

    def _path(self, digest: Digest) -> Path:
        return self._folder / digest.hex[:2] / digest.hex

    def put(self, data: bytes) -> Digest:
        """Store ``data``. A small blob is written without looking whether it is there: that costs as much."""
        digest = self.function.of_bytes(data)
        if digest.hex not in self._known and (digest.size < _INLINE_LIMIT or not self._stored(digest)):
            self._put(digest, data)
        return digest

    def _put(self, digest: Digest, data: bytes) -> None:
        if self._added is not None:
            self._added[digest.hex] = data
        elif digest.size < _INLINE_LIMIT:
            self._store.put_with_next(_ROW + digest.hex.encode(), data)
        else:
            write_atomic(self._path(digest), data, scratch=self._folder / _SCRATCH)
            self._store.put(_FILE + digest.hex.encode(), b"", stands_for=digest.size)
        self._known.add(digest.hex)

    def lend(self, digest: Digest, path: str) -> bool:
        """Let a file that has this digest stand in for the blob; the bytes are verified when they are read.

        False when that was done before and the file turned out to have changed.
        """
        if digest.hex in self._withdrawn:
            return False
        self._lent[digest.hex] = path
        return True

    def keep(self, digest: Digest) -> bool:
        """Make a blob that is only lent one of the CAS's own; whether it is there."""
        if digest.hex in self._known or self._stored(digest):
            return True
        data = self._borrowed(digest)
        if data is None:
            return False
        self._put(digest, data)
        return True

    def has(self, digest: Digest) -> bool:
        """Whether the blob is there (its bytes are checked only when read)."""
        return digest.hex in self._known or digest.hex in self._lent or self._stored(digest)

    def _stored(self, digest: Digest) -> bool:
        if self._added is not None and digest.hex in self._added:
            return True
        if digest.size < _INLINE_LIMIT:
            found = self._store.has(_ROW + digest.hex.encode())
        else:
            found = self._path(digest).is_file()
            if found and not self._store.has(_FILE + digest.hex.encode()):
                self._store.put(_FILE + digest.hex.encode(), b"", stands_for=digest.size)
        if found:
            self._known.add(digest.hex)
        return found

    def get(self, digest: Digest) -> bytes:
        """The bytes; BlobMissing when they are not there or do not match their digest."""
        data = self._read(digest)
        if data is not None and self.function.of_bytes(data) != digest:
            self.discard(digest)
            if self._on_damage:
                self._on_damage(digest)
            data = None
        if data is None:
            self._known.discard(digest.hex)
            data = self._borrowed(digest)
        if data is None:
            raise BlobMissing(digest)
        return data

    def _read(self, digest: Digest) -> bytes | None:
        if self._added is not None and digest.hex in self._added:
            return self._added[digest.hex]
        if digest.hex in self._lent and digest.hex not in self._known:
            return None
        if digest.size < _INLINE_LIMIT:
            return self._store.get(_ROW + digest.hex.encode())
        try:
            return self._path(digest).read_bytes()
        except OSError:
            return None

    def _borrowed(self, digest: Digest) -> bytes | None:
        path = self._lent.get(digest.hex)
        if path is None:
            return None
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            data = b""
        if self.function.of_bytes(data) == digest:
            return data
        del self._lent[digest.hex]
        self._withdrawn.add(digest.hex)
        return self._store.get(_ROW + digest.hex.encode()) if digest.size < _INLINE_LIMIT else None

    def discard(self, digest: Digest) -> None:
        """Forget a blob."""
        self._known.discard(digest.hex)
        self._store.delete((_ROW if digest.size < _INLINE_LIMIT else _FILE) + digest.hex.encode())
        if self._added is not None:
            return
        with contextlib.suppress(OSError):
            self._path(digest).unlink()

    # --- upkeep

    def files(self) -> Iterator[tuple[str, Path]]:
        """Hash and path of every blob that is a file."""
        with contextlib.suppress(FileNotFoundError):
            for folder in sorted(os.listdir(self._folder)):
                if len(folder) == 2:
                    for name in sorted(os.listdir(self._folder / folder)):
                        yield name, self._folder / folder / name

    def path_of(self, hex_: str) -> Path:
        """Where the blob of this hash lies if it is a file."""
        return self._folder / hex_[:2] / hex_
