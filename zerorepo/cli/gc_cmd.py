"""``zerorepo gc``: make the cache smaller. What is removed is made again when a build needs it."""

from __future__ import annotations

from pydantic import ByteSize, TypeAdapter, ValidationError

from zerorepo.cas import Cas
from zerorepo.cli.common import emit, emit_json, load_workspace, many
from zerorepo.errors import ExitCode, UsageError
from zerorepo.store import Store
from zerorepo.upkeep import collect, evict


def run(*, max_size: str | None, unused_days: float | None, as_json: bool) -> ExitCode:
    """Remove what nothing refers to, what was not used for ``unused_days``, and what is too much for ``max_size``."""
    workspace = load_workspace()
    limit = _size(max_size) if max_size is not None else workspace.cache.size_limit
    folder = workspace.cache_dir / str(workspace.cache.digest)
    store = Store(folder)
    try:
        cas = Cas(store, folder / "blobs", workspace.cache.digest)
        before = store.size()
        freed = collect(store, cas, unused_s=unused_days * 24 * 3600 if unused_days is not None else None)
        if limit is not None:
            more = evict(store, cas, limit)
            freed.rows, freed.bytes = freed.rows + more.rows, freed.bytes + more.bytes
        after = store.size()
    finally:
        store.close()
    if as_json:
        emit_json(
            {"removed": freed.rows, "freed_bytes": max(0, before - after), "size_bytes": after, "folder": str(folder)}
        )
    else:
        less = f" ({_shown(before - after)})" if before > after else ""
        emit(f"removed {many(freed.rows, 'entry', 'entries')}{less}; the cache holds {_shown(after)}")
    return ExitCode.OK


def _shown(size: int) -> str:
    return ByteSize(size).human_readable(decimal=True)


def _size(text: str) -> int:
    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        raise UsageError(f"Bad --max-size `{text}`", hint="a number of bytes, or 500MB, 20GB") from None
