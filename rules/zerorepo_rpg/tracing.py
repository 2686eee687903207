"""From each section of the specification to the code: its requirements, the features that serve them, the nodes that are these;
and from each limit to what meets it.

Pure; a requirement is known again by its words, since ids may come from another reading of the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zerorepo.values import Value
from zerorepo_rpg.limit_rules import known_limits
from zerorepo_rpg.limits import limits_of
from zerorepo_rpg.lock import Lock
from zerorepo_rpg.problem import Problem
from zerorepo_rpg.spec_model import Priority, RepositorySpec, Requirement


class TracedFeature(Value):
    """A feature, and the nodes that implement it with their files."""

    id: str
    nodes: tuple[tuple[str, str], ...] = ()


class TracedRequirement(Value):
    """A requirement of the specification as it is now."""

    id: str
    section: str
    text: str
    features: tuple[TracedFeature, ...] = ()


class TracedLimit(Value):
    """A limit of the specification as it is now, and what meets it. ``planned`` is False when the lock does not account for it."""

    id: str
    text: str
    kind: str
    priority: Priority
    rules: tuple[str, ...] = ()
    features: tuple[TracedFeature, ...] = ()
    library: bool = False
    planned: bool = True
    why: str = ""

    @property
    def met(self) -> bool:
        """Whether anything meets it."""
        return bool(self.rules or self.features or self.library)


class Trace(Value):
    """``requirements`` in the order of the text; ``unasked``: features that no requirement asks for any more; ``limits`` by id."""

    requirements: tuple[TracedRequirement, ...] = ()
    unasked: tuple[TracedFeature, ...] = ()
    limits: tuple[TracedLimit, ...] = ()

    def problems(self) -> Iterator[Problem]:
        """What the plan and the specification do not have in common."""
        for each in self.requirements:
            if not each.features:
                message = f"no feature serves the requirement `{each.id}` of section `{each.section}` ({each.text})"
                yield Problem(check="requirement_feature", message=message, where=each.id)
        for feature in self.unasked:
            message = "no requirement of the specification asks for this feature"
            yield Problem(check="feature_requirement", message=message, where=feature.id)
        for limit in self.limits:
            if not limit.planned:
                message = f"the plan does not say what meets the limit `{limit.id}` ({limit.text})"
                yield Problem(check="limit_met", message=message, where=limit.id)
            elif not limit.met and limit.priority is Priority.MUST:
                message = f"nothing meets the limit `{limit.id}`, which must be met ({limit.text})"
                yield Problem(check="limit_met", message=message, where=limit.id)


def key(requirement: Requirement) -> str:
    """The words of a requirement, without what a reading of the text may drop."""
    return flat(requirement.text).rstrip(".")


def flat(text: str) -> str:
    """Words alone: without emphasis, the breaks of lines, and case."""
    return " ".join(text.replace("*", "").split()).casefold()


def trace(spec: RepositorySpec, lock: Lock) -> Trace:
    """The specification as it is now, traced into the plan of a lock."""
    nodes: dict[str, list[tuple[str, str]]] = {}
    for module in lock.interfaces:
        for node in module.interfaces:
            for feature in node.features:
                nodes.setdefault(feature, []).append((node.id, node.file))
    features = lock.features.features if lock.features else ()
    traced = {each.id: TracedFeature(id=each.id, nodes=tuple(sorted(nodes.get(each.id, ())))) for each in features}
    ids = {key(each): each.id for each in lock.requirements}
    present = {ids[key(each)] for each in spec.requirements if key(each) in ids}
    return Trace(
        requirements=tuple(
            TracedRequirement(
                id=each.id,
                section=each.section,
                text=each.text,
                features=tuple(
                    traced[feature.id] for feature in features if ids.get(key(each), "") in feature.requirements
                ),
            )
            for each in spec.requirements
        ),
        unasked=tuple(traced[feature.id] for feature in features if not present & set(feature.requirements)),
        limits=tuple(_limits(spec, lock, traced)),
    )


def _limits(spec: RepositorySpec, lock: Lock, traced: Mapping[str, TracedFeature]) -> Iterator[TracedLimit]:
    accounts = {limit.id: limit for limit in known_limits(spec, lock.limits).all()}
    for limit in sorted(limits_of(spec), key=lambda each: each.id):
        account = accounts.get(limit.id)
        yield TracedLimit(
            id=limit.id,
            text=limit.text,
            kind=limit.kind,
            priority=limit.priority,
            rules=account.rules if account else (),
            features=tuple(traced[name] for name in account.features if name in traced) if account else (),
            library=account.library if account else False,
            planned=account is not None,
            why=account.why if account else "",
        )


__all__ = ["Trace", "TracedFeature", "TracedLimit", "TracedRequirement", "flat", "key", "trace"]
