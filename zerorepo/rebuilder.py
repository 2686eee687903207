"""Hit or run? Compares a target's traces with the present and says why. Knows nothing of order or of how answers are found.

A trace is a hit when every request in it, asked again in order, has the same answer. Since a rule is a pure function of the
answers, a request after the first difference is not asked: nothing is demanded that the rule would not demand.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from zerorepo.digest import Digest
from zerorepo.trace import LastBuild, Request, Trace, Traces

Answerer = Callable[[Sequence[Request]], Awaitable[list[str]]]
"""Answers, as digests, to requests that were made together."""


NEVER_BUILT = "it has not been built before"


@dataclass(frozen=True, slots=True)
class Difference:
    """One input that is not what it was: ``kind`` and ``name`` as in a request, or ``attribute`` and its path."""

    kind: str
    name: str
    old: str
    new: str

    def __str__(self) -> str:
        if self.kind == "setting" and (changed := setting_changes(self)):
            keys = ", ".join(f"{key}: {old or '(not set)'} -> {new or '(not set)'}" for key, old, new in changed)
            return f"setting [{self.name}] {keys}"
        if self.kind == "glob":
            return f"the files that match {_patterns(self.name)} are others"
        if self.old == "" and self.new:
            return f"{self.kind} {self.name} is new: {self.new}"
        if self.new == "" and self.old:
            return f"{self.kind} {self.name} is gone (it was {self.old})"
        return f"{self.kind} {self.name}: {_short(self.old)} -> {_short(self.new)}"


@dataclass(frozen=True, slots=True)
class Decision:
    """``trace`` is the hit, or None: then ``differences`` and ``note`` say why the target must run."""

    trace: Trace | None
    differences: tuple[Difference, ...] = ()
    note: str = ""

    def reasons(self) -> list[str]:
        """One line each."""
        lines = [str(difference) for difference in self.differences]
        return [*lines, self.note] if self.note else lines


@dataclass(slots=True)
class Present:
    """What is known of a target now."""

    manifest: Callable[[], Mapping[str, str]]
    """Readable identity; a function, because a hit does not need it."""
    last: LastBuild | None
    traces: Traces
    refresh: bool = False
    """The user wants it run anew (``--refresh``)."""


async def decide(present: Present, answer: Answerer, usable: Callable[[Trace], str]) -> Decision:
    """Find a trace that still holds. ``usable`` says why a holding trace cannot be used ("" when it can)."""
    if present.refresh:
        return Decision(None, note="--refresh asks for it")
    first: tuple[Difference, ...] = ()
    unusable = ""
    for trace in present.traces:
        differences = await _differences(trace, answer)
        if differences:
            first = first or differences
            continue
        unusable = usable(trace)
        if not unusable:
            return Decision(trace)
    if not present.traces:
        return _first_time(present)
    return Decision(None, first, unusable)


async def _differences(trace: Trace, answer: Answerer) -> tuple[Difference, ...]:
    for group in trace.groups:
        asked = [request for request in group if request.kind != "action"]
        if not asked:
            continue  # an action's answer follows from the answers before it
        answers = await answer(asked)
        found = tuple(
            Difference(request.kind, request.name, request.answer, now)
            for request, now in zip(asked, answers, strict=True)
            if request.answer != now
        )
        if found:
            return found
    return ()


def _first_time(present: Present) -> Decision:
    if present.last is None:
        return Decision(None, note=NEVER_BUILT)
    changes = compare_manifests(present.last.manifest, present.manifest())
    return Decision(None, changes, note="" if changes else "its trace is no longer in the cache")


def compare_manifests(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Difference, ...]:
    """Differences between two manifests of one walk, in the walk's order."""
    paths = [*new, *(path for path in old if path not in new)]
    return tuple(
        Difference("attribute", path, old.get(path, ""), new.get(path, ""))
        for path in paths
        if old.get(path) != new.get(path)
    )


def setting_changes(difference: Difference) -> list[tuple[str, str, str]]:
    """(key, old, new) for each key of a settings section that changed; none when a side is no section."""
    try:
        old, new = json.loads(difference.old), json.loads(difference.new)
    except ValueError:
        return []
    if not isinstance(old, dict) or not isinstance(new, dict):
        return []
    return [(each.name, each.old, each.new) for each in compare_manifests(old, new)]


def _patterns(name: str) -> str:
    try:
        include, exclude = json.loads(name)
        return " ".join([*include, *(f"(without {each})" for each in exclude)])
    except (ValueError, TypeError):
        return name


def _short(answer: str) -> str:
    head, slash, size = answer.partition("/")
    return f"{head[:12]} ({size} bytes)" if slash and size.isdigit() and len(head) in (32, 64) else answer


@dataclass(slots=True)
class Known:
    """What is known of a target before it is decided on."""

    described: bytes
    identity: Digest
    last: LastBuild | None
    traces: Traces
    decision: Decision = field(default_factory=lambda: Decision(None))
