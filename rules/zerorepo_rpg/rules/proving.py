"""A node's code and tests held against each other: sandboxed runs, several where one is not enough; types; the skeleton.

``ctx.attrs`` are ``ProvingAttrs``. Knows nothing of what is done about a verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, ClassVar

from zerorepo.action import CachePolicy
from zerorepo.label import Label
from zerorepo.rule import Attrs, RuleContext
from zerorepo.target import Outcome, TestReport
from zerorepo_rpg.amending import amended_one
from zerorepo_rpg.assemble import closure_files, test_path
from zerorepo_rpg.consensus import FEWEST, MOST, agree, combined
from zerorepo_rpg.plan_model import FeatureSet, FileLayout, FilePlan, ModuleInterfaces, ModuleSet, NodeInterface, Plan
from zerorepo_rpg.providers import NodeCode
from zerorepo_rpg.rules.skeleton_types import CheckTypes, TypeProblems
from zerorepo_rpg.skeleton import is_whole, skeleton, stub_source
from zerorepo_sandbox import debug
from zerorepo_sandbox.isolation import isolation, test_environment, test_limits, test_wheels
from zerorepo_sandbox.run_tests import FileCoverage, RunTests, TestRun
from zerorepo_sandbox.settings import TierName

_SHOWN_CHARS = 12_000
_ANEW = (0, 101, 102)
_TYPE_PROBLEMS = 10


class SkeletonAttrs(Attrs):
    """What a run on the skeleton needs: the interfaces of everything that a node uses, directly or not."""

    interface: Label
    closure_interfaces: tuple[Label, ...] = ()
    package: str
    sandbox: TierName | None = None


class ProvingAttrs(SkeletonAttrs):
    """What a test run of a node needs: interfaces and code of everything that it uses, directly or not."""

    closure_code: tuple[Label, ...] = ()


class RunTestsAnew(RunTests):
    """The same run in another world, never remembered: for what the surroundings are to blame for."""

    mnemonic: ClassVar[str] = "RunTestsAnew"
    cache: ClassVar[CachePolicy] = CachePolicy.VOLATILE


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


async def _nodes(ctx: RuleContext[Any]) -> tuple[NodeInterface, list[NodeInterface]]:
    interface = await ctx.provider(ctx.attrs.interface, NodeInterface)
    return interface, await ctx.providers(ctx.attrs.closure_interfaces, NodeInterface)


async def _stubs(ctx: RuleContext[Any]) -> tuple[NodeInterface, list[NodeInterface], dict[str, str]]:
    """The node, what it uses, and all of them without code; without docstrings, too, which change nothing here."""
    interface, used = await _nodes(ctx)
    by_id = {node.id: node.model_copy(update={"docstring": ""}) for node in (*used, interface)}
    return interface, used, {name: stub_source(node, by_id) for name, node in by_id.items()}


async def _run_tests(
    ctx: RuleContext[Any],
    interface: NodeInterface,
    used: Sequence[NodeInterface],
    bodies: Mapping[str, str],
    tests: str,
    coverage: Sequence[str] = (),
    *,
    formatted: bool = True,
) -> RunTests:
    plan = closure_plan(ctx.attrs.package, [*used, interface])
    files = closure_files(plan, bodies, set(bodies), formatted=formatted)
    path = test_path(interface)
    return RunTests(
        files={name: ctx.write(text.encode()) for name, text in sorted({**files, path: tests}.items())},
        tests=(path,),
        tier=await isolation(ctx, ctx.attrs.sandbox or ""),
        environment=await test_environment(ctx, ctx.attrs.sandbox or ""),
        wheels=await test_wheels(ctx),
        coverage=tuple(coverage),
        limits=await test_limits(ctx),
    )


async def _of_code(ctx: RuleContext[Any], source: str, tests: str, *, coverage: bool = False) -> RunTests:
    """The run of a node's tests against its code and the real code of everything that it uses."""
    interface, used = await _nodes(ctx)
    code = await ctx.providers(ctx.attrs.closure_code, NodeCode)
    bodies = {node.id: each.source for node, each in zip(used, code, strict=True)}
    bodies[interface.id] = source
    return await _run_tests(ctx, interface, used, bodies, tests, (interface.file,) if coverage else ())


async def prove(
    ctx: RuleContext[Any], source: str, tests: str, *, doubtful: bool = False, accepted: bool = False
) -> TestRun:
    """Run a node's tests: once when they pass, three times when they do not or are ``doubtful``, five times when runs differ.

    ``accepted``: this is the code that was settled on, so its world may be looked into.
    """
    return await steady(ctx, await _of_code(ctx, source, tests), doubtful=doubtful, accepted=accepted)


async def steady(ctx: RuleContext[Any], action: RunTests, *, doubtful: bool = False, accepted: bool = False) -> TestRun:
    """Run tests as often as ``prove`` says. Each run after the first has an order of its own."""
    first: TestRun = await (debug.run_tests(ctx, action) if accepted else ctx.run(action))
    if first.report.passed and not doubtful:
        return first
    runs = [first]
    for fewest, most in ((1, FEWEST), (FEWEST, MOST)):
        seeds = range(fewest, most)
        runs += await ctx.run_all([action.model_copy(update={"seed": seed}) for seed in seeds])
        if agree([run.report for run in runs]):
            break
    return first.model_copy(update={"report": combined([run.report for run in runs])})


async def prove_anew(ctx: RuleContext[Any], source: str, tests: str) -> TestRun:
    """Run them in fresh worlds that no other build remembers; one verdict of all runs."""
    action = await _of_code(ctx, source, tests)
    given = {name: getattr(action, name) for name in RunTests.model_fields}
    runs: list[TestRun] = await ctx.run_all([RunTestsAnew(**{**given, "seed": seed}) for seed in _ANEW])
    return runs[0].model_copy(update={"report": combined([run.report for run in runs])})


async def covered(ctx: RuleContext[Any], source: str, tests: str) -> int | None:
    """How many lines of the node's file its tests run; None when the run was not complete."""
    interface, _ = await _nodes(ctx)
    run: TestRun = await ctx.run(await _of_code(ctx, source, tests, coverage=True))
    lines: FileCoverage | None = run.coverage.get(interface.file)
    return None if lines is None else len(lines.executed)


async def pass_without_code(ctx: RuleContext[Any], tests: str) -> tuple[TestReport | None, tuple[str, ...]]:
    """What the tests say to the package without any code, and which of them pass there.

    None: the interface alone is the whole code (an exception, a record), so that there is nothing to fail on.
    """
    interface, used, bodies = await _stubs(ctx)
    if is_whole(interface):
        return None, ()
    action = await _run_tests(ctx, interface, used, bodies, tests, formatted=False)
    run: TestRun = await ctx.run(action.model_copy(update={"brief": True}))
    hollow = tuple(case.name for case in run.report.cases if case.outcome is Outcome.PASSED)
    return run.report, hollow


async def type_problems(ctx: RuleContext[Any], source: str) -> list[str]:
    """What mypy says of the node's file when everything else in the package has its interface but no code."""
    interface, used, bodies = await _stubs(ctx)
    bodies[interface.id] = source
    plan = closure_plan(ctx.attrs.package, [*used, interface])
    files = closure_files(plan, bodies, set(bodies), formatted=False)
    checked: TypeProblems = await ctx.run(CheckTypes(files=files, package=ctx.attrs.package, mypy=version("mypy")))
    lines = files[interface.file].splitlines()
    found = []
    for said in checked.lines:
        path, number, message = (*said.split(":", 2), "", "")[:3]
        if path == interface.file and number.isdigit() and 0 < int(number) <= len(lines):
            # The answer's own line numbers are others: it was put together with its neighbours and formatted.
            found.append(f"mypy, at `{lines[int(number) - 1].strip()}`:{message.removeprefix(' error:')}")
    return list(dict.fromkeys(found))[:_TYPE_PROBLEMS]


async def plan_problems(ctx: RuleContext[Any], corrected: NodeInterface) -> list[str]:
    """What mypy says of the whole plan's interfaces when one of them is another."""
    if ctx.attrs.plan is None:
        return []
    plan = await ctx.provider(ctx.attrs.plan, Plan)
    base = tuple(amended_one(each, corrected) for each in plan.base_classes.classes)
    interfaces = tuple(
        module.model_copy(update={"interfaces": tuple(amended_one(node, corrected) for node in module.interfaces)})
        for module in plan.interfaces
    )
    changed = plan.model_copy(
        update={"base_classes": plan.base_classes.model_copy(update={"classes": base}), "interfaces": interfaces}
    )
    checked: TypeProblems = await ctx.run(
        CheckTypes(files=skeleton(changed), package=plan.package_name, mypy=version("mypy"))
    )
    return [f"mypy, on the interfaces of the whole plan: {line}" for line in checked.lines[:_TYPE_PROBLEMS]]


def output_of(run: TestRun) -> str:
    """What a run said, failures first, bounded."""
    bad = [case for case in run.report.cases if case.bad]
    parts = [f"{case.name}: {case.outcome}\n{case.message}" for case in bad]
    text = "\n\n".join(parts) or run.report.output or f"no report: {run.report.status}"
    return text[:_SHOWN_CHARS]


__all__ = [
    "ProvingAttrs",
    "RunTestsAnew",
    "SkeletonAttrs",
    "closure_plan",
    "covered",
    "output_of",
    "pass_without_code",
    "plan_problems",
    "prove",
    "prove_anew",
    "steady",
    "type_problems",
]
