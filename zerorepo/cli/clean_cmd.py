"""``zerorepo clean``: remove what was built, never what a person wrote."""

from __future__ import annotations

import shutil

from zerorepo.cli.common import emit, load_workspace, many, say
from zerorepo.errors import EnvironmentFailure, ExitCode
from zerorepo.outputs import OutputTree
from zerorepo.store import Store


def run(*, expunge: bool) -> ExitCode:
    """Remove outputs that are as we wrote them; with ``expunge`` the state folder as well."""
    workspace = load_workspace()
    store = Store(workspace.state_dir / "state")
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
        try:
            shutil.rmtree(workspace.state_dir)
        except OSError as error:
            raise EnvironmentFailure(
                f"Cannot remove the state folder: {error.strerror}", where=str(workspace.state_dir)
            ) from error
        emit("removed .zerorepo: cache, state, and what rule sets keep there, such as recorded answers")
    return ExitCode.OK
