"""Upkeep of the cache: verify it, mend what can be mended, keep it within its size. Never an error for a build at work beside it.

Everything here is a memory of work: what is removed is made again when somebody needs it. Knows nothing of targets or of what an
action does.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from zerorepo.action_cache import decode_row
from zerorepo.cas import Cas
from zerorepo.digest import Digest
from zerorepo.store import Store
from zerorepo.trace import decode_traces

_ROOM = 0.9  # after an eviction the cache is this full, so that the next build need not evict again
_ASIDE_S = 7 * 24 * 3600.0


@dataclass(slots=True)
class Health:
    """What ``verify`` found: how much is well, and a line for each thing that was not."""

    blobs: int = 0
    results: int = 0
    traces: int = 0
    removed: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether nothing was wrong."""
        return not self.removed and not self.mended


def verify(store: Store, cas: Cas, *, repair: bool = True) -> Health:
    """Look at every row and every blob; what is damaged is removed (with ``repair``), what the index lacks is entered."""
    health = Health()
    doomed: list[bytes] = []
    for key in store.keys(b"b"):
        data = store.get(key)
        if data is None or _hash(cas, data) != key[1:].decode():
            health.removed.append(f"blob {key[1:13].decode()}: its bytes are not those of its digest")
            doomed.append(key)
        else:
            health.blobs += 1
    doomed += _verify_files(store, cas, health, repair=repair)
    for key in store.keys(b"a"):
        if decode_row(store.get(key)) is None:
            health.removed.append(f"result {key[1:13].decode()}: it cannot be read")
            doomed.append(key)
        else:
            health.results += 1
    for key in store.keys(b"t"):
        if decode_traces(store.get(key)) is None:
            health.removed.append(f"trace {key[1:13].decode()}: it cannot be read")
            doomed.append(key)
        else:
            health.traces += 1
    if repair and doomed:
        store.forget(doomed)
    return health


def _verify_files(store: Store, cas: Cas, health: Health, *, repair: bool) -> Iterator[bytes]:
    """Blobs that are files against their rows; yields rows to be forgotten."""
    rows = {key[1:].decode() for key in store.keys(b"f")}
    for hex_, path in cas.files():
        try:
            found = cas.function.of_file(path)
        except OSError:
            continue  # removed since
        if found.hex != hex_:
            health.removed.append(f"blob {hex_[:12]}: its bytes are not those of its digest")
            if repair:
                with contextlib.suppress(OSError):
                    path.unlink()
            if hex_ in rows:
                rows.discard(hex_)
                yield b"f" + hex_.encode()
            continue
        health.blobs += 1
        if hex_ in rows:
            rows.discard(hex_)
        else:
            health.mended.append(f"blob {hex_[:12]}: the index did not know it")
            if repair:
                store.put(b"f" + hex_.encode(), b"", stands_for=found.size)
    for hex_ in sorted(rows):
        health.removed.append(f"blob {hex_[:12]}: its file is gone")
        yield b"f" + hex_.encode()


def _hash(cas: Cas, data: bytes) -> str:
    return cas.function.of_bytes(data).hex


@dataclass(slots=True)
class Freed:
    """What an eviction or a collection removed."""

    rows: int = 0
    bytes: int = 0


def evict(store: Store, cas: Cas, limit: int) -> Freed:
    """Remove what was not used for longest until the cache is well within ``limit`` bytes; nothing when it is within it."""
    freed = Freed()
    size = store.size()
    if size <= limit:
        return freed
    wanted = size - int(limit * _ROOM)
    doomed: list[bytes] = []
    for key, bytes_ in store.oldest():
        if freed.bytes >= wanted:
            break
        doomed.append(key)
        freed.bytes += bytes_
    _remove(store, cas, doomed)
    freed.rows = len(doomed)
    return freed


def collect(store: Store, cas: Cas, *, unused_s: float | None = None) -> Freed:
    """Remove blobs that no result and no trace refers to, what was not used for ``unused_s`` seconds, and remains of damage."""
    freed = Freed()
    doomed: dict[bytes, int] = {}
    referred = _referred(store)
    if unused_s is not None:
        doomed.update(store.oldest(until=time.time() - unused_s))
    for key, bytes_ in store.oldest(until=time.time() - _GRACE_S):
        if key[:1] in (b"b", b"f") and key[1:].decode() not in referred:
            doomed[key] = bytes_
    _remove(store, cas, list(doomed))
    freed.rows, freed.bytes = len(doomed), sum(doomed.values())
    freed.bytes += _remove_strays(store, cas)
    freed.bytes += _remove_asides(store.folder)
    store.compact()
    return freed


_GRACE_S = 3600.0  # a blob is put before the result that refers to it; a build may be between the two


def _referred(store: Store) -> set[str]:
    """Hashes of every blob that a result or a trace refers to. A digest that stands anywhere in a result counts."""
    found: set[str] = set()
    for key in store.keys(b"a"):
        if (row := decode_row(store.get(key))) is not None:
            found |= set(_digests_in(row.result))
    for key in store.keys(b"t"):
        for trace in decode_traces(store.get(key)) or ():
            found |= {digest.partition("/")[0] for digest in trace.blobs}
            found |= {digest.partition("/")[0] for digest, _ in trace.outputs.values()}
            found |= {digest.partition("/")[0] for digest in trace.updates.values()}
            found |= {
                request.answer.partition("/")[0]
                for group in trace.groups
                for request in group
                if request.kind == "source"
            }
    return found


def _digests_in(text: str) -> Iterator[str]:
    def walk(value: object) -> Iterator[str]:
        if isinstance(value, str):
            with contextlib.suppress(ValueError):
                yield Digest.parse(value).hex
        elif isinstance(value, dict):
            for item in value.values():
                yield from walk(item)
        elif isinstance(value, list):
            for item in value:
                yield from walk(item)

    try:
        yield from walk(msgspec.json.decode(text))
    except msgspec.DecodeError:
        return


def _remove(store: Store, cas: Cas, keys: list[bytes]) -> None:
    for key in keys:
        if key[:1] == b"f":
            with contextlib.suppress(OSError):
                cas.path_of(key[1:].decode()).unlink()
    store.forget(keys)


def _remove_strays(store: Store, cas: Cas) -> int:
    """Files of blobs that no row knows: their builder was killed between the two."""
    freed = 0
    for hex_, path in cas.files():
        if not store.has(b"f" + hex_.encode()):
            with contextlib.suppress(OSError):
                stat = path.stat()
                if time.time() - stat.st_mtime > _GRACE_S:
                    path.unlink()
                    freed += stat.st_size
    return freed


def _remove_asides(folder: Path) -> int:
    """Databases that were set aside as damaged, after a week in which nobody wanted to look at them."""
    freed = 0
    for path in folder.glob("*.damaged-*"):
        with contextlib.suppress(OSError):
            stat = path.stat()
            if time.time() - stat.st_mtime > _ASIDE_S:
                path.unlink()
                freed += stat.st_size
    return freed


__all__ = ["Freed", "Health", "collect", "evict", "verify"]
