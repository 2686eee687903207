"""Stage ``plan``: all stages joined, checked (``mending``), written into the lock, and expanded into the targets of each node."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from zerorepo.label import Label
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo_rpg.existing import files_of
from zerorepo_rpg.limits import LimitSet
from zerorepo_rpg.lock import render_lock
from zerorepo_rpg.plan_model import (
    BaseClasses,
    FeatureSet,
    FileLayout,
    FilePlan,
    ModuleInterfaces,
    ModuleSet,
    NodeInterface,
    Plan,
)
from zerorepo_rpg.providers import LockedExisting, StageInputs
from zerorepo_rpg.renames import told_of
from zerorepo_rpg.rules.carrying import carrying, renames_of
from zerorepo_rpg.rules.declaring_existing import taking_existing
from zerorepo_rpg.rules.mending import mended
from zerorepo_rpg.rules.module_plan import interfaces_inputs
from zerorepo_rpg.rules.staged_targets import staged_targets
from zerorepo_rpg.rules.stages import module_label
from zerorepo_rpg.rules.vectors import LookUpsBy
from zerorepo_rpg.skeleton import file_imports
from zerorepo_rpg.spec_model import RepositorySpec
from zerorepo_sandbox.settings import TierName


class PlanAttrs(Attrs):
    """Attributes of ``rpg_plan``. ``max_repairs``: how often a node's code or tests are mended before it counts as failed.

    ``integration``: whether tests of several nodes together are written. ``look_ups``: how a repair finds nodes.
    """

    spec: Label
    lock: Label
    lock_path: str
    features: Label
    limits: Label
    modules: Label
    base_classes: Label
    max_repairs: int = 8
    integration: bool = False
    look_ups: LookUpsBy = "words"
    sandbox: TierName | None = None


@rule("rpg_plan", version=3, attrs=PlanAttrs, provides=[Plan], expands=True)
async def rpg_plan(ctx: RuleContext[PlanAttrs]) -> Plan:
    """Join the stages to a plan."""
    attrs = ctx.attrs
    spec = await ctx.provider(attrs.spec, RepositorySpec)
    features = await ctx.provider(attrs.features, FeatureSet)
    modules = await ctx.provider(attrs.modules, ModuleSet)
    base = await ctx.provider(attrs.base_classes, BaseClasses)
    names = [module.id for module in modules.modules]
    layouts = await ctx.providers([module_label(ctx.label, name, "files") for name in names], FileLayout)
    interfaces = await ctx.providers([module_label(ctx.label, name, "interfaces") for name in names], ModuleInterfaces)
    files: tuple[FilePlan, ...] = tuple(
        sorted((file for each in layouts for file in each.files), key=lambda file: file.path)
    )
    plan = Plan(
        features=features,
        modules=modules,
        layout=FileLayout(package_name=spec.package_name, files=files),
        base_classes=base,
        interfaces=tuple(interfaces),
        limits=await ctx.provider(attrs.limits, LimitSet),
    )
    planned = plan
    existing = await ctx.provider(attrs.lock, LockedExisting)
    plan = await mended(ctx, planned, spec, files_of(existing.value))
    stages = await _stage_inputs(ctx, names)
    if plan is not planned:
        stages.update(interfaces_inputs(plan, spec.requirements, spec.references))
    renames = await renames_of(ctx, plan, spec)
    ctx.update_source(attrs.lock_path, render_lock(plan, stages, spec.requirements, existing.value, renames).encode())
    declaring = taking_existing(ctx, plan, existing.value, lambda node, suffix: node_label(ctx.label, node, suffix))
    _declare_nodes(carrying(declaring, plan, spec, renames), plan, spec, files_of(existing.value))
    return plan


async def _stage_inputs(ctx: RuleContext[Any], names: list[str]) -> dict[str, str]:
    labels = [ctx.attrs.features, ctx.attrs.limits, ctx.attrs.modules, ctx.attrs.base_classes]
    labels += [module_label(ctx.label, name, stage) for name in names for stage in ("files", "interfaces")]
    found: dict[str, str] = {}
    for each in await ctx.providers(labels, StageInputs):
        found.update(each.inputs)
    return found


def node_label(owner: Label, node_id: str, suffix: str = "") -> Label:
    """``//<module>:<name><suffix>`` of the node ``<module>/<name>``."""
    module, _, name = node_id.partition("/")
    return module_label(owner, module, name + suffix)


def _declare_nodes(ctx: RuleContext[PlanAttrs], plan: Plan, spec: RepositorySpec, existing: Collection[str]) -> None:
    uses = plan.uses()
    told = told_of(plan, spec.requirements)
    imports = file_imports(plan)
    for node in plan.nodes():
        in_file: dict[str, Any] = {"file_imports": list(imports[node.id])} if imports[node.id] else {}
        in_file |= {"existing_file": node.file} if node.file in existing else {}
        _declare_node(ctx, plan, spec, node, uses[node.id], list(told[node.id].sentences), in_file)
    if ctx.attrs.integration:
        for label, rule_name, given in staged_targets(ctx.label, plan, ctx.attrs.sandbox):
            ctx.declare(label, rule_name, given)


def _declare_node(
    ctx: RuleContext[PlanAttrs],
    plan: Plan,
    spec: RepositorySpec,
    node: NodeInterface,
    uses: tuple[str, ...],
    sentences: list[str],
    in_file: dict[str, Any],
) -> None:
    """``in_file``: what the code is told of its file, attributes of ``node_code``."""

    def label(suffix: str, of: str = node.id) -> str:
        return str(node_label(ctx.label, of, suffix))

    closure = sorted(plan.closure({node.id}) - {node.id})
    ctx.declare(
        node_label(ctx.label, node.id, ".interface"),
        "node_interface",
        {"interface": node.model_dump(mode="json"), "requirements": sentences},
    )
    asking = {
        "interface": label(".interface"),
        "uses": [label(".interface", each) for each in uses],
        "dependencies": list(spec.dependencies),
        "permissions": [str(permission) for permission in spec.permissions],
    }
    skeleton_of = {
        "interface": label(".interface"),
        "closure_interfaces": [label(".interface", each) for each in closure],
        "package": plan.package_name,
        **({"sandbox": ctx.attrs.sandbox} if ctx.attrs.sandbox else {}),
    }
    ctx.declare(node_label(ctx.label, node.id, ".tests"), "node_tests", {**asking, **skeleton_of})
    proving = {**skeleton_of, "closure_code": [label(".code", each) for each in closure]}
    mending: dict[str, Any] = {"plan": str(ctx.label), "max_repairs": ctx.attrs.max_repairs}
    mending |= {"look_ups": ctx.attrs.look_ups} if ctx.attrs.look_ups != "words" else {}
    ctx.declare(
        node_label(ctx.label, node.id, ".code"),
        "node_code",
        {**asking, **proving, "tests": label(".tests"), **mending, **in_file},
    )
    ctx.declare(node_label(ctx.label, node.id, ".test"), "node_test", {**proving, "code": label(".code")})
    ctx.declare(
        node_label(ctx.label, node.id),
        "node",
        {"interface": label(".interface"), "code": label(".code"), "test": label(".test")},
    )
