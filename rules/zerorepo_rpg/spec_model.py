"""The specification as typed data: what was found in each section of a text (``spec_sections``), and the merge of that by rule.

Knows nothing of models, prompts or plans. ``merge_sections`` is pure: an edited section changes what that section says and
nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum

from pydantic import Field

from zerorepo.target import Provider
from zerorepo.values import Value
from zerorepo_rpg.naming import identifier, module_name_problem, slug, unique
from zerorepo_rpg.spec_conflicts import Conflict
from zerorepo_rpg.spec_references import Reference
from zerorepo_rpg.spec_text import Endpoint, Flow


class Priority(StrEnum):
    """RFC 2119 in three words."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    NICE = "NICE"


class Permission(StrEnum):
    """What generated code may do only when the specification asks for it."""

    NETWORK = "network"
    SUBPROCESS = "subprocess"
    FILESYSTEM = "filesystem"
    NATIVE = "native"


class SpecSection(Value):
    """A heading and the text under it. ``id`` is the heading's slug, made unique by -2, -3; ``line`` counts from 1."""

    id: str
    heading: str
    text: str
    line: int
    level: int = 0
    """Depth of the heading, 1 to 6; 0 for text that stands under no heading."""


class DataField(Value):
    """One field of a data model."""

    name: str
    type: str = ""
    description: str = ""


class DataModel(Value):
    """A type that the specification names."""

    name: str
    description: str = ""
    fields: tuple[DataField, ...] = ()


class FunctionMention(Value):
    """A function or class that the specification names; ``signature`` only as far as the text gives it."""

    name: str
    signature: str = ""
    description: str = ""


class QualityAttribute(Value):
    """A demand on how well, for example ``performance``: "parses 1 MB in a second"."""

    kind: str
    text: str


class RequirementFact(Value):
    """A requirement as found in one section. ``name`` is two to five words that stay when the sentence is reworded."""

    name: str = ""
    text: str
    priority: Priority = Priority.MUST


class ConstraintFact(Value):
    """A limit on how it may be built, as found in one section."""

    text: str
    priority: Priority = Priority.MUST


class SectionFacts(Value):
    """What one section says, without reference to the others. All of it may be empty."""

    summary: str = ""
    requirements: tuple[RequirementFact, ...] = ()
    package_name: str = ""
    languages: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    """Third-party distributions that the text asks to use."""
    data_models: tuple[DataModel, ...] = ()
    functions: tuple[FunctionMention, ...] = ()
    quality_attributes: tuple[QualityAttribute, ...] = ()
    constraints: tuple[ConstraintFact, ...] = ()
    permissions: tuple[Permission, ...] = ()
    license: str = ""


class Requirement(Value):
    """Something that the repository does. ``id`` is a slug; ``section`` the id of the section that asks for it."""

    id: str
    text: str
    section: str
    priority: Priority = Priority.MUST


class Constraint(Value):
    """A limit on how it may be built."""

    id: str
    text: str
    section: str
    priority: Priority = Priority.MUST


class Epic(Value):
    """A section of the second level (or of the first, when there is none) with the requirements that stand in or below it."""

    id: str
    title: str
    requirements: tuple[str, ...] = ()


class Refinement(Value):
    """A change that ``zerorepo spec refine`` made. ``action``: add, remove or clarify; ``when`` is the date, ISO 8601."""

    action: str
    text: str
    section: str = ""
    answer: str = ""
    when: str = ""


class RepositorySpec(Provider):
    """The whole specification, merged from its sections."""

    title: str
    description: str
    package_name: str
    requirements: tuple[Requirement, ...] = ()
    languages: tuple[str, ...] = ("Python",)
    frameworks: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    data_models: tuple[DataModel, ...] = ()
    functions: tuple[FunctionMention, ...] = ()
    quality_attributes: tuple[QualityAttribute, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    permissions: tuple[Permission, ...] = ()
    license: str = ""
    sections: tuple[str, ...] = Field(default=())
    """Ids of the sections, in the order of the text."""
    platforms: tuple[str, ...] = ()
    """This and what follows is found by rule (``spec_reading``), and without lines: moving a paragraph changes nothing."""
    deployment_targets: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    epics: tuple[Epic, ...] = ()
    components: tuple[str, ...] = ()
    data_flows: tuple[Flow, ...] = ()
    api_endpoints: tuple[Endpoint, ...] = ()
    file_recommendations: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    refinements: tuple[Refinement, ...] = ()

    def requirement(self, requirement_id: str) -> Requirement | None:
        """The requirement of that id, if there is one."""
        return next((item for item in self.requirements if item.id == requirement_id), None)


_RANK = {Priority.MUST: 0, Priority.SHOULD: 1, Priority.NICE: 2}


def merge_sections(title: str, sections: Sequence[SpecSection], facts: Sequence[SectionFacts]) -> RepositorySpec:
    """One specification from the facts of each section (``facts[i]`` belongs to ``sections[i]``; else ValueError).

    By rule, in the order of the text: a requirement stated twice is kept once, where it first stands, with its
    strongest priority; different texts under one name get -2, -3. Of a data model or function named twice the fields are united,
    the first description that says something stays. An empty title falls back to the first heading.
    """
    if len(sections) != len(facts):
        raise ValueError(f"{len(sections)} sections but facts of {len(facts)}: give one SectionFacts for each section")
    pairs = list(zip(sections, facts, strict=True))
    name = title.strip() or next((s.heading for s in sections if s.heading), "") or "package"
    stated = [f.package_name for f in facts if f.package_name and not module_name_problem(f.package_name)]
    description = next((f.summary for f in facts if f.summary), "") or next((s.text for s in sections if s.text), "")
    requirements = _merge_stated((r.name, r.text, r.priority, s.id) for s, f in pairs for r in f.requirements)
    constraints = _merge_stated(("", c.text, c.priority, s.id) for s, f in pairs for c in f.constraints)
    return RepositorySpec(
        title=name,
        description=description,
        package_name=stated[0] if stated else identifier(name),
        requirements=tuple(Requirement(id=i, text=t, priority=p, section=s) for i, t, p, s in requirements),
        constraints=tuple(Constraint(id=i, text=t, priority=p, section=s) for i, t, p, s in constraints),
        languages=_merge_words(w for f in facts for w in f.languages) or ("Python",),
        frameworks=_merge_words(w for f in facts for w in f.frameworks),
        dependencies=_merge_words(w for f in facts for w in f.dependencies),
        data_models=_merge_data_models(m for f in facts for m in f.data_models),
        functions=_merge_functions(m for f in facts for m in f.functions),
        quality_attributes=tuple(dict.fromkeys(q for f in facts for q in f.quality_attributes)),
        permissions=tuple(sorted({p for f in facts for p in f.permissions})),
        license=next((f.license for f in facts if f.license), ""),
        sections=tuple(s.id for s in sections),
    )


def _merge_stated(items: Iterable[tuple[str, str, Priority, str]]) -> list[tuple[str, str, Priority, str]]:
    """``(id, text, priority, section)`` of ``(name, text, priority, section)``, duplicates of the text merged."""
    by_text: dict[str, tuple[str, str, Priority, str]] = {}
    ids: set[str] = set()
    for name, text, priority, section in items:
        key = " ".join(text.split()).casefold().rstrip(".")
        if not key:
            continue
        if key in by_text:
            old_id, old_text, old_priority, old_section = by_text[key]
            strongest = min(old_priority, priority, key=_RANK.__getitem__)
            by_text[key] = (old_id, old_text, strongest, old_section)
            continue
        wanted = slug(name, fallback="") or slug(text, max_words=6, fallback="requirement")
        item_id = unique(wanted, ids)
        ids.add(item_id)
        by_text[key] = (item_id, text.strip(), priority, section)
    return list(by_text.values())


_DEPENDENCY = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
    r"(?:\[[A-Za-z0-9._-]+(?:, ?[A-Za-z0-9._-]+)*\])?"
    r"(?: ?(?:[~=!<>]=|[<>]|===) ?[A-Za-z0-9.*+!_-]+(?:, ?(?:[~=!<>]=|[<>]|===) ?[A-Za-z0-9.*+!_-]+)*)?"
)


def is_dependency(text: str) -> bool:
    """Whether ``text`` names a Python distribution as PEP 508 does (``rich``, ``PyYAML>=6,<7``), and says nothing else."""
    return len(text) <= 100 and _DEPENDENCY.fullmatch(text.strip()) is not None


def _merge_words(words: Iterable[str]) -> tuple[str, ...]:
    kept: dict[str, str] = {}
    for word in words:
        if word.strip():
            kept.setdefault(word.strip().casefold(), word.strip())
    return tuple(kept.values())


def _merge_data_models(models: Iterable[DataModel]) -> tuple[DataModel, ...]:
    kept: dict[str, DataModel] = {}
    for model in models:
        old = kept.get(model.name)
        if old is None:
            kept[model.name] = model
            continue
        fields = {field.name: field for field in old.fields}
        for field in model.fields:
            fields.setdefault(field.name, field)
        description = old.description or model.description
        kept[model.name] = DataModel(name=old.name, description=description, fields=tuple(fields.values()))
    return tuple(kept.values())


def _merge_functions(functions: Iterable[FunctionMention]) -> tuple[FunctionMention, ...]:
    kept: dict[str, FunctionMention] = {}
    for item in functions:
        old = kept.get(item.name, item)
        kept[item.name] = FunctionMention(
            name=item.name,
            signature=old.signature or item.signature,
            description=old.description or item.description,
        )
    return tuple(kept.values())


__all__ = [
    "Constraint",
    "ConstraintFact",
    "DataField",
    "DataModel",
    "Epic",
    "FunctionMention",
    "Permission",
    "Priority",
    "QualityAttribute",
    "Refinement",
    "RepositorySpec",
    "Requirement",
    "RequirementFact",
    "SectionFacts",
    "SpecSection",
    "merge_sections",
]
