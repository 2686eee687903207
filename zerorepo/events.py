"""The one event stream: every change of state of a target or an action, and nothing else that matters.

``State`` is the one enum, ``transition`` the one function that changes it, and each call emits one event. The progress display,
the log, ``--events`` and the tests are subscribers. Knows nothing of what a target or an action is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from zerorepo.errors import InternalError
from zerorepo.redaction import mask, redact

SCHEMA_VERSION = 1
"""Of the log that ``--events`` writes (docs/events.schema.json): raised when a reader of the old one would be wrong."""


class State(StrEnum):
    """Life of a target or an action."""

    NEW = "new"
    CHECKING = "checking"
    """A target whose trace is being compared with the present."""
    RUNNING = "running"
    CACHED = "cached"
    """Ended: nothing had to run."""
    DONE = "done"
    """Ended: it ran."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """Ended: something it needs failed, or the build stopped before it started."""


_ALLOWED: dict[State, frozenset[State]] = {
    State.NEW: frozenset({State.CHECKING, State.RUNNING, State.CACHED, State.FAILED, State.SKIPPED}),
    State.CHECKING: frozenset({State.RUNNING, State.CACHED, State.FAILED, State.SKIPPED}),
    State.RUNNING: frozenset({State.DONE, State.FAILED, State.SKIPPED}),
}
ENDED = frozenset({State.CACHED, State.DONE, State.FAILED, State.SKIPPED})


@dataclass(slots=True)
class Unit:
    """Something with a state: ``kind`` is "target" or "action", ``id`` a label or an action key."""

    kind: str
    id: str
    label: str
    mnemonic: str = ""
    title: str = ""
    state: State = State.NEW


class Event(msgspec.Struct, frozen=True):
    """One transition (``old`` and ``new``), or, with ``kind`` "note", a remark about a unit or the whole build."""

    time: float
    """Seconds since the Unix epoch."""
    kind: str
    id: str
    label: str
    mnemonic: str = ""
    title: str = ""
    old: str = ""
    new: str = ""
    detail: dict[str, Any] = {}  # a Struct copies its defaults

    def to_json(self) -> str:
        """One line of the documented schema (docs/events.md)."""
        body = {"time": round(self.time, 6), "kind": self.kind, "id": self.id, "label": self.label}
        body.update(
            {
                k: v
                for k, v in (("mnemonic", self.mnemonic), ("title", self.title), ("old", self.old), ("new", self.new))
                if v
            }
        )
        if self.detail:
            body["detail"] = self.detail
        return mask(json.dumps(body, ensure_ascii=False, default=str))


Subscriber = Callable[[Event], None]


class EventStream:
    """Delivers each event to every subscriber, in order, at once."""

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call ``subscriber`` with every later event."""
        self._subscribers.append(subscriber)

    def emit(self, event: Event) -> None:
        """Deliver one event. What others said (errors, progress) is redacted before anyone sees it."""
        if event.detail and (event.kind == "note" or event.new == State.FAILED):
            detail = {name: redact(said) if isinstance(said, str) else said for name, said in event.detail.items()}
            event = msgspec.structs.replace(event, detail=detail)
        for subscriber in self._subscribers:
            subscriber(event)

    def note(self, what: str, label: str = "", **detail: Any) -> None:
        """A remark: progress of an action, an edited output left alone, a damaged blob thrown away."""
        self.emit(Event(time.time(), "note", what, label, detail=detail))


def transition(stream: EventStream, unit: Unit, new: State, **detail: Any) -> None:
    """The only way a state changes."""
    if new not in _ALLOWED.get(unit.state, frozenset()):
        raise InternalError(f"{unit.kind} {unit.id} cannot go from {unit.state} to {new}")
    old, unit.state = unit.state, new
    stream.emit(Event(time.time(), unit.kind, unit.id, unit.label, unit.mnemonic, unit.title, old, new, detail))
