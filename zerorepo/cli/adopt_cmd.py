"""``zerorepo adopt``: an edited output becomes a source. Writes the sources and ``zerorepo.adopted.toml``; builds nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zerorepo import adoption
from zerorepo.adopting import Proposal, adoption_of, as_it_is, check, edits, target_of
from zerorepo.adoption import ADOPTED_NAME, Adoption
from zerorepo.cli.build_cmd import interruptible
from zerorepo.cli.common import current_package, emit, emit_json, load_workspace, many, say, start_folder
from zerorepo.digest import Digest
from zerorepo.engine import BuildOptions, Engine
from zerorepo.errors import EnvironmentFailure, ExitCode, UsageError, did_you_mean
from zerorepo.fileio import write_atomic
from zerorepo.label import Label, Pattern, parse_label, parse_pattern
from zerorepo.outputs import OutputTree
from zerorepo.rule import Origin
from zerorepo.store import Store
from zerorepo.workspace import Workspace

_FOLDER = "adopted"


@dataclass(frozen=True, slots=True)
class Request:
    """One invocation. ``args``: labels, and paths of outputs. ``to``: where the source lands; ``source``: where it comes from."""

    args: tuple[str, ...]
    to: str = ""
    source: Path | None = None
    listing: bool = False
    undo: bool = False
    as_json: bool = False


@dataclass(slots=True)
class _Found:
    """What an invocation comes to. ``asked``: what each argument named."""

    proposals: list[Proposal]
    refused: list[Origin]
    adoptions: dict[Label, Adoption]


def run(request: Request) -> ExitCode:
    """Adopt, list or undo."""
    workspace = load_workspace()
    workspace.check_settings()
    if request.listing:
        return _list(workspace, as_json=request.as_json)
    if not request.args:
        raise UsageError(
            "Nothing to adopt was named", hint="name labels or edited files; --list shows what was adopted"
        )
    if request.undo:
        return _undo(workspace, request)
    return _adopt(workspace, request)


def _adopt(workspace: Workspace, request: Request) -> ExitCode:
    if request.source is not None and len(request.args) != 1:
        raise UsageError("--from is for one label")

    async def work() -> _Found:
        async with Engine(workspace, BuildOptions(dry_run=True)) as engine:
            return await _find(engine, request, current_package(workspace))

    found = interruptible(work())
    for origin in found.refused:
        say(f"not adopted: {workspace.workspace.output}/{origin.output}: {origin.note}")
    if request.to and len(found.proposals) > 1:
        raise UsageError(f"--to names one file, and {len(found.proposals)} would be adopted")
    old = adoption.load(workspace.root)
    for write in (False, True):  # nothing is written when one of them cannot be
        for each in found.proposals:
            _put(workspace, found.adoptions[each.label].files[each.name], each, old.get(each.label), write=write)
    _save(workspace, {**old, **found.adoptions})
    outputs = [path for each in found.proposals for path in each.outputs]
    _release(workspace, outputs)
    _tell(workspace, request, found)
    if not found.proposals:
        return ExitCode.BUILD_FAILED
    return ExitCode.BUILD_FAILED if found.refused else ExitCode.OK


async def _find(engine: Engine, request: Request, package: str) -> _Found:
    edited, refused = await edits(engine)
    chosen: dict[tuple[Label, str], Proposal] = {}
    said_no: list[Origin] = []
    for text in request.args:
        path = _output_path(engine, text)
        if path is not None:
            mine = [each for each in edited if path in each.outputs]
            no = [each for each in refused if each.output == path]
            if not mine and not no:
                raise _not_edited(engine, path, edited)
        else:
            mine, no = await _of_label(engine, request, parse_pattern(text, package), edited, refused)
        chosen.update({(each.label, each.name): each for each in mine})
        said_no += no
    adoptions: dict[Label, Adoption] = {}
    for label in dict.fromkeys(label for label, _ in chosen):
        files = {name: each for (owner, name), each in chosen.items() if owner == label}
        await check(engine, label, files)
        earlier = engine.table.adoptions.get(label)
        sources = {
            name: request.to or (earlier.files.get(name) if earlier else None) or f"{_FOLDER}/{name}" for name in files
        }
        for source in sources.values():
            _check_place(engine.workspace, source)
        executable = [name for name, each in files.items() if each.executable]
        adoptions[label] = await adoption_of(engine, label, sources, executable, earlier)
    return _Found(list(chosen.values()), said_no, adoptions)


async def _of_label(
    engine: Engine, request: Request, pattern: Pattern, edited: Sequence[Proposal], refused: Sequence[Origin]
) -> tuple[list[Proposal], list[Origin]]:
    """What a label, or a pattern of labels, means; a label of which nothing was edited means the file as it is."""
    if pattern.negative:
        raise UsageError(f"`{pattern.text}` takes away; adopt takes labels, patterns and edited files")
    if not pattern.wildcard:
        await target_of(engine, pattern.label)
    if request.source is not None:
        if pattern.wildcard:
            raise UsageError("--from is for one label", hint=f"`{pattern.text}` is a pattern")
        return await as_it_is(engine, pattern.label, {"": _read_given(request.source)}), []
    owned = {path for path, owner in engine.outputs.edited().items() if pattern.matches(parse_label(owner))}
    mine = [each for each in edited if pattern.matches(each.label) or owned & set(each.outputs)]
    no = [each for each in refused if each.output in owned]
    if not mine and not no:
        if pattern.wildcard:
            raise UsageError(f"No output of `{pattern.text}` was edited")
        mine = await as_it_is(engine, pattern.label)
    return mine, no


def _output_path(engine: Engine, text: str) -> str | None:
    """The output that an argument names as a file; None when it is a label."""
    if text.startswith(("//", ":", "-")):
        return None
    full = Path(os.path.normpath(start_folder() / text))
    # The file itself may have become a link; the folders on the way to it are followed.
    place, root = full.parent.resolve() / full.name, engine.outputs.root.resolve()
    if not place.is_relative_to(root) or not os.path.lexists(full):
        return None
    return place.relative_to(root).as_posix()


def _not_edited(engine: Engine, path: str, edited: Sequence[Proposal]) -> UsageError:
    owner = engine.outputs.owner(path)
    shown = f"{engine.workspace.workspace.output}/{path}"
    if owner is None:
        near = did_you_mean(path, [each for one in edited for each in one.outputs])
        return UsageError(f"No target makes `{shown}`", hint=near)
    return UsageError(f"`{shown}` is as `{owner}` made it", hint=f"edit it first, or adopt it as it is: `{owner}`")


def _check_place(workspace: Workspace, source: str) -> None:
    out = workspace.workspace.output.strip("/")
    parts = source.split("/")
    if source.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise UsageError(f"`{source}` is no path inside the workspace", hint="--to takes one such as src/a.txt")
    if source == out or source.startswith(f"{out}/") or parts[0].startswith(".zerorepo"):
        raise UsageError(f"`{source}` cannot be a source: the build writes there", hint="name another place with --to")


def _read_given(path: Path) -> bytes:
    try:
        return (start_folder() / path).read_bytes()
    except OSError as error:
        raise UsageError(f"Cannot read: {error.strerror}", where=str(path)) from None


def _put(workspace: Workspace, source: str, proposal: Proposal, earlier: Adoption | None, *, write: bool) -> None:
    target = workspace.root / source
    if target.is_file() and target.read_bytes() == proposal.content:
        return
    if os.path.lexists(target) and source not in (earlier.files.values() if earlier else ()):
        raise UsageError(
            f"`{source}` exists, and is not what `{proposal.label}` was adopted as",
            hint="name another place with --to, or move it away",
        )
    if write:
        write_atomic(target, proposal.content, mode=0o755 if proposal.executable else 0o644, durable=True)


def _save(workspace: Workspace, adoptions: dict[Label, Adoption]) -> None:
    path = workspace.root / ADOPTED_NAME
    if adoptions:
        write_atomic(path, adoption.render(adoptions.values()).encode(), durable=True)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise EnvironmentFailure(f"Cannot remove: {error.strerror}", where=ADOPTED_NAME) from error


def _release(workspace: Workspace, outputs: Sequence[str]) -> None:
    """The edit is kept as a source now, so the build may write the output again."""
    store = Store(workspace.state_dir / "state")
    try:
        tree = OutputTree(workspace.output_dir, store, workspace.cache.digest, _never, lambda label, path: None)
        for path in outputs:
            tree.release(path)
    finally:
        store.close()


def _never(digest: Digest) -> bytes:
    raise AssertionError("adopting writes no output")


def _tell(workspace: Workspace, request: Request, found: _Found) -> None:
    rows = [
        {
            "label": str(each.label),
            "file": each.name,
            "source": found.adoptions[each.label].files[each.name],
            "outputs": [f"{workspace.workspace.output}/{path}" for path in each.outputs],
            "note": each.note,
        }
        for each in found.proposals
    ]
    if request.as_json:
        out = workspace.workspace.output
        no = [{"output": f"{out}/{each.output}", "why": each.note} for each in found.refused]
        emit_json({"adopted": rows, "refused": no})
        return
    for row in rows:
        note = f" ({row['note']})" if row["note"] else ""
        emit(f"adopted {row['file']} of {row['label']}: its source is {row['source']} now{note}")
    if rows:
        say(f"Check in {ADOPTED_NAME} and the sources; build to test what depends on them.")


def _undo(workspace: Workspace, request: Request) -> ExitCode:
    old = adoption.load(workspace.root)
    labels = [parse_label(text, current_package(workspace)) for text in request.args]
    for label in labels:
        if label not in old:
            raise UsageError(
                f"`{label}` was not adopted",
                hint=did_you_mean(str(label), map(str, old)) or "`zerorepo adopt --list` shows what was",
            )
    ended = [old.pop(label) for label in dict.fromkeys(labels)]
    _save(workspace, old)
    sources = [source for each in ended for source in each.files.values()]
    if request.as_json:
        emit_json({"undone": [str(each.label) for each in ended], "kept_sources": sources})
        return ExitCode.OK
    for each in ended:
        emit(f"{each.label} is made by its rule again")
    say(f"kept {', '.join(sources)}: yours, and a source of nothing now")
    return ExitCode.OK


def _list(workspace: Workspace, *, as_json: bool) -> ExitCode:
    adoptions = adoption.load(workspace.root)

    async def work() -> list[dict[str, Any]]:
        async with Engine(workspace, BuildOptions(dry_run=True)) as engine:
            return [row for each in adoptions.values() for row in await _rows(engine, each)]

    rows = interruptible(work()) if adoptions else []
    if as_json:
        emit_json({"adopted": rows})
        return ExitCode.OK
    for row in rows:
        problem = "" if row["state"] == "ok" else f"  ({row['state']}, {row['where']})"
        emit(f"{row['label']}  {row['file']} <- {row['source']}{problem}")
    say(f"{many(len(rows), 'file')} adopted" if rows else "nothing was adopted")
    return ExitCode.OK


async def _rows(engine: Engine, each: Adoption) -> list[dict[str, Any]]:
    state = "ok"
    try:
        await target_of(engine, each.label)
    except UsageError:
        pending = any(job.error is not None for job in engine.scheduler.jobs())
        state = "not known until what may declare it is built" if pending else "there is no such target"
    return [
        {
            "label": str(each.label),
            "file": name,
            "source": source,
            "state": state if (engine.workspace.root / source).is_file() else "the source is gone",
            "where": each.where,
        }
        for name, source in sorted(each.files.items())
    ]
