"""What the commands share: the global options, loading the workspace, printing. Knows nothing of any one command."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zerorepo.errors import EnvironmentFailure, UsageError
from zerorepo.redaction import mask, redact, visible

# A query whose graph is at hand needs neither: they bring pydantic.
if TYPE_CHECKING:
    from zerorepo.label import Pattern
    from zerorepo.plugins import Registry
    from zerorepo.workspace import Workspace


@dataclass(slots=True)
class Globals:
    """Global options of this invocation."""

    directory: Path | None = None
    overrides: tuple[str, ...] = ()
    debug: bool = False
    registry: Registry | None = None
    argv: tuple[str, ...] = ()
    """The whole command line, as given."""
    began_ns: int = 0
    """When the command started, in nanoseconds since the Unix epoch."""


GLOBALS = Globals()


def registry() -> Registry:
    """All installed rule sets, loaded once."""
    from zerorepo.plugins import installed

    if GLOBALS.registry is None:
        GLOBALS.registry = installed()
    return GLOBALS.registry


def start_folder() -> Path:
    """Where the command was told to work."""
    folder = (GLOBALS.directory or Path.cwd()).resolve()
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}", hint="--directory names the workspace or a folder in it")
    return folder


def load_workspace() -> Workspace:
    """The workspace around the start folder."""
    from zerorepo.workspace import Workspace, find_root

    return Workspace.load(find_root(start_folder()), registry(), GLOBALS.overrides)


def current_package(workspace: Workspace) -> str:
    """The package that relative patterns refer to: the start folder's path in the workspace."""
    relative = os.path.relpath(start_folder(), workspace.root.resolve())
    return "" if relative == "." else relative.replace(os.sep, "/")


def patterns(workspace: Workspace, texts: list[str]) -> list[Pattern]:
    """Target patterns of the command line, relative to where it runs."""
    from zerorepo.label import parse_pattern

    package = current_package(workspace)
    return [parse_pattern(text, package) for text in texts]


def many(number: int, what: str, plural: str = "") -> str:
    """``1 target``, ``2 targets``."""
    return f"{number} {what}" if number == 1 else f"{number} {plural or what + 's'}"


def say(text: str = "") -> None:
    """A line for people, to stderr."""
    print(visible(redact(text)), file=sys.stderr, flush=True)


def emit(text: str) -> None:
    """The command's result, to stdout."""
    _write(mask(text))


def emit_json(body: Any) -> None:
    """The command's result for machines: one JSON value on stdout."""
    _write(json_text(body))


def _write(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        # What is left in the buffer would be tried again at the end, and fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise EnvironmentFailure(
            f"Cannot write the answer: {error.strerror}", hint="make room where standard output goes"
        ) from None


def json_text(body: Any) -> str:
    """JSON as every command writes it."""
    return mask(json.dumps(body, ensure_ascii=False, indent=2, default=str))


def command_of(argv: list[str]) -> str | None:
    """The first word that is neither a global option nor its value: in ``ontology build`` it is not ``build``."""
    words = iter(argv)
    for word in words:
        if word in ("--set", "--directory", "-C"):
            next(words, None)
        elif not word.startswith("-"):
            return word
    return None
