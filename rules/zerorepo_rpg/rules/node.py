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
from zerorepo_llm.prompt import CountsAs
from zerorepo_rpg.consensus import unsteady
from zerorepo_rpg.gate import check_tests
from zerorepo_rpg.plan_model import NodeInterface
from zerorepo_rpg.providers import Node, NodeCode, NodeSpec, NodeTests
from zerorepo_rpg.rules.asking import template
from zerorepo_rpg.rules.by_hand import TESTS
from zerorepo_rpg.rules.module_plan import show_node
from zerorepo_rpg.rules.proving import ProvingAttrs, SkeletonAttrs, pass_without_code, prove, prove_anew
from zerorepo_sandbox.limits import Verdict


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


async def prompt_variables(ctx: RuleContext[Any]) -> tuple[NodeSpec, dict[str, object]]:
    """What all prompts about a node have in common. ``ctx.attrs`` are ``AskingAttrs``."""
    told = await ctx.provider(ctx.attrs.interface, NodeSpec)
    used = await ctx.providers(ctx.attrs.uses, NodeInterface)
    variables: dict[str, object] = {
        "name": told.interface.name,
        "import_path": told.interface.import_path,
        "interface": describe(told.interface),
        "requirements": "\n".join(f"- {sentence}" for sentence in told.requirements),
    }
    variables["available"] = _shown(used)
    return told, variables


def _shown(used: Sequence[NodeInterface]) -> str:
    """What a node uses. A reworded docstring is shown to whoever is asked, and asks nobody: tests tell whether it matters."""
    hushed = [node.model_copy(update={"docstring": ""}) for node in used]
    text, counted = ("\n\n".join(map(show_node, nodes)) for nodes in (used, hushed))
    return CountsAs(text, counted) if used else text


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


class TestsAttrs(AskingAttrs, SkeletonAttrs):
    """Attributes of ``node_tests``."""

    __test__ = False


@rule("node_tests", attrs=TestsAttrs, provides=[NodeTests], version=4, adopt=TESTS)
async def node_tests(ctx: RuleContext[TestsAttrs]) -> NodeTests:
    """Ask for the tests of a node, before its code exists; they must fail without it."""
    told, variables = await prompt_variables(ctx)
    hollow: dict[str, tuple[str, ...]] = {}

    async def proof(code: str) -> Sequence[str]:
        report, hollow[code] = await pass_without_code(ctx, code)
        if report is None:
            return ()
        if report.status == Verdict.NO_TESTS:
            return ["pytest finds no test in it: write functions `def test_...()`"]
        if report.passed:
            name = told.interface.name
            return [
                f"All {len(hollow[code])} tests pass on a skeleton in which `{name}` has no code and only raises "
                "`NotImplementedError`, so they prove nothing; assert what it returns, changes or raises"
            ]
        return ()

    source = await ask_code(
        ctx,
        template("tests.md"),
        variables,
        tier="strong",
        purpose=f"write the tests of {told.interface.name}",
        check=lambda code: check_tests(code, told.interface),
        proof=proof,
    )
    return NodeTests(source=source, hollow=hollow[source])


class VerdictAttrs(ProvingAttrs):
    """Attributes of ``node_test``."""

    code: Label


@rule("node_test", attrs=VerdictAttrs, provides=[TestReport], version=2, test=True)
async def node_test(ctx: RuleContext[VerdictAttrs]) -> TestReport:
    """The verdict on a node as it was accepted, with the present code of everything that it uses."""
    code = await ctx.provider(ctx.attrs.code, NodeCode)
    used = await ctx.providers(ctx.attrs.closure_code, NodeCode)
    if not all(each.passed for each in used):
        # Against broken code a verdict says nothing about this node.
        return TestReport(passed=False, status="not run", output=code.failure)
    if code.anew:
        return (await prove_anew(ctx, code.source, code.tests)).report
    doubtful = code.rounds > 0 or unsteady(code.source, code.tests)
    return (await prove(ctx, code.source, code.tests, doubtful=doubtful, accepted=True)).report


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
