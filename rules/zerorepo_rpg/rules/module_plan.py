"""Stages ``files`` and ``interfaces`` of one module. Modules that need nothing of each other are planned in parallel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zerorepo.errors import InternalError
from zerorepo.label import Label
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.target import Provider
from zerorepo_llm.ask import ask_json
from zerorepo_rpg.existing import files_of, listing, with_known_uses
from zerorepo_rpg.graph import RPGGraph
from zerorepo_rpg.limits import LimitSet, shown_limits
from zerorepo_rpg.plan_change import InterfaceChange, merge_interfaces
from zerorepo_rpg.plan_model import (
    BaseClasses,
    DataFlow,
    Feature,
    FeatureSet,
    FileLayout,
    FilePlan,
    ModuleInterfaces,
    ModulePlan,
    ModuleSet,
    NodeInterface,
    Plan,
)
from zerorepo_rpg.providers import LockedExisting, LockedModule, LockedModulePlans, StageInputs
from zerorepo_rpg.reference_listing import reference_listing
from zerorepo_rpg.rules.asking import all_served, forbid_when_locked, stage_digest, template
from zerorepo_rpg.rules.stages import named_in
from zerorepo_rpg.spec_model import RepositorySpec, Requirement
from zerorepo_rpg.spec_references import Reference
from zerorepo_rpg.validate import check_layout, check_module_interfaces, messages


class FilesAttrs(Attrs):
    """Attributes of ``rpg_files``."""

    module: str
    spec: Label
    lock: Label
    lock_path: str
    features: Label
    modules: Label
    base_classes: Label


class InterfacesAttrs(FilesAttrs):
    """Attributes of ``rpg_interfaces``. ``upstream``: the interfaces of the modules whose data this one takes."""

    limits: Label
    files: Label
    upstream: tuple[Label, ...] = ()


async def _module(ctx: RuleContext[Any]) -> tuple[ModulePlan, tuple[Feature, ...], ModuleSet]:
    modules = await ctx.provider(ctx.attrs.modules, ModuleSet)
    features = await ctx.provider(ctx.attrs.features, FeatureSet)
    module = next((each for each in modules.modules if each.id == ctx.attrs.module), None)
    if module is None:
        raise InternalError(f"`{ctx.label}` was declared for the module `{ctx.attrs.module}`, which is not in the plan")
    by_id = {feature.id: feature for feature in features.features}
    return module, tuple(by_id[each] for each in module.features), modules


async def _locked(ctx: RuleContext[Any]) -> LockedModule:
    plans = await ctx.provider(ctx.attrs.lock, LockedModulePlans)
    found = plans.modules.get(ctx.attrs.module)
    return found or LockedModule(interfaces=ModuleInterfaces(module=ctx.attrs.module))


@rule("rpg_files", version=2, attrs=FilesAttrs, provides=[FileLayout, StageInputs])
async def rpg_files(ctx: RuleContext[FilesAttrs]) -> list[Provider]:
    """Assign the module's features to files."""
    spec = await ctx.provider(ctx.attrs.spec, RepositorySpec)
    module, features, _ = await _module(ctx)
    locked = await _locked(ctx)
    there = (await ctx.provider(ctx.attrs.lock, LockedExisting)).value
    inputs = stage_digest(spec.package_name, module.id, tuple((feature.id, feature.name) for feature in features))
    made = StageInputs(inputs={f"files/{module.id}": inputs})
    old = tuple(
        FilePlan(path=path, module=module.id, features=ids, description=text) for path, ids, text in locked.files
    )
    if locked.files_inputs == inputs and all_served(module.features, (file.features for file in old)):
        return [FileLayout(package_name=spec.package_name, files=old), made]
    await forbid_when_locked(ctx, f"files/{module.id}", ctx.attrs.lock_path)
    answer = await ask_json(
        ctx,
        template("files.md"),
        {
            "module": module.id,
            "folder": f"{spec.package_name}/{module.id}",
            "description": module.description,
            "features": "\n".join(f"{feature.id}: {feature.name} — {feature.description}" for feature in features),
            "old": FileLayout(package_name=spec.package_name, files=old).model_dump_json(indent=1) if old else "",
            "existing": listing(there, " ".join(f"{each.name} {each.description}" for each in features)),
        },
        FileLayout,
        tier="medium",
        purpose=f"lay out the files of {module.id}",
        check=lambda value: messages(check_layout(value, module, spec.package_name, files_of(there))),
    )
    return [answer.model_copy(update={"files": tuple(sorted(answer.files, key=lambda file: file.path))}), made]


@rule("rpg_interfaces", version=2, attrs=InterfacesAttrs, provides=[ModuleInterfaces, StageInputs])
async def rpg_interfaces(ctx: RuleContext[InterfacesAttrs]) -> list[Provider]:
    """Design one interface per feature of the module."""
    spec = await ctx.provider(ctx.attrs.spec, RepositorySpec)
    module, features, modules = await _module(ctx)
    layout = await ctx.provider(ctx.attrs.files, FileLayout)
    base = await ctx.provider(ctx.attrs.base_classes, BaseClasses)
    upstream = await ctx.providers(ctx.attrs.upstream, ModuleInterfaces)
    locked = await _locked(ctx)
    available = [each.interface() for each in base.classes] + [node for each in upstream for node in each.interfaces]
    flows = tuple(flow for flow in modules.flows if module.id in (flow.source, flow.target))
    told = _behind(features, spec.requirements)
    limits = shown_limits(await ctx.provider(ctx.attrs.limits, LimitSet), module.features)
    references = _references(spec.references, told)
    there = (await ctx.provider(ctx.attrs.lock, LockedExisting)).value
    inputs = _interfaces_digest(spec.package_name, module.id, told, layout.files, available, flows, limits, references)
    made = StageInputs(inputs={f"interfaces/{module.id}": inputs})
    served = (node.features for node in locked.interfaces.interfaces)
    if locked.interfaces_inputs == inputs and all_served(module.features, served):
        return [locked.interfaces, made]
    await forbid_when_locked(ctx, f"interfaces/{module.id}", ctx.attrs.lock_path)
    variables = {
        "package": spec.package_name,
        "description": spec.description,
        "dependencies": ", ".join(spec.dependencies),
        "module": module.id,
        "module_description": module.description,
        "features": "\n\n".join(_told(feature, sentences) for feature, sentences in told),
        "files": "\n".join(f"{file.path}: {', '.join(file.features)}" for file in layout.files),
        "named": named_in(spec),
        "available": "\n\n".join(show_node(node) for node in available) or "none",
        "flows": "\n".join(f"{f.source} -> {f.target}: {f.data_name} ({f.data_type}) {f.description}" for f in flows),
        "old": locked.interfaces.model_dump_json(indent=1) if locked.interfaces.interfaces else "",
        "existing": _existing(there, layout.files),
        "limits": limits,
        "references": references,
    }
    found = await _ask_interfaces(ctx, module, layout, available, locked.interfaces.interfaces, variables, there)
    return [found, made]


def _existing(graph: RPGGraph, files: Sequence[FilePlan]) -> str:
    paths = {file.path for file in files}
    return listing(graph.subgraph(lambda node: node.file_path in paths), "", signatures=True) if graph.nodes else ""


_Told = tuple[tuple[Feature, tuple[str, ...]], ...]
"""Features, each with the sentences of the specification behind it."""


def _behind(features: Sequence[Feature], requirements: Sequence[Requirement]) -> _Told:
    texts = {requirement.id: requirement.text for requirement in requirements}
    return tuple((feature, tuple(texts.get(r, "") for r in feature.requirements)) for feature in features)


def _references(references: Sequence[Reference], told: _Told) -> str:
    about = " ".join(" ".join((each.name, each.description, *sentences)) for each, sentences in told)
    return reference_listing(references, about)


def _interfaces_digest(
    package: str,
    module: str,
    told: _Told,
    files: tuple[FilePlan, ...],
    available: Sequence[NodeInterface],
    flows: tuple[DataFlow, ...],
    limits: str,
    references: str,
) -> str:
    seen = tuple((node.id, node.file, node.signature) for node in available)
    # A module that is shown neither has the digest that it had before these were shown.
    more = ({"limits": limits, "references": references},) if limits or references else ()
    return stage_digest(package, module, told, files, seen, flows, *more)


def interfaces_inputs(
    plan: Plan, requirements: Sequence[Requirement], references: Sequence[Reference] = ()
) -> dict[str, str]:
    """What the stages ``interfaces`` of a whole plan were made from, were it planned as it is now, by stage name.

    For a plan whose interfaces were mended after their stages: a module must not be asked for because of it.
    """
    by_id = {feature.id: feature for feature in plan.features.features}
    reach, given = plan.modules.upstream(), {each.module: each.interfaces for each in plan.interfaces}
    found = {}
    for module in plan.modules.modules:
        available = [base.interface() for base in plan.base_classes.classes]
        available += [node for upstream in reach[module.id] for node in given.get(upstream, ())]
        files = tuple(file for file in plan.layout.files if file.module == module.id)
        flows = tuple(flow for flow in plan.modules.flows if module.id in (flow.source, flow.target))
        told = _behind([by_id[name] for name in module.features], requirements)
        limits = shown_limits(plan.limits, module.features)
        shown = (limits, _references(references, told))
        digest = _interfaces_digest(plan.package_name, module.id, told, files, available, flows, *shown)
        found[f"interfaces/{module.id}"] = digest
    return found


async def _ask_interfaces(
    ctx: RuleContext[Any],
    module: ModulePlan,
    layout: FileLayout,
    available: Sequence[NodeInterface],
    old: Sequence[NodeInterface],
    variables: Mapping[str, object],
    existing: RPGGraph,
) -> ModuleInterfaces:
    """The interfaces of a new module, or the old ones with what the change of their inputs calls for."""

    def known(value: ModuleInterfaces) -> ModuleInterfaces:
        nodes = with_known_uses(value.interfaces, available, existing)
        return value if nodes == value.interfaces else value.model_copy(update={"interfaces": nodes})

    def problems(value: ModuleInterfaces) -> list[str]:
        return messages(check_module_interfaces(known(value), module, layout, available))

    if not old:
        answer = await ask_json(
            ctx,
            template("interfaces.md"),
            variables,
            ModuleInterfaces,
            tier="strong",
            purpose=f"design the interfaces of {module.id}",
            check=problems,
        )
        nodes = tuple(sorted(answer.interfaces, key=lambda node: node.id))
        return known(ModuleInterfaces(module=module.id, interfaces=nodes))
    change = await ask_json(
        ctx,
        template("interfaces.md"),
        variables,
        InterfaceChange,
        tier="strong",
        purpose=f"change the interfaces of {module.id}",
        check=lambda value: problems(merge_interfaces(old, value, module)),
    )
    return known(merge_interfaces(old, change, module))


def _told(feature: Feature, sentences: Sequence[str]) -> str:
    lines = [f"{feature.id}: {feature.name} — {feature.description}"]
    return "\n".join([*lines, *(f"  - {sentence}" for sentence in sentences if sentence)])


def show_node(node: NodeInterface) -> str:
    """A node as others see it: its id, the line that imports it, its signature and docstring."""
    lines = [
        f"{node.id}",
        f"from {node.import_path} import {node.name}",
        node.signature.rstrip(),
        f'"""{node.docstring}"""',
    ]
    return "\n".join(lines)
