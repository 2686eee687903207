"""What a build may cost, from what past ones metered. Knows no meter by name: rule sets choose them (``ActionContext.meter``).

At least: the actions that are surely asked for now and are not in the cache, each at the least that an action of its kind ever
took. At most: beside these, every target that may run takes what its last run took, or, never built, the mean of its rule's.
Expected: the same, weighted by how often targets of that rule really ran something when something before them had changed (early
cutoff spares the others), which builds with edits teach (``learn``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from zerorepo.engine import BuildResult, Engine
from zerorepo.errors import UsageError
from zerorepo.label import Label, parse_label
from zerorepo.store import Store

_KEY = b"h"
_HALVE_AT = 64.0  # what was long ago counts for less

Meters = dict[str, float]


@dataclass(slots=True)
class Bounds:
    """Of one meter: what the build takes at least, is expected to take, and takes at most if every target does as last time."""

    at_least: float = 0.0
    expected: float = 0.0
    at_most: float = 0.0


@dataclass(slots=True)
class Estimate:
    """``unknown``: targets that may run of which nothing is known, not even of others of their rule.

    ``learned``: how many targets the weights come from; 0 when every target counts in full.
    """

    meters: dict[str, Bounds] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    learned: int = 0


@dataclass(slots=True)
class _Past:
    """The last run of one label."""

    rule: str
    actions: dict[str, tuple[str, Meters]]
    """Key to mnemonic and meters."""


def estimate(engine: Engine, result: BuildResult, cached: Iterable[str] = ()) -> Estimate:
    """Of a dry run. ``cached``: keys of actions that it found in the cache."""
    may = {label for label in result.skipped if label in result.skipped_by}
    may |= {parse_label(text) for texts in result.unexpanded.values() for text in texts} - set(result.built)
    would = set(result.would_run)
    may -= would
    if not would and not may:
        return Estimate()
    past = {label: before for label in _known(engine, would | may) if (before := _past(engine, label))}
    by_rule = _means(past)
    odds = _Odds(engine.local)
    least, surely = _at_least(engine, past)
    done = set(cached)
    found = Estimate(learned=odds.total())
    for name, amount in least.items():
        found.meters.setdefault(name, Bounds()).at_least += amount
    for label in sorted(would | may):
        rule = past[label].rule if label in past else _rule_of(engine, label)
        amounts = _sum(past[label], done) if label in past else by_rule.get(rule)
        if label in would and _is_new(engine, label):
            amounts = {}
        elif label in past:
            done |= past[label].actions.keys()  # what several targets ask for counts once
        if label in would:
            # What is surely asked for counts whatever the last run did.
            amounts = _larger(amounts or {}, surely.get(label, {}))
        elif amounts is None:
            found.unknown.append(str(label))
            continue
        weight = 1.0 if label in would or label not in past else odds.of(rule)
        for name, amount in amounts.items():
            bounds = found.meters.setdefault(name, Bounds())
            bounds.expected += weight * amount
            bounds.at_most += amount
    for bounds in found.meters.values():
        bounds.expected = max(bounds.expected, bounds.at_least)
        bounds.at_most = max(bounds.at_most, bounds.expected)
    return found


def _is_new(engine: Engine, label: Label) -> bool:
    """Whether a person's files are newly in place of what the rule did: its past says nothing of what they take."""
    target, last = engine.table.get(label), engine.traces.last(label)
    return bool(target and target.adopted and last and last.identity != str(engine.identity(target)))


def _known(engine: Engine, more: Iterable[Label]) -> set[Label]:
    return {*more, *(target.label for target in engine.table.all())}


def _past(engine: Engine, label: Label) -> _Past | None:
    last = engine.traces.last(label)
    if last is None:
        return None
    actions: dict[str, tuple[str, Meters]] = {}
    for kind, name, _ in last.requests:
        if kind == "action":
            mnemonic, _, key = name.partition(" ")
            actions[key] = (mnemonic, dict(engine.executor.meters(key) or {}))
    return _Past(_text(last.manifest.get("rule", "")), actions)


def _text(shown: str) -> str:
    try:
        return str(json.loads(shown))
    except ValueError:
        return shown


def _rule_of(engine: Engine, label: Label) -> str:
    try:
        target = engine.table.get(label)
    except UsageError:
        return ""
    return target.rule.name if target else ""


def _sum(past: _Past, without: set[str]) -> Meters:
    total: Meters = {}
    for key, (_, meters) in past.actions.items():
        if key not in without:
            for name, amount in meters.items():
                total[name] = total.get(name, 0.0) + amount
    return total


def _larger(one: Meters, other: Meters) -> Meters:
    return {name: max(one.get(name, 0.0), other.get(name, 0.0)) for name in {**one, **other}}


def _means(past: Mapping[Label, _Past]) -> dict[str, Meters]:
    sums: dict[str, Meters] = {}
    counts: dict[str, int] = {}
    for each in past.values():
        counts[each.rule] = counts.get(each.rule, 0) + 1
        total = sums.setdefault(each.rule, {})
        for name, amount in _sum(each, set()).items():
            total[name] = total.get(name, 0.0) + amount
    return {rule: {name: amount / counts[rule] for name, amount in total.items()} for rule, total in sums.items()}


def _at_least(engine: Engine, past: Mapping[Label, _Past]) -> tuple[Meters, dict[Label, Meters]]:
    """What the missing actions take at least, together and by label."""
    smallest: dict[str, Meters] = {}
    for each in past.values():
        for mnemonic, meters in each.actions.values():
            seen = smallest.get(mnemonic)
            smallest[mnemonic] = (
                dict(meters) if seen is None else {n: min(a, meters[n]) for n, a in seen.items() if n in meters}
            )
    total: Meters = {}
    by_label: dict[Label, Meters] = {}
    counted: set[str] = set()
    for label, asked in engine.executor.would_run.items():
        mine = by_label.setdefault(label, {})
        for key, missing in asked.items():
            for name, amount in smallest.get(type(missing.action).mnemonic, {}).items():
                mine[name] = mine.get(name, 0.0) + amount
                if key not in counted:  # what several targets ask for is asked once
                    total[name] = total.get(name, 0.0) + amount
            counted.add(key)
    return total, by_label


class _Odds:
    """How often a target of a rule ran an action when one before it had run, by rule; kept with the workspace's state."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts: dict[str, tuple[float, float]] = {}

    def _get(self, rule: str) -> tuple[float, float]:
        if rule not in self._counts:
            try:
                ran, all_ = json.loads(self._store.get(_KEY + rule.encode()) or b"[0, 0]")
                self._counts[rule] = (float(ran), float(all_))
            except (ValueError, TypeError):
                self._counts[rule] = (0.0, 0.0)
        return self._counts[rule]

    def of(self, rule: str) -> float:
        """From 0 to 1; 1 while nothing was learned."""
        ran, all_ = self._get(rule)
        return ran / all_ if all_ else 1.0

    def total(self) -> int:
        """Targets that the odds come from."""
        return round(sum(self._get(key[len(_KEY) :].decode())[1] for key in self._store.keys(_KEY)))

    def add(self, rule: str, ran: int, all_: int) -> None:
        """Take the outcome of one build in."""
        old_ran, old_all = self._get(rule)
        scale = 0.5 if old_all > _HALVE_AT else 1.0
        self._counts[rule] = (old_ran * scale + ran, old_all * scale + all_)
        self._store.put(_KEY + rule.encode(), json.dumps(self._counts[rule]).encode())


def learn(engine: Engine, result: BuildResult, executed: Iterable[str], new: Iterable[str]) -> None:
    """Take in which targets really ran something. ``executed``: labels of actions; ``new``: labels built for the first time."""
    ran, first = set(executed), set(new)
    affected = _affected(result)
    counts: dict[str, list[int]] = {}
    for label in affected:
        target = None if str(label) in first else engine.table.get(label)
        if target is not None:
            count = counts.setdefault(target.rule.name, [0, 0])
            count[0] += str(label) in ran
            count[1] += 1
    odds = _Odds(engine.local)
    for rule, (some, all_) in sorted(counts.items()):
        odds.add(rule, some, all_)


def _affected(result: BuildResult) -> set[Label]:
    """Targets that needed, directly or not, one that ran."""
    users: dict[Label, list[Label]] = {}
    for label, built in result.built.items():
        for group in built.trace.groups:
            for request in group:
                if request.kind == "provider":
                    users.setdefault(parse_label(request.name.rpartition(" ")[0]), []).append(label)
        # What an expansion declared waits for it.
        users.setdefault(label, []).extend(parse_label(text) for text, _, _ in built.trace.declared)
    todo = [label for label, built in result.built.items() if built.ran]
    found: set[Label] = set()
    while todo:
        for user in users.get(todo.pop(), ()):
            if user not in found and user in result.built:
                found.add(user)
                todo.append(user)
    return found


__all__ = ["Bounds", "Estimate", "estimate", "learn"]
