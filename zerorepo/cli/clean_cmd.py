"""``zerorepo clean``: remove what was built, never what a person wrote."""

from __future__ import annotations

import os
import shutil

from zerorepo.cli.common import emit, load_workspace, many, say
from zerorepo.errors import EnvironmentFailure, ExitCode
from zerorepo.outputs import OutputTree
from zerorepo.store import Store


def run(*, expunge: bool) -> ExitCode:
    """Remove outputs that are as we wrote them; with ``expunge`` the state folder as well."""
    workspace = load_workspace()
    store = Store(workspace.state_dir / "state")
    if expunge and not store.claims.alone():
        store.close()
        raise EnvironmentFailure(
            "A build is at work in this workspace",
            where=str(workspace.root),
            hint="let it end, or stop it, and expunge then; `zerorepo clean` without --expunge does not have to wait",
        )
    kept: list[str] = []
    tree = OutputTree(
        workspace.output_dir, store, workspace.cache.digest, lambda _: b"", lambda _, path: kept.append(path)
    )
    removed = tree.remove_all()
    store.close()
    for path in kept:
        say(f"kept {workspace.workspace.output}/{path}: it was edited")
    emit(f"removed {many(removed, 'output')}")
    if expunge:
        # Under another name first: a build that begins now makes a folder of its own.
        doomed = workspace.state_dir.with_name(f"{workspace.state_dir.name}.expunged-{os.getpid()}")
        try:
            workspace.state_dir.rename(doomed)
            shutil.rmtree(doomed)
        except OSError as error:
            raise EnvironmentFailure(
                f"Cannot remove the state folder: {error.strerror}", where=str(workspace.state_dir)
            ) from error
        emit("removed .zerorepo: cache, state, and what rule sets keep there, such as recorded answers")
    return ExitCode.OK
