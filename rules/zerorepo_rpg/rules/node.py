"""Targets of one node: its interface, its first tests, the verdict on its code. The code itself is in ``node_code``.

Tests and code are asked for from interfaces only: a changed body of something used re-tests a node and asks for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zerorepo.label import Label
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.target import TestReport
from zerorepo_llm.ask import ask_code
from zerorepo_rpg.assemble import closure_files, test_path
from zerorepo_rpg.gate import check_tests
from zerorepo_rpg.plan_model import FeatureSet, FileLayout, FilePlan, ModuleInterfaces, ModuleSet, NodeInterface, Plan
from zerorepo_rpg.providers import Node, NodeCode, NodeSpec, NodeTests
from zerorepo_rpg.rules.asking import template
from zerorepo_rpg.rules.by_hand import TESTS
from zerorepo_rpg.rules.module_plan import show_node
from zerorepo_sandbox import debug
from zerorepo_sandbox.isolation import isolation, test_environment, test_limits, test_wheels
from zerorepo_sandbox.run_tests import RunTests, TestRun
from zerorepo_sandbox.settings import TierName


class InterfaceAttrs(Attrs):
    """Attributes of ``node_interface``."""

    interface: Mapping[str, Any]
    requirements: tuple[str, ...] = ()


@rule("node_interface", attrs=InterfaceAttrs, provides=[NodeSpec, NodeInterface])
async def node_interface(ctx: RuleContext[InterfaceAttrs]) -> list[Any]:
    """Hand on the interface: alone, which is all that others depend on, and with the sentences behind it."""
    interface = NodeInterface.model_validate(ctx.attrs.interface)
    return [interface, NodeSpec(interface=interface, requirements=ctx.attrs.requirements)]


class AskingAttrs(Attrs):
    """What the prompts of a node need."""

    interface: Label
    uses: tuple[Label, ...] = ()
    dependencies: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()


class ProvingAttrs(Attrs):
    """What a test run of a node needs: interfaces and code of everything that it uses, directly or not."""

    interface: Label
    closure_interfaces: tuple[Label, ...] = ()
    closure_code: tuple[Label, ...] = ()
    package: str
    sandbox: TierName | None = None


async def prompt_variables(ctx: RuleContext[Any]) -> tuple[NodeSpec, dict[str, object]]:
    """What all prompts about a node have in common. ``ctx.attrs`` are ``AskingAttrs``."""
    told = await ctx.provider(ctx.attrs.interface, NodeSpec)
    used = await ctx.providers(ctx.attrs.uses, NodeInterface)
    variables: dict[str, object] = {
        "name": told.interface.name,
        "import_path": told.interface.import_path,
        "interface": describe(told.interface),
        "requirements": "\n".join(f"- {sentence}" for sentence in told.requirements),
        "available": "\n\n".join(show_node(node) for node in used),
    }
    return told, variables


def describe(node: NodeInterface) -> str:
    """An interface in full, for whoever writes its tests or its code."""
    lines = [*node.imports, node.signature.rstrip()]
    if node.docstring:
        lines += ["", "Docstring:", node.docstring]
    if node.raises:
        lines += ["", "Raises:", *node.raises]
    if node.examples:
        lines += ["", "Examples:", *node.examples]
    return "\n".join(lines)


@rule("node_tests", attrs=AskingAttrs, provides=[NodeTests], adopt=TESTS)
async def node_tests(ctx: RuleContext[AskingAttrs]) -> NodeTests:
    """Ask for the tests of a node, before its code exists."""
    told, variables = await prompt_variables(ctx)
    source = await ask_code(
        ctx,
        template("tests.md"),
        variables,
        tier="strong",
        purpose=f"write the tests of {told.interface.name}",
        check=lambda code: check_tests(code, told.interface),
    )
    return NodeTests(source=source)


def closure_plan(package: str, nodes: Sequence[NodeInterface]) -> Plan:
    """A plan of these nodes alone: what is needed to put their files together."""
    modules = sorted({node.module for node in nodes})
    paths = {node.file: node.module for node in nodes}
    files = tuple(FilePlan(path=path, module=module) for path, module in sorted(paths.items()))
    return Plan(
        features=FeatureSet(),
        modules=ModuleSet(),
        layout=FileLayout(package_name=package, files=files),
        interfaces=tuple(
            ModuleInterfaces(module=name, interfaces=tuple(node for node in nodes if node.module == name))
            for name in modules
        ),
    )


async def prove(ctx: RuleContext[Any], source: str, tests: str, *, accepted: bool = False) -> TestRun:
    """Run a node's tests against its code and the real code of everything that it uses. ``ctx.attrs`` are ``ProvingAttrs``.

    ``accepted``: this is the code that was settled on, so its world may be looked into.
    """
    interface = await ctx.provider(ctx.attrs.interface, NodeInterface)
    used = await ctx.providers(ctx.attrs.closure_interfaces, NodeInterface)
    code = await ctx.providers(ctx.attrs.closure_code, NodeCode)
    bodies = {node.id: each.source for node, each in zip(used, code, strict=True)}
    bodies[interface.id] = source
    files = closure_files(closure_plan(ctx.attrs.package, [*used, interface]), bodies, set(bodies))
    path = test_path(interface)
    action = RunTests(
        files={name: ctx.write(text.encode()) for name, text in sorted({**files, path: tests}.items())},
        tests=(path,),
        tier=await isolation(ctx, ctx.attrs.sandbox or ""),
        environment=await test_environment(ctx, ctx.attrs.sandbox or ""),
        wheels=await test_wheels(ctx),
        limits=await test_limits(ctx),
    )
    if accepted:
        return await debug.run_tests(ctx, action)
    run: TestRun = await ctx.run(action)
    return run


class VerdictAttrs(ProvingAttrs):
    """Attributes of ``node_test``."""

    code: Label


@rule("node_test", attrs=VerdictAttrs, provides=[TestReport], test=True)
async def node_test(ctx: RuleContext[VerdictAttrs]) -> TestReport:
    """The verdict on a node as it was accepted, with the present code of everything that it uses."""
    code = await ctx.provider(ctx.attrs.code, NodeCode)
    used = await ctx.providers(ctx.attrs.closure_code, NodeCode)
    if not all(each.passed for each in used):
        # Against broken code a verdict says nothing about this node.
        return TestReport(passed=False, status="not run", output=code.failure)
    run = await prove(ctx, code.source, code.tests, accepted=True)
    return run.report


class NodeAttrs(Attrs):
    """Attributes of ``node``."""

    interface: Label
    code: Label
    test: Label


@rule("node", attrs=NodeAttrs, provides=[Node])
async def node(ctx: RuleContext[NodeAttrs]) -> Node:
    """A finished node: interface, code and verdict."""
    interface = await ctx.provider(ctx.attrs.interface, NodeInterface)
    await ctx.provider(ctx.attrs.code, NodeCode)
    report = await ctx.provider(ctx.attrs.test, TestReport)
    return Node(interface=interface, passed=report.passed)
