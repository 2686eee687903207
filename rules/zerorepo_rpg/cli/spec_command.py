"""``zerorepo spec``: the specification read, checked, refined and exported. Only ``parse``, and ``--model``, may ask a model.

The other commands show what the last parse found while that is up to date, and else what rules can read, and say which.
"""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from zerorepo.commands import build, provided, workspace_root
from zerorepo.errors import UsageError, ZeroRepoError, did_you_mean
from zerorepo.fileio import write_atomic
from zerorepo.redaction import mask, redact
from zerorepo_rpg.cli.chosen import target_of
from zerorepo_rpg.cli.trace_text import lock_for, trace_lines
from zerorepo_rpg.spec_conflicts import CHECKS, find_conflicts
from zerorepo_rpg.spec_export import EXPORTERS
from zerorepo_rpg.spec_model import RepositorySpec
from zerorepo_rpg.spec_reading import by_rule
from zerorepo_rpg.spec_refine import (
    add,
    clarify,
    history_line,
    history_path,
    parse_history,
    remove,
    suggestions,
    unified,
)
from zerorepo_rpg.spec_review import SpecReview, together
from zerorepo_rpg.tracing import trace

spec_app = typer.Typer(help="Read, check, refine and export the specification.", no_args_is_help=True)

Target = Annotated[str, typer.Option("--target", metavar="LABEL", help="Whose specification; default: the only one.")]
Output = Annotated[str, typer.Option("--output", "-o", help="text or json.")]


@spec_app.callback()
def _group() -> None:
    """Read, check, refine and export the specification."""


def _emit(text: str) -> None:
    print(mask(text.rstrip("\n")))


def _say(text: str) -> None:
    print(redact(text), file=sys.stderr)


def _as_json(output: str) -> bool:
    if output not in ("text", "json"):
        raise UsageError(f"Unknown output `{output}`", hint="text or json")
    return output == "json"


def _source(target: str) -> tuple[Path, str, str]:
    """The specification's file, its path in the workspace, and its text."""
    _, attrs = target_of("rpg_spec", target)
    path = workspace_root() / attrs.src
    try:
        return path, str(attrs.src), path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(
            "The specification is not there", where=str(attrs.src), hint="write what the library does"
        ) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"The specification is not UTF-8 (byte {error.start})", where=str(attrs.src)) from None


def _spec(target: str) -> RepositorySpec:
    """The specification as parsed, when that is up to date; else by rule."""
    label, _ = target_of("rpg_spec", target)
    path, _, text = _source(target)
    try:
        found = provided(label, RepositorySpec)
    except ZeroRepoError as error:
        _say(f"not parsed: {error.message.splitlines()[0]}")
        found = None
    if found is not None:
        return found
    _say("read by rule alone; `zerorepo spec parse` asks a model")
    history = Path(history_path(str(path)))
    return by_rule(text, parse_history(history.read_text("utf-8", "replace")) if history.exists() else ())


def _review(target: str, what: str) -> SpecReview:
    """What a model says of the specification, asked for when that is not up to date."""
    spec, _ = target_of("rpg_spec", target)
    label = spec.sibling(f"{spec.name.removesuffix('.spec')}.{what}")
    code = build([str(label)], quiet=True)
    found = provided(label, SpecReview) if code == 0 else None
    if found is None:
        raise typer.Exit(code or 1)
    return found


@spec_app.command()
def parse(target: Target = "") -> None:
    """Parse it section by section; sections that did not change are not asked about again."""
    label, _ = target_of("rpg_spec", target)
    code = build([str(label)])
    found = provided(label, RepositorySpec) if code == 0 else None
    if found is not None:
        _emit(EXPORTERS["summary"](found))
    raise typer.Exit(code)


@spec_app.command()
def show(target: Target = "", output: Output = "text") -> None:
    """Show what it says: requirements with their ids, technology, constraints, and so on."""
    _emit(EXPORTERS["json" if _as_json(output) else "markdown"](_spec(target)))


@spec_app.command()
def conflicts(
    target: Target = "",
    output: Output = "text",
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="CHECK", help="Leave a check out; repeatable.")
    ] = None,
    model: Annotated[bool, typer.Option("--model", help="Ask a model, too; the answer is cached.")] = False,
) -> None:
    """List what cannot all be meant; exit 1 when something stops a build."""
    for name in without or ():
        if name not in CHECKS:
            raise UsageError(f"There is no check `{name}`", hint=did_you_mean(name, CHECKS) or ", ".join(CHECKS))
    as_json = _as_json(output)
    _, src, text = _source(target)
    found = find_conflicts(text, without or ())
    if model:
        found = together(found, _review(target, "conflicts").conflicts)
    if as_json:
        _emit(json.dumps([each.model_dump(mode="json") for each in found], ensure_ascii=False, indent=2))
    for each in () if as_json else found:
        accepted = f" (accepted: {each.accepted})" if each.accepted else ""
        more = (
            f" (also line{'s' if len(each.lines) > 2 else ''} {', '.join(map(str, each.lines[1:]))})"
            if each.lines[1:]
            else ""
        )
        _emit(f"{each.severity} {src}:{each.lines[0] if each.lines else 1}: {each.said}{more}{accepted}")
    if not found and not as_json:
        _emit("no conflicts")
    raise typer.Exit(1 if any(each.stops for each in found) else 0)


@spec_app.command()
def suggest(
    target: Target = "",
    output: Output = "text",
    model: Annotated[bool, typer.Option("--model", help="Ask a model, too; the answer is cached.")] = False,
) -> None:
    """Say what would make it clearer: vague words, empty sections, what is not said; with a model, what is left open."""
    as_json = _as_json(output)
    _, src, text = _source(target)
    found = suggestions(text, _spec(target))
    if model:
        found = sorted({*found, *_review(target, "suggestions").suggestions}, key=lambda each: (each[0] == 0, each))
    if as_json:
        _emit(json.dumps([{"line": line, "suggestion": what} for line, what in found], ensure_ascii=False, indent=2))
    for line, what in () if as_json else found:
        _emit(f"{src}:{line}: {what}" if line else f"{src}: {what}")
    if not found and not as_json:
        _emit("nothing to suggest")


@spec_app.command()
def refine(
    target: Target = "",
    to_add: Annotated[
        list[str] | None, typer.Option("--add", metavar="TEXT", help="Add a sentence; repeatable.")
    ] = None,
    section: Annotated[str, typer.Option("--section", help="Where --add puts it; default: the last list.")] = "",
    to_remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="ID|TEXT", help="Remove a requirement; repeatable.")
    ] = None,
    to_clarify: Annotated[
        list[str] | None,
        typer.Option("--clarify", metavar="QUESTION|ANSWER", help="Answer a question in it; repeatable."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Show the diff and change nothing.")] = False,
) -> None:
    """Edit the specification itself: shows the diff, writes the file, and records the change beside it."""
    if not (to_add or to_remove or to_clarify):
        raise UsageError("Nothing to do", hint='--add "…", --remove ID, --clarify "question|answer"')
    path, src, text = _source(target)
    new, done = text, []
    for statement in to_add or ():
        new, change = add(new, statement, section)
        done.append(change)
    known = _spec(target) if to_remove else RepositorySpec(title="", description="", package_name="")
    for wanted in to_remove or ():
        new, change = remove(new, wanted, known)
        done.append(change)
    for question in to_clarify or ():
        new, change = clarify(new, question)
        done.append(change)
    _emit(unified(text, new, src))
    if dry_run:
        return
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    history = Path(history_path(str(path)))
    recorded = history.read_bytes() if history.exists() else b""
    lines = "".join(history_line(change.model_copy(update={"when": today})) for change in done)
    bom = b"\xef\xbb\xbf" if path.read_bytes().startswith(b"\xef\xbb\xbf") else b""
    # The history first: a change that is in it and not in the text can be seen, one without a record cannot.
    write_atomic(history, recorded + lines.encode())
    write_atomic(path, bom + new.encode())
    _say(f"wrote {src} and {history_path(src)}; `zerorepo plan --dry-run` shows what this touches")


@spec_app.command("history")
def show_history(target: Target = "", output: Output = "text") -> None:
    """Show what `refine` has changed, oldest first."""
    as_json = _as_json(output)
    path, _, _ = _source(target)
    file = Path(history_path(str(path)))
    found = parse_history(file.read_text("utf-8", "replace")) if file.exists() else ()
    if as_json:
        _emit(json.dumps([each.model_dump(mode="json") for each in found], ensure_ascii=False, indent=2))
    for each in () if as_json else found:
        _emit(f"{each.when} {each.action} [{each.section}] {each.text}" + (f" → {each.answer}" if each.answer else ""))
    if not found and not as_json:
        _emit("no refinements")


@spec_app.command("trace")
def show_trace(target: Target = "", output: Output = "text") -> None:
    """Trace each section to its requirements, features and code; exit 1 for what the plan lacks or nobody asks for."""
    as_json = _as_json(output)
    found = trace(_spec(target), lock_for(target_of("rpg_spec", target)[0]))
    if as_json:
        _emit(found.model_dump_json(indent=2))
    else:
        _emit("\n".join(trace_lines(found)))
    raise typer.Exit(1 if any(found.problems()) else 0)


@spec_app.command()
def export(
    target: Target = "",
    format_: Annotated[str, typer.Option("--format", "-f", help=f"{', '.join(EXPORTERS)}.")] = "markdown",
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Write it there.")] = None,
) -> None:
    """Write the specification in another format."""
    if format_ not in EXPORTERS:
        raise UsageError(f"Unknown format `{format_}`", hint=did_you_mean(format_, EXPORTERS) or ", ".join(EXPORTERS))
    text = EXPORTERS[format_](_spec(target))
    if to is None:
        _emit(text)
        return
    write_atomic(to, text.encode())
    _say(f"wrote {to}")


__all__ = ["spec_app"]
