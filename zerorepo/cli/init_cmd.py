"""``zerorepo init``: files of a new workspace from a template of a rule set."""

from __future__ import annotations

from pathlib import Path

from zerorepo.cli.common import GLOBALS, emit, registry, say
from zerorepo.errors import ExitCode, UsageError, did_you_mean
from zerorepo.fileio import write_atomic
from zerorepo.plugins import load_object
from zerorepo.workspace import CONFIG_NAME

_EMPTY = """# A ZeroRepo workspace. Targets are declared here and in BUILD.toml files of other folders.
#
# [[target]]
# name = "hello"
# rule = "command"
# srcs = ["name.txt"]
# outs = ["hello.txt"]
# cmd = 'printf "Hello, %s\\n" "$(cat $SRCS)" > $OUTS'
"""


def run(directory: Path, template: str, *, force: bool) -> ExitCode:
    """Write the files; UsageError when one exists and ``force`` is not given."""
    offered = {name: path for rule_set in registry().rule_sets for name, path in rule_set.templates.items()}
    if template == "list":
        for name in ["empty", *sorted(offered)]:
            emit(name)
        return ExitCode.OK
    name = template or next(iter(offered), "empty")
    if name != "empty" and name not in offered:
        raise UsageError(
            f"Unknown template `{name}`",
            hint=did_you_mean(name, offered) or "`zerorepo init --template list` shows them",
        )
    root = (GLOBALS.directory or Path()) / directory
    files: dict[str, str] = (
        {CONFIG_NAME: _EMPTY} if name == "empty" else load_object(offered[name])(root.resolve().name)
    )
    present = [path for path in files if (root / path).exists()]
    if present and not force:
        raise UsageError(
            f"{', '.join(present)} {'exists' if len(present) == 1 else 'exist'} already",
            where=str(root),
            hint="--force replaces it and keeps a backup",
        )
    for path in present:
        backup = _backup_path(root / path)
        (root / path).rename(backup)
        say(f"backed up {path} as {backup.name}")
    for path, text in files.items():
        write_atomic(root / path, text.encode())
        emit(f"wrote {path}")
    return ExitCode.OK


class Telling:
    """How a scan tells what it finds. ``left_out``: of what it could not take in, which the exit code says, too."""

    def __init__(self) -> None:
        self.complete = True

    def __call__(self, text: str) -> None:
        say(text)

    def left_out(self, text: str) -> None:
        """Say that something is not taken in."""
        self.complete = False
        say(text)


def run_from(directory: Path, template: str, code: Path) -> ExitCode:
    """Take in existing code: the template's files where there are none, and what a rule set's scan of the code makes.

    BUILD_FAILED when the scan has left something out; the rest is taken in all the same.
    """
    scans = {name: path for rule_set in registry().rule_sets for name, path in rule_set.scans.items()}
    name = template or next(iter(scans), "")
    if name not in scans:
        hint = f"templates that take in code: {', '.join(sorted(scans))}" if scans else "no rule set takes in code"
        raise UsageError(f"The template `{name}` takes in no code" if name else "No code can be taken in", hint=hint)
    offered = {name: path for rule_set in registry().rule_sets for name, path in rule_set.templates.items()}
    start = GLOBALS.directory or Path()
    root = start / directory
    telling = Telling()
    files: dict[str, str] = load_object(scans[name])(start / code, root, telling)
    for path, text in load_object(offered[name])(root.resolve().name).items():
        if path not in files and not (root / path).exists():
            files[path] = text
    for path, text in files.items():
        data = text.encode()
        if (root / path).exists() and (root / path).read_bytes() == data:
            emit(f"unchanged {path}")
            continue
        write_atomic(root / path, data)
        emit(f"wrote {path}")
    return ExitCode.OK if telling.complete else ExitCode.BUILD_FAILED


def _backup_path(path: Path) -> Path:
    number = 1
    while (candidate := path.with_name(f"{path.name}.bak-{number}")).exists():
        number += 1
    return candidate
