"""A node's code: asked for, gated, run against its tests in the sandbox, diagnosed and mended a bounded number of times.

Each question and each run is an action of its own, so a build that stops in the middle goes on from there, and nothing that was
answered is asked again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from zerorepo.label import Label
from zerorepo.rule import Named, RuleContext, rule
from zerorepo.target import Outcome
from zerorepo_llm.ask import ask_code, ask_json
from zerorepo_rpg.gate import asserted, check_code, check_tests
from zerorepo_rpg.plan_model import NodeInterface
from zerorepo_rpg.providers import Cause, Diagnosis, NodeCode, NodeSpec, NodeTests
from zerorepo_rpg.rules.asking import template
from zerorepo_rpg.rules.by_hand import check_adopted_code, code_adopt, code_file, text_of
from zerorepo_rpg.rules.node import AskingAttrs, ProvingAttrs, prompt_variables, prove
from zerorepo_sandbox.run_tests import TestRun

_SHOWN_CHARS = 12_000


class CodeAttrs(AskingAttrs, ProvingAttrs):
    """Attributes of ``node_code``. ``max_repairs``: how many times code or tests are mended."""

    tests: Label
    max_repairs: int = 4


async def adopted_code(ctx: RuleContext[CodeAttrs], files: Named) -> NodeCode:
    """A person's code, proven like any other; nobody is asked to mend it."""
    interface = await ctx.provider(ctx.attrs.interface, NodeInterface)
    source = text_of(ctx, files, code_file(ctx.label))
    check_adopted_code(ctx, source, interface)
    tests = (await ctx.provider(ctx.attrs.tests, NodeTests)).source
    if failure := await _broken(ctx):
        return NodeCode(source=source, tests=tests, passed=False, failure=failure)
    run = await prove(ctx, source, tests)
    passed = run.report.passed
    return NodeCode(source=source, tests=tests, passed=passed, failure="" if passed else _output(run))


@rule("node_code", attrs=CodeAttrs, provides=[NodeCode], adopt=code_adopt(adopted_code))
async def node_code(ctx: RuleContext[CodeAttrs]) -> NodeCode:
    """Write the code of a node and mend it until its tests pass, or the bound is reached: then it is handed on as failed."""
    told, variables = await prompt_variables(ctx)
    variables["dependencies"] = ", ".join(ctx.attrs.dependencies)
    variables["permissions"] = ", ".join(ctx.attrs.permissions)
    # Both are made from the interface alone, so neither waits for the other.
    parts: list[Callable[[Any], Awaitable[Any]]] = [_first_tests, lambda part: _first_code(part, told, variables)]
    first, source = await ctx.concurrently(parts)
    tests = first.source
    if failure := await _broken(ctx):
        return NodeCode(source=source, tests=tests, passed=False, failure=failure)
    for round_ in range(ctx.attrs.max_repairs + 1):
        run = await prove(ctx, source, tests)
        if run.report.passed:
            return NodeCode(source=source, tests=tests, passed=True, rounds=round_)
        if round_ == ctx.attrs.max_repairs:
            break
        source, tests, go_on = await _mend(ctx, told, variables, source, tests, run, round_ + 1, first.by_hand)
        if not go_on:
            break
    return NodeCode(source=source, tests=tests, passed=False, rounds=round_, failure=_output(run))


async def _broken(ctx: RuleContext[CodeAttrs]) -> str:
    """Why running the tests would say nothing; "" when it would."""
    used = zip(ctx.attrs.closure_code, await ctx.providers(ctx.attrs.closure_code, NodeCode), strict=True)
    broken = [str(label) for label, code in used if not code.passed]
    return f"not run: it uses {', '.join(broken)}, which failed" if broken else ""


async def _first_tests(ctx: RuleContext[CodeAttrs]) -> NodeTests:
    return await ctx.provider(ctx.attrs.tests, NodeTests)


async def _first_code(ctx: RuleContext[CodeAttrs], told: NodeSpec, variables: dict[str, object]) -> str:
    return await ask_code(
        ctx,
        template("implement.md"),
        variables,
        tier="strong",
        purpose=f"write {told.interface.name}",
        check=lambda code: check_code(code, told.interface, ctx.attrs.dependencies, ctx.attrs.permissions),
    )


async def _mend(
    ctx: RuleContext[CodeAttrs],
    told: NodeSpec,
    variables: dict[str, object],
    source: str,
    tests: str,
    run: TestRun,
    round_: int,
    by_hand: bool,
) -> tuple[str, str, bool]:
    """The next source and tests, and whether trying again makes sense. ``by_hand``: the tests are a person's."""
    name, interface = told.interface.name, told.interface
    seen = {**variables, "code": source, "tests": tests, "status": run.report.status, "output": _output(run)}
    diagnosis = await ask_json(
        ctx, template("diagnose.md"), seen, Diagnosis, tier="strong", purpose=f"diagnose {name}, round {round_}"
    )
    seen["diagnosis"] = diagnosis.explanation
    if diagnosis.cause is Cause.IMPLEMENTATION:
        mended = await ask_code(
            ctx,
            template("repair_code.md"),
            seen,
            tier="strong",
            purpose=f"mend {name}, round {round_}",
            check=lambda code: check_code(code, interface, ctx.attrs.dependencies, ctx.attrs.permissions),
        )
        return mended, tests, True
    if diagnosis.cause is Cause.TESTS and not by_hand:
        before = asserted(tests)
        mended = await ask_code(
            ctx,
            template("repair_tests.md"),
            seen,
            tier="strong",
            purpose=f"mend the tests of {name}, round {round_}",
            check=lambda code: [*check_tests(code, interface), *_asserts_less(before, asserted(code))],
        )
        return source, mended, True
    return source, tests, False


def _asserts_less(before: int, after: int) -> list[str]:
    if after >= before:
        return []
    return [f"The tests had {before} assertions and now have {after}; mend what is wrong without asserting less."]


def _output(run: TestRun) -> str:
    """What a run said, failures first, bounded."""
    bad = [case for case in run.report.cases if case.outcome in (Outcome.FAILED, Outcome.ERROR)]
    parts = [f"{case.name}: {case.outcome}\n{case.message}" for case in bad]
    text = "\n\n".join(parts) or run.report.output or f"no report: {run.report.status}"
    return text[:_SHOWN_CHARS]
