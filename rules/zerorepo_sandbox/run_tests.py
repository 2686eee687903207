"""The action ``RunTests``: pytest on some files, in a fresh world, with a verdict that the tested code cannot forge cheaply.

Knows nothing of where the files come from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from zerorepo.action import Action, ActionContext, ActionResult
from zerorepo.digest import Digest
from zerorepo.errors import ActionFailed
from zerorepo.target import Outcome, TestReport
from zerorepo.values import Value
from zerorepo_sandbox import environment
from zerorepo_sandbox.limits import Limits, Verdict
from zerorepo_sandbox.report import Judged, judge
from zerorepo_sandbox.screen import screen_files
from zerorepo_sandbox.service import Sandbox
from zerorepo_sandbox.settings import UNSAFE
from zerorepo_sandbox.tier import Capture, Place

_START = "from zerorepo_inside.runner import main; main()"
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


class RunTests(Action):
    """Run pytest. A failing test, a crash or a limit is a result; only a sandbox that does not work is an error.

    The work folder is the current one and, with its ``src`` if there is one, on ``sys.path``. No configuration file of pytest
    is read and no plugin loaded; ``conftest.py`` is. ``seed`` is Python's hash seed and, other than 0, shuffles the tests.
    """

    mnemonic: ClassVar[str] = "RunTests"
    result: ClassVar[type[ActionResult]] = TestRun

    files: Mapping[str, Digest]
    """Path in the work folder to content."""
    tests: tuple[str, ...]
    """Test files and folders to run, out of ``files``."""
    tier: str
    """From ``isolation(ctx)``."""
    environment: str
    """From ``test_environment(ctx)``."""
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    coverage: tuple[str, ...] = ()
    """Files and folders whose lines are measured; none: not measured."""
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
        world = environment.test_world(await sandbox.site())
        outer = self.limits.model_copy(update={"wall_s": self.limits.wall_s + _GRACE_S})
        answer_cap = (2 * self.limits.report_kb << 10) + (1 << 20)
        async with tier.place(world, self.limits) as place:
            ended = await place.run(
                (environment.python(), "-s", "-S", "-B", "-P", "-c", _START),
                stdin=self._request(place, files, capture),
                env=self._env(place),
                limits=outer,
                capture=Capture(stdout=answer_cap, stderr=_STDERR_CAP),
            )
            return self.outcome(judge(ended, {place.work: "/work", place.tmp: "/tmp"}))

    def _request(self, place: Place, files: Mapping[str, bytes], capture: bool) -> bytes:
        header = {
            "work": place.work,
            "tmp": place.tmp,
            "isolated": self.tier != UNSAFE,
            "count_processes": place.counts_processes,
            "tests": self.tests,
            "coverage": self.coverage,
            "seed": self.seed,
            "capture": capture,
            "limits": self.limits.model_dump(),
            "files": [(path, len(content)) for path, content in files.items()],
        }
        return b"".join((json.dumps(header).encode(), b"\n", *files.values()))

    def _env(self, place: Place) -> dict[str, str]:
        return {
            "PATH": environment.search_path(),
            "HOME": place.tmp,
            "TMPDIR": place.tmp,
            "USER": "sandbox",
            "LOGNAME": "sandbox",
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "COLUMNS": "80",
            "PYTHONPATH": place.path(environment.SITE),
            "PYTHONHASHSEED": str(self.seed),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }

    def outcome(self, judged: Judged) -> TestRun:
        """The result for a verdict."""
        output = "\n".join(part for part in (judged.why, judged.output.strip("\n")) if part)
        report = TestReport(
            passed=judged.passed and any(case.outcome is Outcome.PASSED for case in judged.cases),
            status=judged.verdict.value,
            cases=judged.cases,
            output=output,
            sandbox=self.tier,
        )
        lines = {path: FileCoverage(executed=done, missing=left) for path, (done, left) in judged.coverage.items()}
        return TestRun(report=report, coverage=lines)
