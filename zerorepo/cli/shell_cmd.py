"""``zerorepo shell``: a shell in the world that a target's action runs in.

The target's rule is told a folder through a build option; one that runs something in a world lays that out there, with a script
``enter``, and stops. Knows nothing of what a world is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from zerorepo.analysis import check_declared
from zerorepo.cli.build_cmd import interruptible
from zerorepo.cli.common import current_package, load_workspace, say
from zerorepo.cli.progress import make_display
from zerorepo.cli.summary import Summary
from zerorepo.engine import BuildOptions, BuildResult, Engine
from zerorepo.errors import ExitCode, TargetFailed, UsageError, ZeroRepoError
from zerorepo.events import EventStream
from zerorepo.label import Label, parse_label
from zerorepo.workspace import Workspace

_ENTER = "enter"


def run(label_text: str, command: list[str], *, unsafe: bool) -> ExitCode:
    """Build what the target needs, lay its world out, and enter it. The exit code of a command is the command's own."""
    workspace = load_workspace()
    workspace.check_settings()
    label = parse_label(label_text, current_package(workspace))
    folders = workspace.state_dir / "shell"
    folders.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=folders)) / "world"
    try:
        extra: dict[str, Any] = {f"shell {label}": str(folder), **({"unsafe": True} if unsafe else {})}
        result = interruptible(_build(workspace, label, BuildOptions(extra=extra)))
        enter = folder / _ENTER
        if not enter.exists():
            raise _why_not(label, result)
        if not command:
            say(f"{label}: a shell in its sandbox; its inputs are in the current folder, and `exit` ends it")
        # ^C is for what runs in there; a handler, unlike ignoring it, is not handed down.
        signal.signal(signal.SIGINT, lambda *_: None)
        done = subprocess.run(["/bin/sh", str(enter), *command], check=False)
        if done.returncode and not command:
            return ExitCode.OK  # an interactive shell ends with the code of its last command, which says nothing
        return done.returncode  # type: ignore[return-value]
    finally:
        _remove(folder.parent)


async def _build(workspace: Workspace, label: Label, options: BuildOptions) -> BuildResult:
    events, summary = EventStream(), Summary()
    events.subscribe(summary)
    display = make_display(summary, os.cpu_count() or 1, quiet=True)
    try:
        async with Engine(workspace, options, events) as engine:
            if any(target.label == label for target in engine.table.static()):
                check_declared(engine.table, [label])
            return await engine.collect([label])
    finally:
        display.close()


def _why_not(label: Label, result: BuildResult) -> ZeroRepoError:
    for failed, error in result.failed.items():
        if isinstance(error, ZeroRepoError):
            if failed == label:
                return error
            return TargetFailed(f"`{failed}` failed, so `{label}` has no world yet: {error.message}", hint=error.hint)
    return UsageError(f"`{label}` runs nothing in a sandbox", hint="a shell is for targets that run a command or tests")


def _remove(folder: Path) -> None:
    import shutil

    for top, names, _ in os.walk(folder):
        for name in names:
            path = Path(top) / name
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
