"""Adoptions: outputs whose source is a file that a person wrote, kept in ``zerorepo.adopted.toml``, which is checked in.

An adopted target has another implementation: it takes the person's files instead of making them. Everything else (trace, key,
early cutoff, ``explain``) is as for any target. Knows nothing of how adoptions come about (``cli/adopt_cmd``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zerorepo.digest import Digest
from zerorepo.errors import TargetFailed, UsageError, did_you_mean
from zerorepo.label import Label, parse_label
from zerorepo.rule import Rule
from zerorepo.tomlfile import TomlFile

ADOPTED_NAME = "zerorepo.adopted.toml"
_HEAD = """\
# Outputs whose source is a file that a person wrote: `zerorepo adopt`. Check this file in, with the sources it names.
# `zerorepo adopt --undo LABEL` gives a target back to its rule.
"""
SCHEMA = 1
"""Of the file. One without a number is of the first."""
_KEYS = ("label", "files", "executable", "whole")


@dataclass(frozen=True, slots=True)
class Adoption:
    """The adopted files of one target: ``files`` maps the file's name (an output) to the source that stands for it.

    ``whole``: they are all that the target makes, so its rule does not run any more. ``where``: its line.
    """

    label: Label
    files: Mapping[str, str]
    executable: tuple[str, ...] = ()
    whole: bool = False
    where: str = ADOPTED_NAME

    def identity(self) -> dict[str, Any]:
        """What makes the target another one than the one that its rule makes."""
        more = {"executable": self.executable, "whole": self.whole}
        return {"files": dict(self.files), **{key: value for key, value in more.items() if value}}


def load(root: Path) -> dict[Label, Adoption]:
    """The adoptions of a workspace, none without the file. UsageError naming the line of what is wrong."""
    if not (root / ADOPTED_NAME).is_file():
        return {}
    config = TomlFile.load(root / ADOPTED_NAME, ADOPTED_NAME)
    entries = config.data.get("adopted", [])
    schema = config.data.get("schema", 1)
    if not isinstance(schema, int) or schema < 1:
        raise UsageError(
            "`schema` must be a number", where=config.where("schema"), hint=f"this version writes {SCHEMA}"
        )
    if schema > SCHEMA:
        raise UsageError(
            "The adoptions were written by a newer ZeroRepo", where=config.where("schema"), hint="use that version"
        )
    for key in config.data:
        if key not in ("adopted", "schema"):
            raise UsageError(f"Unknown key `{key}`", where=config.where(key), hint="known: `[[adopted]]`, `schema`")
    if not isinstance(entries, list):
        raise UsageError("`adopted` must be an array of tables, `[[adopted]]`", where=config.where("adopted"))
    found: dict[Label, Adoption] = {}
    sources: dict[str, Label] = {}
    for index, body in enumerate(entries):
        adoption = _adoption(body, config.where("adopted", "", index))
        if adoption.label in found:
            raise UsageError(f"`{adoption.label}` is adopted twice", where=adoption.where, hint="join the two")
        for source in adoption.files.values():
            if sources.setdefault(source, adoption.label) != adoption.label:
                raise UsageError(f"`{source}` stands for files of two targets", where=adoption.where)
        found[adoption.label] = adoption
    return found


def _adoption(body: Any, where: str) -> Adoption:
    if not isinstance(body, dict):
        raise UsageError("An adoption must be a table", where=where)
    for key in body:
        if key not in _KEYS:
            raise UsageError(f"Unknown key `{key}` of an adoption", where=where, hint=did_you_mean(key, _KEYS))
    label, files, executable = body.get("label"), body.get("files"), body.get("executable", [])
    if not isinstance(label, str):
        raise UsageError("An adoption needs a `label`", where=where)
    if not isinstance(files, dict) or not files or not all(isinstance(each, str) for each in files.values()):
        raise UsageError(f"`files` of the adoption of `{label}` must map outputs to sources", where=where)
    if not isinstance(executable, list) or not set(executable) <= set(files):
        raise UsageError(f"`executable` of the adoption of `{label}` must name some of its `files`", where=where)
    if not isinstance(body.get("whole", False), bool):
        raise UsageError(f"`whole` of the adoption of `{label}` must be true or false", where=where)
    for path in files.values():
        if not path or path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")):
            raise UsageError(f"The source `{path}` is no path inside the workspace", where=where)
    try:
        parsed = parse_label(label)
    except UsageError as error:
        raise UsageError(error.message, where=where, hint=error.hint) from None
    return Adoption(parsed, dict(files), tuple(executable), body.get("whole", False), where)


def render(adoptions: Iterable[Adoption]) -> str:
    """The file's text: sorted, one fact a line, so that a change shows as the lines that it is."""
    parts = [f"{_HEAD}schema = {SCHEMA}\n"]
    for each in sorted(adoptions, key=lambda adoption: adoption.label):
        lines = ["[[adopted]]", f"label = {json.dumps(str(each.label))}"]
        if each.whole:
            lines.append("whole = true")
        if each.executable:
            lines.append(f"executable = [{', '.join(json.dumps(path) for path in sorted(each.executable))}]")
        lines += ["", "[adopted.files]"]
        lines += [f"{_key(path)} = {json.dumps(source)}" for path, source in sorted(each.files.items())]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _key(path: str) -> str:
    return path if re.fullmatch(r"[A-Za-z0-9_-]+", path) else json.dumps(path)


def adopted_rule(rule: Rule, adoption: Adoption) -> Rule:
    """``rule`` for a target of which files were adopted."""

    async def take(ctx: Any) -> Any:
        files = {name: await _source(ctx, adoption, path) for name, path in adoption.files.items()}
        if rule.adopt is not None:
            return await rule.adopt.make(ctx, files)
        declared = set(rule.outputs(ctx.label, ctx.attrs)) if rule.outputs else None
        if adoption.whole if declared is None else declared <= set(files):
            for name, digest in files.items():
                ctx.output(name, digest, executable=name in adoption.executable)
            return None
        overlay = _Overlay(ctx, files, adoption.executable)
        made = await rule.implementation(overlay)
        if unused := sorted(set(files) - overlay.replaced):
            raise TargetFailed(
                f"`{ctx.label}` does not make `{unused[0]}` any more, which was adopted",
                where=adoption.where,
                hint=f"`zerorepo adopt --undo {ctx.label}` ends the adoption",
            )
        return made

    return replace(rule, implementation=take)


async def _source(ctx: Any, adoption: Adoption, path: str) -> Digest:
    found: Digest | None = await ctx.source_or_none(path)
    if found is None:
        raise TargetFailed(
            f"The file `{path}` is gone, which stands for an output of `{adoption.label}`",
            where=adoption.where,
            hint=f"bring it back, or `zerorepo adopt --undo {adoption.label}`",
        )
    return found


class _Overlay:
    """A rule's context that puts adopted files in the place of what the rule declares; all else is the context's own."""

    def __init__(self, ctx: Any, files: Mapping[str, Digest], executable: Sequence[str]) -> None:
        self._ctx = ctx
        self._files = files
        self._executable = executable
        self.replaced: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)

    def output(self, path: str, content: Digest | bytes, *, executable: bool = False) -> None:
        """See ``RuleContext.output``."""
        if path in self._files:
            self.replaced.add(path)
            content, executable = self._files[path], path in self._executable
        self._ctx.output(path, content, executable=executable)

    async def concurrently(self, parts: Iterable[Callable[[Any], Awaitable[Any]]]) -> list[Any]:
        """See ``RuleContext.concurrently``; the parts' contexts are overlaid, too."""

        def laid(part: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
            async def run(fork: Any) -> Any:
                overlay = _Overlay(fork, self._files, self._executable)
                overlay.replaced = self.replaced
                return await part(overlay)

            return run

        found: list[Any] = await self._ctx.concurrently([laid(part) for part in parts])
        return found
