"""``zerorepo cost [PATTERN…]``: what targets have cost over time, and what the cache saved. Reads the ledger, asks nobody.

Sums are of whole numbers (billionths of a dollar), so that they are exact. Knows nothing of budgets.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from zerorepo.commands import patterns, workspace_root
from zerorepo.errors import UsageError
from zerorepo.label import Pattern, parse_label
from zerorepo.redaction import mask
from zerorepo_llm.files import state_dir
from zerorepo_llm.ledger import Call, Ledger, Reuse, usd

_SPAN_S = {"min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class By(StrEnum):
    """What calls are summed by."""

    TARGET = "target"
    STAGE = "stage"
    MODULE = "module"
    MODEL = "model"
    DAY = "day"


@dataclass(slots=True)
class Row:
    """Sums of calls and reuses. Money in billionths of a US dollar."""

    calls: int = 0
    """Questions put to a model, recorded answers among them."""
    recorded: int = 0
    """Answered by a recording or a person: nothing was spent."""
    failed: int = 0
    requests: int = 0
    """Requests sent, retries included."""
    prompt_tokens: int = 0
    """Of questions that models answered; ``cached_tokens`` of them were read from a provider's prompt cache."""
    cached_tokens: int = 0
    completion_tokens: int = 0
    """``reasoning_tokens`` of them were spent on reasoning."""
    reasoning_tokens: int = 0
    spent: int = 0
    unpriced: int = 0
    """Answers whose price is not known; ``spent`` does not hold them."""
    uncertain: int = 0
    """The most that may have been spent besides, on requests whose end is not known."""
    reuses: int = 0
    """How often the cache or the journal gave an answer instead of a model."""
    saved: int = 0
    """What those answers had cost when they were made, each time."""

    def add(self, call: Call) -> None:
        """Take a call in."""
        self.calls += 1
        self.requests += call.requests
        self.spent += call.wasted_nusd
        self.uncertain += call.uncertain_nusd
        if call.outcome == "recorded":
            self.recorded += 1
            return
        self.failed += call.outcome != "answered"
        self.prompt_tokens += call.prompt_tokens
        self.cached_tokens += call.cached_tokens
        self.completion_tokens += call.completion_tokens
        self.reasoning_tokens += call.reasoning_tokens
        self.spent += call.cost_nusd or 0
        self.unpriced += call.outcome == "answered" and call.cost_nusd is None

    def add_reuse(self, reuse: Reuse) -> None:
        """Take a reuse in."""
        self.reuses += reuse.times
        self.saved += reuse.times * reuse.cost_nusd

    def to_json(self) -> dict[str, Any]:
        """Counts as they are; money in US dollars, and exactly in billionths of one."""
        body: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("spent", "uncertain", "saved"):
                body |= {f"{field.name}_usd": usd(value), f"{field.name}_nusd": value}
            else:
                body[field.name] = value
        return body


Names = tuple[str, ...]


def cost(
    pattern: Annotated[
        list[str] | None, typer.Argument(metavar="PATTERN...", help="Only these targets; default: every one.")
    ] = None,
    by: Annotated[
        list[By] | None, typer.Option("--by", help="What to sum by; may be repeated. Default: target.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="2026-11-27, or how long ago: 90min, 24h, 7d, 4w.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values on standard output.")] = False,
) -> None:
    """Show what questions to models have cost: calls, tokens, money, and what the cache saved."""
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other")
    group = list(dict.fromkeys(by or [By.TARGET]))
    start = _moment(since) if since else 0.0
    wanted = patterns(pattern or ["//..."])
    ledger = Ledger(state_dir(workspace_root()))
    try:
        rows, total, dated = _sums(ledger, group, wanted, start)
    finally:
        ledger.close()
    if as_json:
        body = {
            "by": [str(each) for each in group],
            "since": datetime.fromtimestamp(start, UTC).isoformat() if since else None,
            "rows": [{**dict(zip(map(str, group), names, strict=True)), **row.to_json()} for names, row in rows],
            "total": total.to_json(),
            "reuses_counted": dated,
        }
        typer.echo(mask(json.dumps(body, indent=2, ensure_ascii=False)))
    elif as_csv:
        _write_csv(group, rows)
    else:
        _say_table(group, rows, total, dated=dated)


def _sums(
    ledger: Ledger, group: Sequence[By], wanted: Sequence[Pattern], start: float
) -> tuple[list[tuple[Names, Row]], Row, bool]:
    """Rows in the order in which they are shown, their sum, and whether reuses are in them."""
    rows: dict[Names, Row] = {}
    total = Row()
    chosen = _Chosen(wanted)
    for call in ledger.calls():
        if call.at >= start and chosen(call.target):
            names = tuple(str(getattr(call, each)) for each in group)
            rows.setdefault(names, Row()).add(call)
            total.add(call)
    # Of reuses the ledger keeps how many there were, not when each one was.
    dated = start == 0.0 and By.DAY not in group
    for reuse in ledger.reuses() if dated else ():
        if chosen(reuse.target):
            names = tuple(str(getattr(reuse, each)) for each in group)
            rows.setdefault(names, Row()).add_reuse(reuse)
            total.add_reuse(reuse)
    if By.DAY in group:
        return sorted(rows.items()), total, dated
    return sorted(rows.items(), key=lambda item: (-item[1].spent, -item[1].saved, item[0])), total, dated


class _Chosen:
    """Whether a target matches, remembered: a ledger names each of them many times."""

    def __init__(self, wanted: Sequence[Pattern]) -> None:
        self._wanted = wanted
        self._known: dict[str, bool] = {}

    def __call__(self, target: str) -> bool:
        if target not in self._known:
            label, chosen = parse_label(target), False
            # As on every command line: negative patterns take away wherever they stand.
            chosen = any(each.matches(label) for each in self._wanted if not each.negative)
            self._known[target] = chosen and not any(each.matches(label) for each in self._wanted if each.negative)
        return self._known[target]


def _moment(text: str) -> float:
    """Seconds since the Unix epoch. UsageError for a text that is no date and no span."""
    if span := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(min|h|d|w)", text.strip()):
        return time.time() - float(span[1]) * _SPAN_S[span[2]]
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"`{text}` is no time", hint="write a date (2026-11-27) or how long ago (24h, 7d)") from None
    # A date without a zone is one of the ledger's days, which are days of UTC.
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _write_csv(group: Sequence[By], rows: Iterable[tuple[Names, Row]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*map(str, group), *Row().to_json()])
    for names, row in rows:
        writer.writerow([*names, *row.to_json().values()])
    sys.stdout.flush()


def _say_table(group: Sequence[By], rows: Sequence[tuple[Names, Row]], total: Row, *, dated: bool) -> None:
    if not rows:
        _say("Nothing has been asked yet.")
        return
    head = [*map(str, group), "calls", "prompt tokens", "(cached)", "answer tokens", "(reasoning)", "spent"]
    head += ["reused", "saved"] if dated else []
    lines = [head, *(_cells(_shown(group, names), row, dated=dated) for names, row in rows)]
    lines.append(_cells(("total", *("" for _ in group[1:])), total, dated=dated))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for number, line in enumerate(lines):
        if number in (1, len(lines) - 1):
            typer.echo("  ".join("-" * width for width in widths))
        cells = [
            text.ljust(width) if column < len(group) else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        typer.echo(mask("  ".join(cells).rstrip()))
    _say_notes(total, dated=dated)


def _shown(group: Sequence[By], names: Names) -> Names:
    """Names for people: a module as the package that it is, and what is not known as a dash."""
    return tuple(f"//{name}" if by is By.MODULE else name or "-" for by, name in zip(group, names, strict=True))


def _cells(names: Names, row: Row, *, dated: bool) -> list[str]:
    tokens = (row.prompt_tokens, row.cached_tokens, row.completion_tokens, row.reasoning_tokens)
    cells = [*names, f"{row.calls:,}", *(f"{number:,}" if number else "-" for number in tokens)]
    known = [_money(row.spent)] if row.spent or not row.unpriced else []
    cells.append(" + ".join([*known, "?"] if row.unpriced else known))
    return cells + ([f"{row.reuses:,}" if row.reuses else "-", _money(row.saved)] if dated else [])


def _money(nusd: int) -> str:
    return f"${usd(nusd):,.4f}" if nusd else "-"


def _say_notes(total: Row, *, dated: bool) -> None:
    if total.recorded:
        _say(f"{_many(total.recorded, 'call')} answered by recordings or people cost nothing.")
    if total.failed:
        _say(f"{_many(total.failed, 'call')} brought no answer.")
    if total.unpriced:
        _say(f"{_many(total.unpriced, 'answer')} not counted in `spent`: the price of the model is not known.")
    if total.uncertain:
        typer.echo(
            f"At most {_money(total.uncertain)} more may have been spent on requests that were cut off.", err=True
        )
    if not dated:
        typer.echo(
            "What the cache saved is known as a whole only, not by day: leave out --since and --by day.", err=True
        )


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _say(text: str) -> None:
    typer.echo(text, err=True)
