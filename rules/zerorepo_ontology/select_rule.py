"""The rule ``feature_selection``: iterations of proposing, asking a model what belongs and what is missing, and taking.

Knows nothing of how candidates are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from zerorepo.digest import Digest
from zerorepo.label import Label
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.target import Provider, SourcePath
from zerorepo_llm.ask import ask_json
from zerorepo_ontology.opened import SHIPPED
from zerorepo_ontology.rules import OntologyData
from zerorepo_ontology.select_action import Round, Selected, SelectFeatures
from zerorepo_ontology.selecting import Candidate, Limits
from zerorepo_ontology.starter import PACKAGE

_BATCH = 40
"""Candidates in one question."""


class SelectionAttrs(Attrs):
    """Attributes of ``feature_selection``."""

    spec: SourcePath
    ontology: Label | None = None
    """Default: the shipped one."""
    exclude: tuple[str, ...] = ()
    """Packages whose features are left out."""
    model: bool = True
    """Whether a model judges candidates and proposes what is missing."""
    limits: Limits = Limits()


class FeatureSelection(Provider):
    """The selected features, in order, and why selection stopped."""

    features: tuple[Candidate, ...]
    stopped: str


class SelfCheck(BaseModel):
    """A model's answer about a batch of candidates."""

    refused: list[int]


class Missing(BaseModel):
    """A model's answer about what a selection lacks."""

    features: list[str]


def _outputs(label: Label, attrs: SelectionAttrs) -> list[str]:
    return [f"{label.path}.selection.json"]


@rule("feature_selection", attrs=SelectionAttrs, provides=[FeatureSelection], outputs=_outputs)
async def feature_selection(ctx: RuleContext[SelectionAttrs]) -> FeatureSelection:
    """Select the features that a specification calls for, out of an ontology."""
    attrs = ctx.attrs
    spec = await ctx.source(attrs.spec)
    ontology: Digest
    if attrs.ontology is not None:
        ontology = (await ctx.provider(attrs.ontology, OntologyData)).artifact
    else:
        ontology = ctx.write(await ctx.resource(PACKAGE, SHIPPED))
    action = SelectFeatures(
        ontology=ontology, spec=spec, limits=attrs.limits, exclude=attrs.exclude, name=str(attrs.spec),
        rounds=() if attrs.model else None,
    )  # fmt: skip
    selected: Selected = await ctx.run(action)
    while selected.next and action.rounds is not None:
        said = await _judged(ctx, ctx.read(spec).decode("utf-8", "replace"), selected)
        action = action.model_copy(update={"rounds": (*action.rounds, said)})
        selected = await ctx.run(action)
    ctx.output(f"{ctx.label.path}.selection.json", selected.report)
    return FeatureSelection(features=selected.accepted, stopped=selected.stopped)


async def _judged(ctx: RuleContext[Any], spec: str, selected: Selected) -> Round:
    """One iteration's questions, at once: each batch of candidates, and what is missing."""
    candidates = selected.next
    batches = [candidates[start : start + _BATCH] for start in range(0, len(candidates), _BATCH)]

    def checker(batch: Sequence[Candidate]) -> Any:
        return lambda inner: _refused(inner, spec, batch)

    parts = [checker(batch) for batch in batches]
    if selected.unserved:
        parts.append(lambda inner: _missing(inner, selected))
    answers: list[list[str]] = await ctx.concurrently(parts)
    refused = [text for answer in answers[: len(batches)] for text in answer]
    missing = answers[len(batches)] if selected.unserved else []
    return Round(refused=tuple(sorted(refused)), missing=tuple(dict.fromkeys(missing)))


async def _refused(ctx: RuleContext[Any], spec: str, batch: Sequence[Candidate]) -> list[str]:
    def check(answer: SelfCheck) -> list[str]:
        wrong = [number for number in answer.refused if not 1 <= number <= len(batch)]
        return [f"There is no candidate {number}; they are 1 to {len(batch)}." for number in wrong]

    answer = await ask_json(
        ctx,
        (PACKAGE, "prompts/self_check.md"),
        {
            "requirements": spec,
            "candidates": "\n".join(
                f"{number}. {each.text} ({' / '.join(each.path)})" for number, each in enumerate(batch, 1)
            ),
        },
        SelfCheck,
        tier="medium",
        purpose="check which features belong",
        check=check,
    )
    return [batch[number - 1].text for number in answer.refused]


async def _missing(ctx: RuleContext[Any], selected: Selected) -> list[str]:
    def check(answer: Missing) -> list[str]:
        long = [text for text in answer.features if not 2 <= len(text.split()) <= 20]
        return [f"The feature {text[:80]!r} is no short phrase." for text in long]

    answer = await ask_json(
        ctx,
        (PACKAGE, "prompts/missing_features.md"),
        {
            "requirements": "\n".join(each.text for each in selected.unserved),
            "selected": "\n".join(each.text for each in selected.accepted) or "none",
        },
        Missing,
        tier="medium",
        purpose="find missing features",
        check=check,
    )
    return [text.strip() for text in answer.features]
