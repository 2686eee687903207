"""What a rule set's own command may ask of the engine: the workspace, its settings, what a target would do next. Plugin API.

``--directory`` and ``--set`` of the command line count, as they do for the engine's own commands. Knows no rule set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from zerorepo.action import Action
from zerorepo.digest import Digest
from zerorepo.errors import ExitCode, UsageError
from zerorepo.label import Label, Pattern
from zerorepo.target import Provider
from zerorepo.values import Value

SettingsT = TypeVar("SettingsT", bound=Value)
ProviderT = TypeVar("ProviderT", bound=Provider)


@dataclass(frozen=True, slots=True)
class Pending:
    """An action that a target would execute next, and its key."""

    action: Action
    key: Digest


@dataclass(frozen=True, slots=True)
class Preview:
    """What a build of ``label`` would do now.

    ``state``: ``up to date``, ``would run`` (``pending`` is what it would execute first), ``waits`` (for those in ``waits_for``,
    which would run first), or ``fails`` (with ``error``).
    """

    label: Label
    state: str
    pending: Sequence[Pending] = ()
    waits_for: Mapping[Label, Sequence[Pending]] = field(default_factory=dict)
    asked: Sequence[tuple[str, str]] = ()
    """(mnemonic, key) of each action that it asked for when it was last built."""
    error: str = ""


def workspace_root() -> Path:
    """The folder of the workspace; UsageError when there is none around the start folder."""
    from zerorepo.cli.common import start_folder
    from zerorepo.workspace import find_root

    return find_root(start_folder())


def settings(section: str, model: type[SettingsT]) -> SettingsT:
    """A section of ``zerorepo.toml``, validated. UsageError when it is wrong."""
    from zerorepo.cli.common import load_workspace

    found = load_workspace().settings(section)
    assert isinstance(found, model)
    return found


def patterns(texts: Sequence[str]) -> list[Pattern]:
    """Target patterns of the command line, relative to where it was given. UsageError for a bad one."""
    from zerorepo.cli.common import load_workspace
    from zerorepo.cli.common import patterns as parse

    return parse(load_workspace(), list(texts))


def preview(text: str) -> Preview:
    """What a build of the target ``text`` would do. Runs rules but no action, and changes nothing."""
    from zerorepo.analysis import check_declared
    from zerorepo.cli.build_cmd import interruptible
    from zerorepo.cli.common import current_package, load_workspace
    from zerorepo.engine import BuildOptions, Engine
    from zerorepo.label import parse_pattern

    workspace = load_workspace()
    workspace.check_settings()
    pattern = parse_pattern(text, current_package(workspace))
    if pattern.wildcard or pattern.negative:
        raise UsageError(f"`{text}` is a pattern; this takes one label")
    label = pattern.label

    async def work() -> Preview:
        async with Engine(workspace, BuildOptions(dry_run=True)) as engine:
            if engine.table.get(label):
                check_declared(engine.table, [label])
            await engine.match([pattern])
            result = await engine.collect([label])
            last = engine.traces.last(label)
            requests = [name for kind, name, _ in last.requests if kind == "action"] if last else []
            asked = tuple((mnemonic, key) for mnemonic, _, key in (name.partition(" ") for name in requests))
            would = {
                each: tuple(Pending(error.action, error.key) for error in found.values())
                for each, found in engine.executor.would_run.items()
            }
        if label in result.built:
            return Preview(label, "up to date", asked=asked)
        if label in would:
            return Preview(label, "would run", pending=would[label], asked=asked)
        if label in result.failed and not (result.unexpanded and would and engine.table.get(label) is None):
            return Preview(label, "fails", asked=asked, error=str(result.failed[label]))
        failed = next((error for other, error in result.failed.items() if result.skipped_by.get(label) == other), None)
        if failed is not None:
            return Preview(label, "fails", asked=asked, error=str(failed))
        return Preview(label, "waits", waits_for=would, asked=asked)

    return interruptible(work())


def targets_of(rule: str) -> dict[Label, Any]:
    """The declared targets of a rule, macros expanded, with their attributes. UsageError for a wrong build file."""
    from zerorepo.cli.common import load_workspace
    from zerorepo.table import TargetTable

    table = TargetTable(load_workspace())
    return {target.label: target.attrs for target in table.static() if target.rule.name == rule}


def provided(label: Label, type_: type[ProviderT]) -> ProviderT | None:
    """What a target hands on, when it is up to date; else None. Runs no action, changes nothing; raises what failed."""
    found = provided_all([label], type_).get(label)
    if isinstance(found, BaseException):
        raise found
    return found


def provided_all(
    labels: Sequence[Label], type_: type[ProviderT], *, last: bool = False
) -> dict[Label, ProviderT | BaseException]:
    """The same for several in one look: what each that is up to date hands on, or the error that it fails with.

    ``last``: of one that is not up to date, what it handed on when it was last built as it is declared now.
    """
    from zerorepo.cli.build_cmd import interruptible
    from zerorepo.cli.common import load_workspace
    from zerorepo.engine import BuildOptions, Engine
    from zerorepo.label import parse_pattern

    workspace = load_workspace()
    workspace.check_settings()

    async def work() -> dict[Label, ProviderT | BaseException]:
        async with Engine(workspace, BuildOptions(dry_run=True)) as engine:
            if any(engine.table.get(label) is None for label in labels):
                await engine.match([parse_pattern(str(label), "") for label in labels])
            result = await engine.collect(labels)
            found: dict[Label, ProviderT | BaseException] = {}
            for label in labels:
                if label in result.failed:
                    found[label] = result.failed[label]
                elif label in result.built:
                    found[label] = result.built[label].provider(type_)
                elif last and (target := engine.table.get(label)):
                    trace = next(iter(engine.traces.get(engine.identity(target))), None)
                    records = [each for each in trace.providers if each.type == type_.__name__] if trace else []
                    found.update((label, type_.model_validate_json(each.json)) for each in records)
            return found

    return interruptible(work())


def build(
    texts: Sequence[str],
    folder: Path | None = None,
    *,
    quiet: bool = False,
    dry_run: bool = False,
    locked: bool = False,
    no_wait: bool = False,
) -> ExitCode:
    """Build targets as ``zerorepo build`` does, shown in the same way. ``folder``: another workspace than the one around here."""
    from zerorepo.cli.build_cmd import Request, run, to_options
    from zerorepo.cli.common import GLOBALS

    before = GLOBALS.directory
    if folder is not None:
        GLOBALS.directory = folder
    try:
        return run(
            Request(
                list(texts), to_options(dry_run=dry_run, locked=locked, no_wait=no_wait, keep_going=False), quiet=quiet
            )
        )
    finally:
        GLOBALS.directory = before


def output_folder(folder: Path | None = None) -> Path:
    """Where outputs of a workspace are written. UsageError when its file is wrong."""
    from zerorepo.cli.common import GLOBALS, load_workspace

    before = GLOBALS.directory
    if folder is not None:
        GLOBALS.directory = folder
    try:
        return load_workspace().output_dir
    finally:
        GLOBALS.directory = before


__all__ = [
    "Pending",
    "Preview",
    "build",
    "output_folder",
    "patterns",
    "preview",
    "provided",
    "provided_all",
    "settings",
    "targets_of",
    "workspace_root",
]
