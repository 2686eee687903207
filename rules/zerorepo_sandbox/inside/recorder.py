"""The pytest side of a test run: runs in the process that is not trusted, and tells the runner what happens as it happens.

Each event is one line on a descriptor that only the runner reads, led by a number that only the two know. Two tests of our own,
first and last, must fail: when they do not, pytest is not what it was. Knows nothing of verdicts.
"""

# ruff: noqa: PTH102, PTH109, PTH112, PTH123
# Os.path alone: what is loaded here is paid for in every run.

from __future__ import annotations

import importlib
import json
import os
import random
import secrets
import shutil
import sys
import tempfile
import types
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from . import apart
from .measure import start_coverage
from .tripwire import Functions, Tripwire

_MESSAGE = 4000
_KNOWN: list[Functions] = []
"""As they were before any fork."""
_PLUGINS_OFF = (
    "cacheprovider",
    "pastebin",
    "stepwise",
    "doctest",
    "faulthandler",
    "setuponly",
    "setupplan",
)


class _CanaryModule(pytest.Module):
    """A module that is not in a file, so that a canary looks like any other test to whoever patches pytest."""

    namespace: types.ModuleType

    def _getobj(self) -> types.ModuleType:
        return self.namespace


class Recorder:
    """A pytest plugin that sends events. What it does so with is known when there are tests to run: see ``Course``."""

    def __init__(self) -> None:
        self.send: Callable[[Mapping[str, Any]], None] = lambda event: None
        self.changed: Callable[[], str] = str
        """What of pytest was replaced; asked when a test has run and pytest is about to judge it."""
        self.secret = ""
        self.seed = 0
        """Other than 0 it shuffles the order of tests."""
        self.before_imports: Callable[[], None] = lambda: None
        self._outcome: dict[str, tuple[str, str]] = {}
        self.canaries: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self) -> None:
        """The first moment at which something of the other side is imported."""
        self.before_imports()

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Silence pytest's own report: it would show the canaries, and times, which differ from run to run."""
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            config.pluginmanager.unregister(reporter)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Shuffle, then put a canary at each end."""
        if self.seed:
            random.Random(self.seed).shuffle(items)
        self.send({"event": "collected", "count": len(items)})
        items.insert(0, self._canary(session))
        items.append(self._canary(session))

    def _canary(self, session: pytest.Session) -> pytest.Item:
        secret, name = self.secret, f"test_{secrets.token_hex(6)}"

        module = types.ModuleType(name)
        # Compiled here, for pytest looks for the source of what fails, and would read and parse this file in each run.
        exec(compile(f"def {name}():\n    raise AssertionError({secret!r})\n", f"{name}.py", "exec"), module.__dict__)
        fail = getattr(module, name)
        collector = _CanaryModule.from_parent(session, path=session.path / f"{name}.py", nodeid=f"{name}.py")
        collector.namespace = module
        item: pytest.Item = pytest.Function.from_parent(collector, name=name, callobj=fail)
        self.canaries.append(item.nodeid)
        return item

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        """Just before pytest judges what happened."""
        if call.when == "call" and (changed := self.changed()):
            self.send({"event": "tripped", "message": f"`{changed}` was replaced"})
            os._exit(96)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be collected is a case that went wrong."""
        if report.failed:
            self.send({"event": "case", "name": report.nodeid, "outcome": "error", "message": _text(report)})

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Named before it runs, so that a run that never ends says where."""
        self.send({"event": "start", "name": nodeid})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Setup, call and teardown make one outcome: the worst."""
        before = self._outcome.get(report.nodeid)
        if report.failed:
            outcome = "failed" if report.when == "call" and before is None else "error"
            self._outcome[report.nodeid] = (outcome, _text(report))
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", "")
            self._outcome.setdefault(report.nodeid, ("skipped", str(reason)[:_MESSAGE]))
        elif report.when == "call":
            self._outcome.setdefault(report.nodeid, ("passed", ""))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """All three phases are over."""
        outcome, message = self._outcome.pop(nodeid, ("error", "pytest reported nothing for this test"))
        self.send({"event": "case", "name": nodeid, "outcome": outcome, "message": message})


def _text(report: pytest.TestReport | pytest.CollectReport) -> str:
    """What went wrong, and what was printed meanwhile; the end of it, where the assertion is."""
    text = report.longreprtext[-_MESSAGE:]
    for title, content in report.sections:
        text += f"\n--- {title} ---\n{content[-_MESSAGE:].rstrip()}"
    return text[-2 * _MESSAGE :]


class Course:
    """One run of tests in the current folder, from when it is known what to run. ``apart_fd``: the code under test is in the
    process behind it, under the names ``request["apart"]``.
    """

    def __init__(
        self, recorder: Recorder, request: Mapping[str, Any], report_fd: int, secret: str, apart_fd: int | None
    ) -> None:
        # Kept before any code of the other side is imported: replacing os.write later changes nothing here.
        write, dumps, prefix = os.write, json.dumps, f"{secret} ".encode()

        def send(event: Mapping[str, Any]) -> None:
            data = memoryview(prefix + dumps(event).encode() + b"\n")
            while data:
                data = data[write(report_fd, data) :]

        work = request["work"]
        sys.path[:0] = [work, f"{work}/src"] if os.path.isdir(f"{work}/src") else [work]
        self._recorder, self._request, self._send = recorder, request, send
        self._link = link = apart.connect(apart_fd, work) if apart_fd is not None else None
        self._measure = start_coverage(work, request["coverage"]) if request["coverage"] and link is None else None
        self._tripwire: Tripwire | None = None
        if secret:
            known = _KNOWN[0] if _KNOWN else Functions()
            self._tripwire = Tripwire((work, request["tmp"]), self._trip, known)
            recorder.changed = self._tripwire.changed
        recorder.send, recorder.secret, recorder.seed = send, secret, int(request["seed"])
        if link is not None:
            recorder.before_imports = lambda: apart.take_over_imports(link, request["apart"])

    def _trip(self, what: str) -> None:
        self._send({"event": "tripped", "message": what})
        os._exit(96)

    def end(self, code: int) -> None:
        """pytest has ended with this code: send what comes last."""
        if self._tripwire is not None:
            if changed := self._tripwire.changed():
                self._trip(f"`{changed}` was replaced")
            self._tripwire.let_tracing_end()
        if self._measure is not None:
            self._send({"event": "coverage", "files": self._measure()})
        if (link := self._link) is not None:
            if self._request["coverage"] and not link.cannot:
                self._send({"event": "coverage", "files": link.ask("coverage")})
            if stray := apart.strayed(self._request["apart"]):
                link.refuse(f"`{stray}` was loaded beside the tests")
            self._send({"event": "apart", "message": link.cannot})
        self._send({"event": "end", "code": code, "canaries": self._recorder.canaries})


def traceback_style(request: Mapping[str, Any], apart_fd: int | None) -> str:
    """For a short traceback pytest parses the whole file of each test that fails, which takes longer than the tests.

    Apart from the code nobody reads it: what fails there is run once more, together.
    """
    return "line" if request.get("brief") or apart_fd is not None else "short"


def arguments(work: str, tmp: str, style: str) -> list[str]:
    """Of pytest, all but what to run."""
    args = ["-q", "-c", "/dev/null", f"--rootdir={work}", f"--basetemp={tmp}/t", "--color=no", f"--tb={style}"]
    return [*args, "--continue-on-collection-errors", *(f"-pno:{name}" for name in _PLUGINS_OFF)]


def run(request: Mapping[str, Any], report_fd: int, secret: str, apart_fd: int | None = None) -> None:
    """Run pytest on ``request["tests"]`` and send all events; returns when pytest has ended. See ``Course``."""
    recorder = Recorder()
    course = Course(recorder, request, report_fd, secret, apart_fd)
    args = arguments(request["work"], request["tmp"], traceback_style(request, apart_fd))
    if not request["capture"]:
        args.append("-s")
    course.end(int(pytest.main([*args, *request["tests"]], plugins=[recorder])))


def know_as_begun() -> None:
    """What plugins of pytest replace of each other in a run that has begun is how its functions are known from now on."""
    for known in _KNOWN:
        known.changed(code_too=False)


_SAMPLE = """
import dataclasses

import pytest


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    number: int


@pytest.fixture
def case():
    yield Case(1)


class TestClass:
    @pytest.mark.parametrize("number, text", [(1, "a"), (2, "b")])
    def test_parameters(self, number, text):
        assert text == "ab"[number - 1]


def test_raises():
    with pytest.raises(ValueError, match="no"):
        raise ValueError("no")


def test_passing(case, tmp_path, monkeypatch, capsys):
    print(tmp_path)
    monkeypatch.setenv("A", "b")
    assert capsys.readouterr().out and case == Case(1)


def test_failing():
    assert [1] == [2]
"""


def warm_up() -> None:
    """Run once, here, what each fork will run: what pytest loads late and remembers is then there already."""
    kept = list(sys.path)
    work = tempfile.mkdtemp()
    tests = f"{work}/tests"
    os.mkdir(tests)
    with open(f"{tests}/test_warm_up_of_zerorepo.py", "w", encoding="utf-8") as file:
        file.write(_SAMPLE)
    null = os.open(os.devnull, os.O_WRONLY)
    request = {"work": work, "tmp": work, "tests": [tests], "coverage": [], "seed": 0, "capture": True}
    here = os.getcwd()
    os.chdir(work)
    try:
        run(request, null, "")
    finally:
        os.chdir(here)
        os.close(null)
        shutil.rmtree(work)
        sys.path[:] = kept
        sys.modules.pop("test_warm_up_of_zerorepo", None)
        _KNOWN.append(Functions())
        importlib.invalidate_caches()
