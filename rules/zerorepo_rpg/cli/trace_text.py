"""A trace from the specification to the code, as lines; and the lock that it goes through."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from zerorepo.commands import targets_of, workspace_root
from zerorepo.label import Label
from zerorepo_rpg.lock import Lock, parse_lock
from zerorepo_rpg.tracing import Trace

_SHOWN = 90  # characters of a requirement


def lock_for(spec: Label) -> Lock:
    """The lock of the plan that is made from this specification; an empty one when nothing is planned yet."""
    for attrs in targets_of("rpg_plan").values():
        path = workspace_root() / attrs.lock_path
        if attrs.spec == spec and path.is_file():
            return parse_lock(path.read_text("utf-8"), attrs.lock_path)
    return Lock()


def trace_lines(trace: Trace) -> Iterator[str]:
    """Sections over requirements over features with their code."""
    for section, requirements in groupby(trace.requirements, key=lambda each: each.section):
        yield section
        for each in requirements:
            text = each.text if len(each.text) <= _SHOWN else f"{each.text[: _SHOWN - 1]}…"
            yield f"  {text}"
            for feature in each.features:
                code = ", ".join(f"{node} in {file}" for node, file in feature.nodes) or "no code yet"
                yield f"    {feature.id}: {code}"
    for problem in trace.problems():
        yield str(problem)


__all__ = ["lock_for", "trace_lines"]
