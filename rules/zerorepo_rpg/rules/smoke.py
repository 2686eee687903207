"""The smoke tests of the whole package, by its public names and its command, as its users will use it. One file a repository.

They are asked for before the code exists, and run with the package as it is assembled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zerorepo.label import Label
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.target import Provider, TestReport
from zerorepo_rpg.assemble import package_files
from zerorepo_rpg.console import Command, command_of
from zerorepo_rpg.plan_model import NodeInterface, Plan
from zerorepo_rpg.project import summary_of
from zerorepo_rpg.rules.plan import node_label
from zerorepo_rpg.rules.staged import Told, ask_staged, bodies_of, settled
from zerorepo_rpg.skeleton import skeleton
from zerorepo_rpg.spec_model import RepositorySpec
from zerorepo_rpg.staged import SMOKE_PATH, ProvenTests, StagedTests, check_staged, used_nodes
from zerorepo_sandbox.settings import TierName


class SmokeAttrs(Attrs):
    """Attributes of ``smoke_tests``."""

    spec: Label
    plan: Label
    sandbox: TierName | None = None


class SmokeTestAttrs(SmokeAttrs):
    """Attributes of ``smoke_test``."""

    tests: Label


@rule("smoke_tests", version=2, attrs=SmokeAttrs, provides=[StagedTests])
async def smoke_tests(ctx: RuleContext[SmokeAttrs]) -> StagedTests:
    """Ask for tests that use the finished package from end to end, and see that they fail while there is no code."""
    spec = await ctx.provider(ctx.attrs.spec, RepositorySpec)
    plan = await ctx.provider(ctx.attrs.plan, Plan)
    command = command_of(plan, spec)
    return await ask_staged(
        ctx,
        "smoke_tests.md",
        {
            "package": plan.package_name,
            "description": spec.description,
            "features": "\n".join(f"{feature.name}: {feature.description}" for feature in plan.features.features),
            "interfaces": _public(plan.package_name, plan.nodes()),
            "command": command.name if command else "",
            "command_function": f"{command.entry.name}()" if command else "",
        },
        purpose="write the smoke tests",
        check=lambda source: check_smoke(source, plan, command),
        skeleton=skeleton(plan),
        path=SMOKE_PATH,
    )


@rule("smoke_test", version=3, attrs=SmokeTestAttrs, provides=[ProvenTests, TestReport], test=True)
async def smoke_test(ctx: RuleContext[SmokeTestAttrs]) -> list[Provider]:
    """The verdict on the whole package as its users will import it."""
    spec = await ctx.provider(ctx.attrs.spec, RepositorySpec)
    plan = await ctx.provider(ctx.attrs.plan, Plan)
    command = command_of(plan, spec)
    labels = {node.id: node_label(ctx.attrs.plan, node.id, ".code") for node in plan.nodes()}

    async def world(tests: str) -> Mapping[str, str] | str:
        bodies = await bodies_of(ctx, labels)
        return bodies if isinstance(bodies, str) else package_files(plan, bodies, description=summary_of(spec))

    told = Told(
        subject=f"the whole package `{plan.package_name}`",
        interfaces=_public(plan.package_name, plan.nodes()),
        check=lambda source: check_smoke(source, plan, command),
        skeleton=skeleton(plan),
    )
    first = await ctx.provider(ctx.attrs.tests, StagedTests)
    return await settled(ctx, told, first.source, SMOKE_PATH, world)


def check_smoke(source: str, plan: Plan, command: Command | None) -> list[str]:
    """What keeps ``source`` from being smoke tests of the package: see ``check_staged``."""
    found = check_staged(source, [plan.nodes()], imported_from=plan.package_name)
    if command and not found:
        homes = {(plan.package_name, node.name): node.id for node in plan.nodes()}
        if command.entry.id not in used_nodes(source, homes):
            found.append(f"it never calls `{command.entry.name}()`, which the command `{command.name}` runs")
    return found


def _public(package: str, nodes: Sequence[NodeInterface]) -> str:
    """Each node in short: a reworded later sentence of a docstring asks for no other smoke tests."""
    return "\n\n".join(_short(package, node) for node in nodes)


def _short(package: str, node: NodeInterface) -> str:
    lines: list[Any] = [f"from {package} import {node.name}", node.signature.rstrip()]
    if node.docstring.strip():
        lines.append(node.docstring.strip().partition("\n\n")[0])
    if node.raises:
        lines += ["Raises:", *node.raises]
    if node.examples:
        lines += ["Examples:", *node.examples]
    return "\n".join(lines)
