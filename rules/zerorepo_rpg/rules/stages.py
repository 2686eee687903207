"""Stages ``features``, ``modules`` and ``base_classes``: what the whole library is, before any one module is planned.

Each stage hands on the lock's slice while that was made from the same inputs; otherwise it asks for a change to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from zerorepo.label import Label
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.target import Provider
from zerorepo_llm.ask import ask_json
from zerorepo_rpg.existing import listing
from zerorepo_rpg.grouping import refine, without_cycles
from zerorepo_rpg.layout_checks import hidden_modules
from zerorepo_rpg.plan_change import FeatureChange, merge_features
from zerorepo_rpg.plan_model import BaseClasses, Feature, FeatureSet, ModuleSet
from zerorepo_rpg.providers import LockedBaseClasses, LockedExisting, LockedFeatures, LockedModules, StageInputs
from zerorepo_rpg.reference_listing import reference_listing, unread_links
from zerorepo_rpg.rules.asking import all_served, forbid_when_locked, stage_digest, template
from zerorepo_rpg.rules.notes import PlanNote
from zerorepo_rpg.rules.vectors import Refine, feature_vectors
from zerorepo_rpg.spec_model import RepositorySpec, Requirement
from zerorepo_rpg.validate import check_base_classes, check_features, check_modules, messages


class StageAttrs(Attrs):
    """Attributes of the stages: where the earlier ones are, and the lock's path for messages."""

    spec: Label
    lock: Label
    lock_path: str
    features: Label | None = None
    modules: Label | None = None
    refine: Refine = "off"
    """Whether a model's grouping is improved by rule, and by what features are compared."""


def named_in(spec: RepositorySpec) -> str:
    """Functions and types that the specification names, one a line."""
    lines = [f"{each.signature or each.name}: {each.description}" for each in spec.functions]
    for model in spec.data_models:
        fields = ", ".join(f"{field.name}: {field.type}" if field.type else field.name for field in model.fields)
        lines.append(f"type {model.name}({fields}): {model.description}")
    return "\n".join(lines)


async def shown_existing(ctx: RuleContext[Any], spec: RepositorySpec) -> str:
    """Existing code as planning is shown it; "" without any. ``ctx.attrs.lock`` is the lock's label.

    It is no input of a stage: scanning code again must not plan again what was accepted.
    """
    locked = await ctx.provider(ctx.attrs.lock, LockedExisting)
    return listing(locked.value, _about(spec))


def _about(spec: RepositorySpec) -> str:
    return " ".join([spec.title, spec.description, *(each.text for each in spec.requirements)])


@rule("rpg_features", version=3, attrs=StageAttrs, provides=[FeatureSet, StageInputs])
async def rpg_features(ctx: RuleContext[StageAttrs]) -> list[Provider]:
    """Choose the features that the requirements call for."""
    spec = await ctx.provider(ctx.attrs.spec, RepositorySpec)
    locked = await ctx.provider(ctx.attrs.lock, LockedFeatures)
    references = reference_listing(spec.references, _about(spec))
    if links := unread_links(spec.references):
        text = "not fetched, so only what the specification says of them is known"
        await ctx.run(PlanNote(text=f"references that are links are {text}: {', '.join(links)}"))
    # A specification without references has the digest that it had before these were shown.
    shown = (references,) if references else ()
    inputs = stage_digest(spec.title, spec.requirements, spec.functions, spec.data_models, *shown)
    made = StageInputs(inputs={"features": inputs})
    served = (feature.requirements for feature in locked.value.features)
    if locked.inputs == inputs and all_served((each.id for each in spec.requirements), served):
        return [locked.value, made]
    await forbid_when_locked(ctx, "features", ctx.attrs.lock_path)
    return [await _ask_features(ctx, spec, locked, references), made]


async def _ask_features(
    ctx: RuleContext[Any], spec: RepositorySpec, locked: LockedFeatures, references: str
) -> FeatureSet:
    """The features of a new specification, or the old ones with what its change calls for."""
    old = locked.value.features
    variables = {
        "title": spec.title,
        "description": spec.description,
        "requirements": "\n".join(f"{r.id} ({r.priority}): {r.text}" for r in spec.requirements),
        "named": named_in(spec),
        "old": _dump(old),
        "existing": await shown_existing(ctx, spec),
        "references": references,
        **_changes(locked.requirements, spec.requirements),
    }
    if not old:
        answer = await ask_json(
            ctx,
            template("features.md"),
            variables,
            FeatureSet,
            tier="strong",
            purpose="choose the features",
            check=lambda value: messages(check_features(value, spec)),
        )
        return FeatureSet(features=tuple(sorted(answer.features, key=lambda feature: feature.id)))
    present = {requirement.id for requirement in spec.requirements}
    change = await ask_json(
        ctx,
        template("features.md"),
        variables,
        FeatureChange,
        tier="strong",
        purpose="change the features",
        check=lambda value: messages(check_features(merge_features(old, value, present), spec)),
    )
    return merge_features(old, change, present)


@rule("rpg_modules", version=3, attrs=StageAttrs, provides=[ModuleSet, StageInputs], expands=True)
async def rpg_modules(ctx: RuleContext[StageAttrs]) -> list[Provider]:
    """Group features into modules with acyclic data flow, and declare one package of planning targets per module."""
    assert ctx.attrs.features is not None
    spec = await ctx.provider(ctx.attrs.spec, RepositorySpec)
    features = await ctx.provider(ctx.attrs.features, FeatureSet)
    locked = await ctx.provider(ctx.attrs.lock, LockedModules)
    # Only what grouping looks at: a reworded description must not regroup anything.
    inputs = stage_digest(spec.title, tuple((feature.id, feature.name) for feature in features.features))
    value = locked.value
    grouped = (module.features for module in value.modules)
    if locked.inputs != inputs or not all_served((feature.id for feature in features.features), grouped):
        await forbid_when_locked(ctx, "modules", ctx.attrs.lock_path)
        value = await _ask_modules(ctx, spec, features, locked.value)
    _declare_modules(ctx, value)
    return [value, StageInputs(inputs={"modules": inputs})]


async def _ask_modules(
    ctx: RuleContext[StageAttrs], spec: RepositorySpec, features: FeatureSet, old: ModuleSet
) -> ModuleSet:
    few = len(features.features) < 6
    named = [function.name for function in spec.functions] + [model.name for model in spec.data_models]

    def check(value: ModuleSet) -> list[str]:
        # A circle alone is for a rule to break, which costs no question.
        broken = without_cycles(value, features.features)[0]
        found = check_modules(value, features) if check_modules(broken, features) else []
        return messages([*found, *hidden_modules(value, named)])

    answer = await ask_json(
        ctx,
        template("modules.md"),
        {
            "title": spec.title,
            "features": "\n".join(f"{feature.id}: {feature.name}" for feature in features.features),
            "how_many": "One or two modules are enough for so few." if few else "Three to ten modules.",
            "old": old.model_dump_json(indent=1) if old.modules else "",
            "existing": await shown_existing(ctx, spec),
        },
        ModuleSet,
        tier="strong",
        purpose="change the modules" if old.modules else "group the features into modules",
        check=check,
    )
    found, broken = without_cycles(answer, features.features)
    for flow in broken:
        what = f"{flow.source} -> {flow.target} ({flow.data_name})"
        await ctx.run(PlanNote(text=f"left out the flow {what}: the weakest edge of a circle"))
    if ctx.attrs.refine != "off":
        found = await _refined(ctx, found, features.features)
    return ModuleSet(
        modules=tuple(sorted(found.modules, key=lambda module: module.id)),
        flows=tuple(sorted(found.flows, key=lambda flow: (flow.source, flow.target, flow.data_name))),
    )


async def _refined(ctx: RuleContext[StageAttrs], modules: ModuleSet, features: Sequence[Feature]) -> ModuleSet:
    vectors = await feature_vectors(ctx, features) if ctx.attrs.refine == "embeddings" else None
    better, steps = refine(modules, features, vectors)
    for step in steps:
        await ctx.run(PlanNote(text=f"moved {step}"))
    return better


def module_label(owner: Label, module: str, name: str) -> Label:
    """``//<package of owner>/<module>:<name>``."""
    return Label(f"{owner.package}/{module}" if owner.package else module, name)


def _declare_modules(ctx: RuleContext[StageAttrs], value: ModuleSet) -> None:
    reach = value.upstream()
    stem = ctx.label.name.rpartition(".")[0]
    common = {
        "spec": str(ctx.attrs.spec),
        "lock": str(ctx.attrs.lock),
        "lock_path": ctx.attrs.lock_path,
        "features": str(ctx.attrs.features),
        "modules": str(ctx.label),
        "base_classes": str(ctx.label.sibling(f"{stem}.base_classes")),
    }
    limits = str(ctx.label.sibling(f"{stem}.limits"))
    for module in value.modules:
        attrs = {**common, "module": module.id}
        ctx.declare(module_label(ctx.label, module.id, "files"), "rpg_files", attrs)
        upstream = [str(module_label(ctx.label, each, "interfaces")) for each in reach[module.id]]
        files = str(module_label(ctx.label, module.id, "files"))
        ctx.declare(
            module_label(ctx.label, module.id, "interfaces"),
            "rpg_interfaces",
            {**attrs, "limits": limits, "files": files, "upstream": upstream},
        )


@rule("rpg_base_classes", version=2, attrs=StageAttrs, provides=[BaseClasses, StageInputs])
async def rpg_base_classes(ctx: RuleContext[StageAttrs]) -> list[Provider]:
    """Find classes that several features share. Most libraries need none or one."""
    assert ctx.attrs.features is not None and ctx.attrs.modules is not None
    spec = await ctx.provider(ctx.attrs.spec, RepositorySpec)
    features = await ctx.provider(ctx.attrs.features, FeatureSet)
    modules = await ctx.provider(ctx.attrs.modules, ModuleSet)
    locked = await ctx.provider(ctx.attrs.lock, LockedBaseClasses)
    grouped = tuple((module.id, module.features) for module in modules.modules)
    inputs = stage_digest(spec.package_name, tuple((f.id, f.name) for f in features.features), grouped)
    made = StageInputs(inputs={"base_classes": inputs})
    if locked.inputs == inputs:
        return [locked.value, made]
    await forbid_when_locked(ctx, "base_classes", ctx.attrs.lock_path)
    by_id = {feature.id: feature for feature in features.features}
    shown = "\n".join(
        f"module {module.id}\n" + "\n".join(f"  {i}: {by_id[i].name} — {by_id[i].description}" for i in module.features)
        for module in modules.modules
    )
    answer = await ask_json(
        ctx,
        template("base_classes.md"),
        {
            "title": spec.title,
            "package": spec.package_name,
            "features": shown,
            "old": locked.value.model_dump_json(indent=1) if locked.value.classes else "",
        },
        BaseClasses,
        tier="strong",
        purpose="find base classes",
        check=lambda value: messages(check_base_classes(value, features, spec.package_name)),
    )
    return [BaseClasses(classes=tuple(sorted(answer.classes, key=lambda each: each.id))), made]


def _dump(features: Iterable[Feature]) -> str:
    return (
        json.dumps([feature.model_dump(mode="json") for feature in features], indent=1, ensure_ascii=False)
        if features
        else ""
    )


def _changes(old: Sequence[Requirement], new: Sequence[Requirement]) -> dict[str, str]:
    """What is new, reworded (with the earlier text) and gone, for a question about a change."""
    before = {requirement.id: requirement.text for requirement in old}
    reworded = [r for r in new if r.id in before and r.text != before[r.id]]
    return {
        "added": _listed(r.id for r in new if r.id not in before),
        "reworded": "\n".join(f"{r.id}\n  was: {before[r.id]}\n  is:  {r.text}" for r in reworded) or "none",
        "removed": _listed(set(before) - {r.id for r in new}),
    }


def _listed(ids: Iterable[str]) -> str:
    return ", ".join(sorted(ids)) or "none"
