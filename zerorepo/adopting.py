"""From "this file is the source now" to an adoption: what was edited, whose it is, and what a target takes in its place.

Reads the workspace and runs nothing: ``engine`` is one in dry-run mode. Knows nothing of the command line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zerorepo.adoption import Adoption
from zerorepo.digest import Digest
from zerorepo.engine import Engine
from zerorepo.errors import EnvironmentFailure, UsageError, did_you_mean
from zerorepo.label import Label, parse_label, parse_pattern
from zerorepo.rule import Origin
from zerorepo.table import Target


@dataclass(frozen=True, slots=True)
class Proposal:
    """One file of a target and what is to stand for it. ``outputs``: edited outputs that it was taken from."""

    label: Label
    name: str
    content: bytes
    executable: bool = False
    outputs: tuple[str, ...] = ()
    note: str = ""


class OriginContext:
    """What ``Rule.origins`` may ask for: attributes of its target, providers that are up to date, content."""

    def __init__(self, engine: Engine, target: Target) -> None:
        self._engine = engine
        self.label = target.label
        self.attrs: Any = target.attrs

    async def provider(self, label: Label, type_: type[Any]) -> Any:
        """See ``RuleContext.provider``; UsageError when the target is not up to date."""
        return (await up_to_date(self._engine, label)).provider(type_)

    async def providers(self, labels: Iterable[Label], type_: type[Any]) -> list[Any]:
        """See ``RuleContext.providers``."""
        return [await self.provider(label, type_) for label in labels]

    def read(self, digest: Digest) -> bytes:
        """Bytes from the CAS."""
        return self._engine.cas.get(digest)


async def target_of(engine: Engine, label: Label) -> Target:
    """A declared target, of an expansion too. UsageError with near misses when there is none."""
    if engine.table.get(label) is None:
        await engine.match([parse_pattern(str(label))])
    target = engine.table.get(label)
    if target is None:
        raise engine.table.unknown(label)
    return target


async def up_to_date(engine: Engine, label: Label) -> Any:
    """A target as it was built. UsageError when something of it would have to run first."""
    await target_of(engine, label)
    result = await engine.collect([label])
    found = result.built.get(label)
    if found is None:
        raise UsageError(
            f"`{label}` is not up to date, so what an edit means for it cannot be told",
            hint=f"run `zerorepo build {label}` first; it leaves your edit alone",
        )
    return found


async def edits(engine: Engine) -> tuple[list[Proposal], list[Origin]]:
    """What the edited outputs of the workspace would be adopted as; and those that nobody can take, with the reason."""
    by_owner: dict[str, list[str]] = {}
    for path, owner in sorted(engine.outputs.edited().items()):
        by_owner.setdefault(owner, []).append(path)
    proposals: list[Proposal] = []
    refused: list[Origin] = []
    for owner, paths in sorted(by_owner.items()):
        try:
            target = await target_of(engine, parse_label(owner))
        except UsageError as error:
            refused += [Origin(path, None, note=error.message) for path in paths]
            continue
        found, bad = await _of_target(engine, target, paths)
        proposals += found
        refused += bad
    return _joined(proposals), refused


async def _of_target(engine: Engine, target: Target, paths: Sequence[str]) -> tuple[list[Proposal], list[Origin]]:
    contents: dict[str, bytes] = {}
    refused: list[Origin] = []
    for path in paths:
        full = engine.outputs.root / path
        if full.is_file() and not full.is_symlink():
            contents[path] = _read(full)
        else:
            refused.append(Origin(path, None, note="it is no regular file any more"))
    if target.rule.origins is None:
        executable = {path: _is_executable(engine.outputs.root / path) for path in contents}
        return [Proposal(target.label, p, data, executable[p], (p,)) for p, data in contents.items()], refused
    digests = {path: engine.cas.put(data) for path, data in contents.items()}
    found = await target.rule.origins(OriginContext(engine, target), digests)
    refused += [each for each in found if each.label is None]
    return [
        Proposal(each.label, each.name, each.content, False, (each.output,), each.note)
        for each in found
        if each.label is not None
    ], refused


def _joined(proposals: Sequence[Proposal]) -> list[Proposal]:
    """One proposal for each file; UsageError when two edits want it to be different things."""
    found: dict[tuple[Label, str], Proposal] = {}
    for each in proposals:
        other = found.setdefault((each.label, each.name), each)
        if other.content != each.content:
            raise UsageError(
                f"`{other.outputs[0]}` and `{each.outputs[0]}` hold different edits of `{each.name}` of `{each.label}`",
                hint="undo one of them",
            )
    return list(found.values())


async def as_it_is(engine: Engine, label: Label, given: Mapping[str, bytes] | None = None) -> list[Proposal]:
    """The present content of a target's files as proposals, or ``given`` content ("": of the file that is meant).

    UsageError when the rule cannot take files.
    """
    target = await target_of(engine, label)
    rule = target.rule
    names = list(rule.adopt.names(label, target.attrs)) if rule.adopt and rule.adopt.names else None
    if given is not None:
        if names is None:
            names = list(target.outputs()) or _last_outputs(engine, label)
        if "" in given and len(names) != 1 and not (rule.adopt and names):
            listed = f" ({', '.join(names[:8])})" if names else ""
            raise UsageError(
                f"Which file of `{label}` is meant{listed}?", hint="edit the output itself, and adopt that instead"
            )
        return [Proposal(label, name or names[0], content) for name, content in given.items()]
    if rule.adopt is None and not _last_outputs(engine, label) and not target.outputs():
        raise UsageError(f"`{label}` (rule `{rule.name}`) makes no file that could be adopted")
    if rule.adopt is not None:
        if rule.adopt.current is None:
            raise UsageError(
                f"No output of `{label}` was edited",
                hint="edit one first, or name a file: --from FILE",
            )
        built = await up_to_date(engine, label)
        current = rule.adopt.current(label, built.provider)
        return [Proposal(label, name, text.encode(), note="as it is now") for name, text in current.items()]
    built = await up_to_date(engine, label)
    return [
        Proposal(label, path, engine.cas.get(Digest.parse(text)), executable, note="as it is now")
        for path, (text, executable) in built.trace.outputs.items()
    ]


async def check(engine: Engine, label: Label, names: Iterable[str]) -> None:
    """UsageError when the target's rule cannot take these files."""
    target = await target_of(engine, label)
    rule = target.rule
    if rule.adopt is not None:
        known = list(rule.adopt.names(label, target.attrs)) if rule.adopt.names else None
        for name in names:
            if known is not None and name not in known:
                raise UsageError(
                    f"`{label}` (rule `{rule.name}`) takes no file `{name}`",
                    hint=did_you_mean(name, known) or f"it takes {', '.join(known)}",
                )
        return
    other = [each for each in _provider_names(engine, target) if each != "Outputs"]
    if other:
        raise UsageError(
            f"`{label}` cannot be adopted: its rule `{rule.name}` hands on {', '.join(other)}, and does not say how a file"
            " becomes that",
            hint="the rule would need an `adopt` (docs/writing-a-rule.md)",
        )
    known = list(target.outputs()) or _last_outputs(engine, label)
    for name in names:
        if known and name not in known:
            raise UsageError(
                f"`{label}` makes no output `{name}`",
                hint=did_you_mean(name, known) or f"it makes {', '.join(known[:8])}",
            )


async def adoption_of(
    engine: Engine, label: Label, files: Mapping[str, str], executable: Iterable[str], earlier: Adoption | None
) -> Adoption:
    """The record: what was adopted before, and these files (name to source)."""
    target = await target_of(engine, label)
    together = {**(earlier.files if earlier else {}), **files}
    modes = ({*(earlier.executable if earlier else ())} - set(files)) | set(executable)
    made = _last_outputs(engine, label)
    whole = target.rule.adopt is None and not target.outputs() and bool(made) and set(made) <= set(together)
    return Adoption(label, together, tuple(sorted(modes)), whole)


def _last_outputs(engine: Engine, label: Label) -> list[str]:
    last = engine.traces.last(label)
    return list(last.outputs) if last else []


def _provider_names(engine: Engine, target: Target) -> list[str]:
    """Types that the target hands on: what it did when it was last built, and what its rule says."""
    named = [type_.__name__ for type_ in target.rule.provides]
    if (latest := next(iter(engine.traces.get(engine.identity(target))), None)) is not None:
        named += [record.type for record in latest.providers]
    return list(dict.fromkeys(named))


def _is_executable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o100)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EnvironmentFailure(f"Cannot read: {error.strerror}", where=str(path)) from error


__all__ = ["OriginContext", "Proposal", "adoption_of", "as_it_is", "check", "edits", "target_of"]
