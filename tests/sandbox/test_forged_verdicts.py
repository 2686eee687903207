"""Code and tests that try to buy a verdict. Without the static screen, unless a test says otherwise: it is only the first fence."""

import pytest

from zerorepo_sandbox.limits import Limits, Verdict
from zerorepo_sandbox.plain_tests import code_names

HONEST = "from code_under_test import f\n\ndef test_a():\n    assert f(1) == 2\n"
BROKEN = "def f(x):\n    return 41\n"

# Each is put before BROKEN: it runs when the tests import the code under test.
FORGERIES = {
    "every report passes, also those of selected items": """
import _pytest.reports
_o = _pytest.reports.TestReport.from_item_and_call.__func__
def fake(cls, item, call):
    r = _o(cls, item, call)
    if getattr(item, "module", None) is not None and "code_under_test" in item.module.__dict__ or item.name == "test_a":
        r.outcome = "passed"; r.longrepr = None
    return r
_pytest.reports.TestReport.from_item_and_call = classmethod(fake)
""",
    "the patch takes itself back": """
import _pytest.runner, _pytest.reports
_o = _pytest.reports.TestReport.from_item_and_call
def fake(cls, item, call):
    _pytest.reports.TestReport.from_item_and_call = _o
    if item.name == "test_a": call.excinfo = None
    return _o.__func__(cls, item, call)
_pytest.reports.TestReport.from_item_and_call = classmethod(fake)
""",
    "assertions are rewritten away": """
import sys
def gone(frame, event, arg):
    return gone
import builtins
builtins.AssertionError = type("AssertionError", (BaseException,), {"__init__": lambda self, *a: None})
import _pytest.python
_pytest.python.Function.runtest = lambda self: None
""",
    "the recorder is found in memory and speaks for us": """
import gc, json, os
for o in gc.get_objects():
    if type(o).__name__ == "Recorder" and hasattr(o, "_send"):
        o._send({"event": "collected", "count": 1})
        for name in o.canaries:
            o._send({"event": "start", "name": name})
            o._send({"event": "case", "name": name, "outcome": "failed", "message": o._secret})
        o._send({"event": "start", "name": "test_it.py::test_a"})
        o._send({"event": "case", "name": "test_it.py::test_a", "outcome": "passed", "message": ""})
        o._send({"event": "end", "code": 1, "canaries": o.canaries})
        os._exit(0)
""",
    "the recorder is found among the callers": """
import sys, os
frame = sys._getframe()
while frame is not None:
    send = frame.f_locals.get("send")
    recorder = frame.f_locals.get("recorder")
    if send and recorder:
        os._exit(0)
    frame = frame.f_back
""",
    "other code within a function of pytest, given by the standard library": """
import unittest.mock, _pytest.python
other = (lambda self: None).__code__
unittest.mock.patch.object(_pytest.python.Function.runtest, "__code__", other).start()
""",
    "a function of pytest is taken away": """
import _pytest.python
del _pytest.python.Function.runtest
""",
    "leaving with code 0": "import os\nos._exit(0)\n",
    "equal to everything": """
class Any:
    def __eq__(self, other): raise SystemExit(0)
""",
    "the parent process is changed": """
import os, ctypes
for pid in os.listdir("/proc"):
    if pid.isdigit():
        for name in ("mem", "fd/3", "environ"):
            try: open(f"/proc/{pid}/{name}", "r+b").write(b"x" * 64)
            except OSError: pass
""",
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_code_under_test_cannot_forge_a_pass(run_tests, forgery):
    files = {"code_under_test.py": forgery + BROKEN, "test_it.py": HONEST}
    run = run_tests(files, screened=False)
    assert not run.report.passed, run
    assert not run.report.apart


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_a_test_file_that_forges_gets_no_pass_even_without_the_screen(run_tests, forgery):
    run = run_tests(forgery + "\ndef test_a():\n    assert False\n", screened=False)
    assert not run.report.passed, run


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_tests_that_reach_for_the_runner_do_not_keep_their_own_verdict(forgery):
    files = {"code_under_test.py": b"def f(x): return x", "test_it.py": (forgery + HONEST).encode()}
    names, why = code_names(files, ("test_it.py",))
    assert not names or forgery.startswith("\nclass Any"), why


def test_honest_code_is_tested_apart_and_the_verdict_says_so(run_tests):
    run = run_tests({"code_under_test.py": "def f(x):\n    return x + 1\n", "test_it.py": HONEST})
    assert (run.report.passed, run.report.apart, run.together_because) == (True, True, "")


def test_a_wrong_answer_is_a_failing_test_told_in_the_usual_way(run_tests):
    run = run_tests({"code_under_test.py": BROKEN, "test_it.py": HONEST})
    assert (run.report.passed, run.report.status, run.report.apart) == (False, Verdict.OK, False)
    assert "assert 41 == 2" in run.report.cases[0].message


def test_code_that_takes_its_process_down_fails(run_tests):
    code = "import os\ndef f(x):\n    os.kill(os.getpid(), 9)\n"
    run = run_tests({"code_under_test.py": code, "test_it.py": HONEST}, screened=False)
    assert (run.report.passed, run.report.status) == (False, Verdict.CRASH)


def test_code_cannot_read_or_signal_its_way_to_a_pass_from_its_own_process(run_tests):
    code = (
        "import os, signal\ndef f(x):\n    seen = []\n    for pid in os.listdir('/proc'):\n"
        "        if pid.isdigit() and int(pid) != os.getpid():\n            for name in ('mem', 'environ', 'fd', 'maps'):\n"
        "                try:\n                    path = f'/proc/{pid}/{name}'\n"
        "                    seen.append((os.listdir if name == 'fd' else open)(path))\n"
        "                except OSError: pass\n    return 2 if not seen else repr(seen)\n"
    )
    run = run_tests({"code_under_test.py": code, "test_it.py": HONEST}, screened=False)
    assert run.report.passed and run.report.apart, run


def test_tests_cannot_be_changed_where_they_lie(run_tests):
    code = (
        "import os\ndef f(x):\n    for path in ('test_it.py', '.'):\n        try: os.chmod(path, 0o777)\n"
        "        except OSError: pass\n    open('test_it.py', 'w').write('def test_a(): pass')\n"
    )
    run = run_tests({"code_under_test.py": code, "test_it.py": HONEST}, screened=False)
    assert not run.report.passed
    assert "Read-only file system" in run.report.cases[0].message


def test_what_is_handed_to_the_code_gives_it_no_way_into_the_tests(run_tests):
    asks = "".join(
        f"def by_{n}(callback):\n    return {ask}\n"
        for n, ask in enumerate(
            [
                *(f"callback.{name}" for name in ("__globals__", "__code__", "__closure__", "__builtins__")),
                "callback._mirrors.ask('special', callback, '__getattribute__', '__globals__')",
                "callback._mirrors.ask('special', callback, '__reduce_ex__', 4)",
                "callback._mirrors.ask('set', callback, '__code__', None)",
                "callback._mirrors.ask('import', 'gc')",
                "type(callback)(None, {})",
                "callback._mirrors.ask('call', type(callback))",
            ]
        )
    )
    for n in range(asks.count("def ")):
        test = f"from code_under_test import by_{n}\ndef test_a():\n    by_{n}(lambda: 1)\n"
        run = run_tests({"code_under_test.py": asks, "test_it.py": test}, screened=False)
        # Asking is noted, and then tests and code run together, where most of these are nothing.
        assert not run.report.apart and ("of the tests" in run.together_because or not run.report.passed), run


def test_a_hang_of_the_code_is_a_timeout(run_tests):
    code = "def f(x):\n    while True: pass\n"
    report = run_tests({"code_under_test.py": code, "test_it.py": HONEST}, limits=Limits(wall_s=1)).report
    assert (report.passed, report.status) == (False, Verdict.TIMEOUT)
