"""The CAS: digest to bytes. Verifies on read; a damaged blob is thrown away and counts as missing.

Small blobs are rows of the store, larger ones files. Knows nothing of what refers to a blob.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from zerorepo.digest import Digest, DigestFunction
from zerorepo.errors import EnvironmentFailure
from zerorepo.fileio import sweep, write_atomic
from zerorepo.store import Store

_SCRATCH = "tmp"
_INLINE_LIMIT = 32 * 1024  # below this a row costs less than a file's create, rename and inode


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
        self._added: dict[str, bytes] | None = {} if store.read_only else None
        if self._added is None:
            sweep(folder / _SCRATCH)

    def _path(self, digest: Digest) -> Path:
        return self._folder / digest.hex[:2] / digest.hex

    def put(self, data: bytes) -> Digest:
        """Store ``data``; cheap when it is there already."""
        digest = self.function.of_bytes(data)
        if not self.has(digest):
            if self._added is not None:
                self._added[digest.hex] = data
            elif digest.size < _INLINE_LIMIT:
                self._store.put(b"b" + digest.hex.encode(), data)
            else:
                write_atomic(self._path(digest), data, scratch=self._folder / _SCRATCH)
            self._known.add(digest.hex)
        return digest

    def has(self, digest: Digest) -> bool:
        """Whether the blob is there (its bytes are checked only when read)."""
        if digest.hex in self._known:
            return True
        found = (
            self._store.has(b"b" + digest.hex.encode()) if digest.size < _INLINE_LIMIT else self._path(digest).is_file()
        )
        if found:
            self._known.add(digest.hex)
        return found

    def get(self, digest: Digest) -> bytes:
        """The bytes; BlobMissing when they are not there or do not match their digest."""
        data: bytes | None
        if self._added is not None and digest.hex in self._added:
            data = self._added[digest.hex]
        elif digest.size < _INLINE_LIMIT:
            data = self._store.get(b"b" + digest.hex.encode())
        else:
            try:
                data = self._path(digest).read_bytes()
            except OSError:
                data = None
        if data is None:
            self._known.discard(digest.hex)
            raise BlobMissing(digest)
        if self.function.of_bytes(data) != digest:
            self.discard(digest)
            if self._on_damage:
                self._on_damage(digest)
            raise BlobMissing(digest)
        return data

    def discard(self, digest: Digest) -> None:
        """Forget a blob."""
        self._known.discard(digest.hex)
        self._store.delete(b"b" + digest.hex.encode())
        if self._added is not None:
            return
        with contextlib.suppress(OSError):
            self._path(digest).unlink()
