"""Counts a build from its events, for the progress display, the last lines and ``--json``. Knows nothing of printing."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from zerorepo.events import Event
from zerorepo.rebuilder import NEVER_BUILT


@dataclass(slots=True)
class Running:
    """An action at work."""

    mnemonic: str
    label: str
    title: str
    since: float
    text: str = ""


@dataclass(slots=True)
class Summary:
    """A subscriber of the event stream."""

    started: float = field(default_factory=time.time)
    targets: dict[str, str] = field(default_factory=dict)
    """Label to latest state."""
    executed: int = 0
    cached: int = 0
    failed_actions: int = 0
    meters: dict[str, float] = field(default_factory=dict)
    running: dict[str, Running] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    actions_ran: list[dict[str, Any]] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    replaced: list[dict[str, str]] = field(default_factory=list)
    stale: list[dict[str, str]] = field(default_factory=list)
    cached_keys: set[str] = field(default_factory=set)
    new: list[str] = field(default_factory=list)
    """Targets that ran for the first time."""
    owners: dict[str, str] = field(default_factory=dict)
    """Edited output to the target that makes it."""
    durations: list[float] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Take one event in."""
        if event.kind == "target":
            self.targets[event.label] = event.new
            if event.new == "done":
                self.ran.append(event.label)
                if NEVER_BUILT in event.detail.get("reasons", ()):
                    self.new.append(event.label)
        elif event.kind == "action":
            self._action(event)
        elif event.id == "meter":
            for name, amount in event.detail["amounts"].items():
                self.meters[name] = self.meters.get(name, 0) + amount
        elif event.id == "progress" and event.detail.get("key") in self.running:
            self.running[event.detail["key"]].text = str(event.detail["text"])
        elif event.id == "edited output left alone":
            self.edited.append(event.detail["path"])
            self.owners[event.detail["path"]] = event.label
        elif event.id == "edited output replaced":
            self.replaced.append({"path": event.detail["path"], "kept": event.detail["kept"]})
        elif event.id == "stale adoption":
            self.stale.append({"label": event.label, "where": event.detail["where"]})
        elif event.id == "updated":
            self.updated.append(event.detail["path"])

    def _action(self, event: Event) -> None:
        if event.new == "running":
            self.running[event.id] = Running(event.mnemonic, event.label, event.title, event.time)
            return
        at_work = self.running.pop(event.id, None)
        if event.new == "cached":
            self.cached += 1
            self.cached_keys.add(event.id)
        elif event.new == "done":
            self.executed += 1
            self.actions_ran.append({"mnemonic": event.mnemonic, "label": event.label, "key": event.id})
            if at_work:
                self.durations.append(event.time - at_work.since)
        elif event.new == "failed":
            self.failed_actions += 1

    def count(self, *states: str) -> int:
        """Targets in one of these states."""
        return sum(state in states for state in self.targets.values())

    def did_nothing(self) -> bool:
        """Whether every target was up to date and nothing was to be told about."""
        quiet = not (self.executed or self.cached or self.failed_actions or self.ran)
        return quiet and not (self.edited or self.updated or self.replaced or self.stale)

    def cached_targets(self) -> bool:
        """Whether some target was a hit."""
        return any(state == "cached" for state in self.targets.values())

    def acted(self) -> set[str]:
        """Labels for which an action was executed."""
        return {str(each["label"]) for each in self.actions_ran}

    @property
    def model_calls(self) -> int:
        """How many answers were obtained from a provider."""
        return int(self.meters.get("model_calls", 0))

    @property
    def cost_usd(self) -> float:
        """Money spent, in US dollars."""
        return round(self.meters.get("cost_usd", 0.0), 6)

    def wall_s(self) -> float:
        """Seconds since the start."""
        return time.time() - self.started

    def eta_s(self, jobs: int) -> float | None:
        """A rough guess from the mean action so far and the targets known to be unfinished; None before there is any."""
        waiting = self.count("new", "checking", "running")
        if not self.durations or not waiting:
            return None
        return sum(self.durations) / len(self.durations) * waiting / max(1, jobs)

    def to_json(self) -> dict[str, Any]:
        """The object that ``build --json`` ends with."""
        return {
            "targets": {
                "built": self.count("done", "cached"),
                "failed": self.count("failed"),
                "skipped": self.count("skipped"),
            },
            "actions": {"executed": self.executed, "cached": self.cached},
            "failed_actions": self.failed_actions,
            "model_calls": self.model_calls,
            "cost_usd": self.cost_usd,
            "wall_s": round(self.wall_s(), 3),
            "targets_run": sorted(self.ran),
            "actions_run": self.actions_ran,
            "edited_outputs": self.edited,
            "replaced_outputs": self.replaced,
            "stale_adoptions": self.stale,
            "updated_sources": self.updated,
        }
