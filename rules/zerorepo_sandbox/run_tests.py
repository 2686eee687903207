"""The action ``RunTests``: pytest on some files, in a fresh world, with a verdict that the tested code cannot forge cheaply.

Knows nothing of where the files come from.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from zerorepo.action import Action, ActionContext, ActionResult
from zerorepo.digest import Digest
from zerorepo.errors import ActionFailed, TransientFailure
from zerorepo.target import Outcome, TestReport
from zerorepo.values import Value
from zerorepo_sandbox import environment, seccomp
from zerorepo_sandbox.inside.watch import PATIENCE
from zerorepo_sandbox.limits import Limits, Verdict
from zerorepo_sandbox.packages import PACKAGES
from zerorepo_sandbox.plain_tests import code_names
from zerorepo_sandbox.pool import Kind, Pool
from zerorepo_sandbox.report import WHY, Judged, judge, judge_run
from zerorepo_sandbox.screen import screen_files
from zerorepo_sandbox.service import Sandbox
from zerorepo_sandbox.tier import Capture, OutOfMemory, Tier, World

_START = "import sys; from zerorepo_inside.worker import main; main(sys.argv[1])"
_WORK, _TMP = "/work", "/tmp"
_GRACE_S = 3.0
"""The runner keeps the time limit and can then say what was running; this much later the world is ended from outside."""
_STDERR_CAP = 1 << 20


class FileCoverage(Value):
    """Line numbers of one file that tests ran, and that they could have run and did not."""

    executed: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()


class TestRun(ActionResult):
    """What came of one run of tests. Holds no times and no temporary paths: the same behaviour gives the same result."""

    __test__ = False
    report: TestReport
    coverage: Mapping[str, FileCoverage] = Field(default_factory=dict)
    """Python files below ``RunTests.coverage``, also those that no test imported; empty unless the run was complete."""
    together_because: str = ""
    """Why the tests and the code under test shared a process (see ``TestReport.apart``)."""


class RunTests(Action):
    """Run pytest. A failing test, a crash or a limit is a result; only a sandbox that does not work is an error.

    The work folder is the current one and, with its ``src`` if there is one, on ``sys.path``. No configuration file of pytest
    is read and no plugin loaded; ``conftest.py`` is. ``seed``, other than 0, shuffles the tests; Python's hash seed is always 0.
    """

    mnemonic: ClassVar[str] = "RunTests"
    key_version: ClassVar[int] = 2
    result: ClassVar[type[ActionResult]] = TestRun
    pool: ClassVar[str] = "processor"

    files: Mapping[str, Digest]
    """Path in the work folder to content."""
    tests: tuple[str, ...]
    """Test files and folders to run, out of ``files``."""
    tier: str
    """From ``isolation(ctx)``."""
    environment: str
    """From ``test_environment(ctx)``."""
    wheels: Mapping[str, Digest] = Field(default_factory=dict)
    """What else can be imported; from ``test_wheels(ctx)``."""
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    coverage: tuple[str, ...] = ()
    """Files and folders whose lines are measured; none: not measured."""
    brief: bool = False
    """For tests that are expected to fail: what failed is told without where, and nobody who could forge it is kept apart."""
    limits: Limits = Limits()

    def describe(self) -> str:
        """What is run."""
        return f"{' '.join(self.tests[:2])}{' …' if len(self.tests) > 2 else ''}"

    async def execute(self, context: ActionContext) -> TestRun:
        """Screen, run, judge."""
        for path in (*self.files, *self.tests, *self.coverage):
            if path.startswith("/") or ".." in path.split("/"):
                raise ActionFailed(f"`{path}` is no path in the work folder of a test")
        files = {path: context.read(digest) for path, digest in self.files.items()}
        if reasons := screen_files(files):
            return self.outcome(
                Judged(Verdict.REFUSED, "the code reaches for the test runner", output="\n".join(reasons))
            )
        return await self.run_unscreened(context, files)

    async def run_unscreened(
        self, context: ActionContext, files: Mapping[str, bytes], *, capture: bool = True
    ) -> TestRun:
        """The run without the screen before it, to try the sandbox itself. ``capture`` off: what tests print is kept."""
        sandbox = await context.service(Sandbox)
        tier = await sandbox.tier(self.tier, context)
        layer = await sandbox.packages(self.wheels, context.read)
        world = environment.test_world(await sandbox.site(), layer)
        if tier.isolate == "none":
            return self.outcome(await self._in_a_place(tier, world, files, capture))
        argv = _argv(tier.python, tier.isolate)
        kind = Kind(tier, world, argv, _env(_TMP, _import_path(world, lambda shown: shown)), self.limits)
        names, why = ((), "they are expected to fail") if self.brief else code_names(files, self.tests)
        if names and tier.isolate == "processes":
            names, why = (), "this isolation cannot keep the files of the tests from the code under test"
        if names:
            judged = await self._of_a_worker(sandbox.pool, kind, files, capture, names)
            if judged.passed and judged.apart == "":
                return self.outcome(judged)
            why = judged.apart or "what went wrong is told by tests that run in the usual way"
        judged = await self._of_a_worker(sandbox.pool, kind, files, capture, ())
        return self.outcome(replace(judged, apart=why))

    async def _of_a_worker(
        self, pool: Pool, kind: Kind, files: Mapping[str, bytes], capture: bool, names: tuple[str, ...]
    ) -> Judged:
        """The verdict of a resident worker.

        A time limit that is reached is a property of the code only when the code had the time: TransientFailure when it had
        not, so that it is not remembered.
        """
        filter_ = seccomp.program(shared_ipc=kind.tier.isolate != "namespaces") or b""
        request = self._request(_WORK, _TMP, files, capture, names, count_processes=True, filter_=filter_)
        longest_s = PATIENCE * self.limits.wall_s + _GRACE_S
        largest = _answer_cap(self.limits)
        try:
            answer, out_of_memory = await pool.ask(kind, request, longest_s=longest_s, largest=largest)
        except OutOfMemory:
            return Judged(Verdict.MEMORY, f"{WHY[Verdict.MEMORY]}; all that was in the container was ended")
        judged = judge(answer, {})
        if out_of_memory and judged.verdict is Verdict.CRASH:
            judged = replace(judged, verdict=Verdict.MEMORY, why=f"{WHY[Verdict.MEMORY]}; {judged.why}")
        if judged.starved:
            raise TransientFailure(
                f"The tests did not end within {PATIENCE} times their time limit of {self.limits.wall_s:g} s,"
                " on a machine too busy to run them",
                hint="build again when it is not, or with fewer --jobs",
            )
        return judged

    async def _in_a_place(self, tier: Tier, world: World, files: Mapping[str, bytes], capture: bool) -> Judged:
        """The verdict of a worker that is started for this run and ends with it."""
        outer = self.limits.model_copy(update={"wall_s": self.limits.wall_s + _GRACE_S})
        async with tier.place(world, self.limits) as place:
            counts = place.counts_processes
            request = self._request(place.work, place.tmp, files, capture, (), count_processes=counts)
            ended = await place.run(
                _argv(tier.python, "none"),
                stdin=len(request).to_bytes(4, "big") + request,
                env=_env(place.tmp, _import_path(world, place.path)),
                limits=outer,
                capture=Capture(stdout=_answer_cap(self.limits), stderr=_STDERR_CAP),
            )
            return judge_run(ended, {place.work: "/work", place.tmp: "/tmp"})

    def _request(
        self,
        work: str,
        tmp: str,
        files: Mapping[str, bytes],
        capture: bool,
        names: tuple[str, ...],
        *,
        count_processes: bool,
        filter_: bytes = b"",
    ) -> bytes:
        header = {
            "work": work,
            "tmp": tmp,
            "count_processes": count_processes,
            "filter": base64.b64encode(filter_).decode(),
            "tests": self.tests,
            "coverage": self.coverage,
            "seed": self.seed,
            "capture": capture,
            "brief": self.brief,
            "limits": self.limits.model_dump(),
            "apart": names,
            "files": [(path, len(content)) for path, content in files.items()],
        }
        return b"".join((json.dumps(header).encode(), b"\n", *files.values()))

    def debug_env(self) -> dict[str, str]:
        """The environment of the tests, for whoever runs them by hand in their world."""
        return _env(_TMP, ":".join((environment.SITE, *((PACKAGES,) if self.wheels else ()))))

    def outcome(self, judged: Judged) -> TestRun:
        """The result for a verdict."""
        output = "\n".join(part for part in (judged.why, judged.output.strip("\n")) if part)
        report = TestReport(
            passed=judged.passed and any(case.outcome is Outcome.PASSED for case in judged.cases),
            status=judged.verdict.value,
            cases=judged.cases,
            output=output,
            sandbox=self.tier,
            apart=judged.apart == "",
        )
        lines = {path: FileCoverage(executed=done, missing=left) for path, (done, left) in judged.coverage.items()}
        return TestRun(report=report, coverage=lines, together_because=judged.apart or "")


def _argv(python: str, isolate: str) -> tuple[str, ...]:
    return (python, "-s", "-S", "-B", "-P", "-c", _START, isolate)


def _answer_cap(limits: Limits) -> int:
    return (2 * limits.report_kb << 10) + (1 << 20)


def _import_path(world: World, path: Callable[[str], str]) -> str:
    """What we bring comes first: no package can take the place of pytest."""
    return ":".join(path(shown) for shown in (environment.SITE, PACKAGES) if shown in world.shows)


def _env(tmp: str, site: str) -> dict[str, str]:
    return {
        "PATH": environment.search_path(),
        "HOME": tmp,
        "TMPDIR": tmp,
        "USER": "sandbox",
        "LOGNAME": "sandbox",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "COLUMNS": "80",
        "PYTHONPATH": site,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
