"""``zerorepo desk`` and ``zerorepo transcripts``. Knows nothing of builds; the main command line renders the errors."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from zerorepo.commands import workspace_root
from zerorepo.errors import ExitCode, UsageError
from zerorepo.label import Pattern, parse_label, parse_patterns
from zerorepo.redaction import mask
from zerorepo_llm import transcripts
from zerorepo_llm.desk import ID_LENGTH, Desk, Parked
from zerorepo_llm.desk_edit import edited
from zerorepo_llm.files import state_dir, write_durably
from zerorepo_llm.journal import Entry, Journal, unambiguous

desk_app = typer.Typer(help="Answer prompts in a model's place (provider `desk`).", no_args_is_help=False)
transcripts_app = typer.Typer(help="Move recorded answers between machines.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Replace = Annotated[bool, typer.Option("--replace", help="Replace an answer that is there already.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="As `desk list` shows it; may be shortened.")]
File = Annotated[str, typer.Argument(help="The file with the answer; `-`: standard input.")]
_POLL_S = 0.25


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _print_json(value: Any) -> None:
    typer.echo(mask(json.dumps(value, indent=2, ensure_ascii=False)))


def _desk() -> Desk:
    return Desk(state_dir(workspace_root()))


def _age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


@desk_app.callback(invoke_without_command=True)
def desk(context: typer.Context) -> None:
    """List the open prompts, unless a command follows."""
    if context.invoked_subcommand is None:
        desk_list()


@desk_app.command("list")
def desk_list(as_json: Json = False) -> None:
    """The open prompts: id, target, purpose."""
    parked = _desk().open()
    if as_json:
        _print_json([_row(prompt) for prompt in parked])
        return
    if not parked:
        _say("No prompt is open.")
        return
    width = max(len(prompt.question.target) for prompt in parked)
    wide = max(len(prompt.question.purpose) for prompt in parked)
    for prompt in parked:
        question = prompt.question
        kind = f"{question.tier or question.model}, {question.expects}, {_age(prompt.age_s)}"
        skipped = ", skipped" if prompt.skipped_at else ""
        typer.echo(f"{prompt.id}  {question.target:<{width}}  {question.purpose:<{wide}}  ({kind}{skipped})")
    _say(
        f"{len(parked)} open. Read the first: zerorepo desk next. Answer one: zerorepo desk answer ID FILE, or edit ID."
    )


def _row(prompt: Parked) -> dict[str, Any]:
    question = prompt.question
    return {
        "skipped": prompt.skipped_at > 0,
        "id": prompt.id,
        "key": question.key,
        "target": question.target,
        "purpose": question.purpose,
        "tier": question.tier,
        "model": question.model,
        "expects": question.expects,
        "age_s": round(prompt.age_s, 1),
        "prompt": str(prompt.prompt),
        "request": str(prompt.folder / "request.json"),
    }


@desk_app.command("show")
def desk_show(
    id_: Id,
    as_json: Json = False,
) -> None:
    """One open prompt in full."""
    _show(_desk().find(id_), as_json=as_json)


def _show(parked: Parked, *, as_json: bool) -> None:
    if as_json:
        _print_json({**_row(parked), **parked.question.model_dump(mode="json")})
    else:
        typer.echo(mask(parked.prompt.read_text("utf-8")), nl=False)


@desk_app.command("next")
def desk_next(
    wait: Annotated[
        float | None, typer.Option("--wait", metavar="SECONDS", help="Wait so long for a prompt to be opened.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The first open prompt in full; exit code 1 when there is none. Skipped ones come last."""
    place, until = _desk(), time.monotonic() + (wait or 0.0)
    while not (parked := place.open()):
        if time.monotonic() >= until:
            _say("No prompt is open.")
            raise typer.Exit(int(ExitCode.BUILD_FAILED))
        time.sleep(min(_POLL_S, max(0.0, until - time.monotonic())))
    _show(parked[0], as_json=as_json)
    if not as_json and sys.stdout.isatty():
        _say(
            f"\n{len(parked)} open. zerorepo desk answer {parked[0].id} FILE (- for standard input), "
            f"edit {parked[0].id}, or skip {parked[0].id}"
        )


@desk_app.command("skip")
def desk_skip(id_: Id) -> None:
    """Put a prompt behind all others, to be answered later."""
    place = _desk()
    parked = place.find(id_)
    place.skip(parked)
    _say(f"Skipped {parked.id}: {parked.question.purpose} ({parked.question.target}); it stays open.")


@desk_app.command("check")
def desk_check(id_: Id, file: File = "-") -> None:
    """Say whether an answer would fit, and what is wrong with it, without giving it."""
    place = _desk()
    parked = place.find(id_)
    place.check(parked.question, _read(file))
    _say(f"This would answer {parked.id}: {parked.question.purpose} ({parked.question.target}).")


@desk_app.command("edit")
def desk_edit(
    id_: Annotated[str | None, typer.Argument(metavar="ID", help="Default: the first open prompt.")] = None,
) -> None:
    """Write the answer in an editor (VISUAL or EDITOR), with the prompt below it. A draft that does not fit is kept."""
    place = _desk()
    parked = place.find(id_) if id_ else next(iter(place.open()), None)
    if parked is None:
        _say("No prompt is open.")
        return
    while text := edited(parked):
        try:
            kept = place.answer(parked.question, text)
        except UsageError as error:
            if not sys.stdin.isatty():
                raise
            _say(f"ERROR: {error.render()}")
            if not typer.confirm("Edit it again?", default=True, err=True):
                return
        else:
            _say(f"Answered {kept.key[:ID_LENGTH]}: {kept.purpose} ({kept.target}); {len(place.open())} open.")
            return
    _say(f"Nothing was written; {parked.id} stays open.")


@desk_app.command("answer")
def desk_answer(
    id_: Id,
    file: File = "-",
    replace: Replace = False,
    as_json: Json = False,
) -> None:
    """Answer a prompt. The answer is checked at once; one that does not fit is refused and the prompt stays open."""
    place = _desk()
    parked = {prompt.question.key: prompt.question for prompt in place.open()}
    journal = place.journal
    answered = [key for key in journal.find(id_) if key not in parked]
    if answered and not any(key.startswith(id_) for key in parked):
        key = unambiguous(id_, answered, "answered prompt")
        entry = journal.get(key)
        assert entry is not None
        if not replace:
            raise UsageError(
                f"{key[:ID_LENGTH]} ({entry.purpose}) is answered already", hint="replace the answer with --replace"
            )
        question: Any = entry
        _say("A build that has used the old answer keeps its result until that is cleaned.")
    else:
        question = parked[unambiguous(id_, list(parked), "open prompt")]
    kept = place.answer(question, _read(file), replace=replace)
    if as_json:
        _print_json({"id": kept.key[:ID_LENGTH], "key": kept.key, "target": kept.target, "open": len(place.open())})
    else:
        _say(f"Answered {kept.key[:ID_LENGTH]}: {kept.purpose} ({kept.target}); {len(place.open())} open.")


@desk_app.command("drop")
def desk_drop(
    id_: Id,
) -> None:
    """Take a prompt off the desk that no build wants any more. A build that still wants it parks it again."""
    place = _desk()
    parked = place.find(id_)
    place.remove(parked)
    _say(f"Dropped {parked.id}: {parked.question.purpose} ({parked.question.target}).")


def _read(file: str) -> str:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return data.decode("utf-8")
    except OSError as error:
        raise UsageError(f"Cannot read the answer `{file}`: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"The answer `{file}` is not UTF-8 text (byte {error.start})") from None


def _matches(entry: Entry, patterns: list[Pattern]) -> bool:
    """Negative patterns take away from what the others match, wherever they stand."""
    label = parse_label(entry.target)
    return any(each.matches(label) for each in patterns if not each.negative) and not any(
        each.matches(label) for each in patterns if each.negative
    )


def _selected(journal: Journal, patterns: list[str]) -> list[Entry]:
    parsed = parse_patterns(patterns or ["//..."])
    return [entry for entry in journal.entries() if _matches(entry, parsed)]


Patterns = Annotated[
    list[str] | None, typer.Option("--pattern", help="Only answers asked for by these targets; may be repeated.")
]


@transcripts_app.command("export")
def transcripts_export(
    file: Annotated[str, typer.Argument(help="The file to write; `-`: standard output.")],
    pattern: Patterns = None,
) -> None:
    """Write the recorded answers of this workspace as JSON lines, sorted by key."""
    entries = _selected(Journal(state_dir(workspace_root())), pattern or [])
    if not entries:
        raise UsageError("There are no recorded answers to export" + (" for this pattern" if pattern else ""))
    data = transcripts.dump(entries)
    if file == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    else:
        write_durably(Path(file), data)
    _say(f"Exported {len(entries)} answers.")


@transcripts_app.command("import")
def transcripts_import(
    file: Annotated[Path, typer.Argument(help="A file that `transcripts export` wrote.")],
    replace: Replace = False,
) -> None:
    """Take recorded answers over, so that they are not asked for again. All of them, or none when one is in
    conflict.
    """
    journal = Journal(state_dir(workspace_root()))
    new, known = transcripts.import_into(journal, transcripts.read(file), replace=replace)
    _say(f"Imported {new} answers; {known} were known.")


@transcripts_app.command("list")
def transcripts_list(pattern: Patterns = None, as_json: Json = False) -> None:
    """The recorded answers of this workspace."""
    entries = _selected(Journal(state_dir(workspace_root())), pattern or [])
    entries.sort(key=lambda entry: (entry.target, entry.purpose, entry.key))
    if as_json:
        fields = {
            "key",
            "target",
            "purpose",
            "tier",
            "model",
            "provider",
            "answered_by",
            "finish_reason",
            "usage",
            "sample",
        }
        _print_json([entry.model_dump(mode="json", include=fields) for entry in entries])
        return
    width = max((len(entry.target) for entry in entries), default=0)
    for entry in entries:
        typer.echo(
            f"{entry.key[:ID_LENGTH]}  {entry.target:<{width}}  {entry.purpose}  ({entry.provider}, {entry.model})"
        )
    _say(f"{len(entries)} answers.")
