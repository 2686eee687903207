"""The last stages: files put together, the whole suite run with coverage, the repository written out; and the macro for it all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zerorepo.label import Label
from zerorepo.rule import Attrs, RuleContext, macro, rule
from zerorepo.target import Provider, SourcePath, TestEvidence, TestReport
from zerorepo_rpg.assemble import package_files, test_files
from zerorepo_rpg.evidence import evidence
from zerorepo_rpg.examples import HoldingExamples
from zerorepo_rpg.merge import detect_import_cycles
from zerorepo_rpg.plan_model import Plan
from zerorepo_rpg.project import project_files, summary_of
from zerorepo_rpg.providers import AssembledRepository, NodeCode, NodeTests
from zerorepo_rpg.report import repository_report, to_html, to_markdown
from zerorepo_rpg.rules.amend import Amended
from zerorepo_rpg.rules.by_hand import assembled_adopt, origins
from zerorepo_rpg.rules.plan import node_label
from zerorepo_rpg.rules.staged_targets import staged_label
from zerorepo_rpg.rules.vectors import LookUpsBy, Refine
from zerorepo_rpg.spec_model import RepositorySpec
from zerorepo_rpg.staged import SMOKE_PATH, ProvenTests, stages
from zerorepo_sandbox import debug
from zerorepo_sandbox.isolation import isolation, test_environment, test_limits, test_wheels
from zerorepo_sandbox.run_tests import RunTests
from zerorepo_sandbox.settings import TierName


class AssembleAttrs(Attrs):
    """Attributes of ``rpg_assemble``."""

    spec: Label
    plan: Label
    examples: Label
    integration: bool = False
    """Whether the tests of several nodes together are part of it."""
    smoke: Label | None = None
    """The smoke tests, with ``integration``."""


async def _assembled(ctx: RuleContext[AssembleAttrs]) -> AssembledRepository:
    spec = await ctx.provider(ctx.attrs.spec, RepositorySpec)
    plan = await ctx.provider(ctx.attrs.plan, Plan)
    ids = [node.id for node in plan.nodes()]
    code = await ctx.providers([node_label(ctx.attrs.plan, each, ".code") for each in ids], NodeCode)
    bodies = {node_id: each.source for node_id, each in zip(ids, code, strict=True)}
    tests = {node_id: each.tests for node_id, each in zip(ids, code, strict=True)}
    failed = tuple(node_id for node_id, each in zip(ids, code, strict=True) if not each.passed)
    package = package_files(plan, bodies, description=summary_of(spec))
    examples = await ctx.provider(ctx.attrs.examples, HoldingExamples)
    project = project_files(plan, spec, package, examples.hold)
    files = {**package, **test_files(plan, tests, await _staged(ctx, plan)), **project}
    return AssembledRepository(
        files={path: ctx.write(text.encode()) for path, text in sorted(files.items())},
        package_name=plan.package_name,
        failed_nodes=failed,
        wrong_examples=examples.fail,
        circles=tuple(detect_import_cycles(package)),
    )


async def _staged(ctx: RuleContext[AssembleAttrs], plan: Plan) -> dict[str, str]:
    """Path to source of the integration and smoke tests."""
    if not ctx.attrs.integration:
        return {}
    modules = {node.module for node in plan.nodes()}
    listed = {stage.path(modules): staged_label(ctx.attrs.plan, stage) for stage in stages(plan)}
    if ctx.attrs.smoke:
        listed[SMOKE_PATH] = ctx.attrs.smoke
    found = await ctx.providers(listed.values(), ProvenTests)
    return {path: each.source for path, each in zip(listed, found, strict=True)}


@rule("rpg_assemble", version=4, attrs=AssembleAttrs, provides=[AssembledRepository], adopt=assembled_adopt(_assembled))
async def rpg_assemble(ctx: RuleContext[AssembleAttrs]) -> AssembledRepository:
    """Merge the nodes' code into files and add what makes them a package."""
    return await _assembled(ctx)


class SuiteResult(Provider):
    """Lines of the package that the suite ran and did not run, by file."""

    coverage: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]


class SuiteAttrs(Attrs):
    """Attributes of ``rpg_suite``."""

    assembled: Label
    spec: Label
    plan: Label
    sandbox: TierName | None = None


@rule("rpg_suite", version=3, attrs=SuiteAttrs, provides=[TestReport, SuiteResult, TestEvidence], test=True)
async def rpg_suite(ctx: RuleContext[SuiteAttrs]) -> list[Provider]:
    """Run every test of the assembled repository, as its users will, and measure coverage."""
    repository = await ctx.provider(ctx.attrs.assembled, AssembledRepository)
    files = {path: digest for path, digest in repository.files.items() if path.endswith(".py") or path == "README.md"}
    action = RunTests(
        files=files,
        tests=("tests",),
        tier=await isolation(ctx, ctx.attrs.sandbox or ""),
        environment=await test_environment(ctx, ctx.attrs.sandbox or ""),
        wheels=await test_wheels(ctx),
        coverage=(repository.package_name,),
        limits=await test_limits(ctx),
    )
    run = await debug.run_tests(ctx, action)
    covered = {path: (tuple(lines.executed), tuple(lines.missing)) for path, lines in run.coverage.items()}
    spec = await ctx.provider(ctx.attrs.spec, RepositorySpec)
    plan = await ctx.provider(ctx.attrs.plan, Plan)
    sources = {path: ctx.read(digest).decode() for path, digest in files.items() if path.endswith(".py")}
    tests = await ctx.providers([node_label(ctx.attrs.plan, node.id, ".tests") for node in plan.nodes()], NodeTests)
    hollow = {name for each in tests for name in each.hollow}
    return [run.report, SuiteResult(coverage=covered), evidence(plan, spec, run.report, covered, sources, hollow)]


class WrittenAttrs(Attrs):
    """Attributes of ``rpg_repository``. ``folder``: where it lands, below the output folder."""

    assembled: Label
    suite: Label
    plan: Label
    amended: Label | None = None
    folder: str


@rule("rpg_repository", version=2, attrs=WrittenAttrs, provides=[AssembledRepository, TestReport], origins=origins)
async def rpg_repository(ctx: RuleContext[WrittenAttrs]) -> list[Provider]:
    """Write the repository out, with the report on its tests and coverage."""
    repository = await ctx.provider(ctx.attrs.assembled, AssembledRepository)
    plan = await ctx.provider(ctx.attrs.plan, Plan)
    if ctx.attrs.amended is not None:
        await ctx.provider(ctx.attrs.amended, Amended)
    report = await ctx.provider(ctx.attrs.suite, TestReport)
    suite = await ctx.provider(ctx.attrs.suite, SuiteResult)
    for path, digest in repository.files.items():
        ctx.output(f"{ctx.attrs.folder}/{path}", digest)
    sections = repository_report(
        plan,
        report,
        suite.coverage,
        await ctx.provider(ctx.attrs.suite, TestEvidence),
        failed=repository.failed_nodes,
        wrong_examples=repository.wrong_examples,
        circles=repository.circles,
    )
    page = to_html(sections, f"Tests and coverage of {plan.package_name}")
    ctx.output(f"{ctx.attrs.folder}/docs/coverage.md", to_markdown(sections).encode())
    ctx.output(f"{ctx.attrs.folder}/docs/coverage.html", page.encode())
    passed = report.passed and not repository.failed_nodes
    return [repository, report.model_copy(update={"passed": passed})]


class RepositoryAttrs(Attrs):
    """Attributes of the macro ``repository``, which stands for the whole pipeline."""

    spec: SourcePath
    """The specification, a Markdown or text file."""
    lock: str = "zerorepo.lock"
    """The plan's lock file, relative to the target's package."""
    folder: str = ""
    """Where the repository lands below the output folder; default: the target's package and name."""
    max_repairs: int = 8
    """How often the code or the tests of a node are mended before it counts as failed."""
    integration: bool = True
    """Whether integration tests (of each data flow, of each module) and smoke tests of the whole are written, too."""
    sandbox: TierName | None = None
    """The tier that generated code runs in; default: the workspace's."""
    refine: Refine = "off"
    """Whether a model's grouping into modules is improved by rule: ``off``, by ``words``, or by ``embeddings``."""
    look_ups: LookUpsBy = "words"
    """How a repair finds nodes of the plan by what they do: by ``words``, or by ``embeddings`` (of ``[ontology]``) and words."""
    model_conflicts: bool = False
    """Whether a model looks for conflicts in the specification, too; an ERROR of its stops the build like one by rule."""


@macro("repository", attrs=RepositoryAttrs)
def repository(label: Label, attrs: RepositoryAttrs) -> Sequence[tuple[Label, str, Mapping[str, Any]]]:
    """From a specification to a tested repository: one target per stage, ``NAME.spec`` to ``NAME``."""

    def stage(name: str) -> Label:
        return label.sibling(f"{label.name}.{name}")

    lock_path = f"{label.package}/{attrs.lock}" if label.package else attrs.lock
    common = {"spec": str(stage("spec")), "lock": str(stage("lock")), "lock_path": lock_path}
    features = {"features": str(stage("features"))}
    modules = {"modules": str(stage("modules"))}
    limits = {"limits": str(stage("limits"))}
    base = {"base_classes": str(stage("base_classes"))}
    isolated = {"sandbox": attrs.sandbox} if attrs.sandbox else {}
    source = {"src": f"//:{attrs.spec}"}
    refined = {"refine": attrs.refine} if attrs.refine != "off" else {}
    planned = {
        **common,
        **features,
        **limits,
        **modules,
        **base,
        "max_repairs": attrs.max_repairs,
        **({"integration": True} if attrs.integration else {}),
        **({"look_ups": attrs.look_ups} if attrs.look_ups != "words" else {}),
        **isolated,
    }
    whole = {"assembled": str(stage("assembled")), "suite": str(stage("suite")), "plan": str(stage("plan"))}
    reading = {"spec": common["spec"], "plan": whole["plan"]}
    assembling: dict[str, Any] = {**reading, "examples": str(stage("examples"))}
    smoke: list[tuple[Label, str, Mapping[str, Any]]] = []
    if attrs.integration:
        asking = {**reading, **isolated}
        smoke = [
            (stage("smoke_tests"), "smoke_tests", asking),
            (stage("smoke_test"), "smoke_test", {**asking, "tests": str(stage("smoke_tests"))}),
        ]
        assembling |= {"integration": True, "smoke": str(stage("smoke_test"))}
    whole["amended"] = str(stage("amended"))
    reviewed = {"model_conflicts": True} if attrs.model_conflicts else {}
    return [
        (stage("spec"), "rpg_spec", {**source, **reviewed, "lock": str(stage("lock"))}),
        (stage("conflicts"), "rpg_review", {**source, "what": "conflicts", "tags": ["manual"]}),
        (stage("suggestions"), "rpg_review", {**source, "what": "suggestions", "tags": ["manual"]}),
        (stage("lock"), "rpg_lock", {"path": lock_path}),
        (stage("lock_types"), "rpg_lock_types", {"path": lock_path}),
        (stage("features"), "rpg_features", common),
        (stage("limits"), "rpg_limits", {**common, **features, **source}),
        (stage("modules"), "rpg_modules", {**common, **features, **refined}),
        (stage("base_classes"), "rpg_base_classes", {**common, **features, **modules}),
        (stage("plan"), "rpg_plan", planned),
        (stage("examples"), "rpg_examples", {"plan": whole["plan"], **isolated}),
        *smoke,
        (stage("assembled"), "rpg_assemble", assembling),
        (stage("suite"), "rpg_suite", {"assembled": whole["assembled"], **reading, **isolated}),
        (stage("amended"), "rpg_amend", {"plan": whole["plan"], "lock_path": lock_path}),
        (label, "rpg_repository", {**whole, "folder": attrs.folder or label.path, "tags": list(attrs.tags)}),
    ]
