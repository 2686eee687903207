"""``--profile FILE``: a build as a Chrome trace, to be opened in Perfetto or chrome://tracing.

One process of lanes for actions (an action takes the lowest free lane), one lane for the critical path: the chain of targets,
each needing the one before it, whose own times add up to the most. A subscriber of the event stream.

The format is Google's "Trace Event Format"; times are in microseconds since the build began.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Mapping
from typing import Any, TextIO

from zerorepo.context import Built
from zerorepo.events import ENDED, Event, State
from zerorepo.label import Label, parse_label
from zerorepo.redaction import mask

_ACTIONS, _PATH = 1, 2


class Profile:
    """Collects the spans of actions, and of targets for the critical path."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._spans: list[dict[str, Any]] = []
        self._running: dict[str, tuple[float, int]] = {}
        self._free: list[int] = []
        self._lanes = 0
        self._targets: dict[str, tuple[float, float]] = {}
        self._started: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Take one event in."""
        if event.kind == "target":
            if event.new == State.RUNNING:
                self._started[event.label] = event.time
            elif event.new in ENDED and event.label in self._started:
                self._targets[event.label] = (self._started.pop(event.label), event.time)
        elif event.kind == "action" and event.new == State.RUNNING:
            self._running[event.id] = (event.time, heapq.heappop(self._free) if self._free else self._new_lane())
        elif event.kind == "action" and event.id in self._running:
            since, lane = self._running.pop(event.id)
            heapq.heappush(self._free, lane)
            args = {"label": event.label, "key": event.id, "state": event.new, **event.detail}
            self._add(
                event.mnemonic,
                f"{event.mnemonic} {event.title or event.label}",
                since,
                event.time,
                (_ACTIONS, lane),
                args,
            )

    def _new_lane(self) -> int:
        self._lanes += 1
        return self._lanes

    def _add(
        self, category: str, name: str, since: float, until: float, place: tuple[int, int], args: Mapping[str, Any]
    ) -> None:
        self._spans.append(
            {
                "ph": "X",
                "cat": category,
                "name": name,
                "ts": round((since - self._began) * 1e6),
                "dur": max(1, round((until - since) * 1e6)),
                "pid": place[0],
                "tid": place[1],
                "args": dict(args),
            }
        )

    def write(self, file: TextIO, built: Mapping[Label, Built] | None) -> None:
        """Write the trace and close the file. OSError when it cannot be written.

        ``built`` is what the critical path goes through: None, and there is none, when the build did not get to its end.
        """
        if built is not None:
            own = self._own_times(built)
            for label in critical_path(own, _needs(built)):
                since, until = self._targets[label]
                self._add("critical path", label, since, until, (_PATH, 1), {"own_s": round(own[label], 6)})
        names = [(_ACTIONS, "actions"), (_PATH, "critical path")]
        head = [
            {"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": {"name": name}} for pid, name in names
        ]
        head += [
            {"ph": "M", "name": "thread_name", "pid": _ACTIONS, "tid": lane, "args": {"name": f"worker {lane}"}}
            for lane in range(1, self._lanes + 1)
        ]
        text = json.dumps({"traceEvents": [*head, *self._spans], "displayTimeUnit": "ms"})
        with file:
            file.write(mask(text))

    def _own_times(self, built: Mapping[Label, Built]) -> dict[str, float]:
        """Seconds of each target that ran, less the time in which it waited for another one that ran."""
        needs = _needs(built)
        own: dict[str, float] = {}
        for label, (since, until) in self._targets.items():
            ends = [self._targets[each][1] for each in needs.get(label, ()) if each in self._targets]
            own[label] = max(0.0, until - max([since, *ends]))
        return own


def _needs(built: Mapping[Label, Built]) -> dict[str, list[str]]:
    """Target to the targets that it asked for."""
    found: dict[str, list[str]] = {}
    for label, each in built.items():
        requests = (request for group in each.trace.groups for request in group if request.kind == "provider")
        found[str(label)] = [str(parse_label(request.name.rpartition(" ")[0])) for request in requests]
    return found


def critical_path(times: Mapping[str, float], needs: Mapping[str, list[str]]) -> list[str]:
    """The chain with the greatest sum of ``times``, first to last; only keys of ``times`` count. ``needs`` is acyclic."""
    best: dict[str, tuple[float, str | None]] = {}
    for start in times:
        stack = [start]
        while stack:
            key = stack[-1]
            if key in best:
                stack.pop()
                continue
            deps = [each for each in needs.get(key, ()) if each in times]
            if waiting := [each for each in deps if each not in best]:
                stack += waiting
                continue
            longest = max(deps, key=lambda each: best[each][0], default=None)
            best[key] = (times[key] + (best[longest][0] if longest else 0.0), longest)
            stack.pop()
    path: list[str] = []
    step = max(best, key=lambda key: best[key][0], default=None)
    while step is not None:
        path.append(step)
        step = best[step][1]
    return path[::-1]
