"""``zerorepo check``: is everything that we keep as we left it? Mends what it can; touches nothing that a person edited."""

from __future__ import annotations

from zerorepo.cas import BlobMissing, Cas
from zerorepo.cli.common import emit, emit_json, load_workspace, many
from zerorepo.errors import ExitCode
from zerorepo.outputs import Condition, OutputTree
from zerorepo.read_only_store import ReadOnlyStore
from zerorepo.store import Store
from zerorepo.upkeep import verify
from zerorepo.workspace import Workspace


def run(*, repair: bool, as_json: bool) -> ExitCode:
    """Check cache and outputs. Exit code 0 when all is well afterwards, 1 when something is not."""
    workspace = load_workspace()
    folder = workspace.cache_dir / str(workspace.cache.digest)
    resets: list[str] = []
    store = Store if repair else ReadOnlyStore
    shared, local = store(folder, resets.append), store(workspace.state_dir / "state", resets.append)
    try:
        cas = Cas(shared, folder / "blobs", workspace.cache.digest)
        health = verify(shared, cas, repair=repair)
        restored, lost, edited = _outputs(workspace, local, cas, repair=repair)
    finally:
        shared.close()
        local.close()
    wrong = [*resets, *health.removed, *health.mended, *restored, *lost]
    body = {
        "blobs": health.blobs,
        "results": health.results,
        "traces": health.traces,
        "stores_begun_anew": resets,
        "removed": health.removed,
        "mended": health.mended,
        "outputs_restored": restored,
        "outputs_to_build": lost,
        "outputs_edited": edited,
        "repaired": repair,
    }
    code = ExitCode.OK if not wrong or repair else ExitCode.BUILD_FAILED
    if as_json:
        emit_json({**body, "exit_code": int(code)})
        return code
    _say(body, wrong, repair=repair)
    return code


def _outputs(workspace: Workspace, local: Store, cas: Cas, *, repair: bool) -> tuple[list[str], list[str], list[str]]:
    """Outputs that were missing and could be restored, that only a build can make again, and that a person edited."""
    tree = OutputTree(workspace.output_dir, local, workspace.cache.digest, cas.get, lambda *_: None)
    restored, lost, edited = [], [], []
    for path, condition in tree.conditions():
        name = f"{workspace.workspace.output}/{path}"
        if condition is Condition.EDITED:
            edited.append(name)
        elif condition is Condition.MISSING:
            try:
                if repair:
                    tree.restore(path)
                restored.append(name)
            except BlobMissing:
                lost.append(name)
    return restored, lost, edited


def _say(body: dict[str, object], wrong: list[str], *, repair: bool) -> None:
    kinds = (
        ("stores_begun_anew", "begun anew" if repair else "to begin anew"),
        ("removed", "removed" if repair else "damaged"),
        ("mended", "mended" if repair else "not in the index"),
        ("outputs_restored", "restored" if repair else "missing"),
        ("outputs_to_build", "missing; the next build makes it"),
        ("outputs_edited", "edited by hand, left alone"),
    )
    for key, what in kinds:
        found = body[key]
        assert isinstance(found, list)
        for line in found:
            emit(f"{what}: {line}")
    counts = f"{many(_int(body['blobs']), 'blob')}, {many(_int(body['results']), 'result')}, {many(_int(body['traces']), 'trace')}"
    if not wrong:
        emit(f"all is well: {counts}")
    elif repair:
        emit(
            f"{many(len(wrong), 'thing')} mended; what was removed is made again when a build needs it ({counts} are well)"
        )
    else:
        emit(f"{many(len(wrong), 'thing')} to mend, which `zerorepo check` does; {counts} are well")


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
