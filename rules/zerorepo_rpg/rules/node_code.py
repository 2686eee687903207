"""A node's code: asked for, gated, run against its tests in the sandbox; what fails is looked into and mended, within bounds.

Each question and each run is an action of its own, so a build that stops in the middle goes on from there, and nothing that was
answered is asked again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from zerorepo.label import Label
from zerorepo.rule import Named, RuleContext, rule
from zerorepo_llm.ask import ask_code
from zerorepo_llm.prompt import CountsAs
from zerorepo_rpg.consensus import unsteady
from zerorepo_rpg.gate import check_code
from zerorepo_rpg.plan_model import NodeInterface
from zerorepo_rpg.providers import Attribution, Cause, NodeCode, NodeSpec, NodeTests, Why
from zerorepo_rpg.python_names import imports_of
from zerorepo_rpg.rules.asking import template
from zerorepo_rpg.rules.attribution import attribute
from zerorepo_rpg.rules.by_hand import check_adopted_code, code_adopt, code_file, text_of
from zerorepo_rpg.rules.localization import localize
from zerorepo_rpg.rules.node import AskingAttrs, prompt_variables
from zerorepo_rpg.rules.proving import ProvingAttrs, output_of, prove, prove_anew, type_problems
from zerorepo_rpg.rules.repair import correct_interface, mend_code, mend_tests
from zerorepo_rpg.rules.vectors import LookUpsBy
from zerorepo_sandbox.run_tests import TestRun


class CodeAttrs(AskingAttrs, ProvingAttrs):
    """Attributes of ``node_code``. ``max_repairs``: how many times code or tests are mended; ``plan``: for looking things up,
    by what ``look_ups`` says; ``file_imports``: those of its file for its other nodes; ``existing_file``: a file that a
    person wrote and the node will stand in.
    """

    tests: Label
    plan: Label | None = None
    max_repairs: int = 8
    look_ups: LookUpsBy = "words"
    file_imports: tuple[str, ...] = ()
    existing_file: str = ""


async def adopted_code(ctx: RuleContext[CodeAttrs], files: Named) -> NodeCode:
    """A person's code, proven like any other; nobody is asked to mend it."""
    interface = await ctx.provider(ctx.attrs.interface, NodeInterface)
    source = text_of(ctx, files, code_file(ctx.label))
    check_adopted_code(ctx, source, interface)
    return await proven(ctx, source)


async def proven(ctx: RuleContext[Any], source: str) -> NodeCode:
    """A person's code with the verdict of its tests; whoever wrote it mends it."""
    tests = (await ctx.provider(ctx.attrs.tests, NodeTests)).source
    if failure := await _broken(ctx):
        return NodeCode(source=source, tests=tests, passed=False, failure=failure, why=Why.DEPENDENCY)
    run = await prove(ctx, source, tests, doubtful=unsteady(source, tests))
    if run.report.passed:
        return NodeCode(source=source, tests=tests, passed=True)
    return NodeCode(source=source, tests=tests, passed=False, failure=output_of(run), why=Why.NO_REPAIR)


@dataclass
class _Work:
    """A node on its way to passing its tests."""

    told: NodeSpec
    variables: dict[str, object]
    source: str
    tests: str
    by_hand: bool
    history: list[str] = field(default_factory=list)
    rounds: int = 0

    @property
    def doubtful(self) -> bool:
        """Whether one passing run is not enough: tests had failed before, or use what differs from run to run."""
        return self.rounds > 0 or unsteady(self.source, self.tests)

    def ended(self, **how: Any) -> NodeCode:
        """What is handed on."""
        made = {"source": self.source, "tests": self.tests, "rounds": self.rounds, "history": tuple(self.history)}
        return NodeCode(**{**made, **how})

    def failed(self, why: Why, run: TestRun, **more: Any) -> NodeCode:
        """The same, of a node that did not pass."""
        return self.ended(passed=False, why=why, failure=output_of(run), **more)


@rule("node_code", attrs=CodeAttrs, provides=[NodeCode], version=4, adopt=code_adopt(adopted_code))
async def node_code(ctx: RuleContext[CodeAttrs]) -> NodeCode:
    """Write the code of a node and mend it until its tests pass, or the bound is reached: then it is handed on as failed."""
    told, variables = await prompt_variables(ctx)
    variables["dependencies"] = ", ".join(ctx.attrs.dependencies)
    variables["permissions"] = ", ".join(ctx.attrs.permissions)
    variables["file_imports"] = await _file_imports(ctx)
    # Both are made from the interface alone, so neither waits for the other.
    parts: list[Callable[[Any], Awaitable[Any]]] = [_first_tests, lambda part: _first_code(part, told, variables)]
    first, source = await ctx.concurrently(parts)
    work = _Work(told, variables, source, first.source, first.by_hand)
    if failure := await _broken(ctx):
        return work.ended(passed=False, failure=failure, why=Why.DEPENDENCY)
    while True:
        run = await prove(ctx, work.source, work.tests, doubtful=work.doubtful)
        if run.report.passed:
            return work.ended(passed=True)
        if work.rounds == ctx.attrs.max_repairs:
            return work.failed(Why.REPAIRS, run)
        work.rounds += 1
        if ended := await _mend(ctx, work, run):
            return ended


async def _file_imports(ctx: RuleContext[CodeAttrs]) -> str:
    """What the file of the node imports already. It is for one way of naming things in a file: a change of it asks nobody."""
    lines = set(ctx.attrs.file_imports)
    if path := ctx.attrs.existing_file:
        for found in (await ctx.glob([path, f"**/{path}"]))[:1]:
            lines |= imports_of(ctx.read(await ctx.source(found)), but_of=ctx.attrs.package)
    return CountsAs("\n".join(sorted(lines)), "")


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
        proof=lambda code: type_problems(ctx, code),
    )


async def _mend(ctx: RuleContext[CodeAttrs], work: _Work, run: TestRun) -> NodeCode | None:
    """One round: look into it, find whose fault it is, mend that. What is handed on when nothing is left to try."""
    name, number = work.told.interface.name, work.rounds
    seen = {**work.variables, "code": work.source, "tests": work.tests, "status": run.report.status}
    seen |= {"output": output_of(run)}
    seen["found"] = await localize(ctx, seen, f"localize {name}, round {number}")
    cause, votes = await attribute(ctx, seen, f"diagnose {name}, round {number}")
    if cause is None:
        work.history.append(f"round {number}: no majority in three votes (the last one: {votes})")
        return work.failed(Why.UNDECIDED, run)
    work.history.append(
        f"round {number}: {cause.cause} ({cause.votes} of {cause.asked}): {_first_line(cause.explanation)}"
    )
    seen["diagnosis"] = cause.explanation
    if cause.cause is Cause.ENVIRONMENT:
        return await _again(ctx, work)
    if cause.cause is Cause.INTERFACE:
        return await _correct(ctx, work, run, seen)
    return await _edit(ctx, work, run, seen, cause)


async def _edit(
    ctx: RuleContext[CodeAttrs], work: _Work, run: TestRun, seen: dict[str, object], cause: Attribution
) -> NodeCode | None:
    interface, number = work.told.interface, work.rounds
    if cause.cause is Cause.TESTS:
        if work.by_hand:
            work.history.append(f"round {number}: the tests are a person's, and stay as they are")
            return work.failed(Why.NO_REPAIR, run)
        purpose = f"mend the tests of {interface.name}, round {number}"
        mended = await mend_tests(ctx, interface, seen, work.source, work.tests, purpose)
        work.tests = mended or work.tests
    else:
        mended = await mend_code(ctx, interface, seen, work.source, f"mend {interface.name}, round {number}")
        work.source = mended or work.source
    if mended is None:
        work.history.append(f"round {number}: no repair that was offered could be used")
        return work.failed(Why.NO_REPAIR, run)
    return None


async def _again(ctx: RuleContext[CodeAttrs], work: _Work) -> NodeCode:
    """The surroundings are to blame: run in other worlds, now and in each build, until they let it pass."""
    run = await prove_anew(ctx, work.source, work.tests)
    work.history.append(
        f"round {work.rounds}: run again in fresh worlds: {'passed' if run.report.passed else 'failed'}"
    )
    if run.report.passed:
        return work.ended(passed=True, anew=True)
    return work.failed(Why.ENVIRONMENT, run, anew=True)


async def _correct(ctx: RuleContext[CodeAttrs], work: _Work, run: TestRun, seen: dict[str, object]) -> NodeCode:
    """No code can satisfy the interface: another one is handed on, for the plan to be changed by (``rpg_amend``)."""
    interface, number = work.told.interface, work.rounds
    if await ctx.option("locked"):
        work.history.append(f"round {number}: the plan would have to change, which --locked forbids")
        return work.failed(Why.INTERFACE, run)
    correction = await correct_interface(ctx, interface, seen, f"correct the interface of {interface.name}")
    done = "the plan is changed; build again" if correction else "no usable correction was offered"
    work.history.append(f"round {number}: {done}")
    return work.failed(Why.INTERFACE, run, correction=correction)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:200]


__all__ = ["CodeAttrs", "adopted_code", "node_code", "proven"]
