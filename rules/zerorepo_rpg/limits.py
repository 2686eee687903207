"""Limits: the constraints and the demands on quality of a specification, and what meets each of them.

A limit is met by rules that everything passes (``limit_rules``), by features that are designed with it in mind, or by the whole
library. Pure; knows nothing of asking or of the lock.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from zerorepo.target import Provider
from zerorepo.values import Value
from zerorepo_rpg.naming import slug, unique
from zerorepo_rpg.problem import Problem, near, repeated
from zerorepo_rpg.spec_model import Priority, RepositorySpec

CONSTRAINT = "constraint"


class Limit(Value):
    """A constraint, or a demand on quality: ``kind`` is ``constraint``, or what the demand is about, such as ``performance``.

    ``section`` is the id of the section that states it, where that is known.
    """

    id: str
    text: str
    kind: str = CONSTRAINT
    priority: Priority = Priority.MUST
    section: str = ""


class LimitAccount(Value):
    """What meets one limit: names of rules, ids of features, the whole library. All empty: nothing does, and ``why`` says so."""

    id: str
    rules: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    library: bool = False
    why: str = ""


class LimitAnswer(Value):
    """A model's answer: each limit that was asked about, once."""

    limits: tuple[LimitAccount, ...] = ()


class LimitPlan(Limit):
    """A limit with what meets it."""

    rules: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    library: bool = False
    why: str = ""

    @property
    def met(self) -> bool:
        """Whether anything meets it."""
        return bool(self.rules or self.features or self.library)

    def states(self, limit: Limit) -> bool:
        """Whether it is this limit, to the word; moving it to another section changes nothing."""
        return (self.id, self.text, self.kind, self.priority) == (limit.id, limit.text, limit.kind, limit.priority)


class LimitSet(Provider):
    """Stage ``limits``. ``known`` are limits that rules recognise as their own; ``asked`` those that a model accounted for."""

    known: tuple[LimitPlan, ...] = ()
    asked: tuple[LimitPlan, ...] = ()

    def all(self) -> tuple[LimitPlan, ...]:
        """Every limit, sorted by id."""
        return tuple(sorted((*self.known, *self.asked), key=lambda limit: limit.id))


def limits_of(spec: RepositorySpec) -> tuple[Limit, ...]:
    """Every limit of a specification, constraints first. Those with the same words are one, with the first one's priority."""
    found = [
        Limit(id=each.id, text=_flat(each.text), priority=each.priority, section=each.section)
        for each in spec.constraints
    ]
    taken, words = {limit.id for limit in found}, {_key(limit.text) for limit in found}
    for quality in spec.quality_attributes:
        text = _flat(quality.text)
        if not text or _key(text) in words:
            continue
        name = unique(slug(text, max_words=6, fallback="limit"), taken)
        taken.add(name)
        words.add(_key(text))
        found.append(Limit(id=name, text=text, kind=_flat(quality.kind) or "quality", priority=_stated_priority(text)))
    return tuple(found)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _key(text: str) -> str:
    return text.casefold().rstrip(".")


def _stated_priority(text: str) -> Priority:
    """A demand on quality has the priority of its verb, as a requirement has."""
    if re.search(r"\b(must|shall|never|cannot)\b|\b(may|could|should) not\b|\bno\b.*\bmay\b", text, re.IGNORECASE):
        return Priority.MUST
    if re.search(r"\b(should|recommended|ideally|preferably)\b", text, re.IGNORECASE):
        return Priority.SHOULD
    if re.search(r"\b(may|could|nice to have|would be (nice|good))\b", text, re.IGNORECASE):
        return Priority.NICE
    return Priority.MUST


def answered(limits: Iterable[Limit], answer: LimitAnswer) -> tuple[LimitPlan, ...]:
    """The limits with what an answer says of them; those that it leaves out are left out."""
    given = {each.id: each.model_copy(update={"why": _flat(each.why)}) for each in answer.limits}
    return tuple(
        LimitPlan(**{**limit.model_dump(), **given[limit.id].model_dump()}) for limit in limits if limit.id in given
    )


def check_answer(
    answer: LimitAnswer, limits: Sequence[Limit], features: Collection[str], rules: Collection[str]
) -> list[Problem]:
    """What is wrong with an account of ``limits``: left out, said twice, unknown names, nothing and no reason."""
    known = {limit.id for limit in limits}
    found = [
        Problem(check="limit_ids", message=f"accounts for the limit `{again}` twice; do it once", where=again)
        for again in repeated(account.id for account in answer.limits)
    ]
    for account in answer.limits:
        if account.id not in known:
            message = f"accounts for the limit `{account.id}`, which was not asked about{near(account.id, known)}"
            found.append(Problem(check="limit_ids", message=message, where=account.id))
    for name in sorted(known - {account.id for account in answer.limits}):
        found.append(
            Problem(check="limit_met", message=f"the limit `{name}` is left out; say what meets it", where=name)
        )
    return found + check_accounts(answered(limits, answer), features, rules)


def check_accounts(limits: Iterable[LimitPlan], features: Collection[str], rules: Collection[str]) -> list[Problem]:
    """Unknown features and rules in accounts, made by a model or edited by hand."""
    found = []
    for limit in limits:
        for name in limit.features:
            if name not in features:
                message = f"names the feature `{name}`, which does not exist{near(name, features)}"
                found.append(Problem(check="limit_feature", message=message, where=limit.id, unknown=name))
        for name in limit.rules:
            if name not in rules:
                message = f"names the rule `{name}`, which is none of those listed{near(name, rules)}"
                found.append(Problem(check="limit_rule", message=message, where=limit.id, unknown=name))
        if not limit.met and not limit.why.strip():
            message = "names nothing that meets it and does not say why; say in `why` what is missing"
            found.append(Problem(check="limit_met", message=message, where=limit.id))
    return found


def carried_over(
    limits: Sequence[Limit],
    old: Iterable[LimitPlan],
    features: Mapping[str, str],
    before: Mapping[str, str],
    rules: Collection[str],
    worded: Collection[str] = (),
) -> tuple[tuple[LimitPlan, ...], tuple[Limit, ...]]:
    """Accounts that still hold, and the limits that must be asked about.

    ``features`` and ``before``: names of features by id, now and when ``old`` was accepted. A limit that rules or the whole library
    meet does not depend on features; one that features meet, or nothing, is asked about again when a feature came or was renamed.
    ``worded``: rules whose sentence depends on the specification; what they meet is asked about again, since the lock does not say
    what they said.
    """
    accounts = {account.id: account for account in old}
    new = any(before.get(name) != title for name, title in features.items())
    kept, asking = [], []
    for limit in limits:
        account = accounts.get(limit.id)
        if account is None or not account.states(limit) or not set(account.rules) <= set(rules) - set(worded):
            asking.append(limit)
            continue
        left = tuple(name for name in account.features if name in features)
        now = account.model_copy(update={"features": left, "section": limit.section})
        free = not account.features and account.met
        if free or (not new and bool(left) == bool(account.features)):
            kept.append(now)
        else:
            asking.append(limit)
    return tuple(kept), tuple(asking)


def shown_limits(limits: LimitSet, features: Collection[str]) -> str:
    """Limits that the design of these features must keep, one a line; "" when there are none. Rules need not be told."""
    lines = []
    for limit in limits.all():
        here = [name for name in limit.features if name in features]
        if limit.library or here:
            what = "the whole library" if limit.library else ", ".join(here)
            lines.append(f"{limit.priority}, {limit.kind}, on {what}: {limit.text}")
    return "\n".join(lines)


def behind(limits: Iterable[LimitPlan], features: Collection[str]) -> tuple[str, ...]:
    """The sentences of limits that bear on any of these features."""
    return tuple(limit.text for limit in limits if set(limit.features) & set(features))


__all__ = [
    "CONSTRAINT",
    "Limit",
    "LimitAccount",
    "LimitAnswer",
    "LimitPlan",
    "LimitSet",
    "answered",
    "behind",
    "carried_over",
    "check_accounts",
    "check_answer",
    "limits_of",
    "shown_limits",
]
