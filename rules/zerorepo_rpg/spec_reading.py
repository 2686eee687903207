"""A specification as far as rules can read it: what a model's facts lack is added, and without a model there is this alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zerorepo_rpg import spec_text
from zerorepo_rpg.spec_conflicts import Conflict, find_conflicts
from zerorepo_rpg.spec_model import (
    Epic,
    Refinement,
    RepositorySpec,
    RequirementFact,
    SectionFacts,
    SpecSection,
    merge_sections,
)
from zerorepo_rpg.spec_references import Reference, references_in
from zerorepo_rpg.spec_sections import split_sections


def by_rule(text: str, refinements: Sequence[Refinement] = ()) -> RepositorySpec:
    """The specification without any model: list items are its requirements. References are listed, not read."""
    plain = spec_text.without_directives(text)
    sections = split_sections(plain)
    facts = [
        SectionFacts(requirements=tuple(RequirementFact(text=line.text) for line in _items(section.text)))
        for section in sections
    ]
    spec = merge_sections("", sections, facts)
    languages = tuple(dict.fromkeys(each.word for each in spec_text.mentions(text, spec_text.LANGUAGES)))
    frameworks = tuple(
        dict.fromkeys(each.word for each in spec_text.mentions(text, (*spec_text.FRONTEND, *spec_text.BACKEND)))
    )
    spec = spec.model_copy(update={"languages": languages or spec.languages, "frameworks": frameworks})
    return with_findings(
        spec, text, sections, references=references_in(text), conflicts=find_conflicts(text), refinements=refinements
    )


def _items(text: str) -> list[spec_text.Line]:
    marked = {line.number for line in spec_text.prose(text) if line.text.lstrip().startswith(("-", "*", "+"))}
    return [line for line in spec_text.statements(text) if line.number in marked]


def with_findings(
    spec: RepositorySpec,
    text: str,
    sections: Sequence[SpecSection],
    *,
    references: Iterable[Reference] = (),
    conflicts: Iterable[Conflict] = (),
    refinements: Iterable[Refinement] = (),
) -> RepositorySpec:
    """The specification with what rules find in its text. Lines are left out, so that moving a paragraph changes nothing."""

    def words(found: Iterable[spec_text.Mention]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.word for each in found))

    return spec.model_copy(
        update={
            "platforms": words(spec_text.mentions(text, spec_text.PLATFORMS)),
            "deployment_targets": words(spec_text.mentions(text, spec_text.DEPLOYMENT)),
            "scope": words(spec_text.scopes(text)),
            "epics": tuple(_epics(spec, sections)),
            "components": words(spec_text.components(text)),
            "data_flows": tuple(each.model_copy(update={"line": 0}) for each in spec_text.flows(text)),
            "api_endpoints": tuple(each.model_copy(update={"line": 0}) for each in spec_text.endpoints(text)),
            "file_recommendations": tuple(spec_text.file_recommendations(text)),
            "references": tuple(each.model_copy(update={"line": 0}) for each in references),
            "conflicts": tuple(each.model_copy(update={"lines": ()}) for each in conflicts),
            "refinements": tuple(refinements),
        }
    )


def _epics(spec: RepositorySpec, sections: Sequence[SpecSection]) -> Iterable[Epic]:
    levels = sorted({section.level for section in sections if section.level})
    level = 2 if 2 in levels else levels[0] if levels else 0
    below: dict[str, list[str]] = {}
    current = ""
    titles: dict[str, str] = {}
    for section in sections:
        if section.level and section.level <= level:
            current = section.id if section.level == level else ""
            titles[section.id] = section.heading
        below.setdefault(current, []).extend(r.id for r in spec.requirements if r.section == section.id)
    for name, ids in below.items():
        if name and ids:
            yield Epic(id=name, title=titles[name], requirements=tuple(ids))


__all__ = ["by_rule", "with_findings"]
