"""The examples of the interfaces, run in the sandbox with the whole package: only those that hold are shown to users."""

from __future__ import annotations

from zerorepo.label import Label
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.target import Outcome
from zerorepo_rpg.assemble import package_files
from zerorepo_rpg.examples import TEST_PATH, HoldingExamples, examples_of, examples_test
from zerorepo_rpg.plan_model import Plan
from zerorepo_rpg.providers import NodeCode
from zerorepo_rpg.rules.plan import node_label
from zerorepo_rpg.rules.staged import run_tests
from zerorepo_sandbox.limits import Verdict
from zerorepo_sandbox.settings import TierName


class ExamplesAttrs(Attrs):
    """Attributes of ``rpg_examples``."""

    plan: Label
    sandbox: TierName | None = None


@rule("rpg_examples", attrs=ExamplesAttrs, provides=[HoldingExamples])
async def rpg_examples(ctx: RuleContext[ExamplesAttrs]) -> HoldingExamples:
    """Run each example by itself. One that no complete run says has passed does not hold."""
    plan = await ctx.provider(ctx.attrs.plan, Plan)
    examples = examples_of(plan)
    if not examples:
        return HoldingExamples()
    labels = {node.id: node_label(ctx.attrs.plan, node.id, ".code") for node in plan.nodes()}
    code = await ctx.providers(labels.values(), NodeCode)
    package = package_files(plan, {node_id: each.source for node_id, each in zip(labels, code, strict=True)})
    run = await run_tests(ctx, package, examples_test(plan), TEST_PATH)
    cases = run.report.cases if run.report.status == Verdict.OK else ()
    passed = {case.name.rpartition("::")[2] for case in cases if case.outcome is Outcome.PASSED}
    return HoldingExamples(
        hold=tuple(each.name for each in examples if each.test in passed),
        fail=tuple(each.name for each in examples if each.test not in passed),
    )
