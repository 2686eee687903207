"""From patterns to targets, when some targets are declared only by building others. Builds no more than it must for that.

Knows nothing of how a target is built.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from zerorepo.errors import CycleError, UsageError, did_you_mean
from zerorepo.label import Label, Pattern
from zerorepo.scheduler import DependencyFailed, Job, Scheduler
from zerorepo.table import Target, TargetTable

ValueT = TypeVar("ValueT")


async def match(
    table: TargetTable, scheduler: Scheduler[ValueT], patterns: Sequence[Pattern], *, tests_only: bool
) -> list[Label]:
    """Labels that the patterns match, in their order; expansions in reach are built. UsageError when one can match nothing."""
    tried: set[Label] = set()
    for index, pattern in enumerate(patterns):
        if not pattern.negative:
            await _expand_for_pattern(table, scheduler, pattern, patterns[index + 1 :], tried)
    matched: dict[Label, None] = {}
    for pattern in patterns:
        found = [target.label for target in table.all() if _selects(pattern, target, tests_only)]
        if pattern.negative:
            for label in found:
                matched.pop(label, None)
            continue
        if not found and not tests_only and not any(_failed(scheduler, label) for label in tried):
            _check_exists(table, pattern)
        matched.update(dict.fromkeys(found))
    return list(matched)


async def _expand_for_pattern(
    table: TargetTable,
    scheduler: Scheduler[ValueT],
    pattern: Pattern,
    later: Sequence[Pattern],
    tried: set[Label],
) -> None:
    """Build expansions until nothing more can match: all in reach for a wildcard, the nearest first for a label."""
    while pattern.wildcard or table.get(pattern.label) is None:
        todo = [
            target.label
            for target in table.expanders_for(pattern.package, below=pattern.recursive)
            if target.label not in tried
            and not (pattern.wildcard and target.manual)
            and not any(p.negative and p.matches(target.label) for p in later)
        ]
        if not todo:
            return
        todo = todo if pattern.wildcard else todo[:1]
        tried.update(todo)
        await asyncio.gather(*(scheduler.demand(label) for label in todo), return_exceptions=True)


def _selects(pattern: Pattern, target: Target, tests_only: bool) -> bool:
    if tests_only and not target.rule.test:
        return False
    if not pattern.matches(target.label):
        return False
    return not (pattern.wildcard and target.manual and not pattern.negative)


def _failed(scheduler: Scheduler[ValueT], label: Label) -> bool:
    job = scheduler.job(label)
    return job is not None and job.error is not None


def _check_exists(table: TargetTable, pattern: Pattern) -> None:
    """UsageError when a pattern that matched nothing names a target or a package that there is not."""
    if not pattern.wildcard:
        raise table.unknown(pattern.label)
    packages = {*table.packages, *(target.label.package for target in table.all())}
    if not any(pattern.covers_package(package) for package in packages):
        near = did_you_mean(f"//{pattern.package}", [f"//{package}" for package in packages])
        raise UsageError(f"No package matches `{pattern.text}`", hint=near)


async def expand_for(table: TargetTable, scheduler: Scheduler[ValueT], label: Label, asker: Job[ValueT]) -> None:
    """Build expansions, nearest first, until one declares ``label``; those that wait for the asker cannot.

    CycleError when only one of those might have.
    """
    tried: set[Label] = set()
    failed: DependencyFailed | None = None
    while table.get(label) is None:
        untried = [target.label for target in table.expanders_for(label.package) if target.label not in tried]
        nearest = next((each for each in untried if not scheduler.would_cycle(asker, each)), None)
        if nearest is None:
            if failed is not None:
                raise failed  # it might have declared the label
            target = table.get(asker.key) if isinstance(asker.key, Label) else None
            unknown = table.unknown(label, where=target.where if target else None, asked_by=str(asker.key))
            if untried:
                await _demand_in_a_circle(scheduler, untried[0], label, asker, unknown)
            raise unknown
        tried.add(nearest)
        try:
            await scheduler.demand(nearest, asker)
        except DependencyFailed as error:
            failed = failed or error


async def _demand_in_a_circle(
    scheduler: Scheduler[ValueT], expansion: Label, label: Label, asker: Job[ValueT], unknown: UsageError
) -> None:
    """The CycleError of demanding what waits for the asker, with what else may be meant."""
    try:
        await scheduler.demand(expansion, asker)
    except CycleError as error:
        hint = f"`{asker.key}` needs `{label}`, which no build file declares; `{expansion}` may, but waits for it"
        error.hint = "\n".join(filter(None, [hint, unknown.hint]))
        raise
