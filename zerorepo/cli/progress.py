"""Shows a build while it runs: a live display on a terminal, one plain line per finished action elsewhere. To stderr only.

A subscriber of the event stream. Knows nothing of the engine.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

from zerorepo.cli.summary import Summary
from zerorepo.events import Event
from zerorepo.redaction import mask, visible

SILENT = frozenset({"progress", "meter", "log"})
"""Notes that are no news for a person."""


class Display(Protocol):
    """What the build command drives."""

    def __call__(self, event: Event) -> None: ...
    def tick(self) -> None: ...
    def close(self) -> None: ...


class PlainDisplay:
    """One line for each action that ran and each failure."""

    def __init__(self, summary: Summary) -> None:
        self._summary = summary
        self._told: set[object] = set()

    def __call__(self, event: Event) -> None:
        """Print what is worth a line."""
        if event.kind == "action" and event.new in ("done", "failed"):
            known = len(self._summary.targets)
            ended = self._summary.count("done", "cached", "failed", "skipped")
            sign = "" if event.new == "done" else "FAILED "
            title = f" ({event.title})" if event.title and event.title != event.mnemonic else ""
            print(
                visible(mask(f"[{ended}/{known}] {sign}{event.mnemonic} {event.label}{title}")),
                file=sys.stderr,
                flush=True,
            )
        elif event.kind == "note" and event.id not in SILENT:
            detail = " ".join(str(value) for value in event.detail.values())
            print(visible(mask(f"note: {event.id}: {detail}")), file=sys.stderr, flush=True)
        elif event.kind == "note" and event.id == "progress" and event.detail.get("key") not in self._told:
            # Once for each action: whoever reads a log must see what a build waits for, but not how it waits.
            self._told.add(event.detail.get("key"))
            print(visible(mask(f"{event.label}: {event.detail['text']}")), file=sys.stderr, flush=True)

    def tick(self) -> None:
        """Nothing to redraw."""

    def close(self) -> None:
        """Nothing to end."""


class LiveDisplay:
    """A few lines that are drawn again and again: counts, what runs and since when, money, time left."""

    def __init__(self, summary: Summary, jobs: int) -> None:
        from rich.console import Console
        from rich.live import Live

        self._summary = summary
        self._jobs = jobs
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, refresh_per_second=8, transient=True, get_renderable=self._render)
        self._live.start()

    def __call__(self, event: Event) -> None:
        """Print above the display what should stay; the rest is redrawn by time."""
        if event.kind == "action" and event.new == "failed":
            self._say(f"[red]FAILED[/] {event.mnemonic} {event.label}")
        elif event.kind == "action" and event.new == "done":
            title = f" [dim]{_escape(event.title)}[/]" if event.title and event.title != event.mnemonic else ""
            self._say(f"[green]✓[/] {event.mnemonic} {event.label}{title}")
        elif event.kind == "note" and event.id not in SILENT:
            detail = " ".join(str(value) for value in event.detail.values())
            self._say(f"[yellow]note:[/] {_escape(event.id)}: {_escape(detail)}")

    def _say(self, markup: str) -> None:
        self._console.print(visible(mask(markup)), soft_wrap=True)

    def _render(self) -> Any:
        from rich.text import Text

        summary, now = self._summary, time.time()
        ended, known = summary.count("done", "cached", "failed", "skipped"), len(summary.targets)
        head = f"{ended}/{known} targets · {summary.executed} run, {summary.cached} cached · {summary.wall_s():.0f}s"
        if summary.model_calls or summary.cost_usd:
            head += f" · {summary.model_calls} model calls, ${summary.cost_usd:.4f}"
        if (eta := summary.eta_s(self._jobs)) is not None:
            head += f" · about {eta:.0f}s left"
        lines = [Text(head, style="bold")]
        at_work = sorted(summary.running.values(), key=lambda each: each.since)
        for each in at_work[:8]:
            text = f" — {each.text}" if each.text else ""
            lines.append(
                Text(
                    f"  {now - each.since:5.1f}s {each.mnemonic} {each.label}{text}", overflow="ellipsis", no_wrap=True
                )
            )
        if len(at_work) > 8:
            lines.append(Text(f"         … and {len(at_work) - 8} more"))
        return Text("\n").join(lines)

    def tick(self) -> None:
        """Rich redraws by itself."""

    def close(self) -> None:
        """Remove the display."""
        self._live.stop()


def _escape(text: str) -> str:
    return text.replace("[", r"\[")


def make_display(summary: Summary, jobs: int, *, quiet: bool) -> Display:
    """The display that fits where stderr goes."""
    if not quiet and sys.stderr.isatty():
        return LiveDisplay(summary, jobs)
    return PlainDisplay(summary)
