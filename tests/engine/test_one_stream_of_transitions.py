"""Every change of state is one event, and no other change is possible."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from zerorepo.errors import InternalError
from zerorepo.events import ENDED, Event, EventStream, State, Unit, transition
from zerorepo.testing import RuleRunner


@pytest.mark.parametrize("state", sorted(ENDED))
def test_what_has_ended_stays_ended(state: State) -> None:
    unit = Unit("target", "//:x", "//:x", state=state)
    for new in State:
        with pytest.raises(InternalError):
            transition(EventStream(), unit, new)


def test_each_transition_is_delivered_to_every_subscriber_in_order() -> None:
    stream, one, other = EventStream(), list[Event](), list[Event]()
    stream.subscribe(one.append)
    stream.subscribe(other.append)
    unit = Unit("action", "k", "//:x", "Cat", "joins")
    for state in (State.RUNNING, State.DONE):
        transition(stream, unit, state, why="so")
    assert [(e.old, e.new) for e in one] == [("new", "running"), ("running", "done")]
    assert one == other


def test_an_event_is_one_line_of_json() -> None:
    stream, log = EventStream(), list[Event]()
    stream.subscribe(log.append)
    transition(stream, Unit("target", "//:x", "//:x", "cat"), State.FAILED, error="a\nb ü")
    stream.note("updated", "//:x", path="p")
    texts = [event.to_json() for event in log]
    assert not any("\n" in text for text in texts)
    first, second = (json.loads(text) for text in texts)
    assert first.items() >= {"kind": "target", "label": "//:x", "old": "new", "new": "failed"}.items()
    assert first["detail"] == {"error": "a\nb ü"}
    assert second.items() >= {"kind": "note", "id": "updated", "label": "//:x"}.items()


def test_every_unit_of_a_build_ends_exactly_once(toys: Callable[..., RuleRunner]) -> None:
    targets = (
        '[[target]]\nname = "x"\nrule = "cat"\nsrcs = ["a"]\n[[target]]\nname = "y"\nrule = "cat"\ndeps = [":x"]\n'
    )
    targets += '[[target]]\nname = "z"\nrule = "refuse"\n'
    runner = toys(targets, {"a": "A"})
    for options in ({}, {"keep_going": True}, {"dry_run": True}):
        ends = [e.id for e in runner.build(**options).events if e.kind != "note" and e.new in ENDED]
        assert len(ends) == len(set(ends))
        assert {"//:x", "//:y", "//:z"} <= set(ends)
