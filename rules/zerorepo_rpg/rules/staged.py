"""Integration tests of several nodes: asked for before the code exists, run with the real code, mended at most once.

Each depends on the interfaces of the nodes that take part, and on the code of those that its tests use: a changed body elsewhere
runs nothing here. What does not pass is handed on as failed, so that the repository is assembled all the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from zerorepo.errors import TargetFailed
from zerorepo.label import Label
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.target import Provider, TestReport
from zerorepo_llm.ask import ask_code, ask_json
from zerorepo_llm.prompt import CountsAs
from zerorepo_rpg.assemble import closure_files
from zerorepo_rpg.consensus import unsteady
from zerorepo_rpg.gate import asserted, asserts_less
from zerorepo_rpg.plan_model import NodeInterface
from zerorepo_rpg.providers import Cause, Diagnosis, NodeCode
from zerorepo_rpg.rules.asking import template
from zerorepo_rpg.rules.node import describe
from zerorepo_rpg.rules.proving import closure_plan, output_of, steady
from zerorepo_rpg.skeleton import stub_source
from zerorepo_rpg.staged import ProvenTests, Stage, StagedTests, check_staged, used_nodes
from zerorepo_sandbox.isolation import isolation, test_environment, test_limits, test_wheels
from zerorepo_sandbox.run_tests import RunTests, TestRun
from zerorepo_sandbox.settings import TierName

PROVES_NOTHING = (
    "Every test passes although all functions and methods of the library still raise NotImplementedError, so the tests show "
    "nothing. Call the parts and assert on what comes out of them."
)


class Told(NamedTuple):
    """What every question about one stage's tests is told, and the gate for answers with tests."""

    subject: str
    interfaces: str
    check: Callable[[str], list[str]]
    skeleton: Mapping[str, str]
    """The library without code, on which tests must not pass."""


World = Callable[[str], Awaitable["Mapping[str, str] | str"]]
"""The files that some tests run with, or why running them would say nothing."""


class IntegrationAttrs(Attrs):
    """Attributes of ``integration_tests``: a ``Stage`` with labels of interfaces in the place of ids."""

    module: str
    source: str = ""
    flows: tuple[str, ...] = ()
    near: tuple[Label, ...] = ()
    far: tuple[Label, ...]
    used: tuple[Label, ...] = ()
    closure_interfaces: tuple[Label, ...]
    path: str
    """Where the tests stand in the repository."""
    package: str
    sandbox: TierName | None = None


class IntegrationTestAttrs(IntegrationAttrs):
    """Attributes of ``integration_test``. ``closure_code`` goes with ``closure_interfaces``, one by one."""

    tests: Label
    closure_code: tuple[Label, ...]


@rule("integration_tests", version=2, attrs=IntegrationAttrs, provides=[StagedTests])
async def integration_tests(ctx: RuleContext[IntegrationAttrs]) -> StagedTests:
    """Ask for the tests of a data flow or of a module, and see that they fail while there is no code."""
    attrs = ctx.attrs
    near = await ctx.providers(attrs.near, NodeInterface)
    far = await ctx.providers(attrs.far, NodeInterface)
    used = await ctx.providers(attrs.used, NodeInterface)
    closure = await ctx.providers(attrs.closure_interfaces, NodeInterface)
    between = f"{attrs.source} and {attrs.module}" if attrs.source else f"the module {attrs.module}"
    return await ask_staged(
        ctx,
        "integration_tests.md",
        {
            "module": attrs.module,
            "source": attrs.source,
            "flows": "\n".join(attrs.flows),
            "source_interfaces": _asking_by(near),
            "interfaces": _asking_by(far),
            "available": _asking_by(used),
        },
        purpose=f"write the integration tests of {between}",
        check=lambda source: check_staged(source, _sides(near, far), used),
        skeleton=_without_code(attrs.package, closure),
        path=attrs.path,
    )


@rule("integration_test", version=2, attrs=IntegrationTestAttrs, provides=[ProvenTests, TestReport], test=True)
async def integration_test(ctx: RuleContext[IntegrationTestAttrs]) -> list[Provider]:
    """The verdict on a data flow or a module, by its tests and the present code of everything that they use."""
    attrs = ctx.attrs
    near = await ctx.providers(attrs.near, NodeInterface)
    far = await ctx.providers(attrs.far, NodeInterface)
    used = await ctx.providers(attrs.used, NodeInterface)
    closure = await ctx.providers(attrs.closure_interfaces, NodeInterface)
    plan = closure_plan(attrs.package, closure)
    code_of = {node.id: label for node, label in zip(closure, attrs.closure_code, strict=True)}
    homes = {(node.import_path, node.name): node.id for node in closure}

    async def world(tests: str) -> Mapping[str, str] | str:
        wanted = sorted(plan.closure(used_nodes(tests, homes)))
        bodies = await bodies_of(ctx, {each: code_of[each] for each in wanted})
        return bodies if isinstance(bodies, str) else closure_files(plan, bodies, set(wanted))

    told = Told(
        subject=Stage(module=attrs.module, source=attrs.source, far=(), closure=()).subject,
        interfaces=listed([*near, *far, *used]),
        check=lambda source: check_staged(source, _sides(near, far), used),
        skeleton=_without_code(attrs.package, closure),
    )
    first = await ctx.provider(attrs.tests, StagedTests)
    return await settled(ctx, told, first.source, attrs.path, world)


def _without_code(package: str, closure: Sequence[NodeInterface]) -> Mapping[str, str]:
    by_id = {node.id: node for node in closure}
    stubs = {node_id: stub_source(node, by_id) for node_id, node in by_id.items()}
    return closure_files(closure_plan(package, closure), stubs, set(stubs))


def _sides(near: Sequence[NodeInterface], far: Sequence[NodeInterface]) -> list[Sequence[NodeInterface]]:
    return [side for side in (near, far) if side]


def listed(nodes: Sequence[NodeInterface]) -> str:
    """Interfaces in full, each with the line that imports it."""
    return "\n\n".join(f"from {node.import_path} import {node.name}\n{describe(node)}" for node in nodes)


def _asking_by(nodes: Sequence[NodeInterface]) -> str:
    """The same. A reworded docstring is shown to whoever is asked, and asks nobody: the tests that run again tell whether it
    matters.
    """
    return CountsAs(listed(nodes), listed([node.model_copy(update={"docstring": ""}) for node in nodes]))


async def bodies_of(ctx: RuleContext[Any], code: Mapping[str, Label]) -> dict[str, str] | str:
    """Sources by node id, or why tests with them would say nothing: against broken code no verdict does."""
    found = await ctx.providers(code.values(), NodeCode)
    broken = [node_id for node_id, each in zip(code, found, strict=True) if not each.passed]
    if broken:
        return f"not run: it uses {', '.join(broken)}, which failed"
    return {node_id: each.source for node_id, each in zip(code, found, strict=True)}


async def ask_staged(
    ctx: RuleContext[Any],
    prompt: str,
    variables: Mapping[str, object],
    *,
    purpose: str,
    check: Callable[[str], list[str]],
    skeleton: Mapping[str, str],
    path: str,
) -> StagedTests:
    """Tests that pass the gate and do not pass as a whole on the ``skeleton``; asked for once more when they do."""
    for objection in ("", PROVES_NOTHING):
        source = await ask_code(
            ctx,
            template(prompt),
            {**variables, "objection": objection},
            tier="strong",
            purpose=f"{purpose} (again)" if objection else purpose,
            check=check,
        )
        if not (await run_tests(ctx, skeleton, source, path)).report.passed:
            return StagedTests(source=source)
    raise TargetFailed(
        f"No usable answer for {ctx.label} ({purpose}): the tests pass on a library without code, twice",
        hint="give the tier a stronger model in [llm.tiers]",
    )


async def settled(ctx: RuleContext[Any], told: Told, first: str, path: str, world: World) -> list[Provider]:
    """Run tests of several nodes with the real code, and mend them once when a diagnosis says that they ask too much."""
    files = await world(first)
    if isinstance(files, str):
        return [ProvenTests(source=first, passed=False, failure=files), _not_run(files)]
    run = await steady(ctx, await _action(ctx, files, first, path), doubtful=unsteady(first))
    tests, rounds, why = first, 0, ""
    if not run.report.passed:
        mended, why = await _mended(ctx, told, first, path, run)
        if mended:
            files = await world(mended)
            if isinstance(files, str):
                return [ProvenTests(source=mended, passed=False, rounds=1, failure=files), _not_run(files)]
            tests, rounds = mended, 1
    doubtful = rounds > 0 or unsteady(tests)
    last = await steady(ctx, await _action(ctx, files, tests, path), doubtful=doubtful, accepted=True)
    if last.report.passed:
        return [ProvenTests(source=tests, passed=True, rounds=rounds), last.report]
    output = "\n".join(part for part in (last.report.output, why) if part)
    failure = "\n\n".join(part for part in (output_of(last), why) if part)
    report = last.report.model_copy(update={"output": output})
    return [ProvenTests(source=tests, passed=False, rounds=rounds, failure=failure), report]


def _not_run(why: str) -> TestReport:
    return TestReport(passed=False, status="not run", output=why)


async def _mended(ctx: RuleContext[Any], told: Told, tests: str, path: str, run: TestRun) -> tuple[str, str]:
    """The mended tests, "" when they are not to blame; and the diagnosis in words."""
    seen: dict[str, object] = {
        "subject": told.subject,
        "interfaces": told.interfaces,
        "tests": tests,
        "status": run.report.status,
        "output": output_of(run),
    }
    subject = told.subject.replace("`", "")
    diagnosis = await ask_json(
        ctx, template("diagnose_staged.md"), seen, Diagnosis, tier="strong", purpose=f"diagnose the tests of {subject}"
    )
    why = f"Diagnosis ({diagnosis.cause}): {diagnosis.explanation}"
    if diagnosis.cause is not Cause.TESTS:
        return "", why
    before = asserted(tests)

    async def proof(source: str) -> list[str]:
        return [PROVES_NOTHING] if (await run_tests(ctx, told.skeleton, source, path)).report.passed else []

    try:
        mended = await ask_code(
            ctx,
            template("repair_staged.md"),
            {**seen, "diagnosis": diagnosis.explanation},
            tier="strong",
            purpose=f"mend the tests of {subject}",
            check=lambda source: [*told.check(source), *asserts_less(before, asserted(source))],
            proof=proof,
        )
    except TargetFailed as error:
        # The tests are there and have failed; that nobody could mend them takes nothing else away.
        return "", f"{why}\n{error.message}"
    return mended, why


async def run_tests(ctx: RuleContext[Any], files: Mapping[str, str], tests: str, path: str) -> TestRun:
    """Run one file of tests, which is put beside ``files``."""
    run: TestRun = await ctx.run(await _action(ctx, files, tests, path))
    return run


async def _action(ctx: RuleContext[Any], files: Mapping[str, str], tests: str, path: str) -> RunTests:
    return RunTests(
        files={name: ctx.write(text.encode()) for name, text in sorted({**files, path: tests}.items())},
        tests=(path,),
        tier=await isolation(ctx, ctx.attrs.sandbox or ""),
        environment=await test_environment(ctx, ctx.attrs.sandbox or ""),
        wheels=await test_wheels(ctx),
        limits=await test_limits(ctx),
    )
