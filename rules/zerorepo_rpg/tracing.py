"""From each section of the specification to the code: its requirements, the features that serve them, the nodes that are these.

Pure; a requirement is known again by its words, since ids may come from another reading of the text.
"""

from __future__ import annotations

from collections.abc import Iterator

from zerorepo.values import Value
from zerorepo_rpg.lock import Lock
from zerorepo_rpg.problem import Problem
from zerorepo_rpg.spec_model import RepositorySpec, Requirement


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


class Trace(Value):
    """``requirements`` in the order of the text; ``unasked``: features that no requirement asks for any more."""

    requirements: tuple[TracedRequirement, ...] = ()
    unasked: tuple[TracedFeature, ...] = ()

    def problems(self) -> Iterator[Problem]:
        """What the plan and the specification do not have in common."""
        for each in self.requirements:
            if not each.features:
                message = f"no feature serves the requirement `{each.id}` of section `{each.section}` ({each.text})"
                yield Problem(check="requirement_feature", message=message, where=each.id)
        for feature in self.unasked:
            message = "no requirement of the specification asks for this feature"
            yield Problem(check="feature_requirement", message=message, where=feature.id)


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
    )


__all__ = ["Trace", "TracedFeature", "TracedRequirement", "flat", "key", "trace"]
