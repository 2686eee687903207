"""A trace from the specification to the code, as lines; and the lock that it goes through."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from zerorepo.commands import targets_of, workspace_root
from zerorepo.label import Label
from zerorepo_rpg.lock import Lock, parse_lock
from zerorepo_rpg.tracing import Trace, TracedFeature, TracedLimit

_SHOWN = 90  # characters of a requirement


def lock_for(spec: Label) -> Lock:
    """The lock of the plan that is made from this specification; an empty one when nothing is planned yet."""
    for attrs in targets_of("rpg_plan").values():
        path = workspace_root() / attrs.lock_path
        if attrs.spec == spec and path.is_file():
            return parse_lock(path.read_text("utf-8"), attrs.lock_path)
    return Lock()


def trace_lines(trace: Trace) -> Iterator[str]:
    """Sections over requirements over features with their code; and limits over what meets them."""
    for section, requirements in groupby(trace.requirements, key=lambda each: each.section):
        yield section
        for each in requirements:
            yield f"  {_short(each.text)}"
            yield from map(_feature, each.features)
    if trace.limits:
        yield "limits"
    for limit in trace.limits:
        yield f"  {_short(limit.text)} ({limit.priority}, {limit.kind})"
        yield from _met_by(limit)
    for problem in trace.problems():
        yield str(problem)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _feature(feature: TracedFeature) -> str:
    code = ", ".join(f"{node} in {file}" for node, file in feature.nodes) or "no code yet"
    return f"    {feature.id}: {code}"


def _met_by(limit: TracedLimit) -> Iterator[str]:
    if limit.rules:
        yield f"    by rule: {', '.join(limit.rules)}"
    if limit.library:
        yield "    the whole library"
    yield from map(_feature, limit.features)
    if limit.planned and not limit.met:
        yield f"    nothing meets it: {limit.why}"


__all__ = ["lock_for", "trace_lines"]
