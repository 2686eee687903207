"""``zerorepo diff OLD NEW``: what became of a plan or of existing code, by content. Reads two files and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from zerorepo.redaction import mask
from zerorepo_rpg.comparison import Change, Comparison, What, compare, parts_of
from zerorepo_rpg.plan_files import graph_of, read_plan

_MARKS = {What.ADDED: "+", What.REMOVED: "-", What.CHANGED: "~", What.RENAMED: ">"}
_SHOWN = 90  # characters of a value


def diff(
    old: Annotated[Path, typer.Argument(help="A lock, or a graph in any format of `zerorepo graph`.")],
    new: Annotated[Path, typer.Argument(help="The same, later.")],
    output: Annotated[str, typer.Option("--output", "-o", help="text or json.")] = "text",
    fail_on_regression: Annotated[
        bool, typer.Option("--fail-on-regression", help="Exit 1 when users of the old one may trip over the new one.")
    ] = False,
) -> None:
    """Compare two plans: added, removed, changed and renamed parts, affected tests, regressions."""
    if output not in ("text", "json"):
        raise typer.BadParameter(f"{output!r} is neither text nor json", param_hint="--output")
    before, after = read_plan(old), read_plan(new)
    if type(before) is not type(after):
        before, after = graph_of(before), graph_of(after)
    found = compare(parts_of(before), parts_of(after))
    if output == "json":
        print(mask(json.dumps(to_json(found), ensure_ascii=False, indent=2)))
    else:
        print(mask("\n".join(lines(found))))
    if fail_on_regression and found.regressions:
        raise typer.Exit(1)


def to_json(found: Comparison) -> dict[str, Any]:
    """The comparison for machines."""
    listed: dict[str, list[dict[str, Any]]] = {str(what): [] for what in What}
    for change in found.changes:
        item: dict[str, Any] = {"kind": change.kind, "id": change.id}
        if change.old_id:
            item["old_id"] = change.old_id
        if change.fields:
            item["fields"] = {name: {"old": before, "new": now} for name, (before, now) in change.fields.items()}
        listed[change.what].append(item)
    return {
        **listed,
        "kept": found.kept,
        "affected_tests": list(found.affected),
        "regressions": list(found.regressions),
    }


def lines(found: Comparison) -> Iterator[str]:
    """The comparison for people."""
    if not found.changes:
        yield f"no difference ({found.kept} kept)"
        return
    sums = [f"{found.count(what)} {what}" for what in What if found.count(what)]
    yield f"{', '.join(sums)}, {found.kept} kept"
    for change in found.changes:
        yield from _change(change)
    if found.affected:
        yield f"affected tests ({len(found.affected)}):"
        yield from (f"  {name}" for name in found.affected)
    if found.regressions:
        yield f"regressions ({len(found.regressions)}):"
        yield from (f"  {text}" for text in found.regressions)


def _change(change: Change) -> Iterator[str]:
    name = f"{change.old_id} -> {change.id}" if change.old_id else change.id
    shown = {field: values for field, values in change.fields.items() if change.what is What.CHANGED}
    yield f"{_MARKS[change.what]} {change.kind} {name}" + (f": {', '.join(shown)}" if shown else "")
    for field, (before, now) in shown.items():
        if isinstance(before, list) and isinstance(now, list):
            gone, come = [x for x in before if x not in now], [x for x in now if x not in before]
            yield from (f"    {field} - {_short(each)}" for each in gone)
            yield from (f"    {field} + {_short(each)}" for each in come)
        elif field != "digest":
            start = _first_difference(before, now)
            yield f"    {field}: {_short(before, start)}"
            yield f"    {' ' * len(field)}→ {_short(now, start)}"


def _first_difference(before: Any, now: Any) -> int:
    """Where to begin to show two long texts: a little before they differ."""
    one, other = _text(before), _text(now)
    same = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return 0 if max(len(one), len(other)) <= _SHOWN else max(0, same - 30)


def _text(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(value: Any, start: int = 0) -> str:
    text = _text(value)
    shown = ("…" if start else "") + text[start : start + _SHOWN] + ("…" if len(text) > start + _SHOWN else "")
    return shown or "(nothing)"


__all__ = ["diff"]
