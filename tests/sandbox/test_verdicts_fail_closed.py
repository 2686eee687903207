"""A run passes only when it went to its end, ran tests, and none went wrong."""

import pytest
from sandbox_harness import both_tiers

from zerorepo.target import Outcome
from zerorepo_sandbox.limits import Limits, Verdict

PASSING = "def test_a():\n    assert 1 + 1 == 2\n"


@both_tiers
def test_passing_tests_pass(run_tests, tier):
    report = run_tests(PASSING).report
    assert (report.passed, report.status, report.sandbox) == (True, Verdict.OK, tier)
    assert [(case.name, case.outcome) for case in report.cases] == [("test_it.py::test_a", Outcome.PASSED)]


@both_tiers
def test_a_failing_test_is_a_failing_verdict_with_its_message(run_tests, tier):
    report = run_tests(PASSING + "def test_b():\n    print('seen')\n    assert 1 == 3\n").report
    assert (report.passed, report.status) == (False, Verdict.OK)
    failed = report.cases[1]
    assert failed.outcome is Outcome.FAILED
    assert "assert 1 == 3" in failed.message and "seen" in failed.message


def test_errors_in_setup_and_teardown_are_errors(run_tests):
    source = (
        "import pytest\n@pytest.fixture\ndef broken():\n    raise ValueError('no')\n"
        "@pytest.fixture\ndef late():\n    yield\n    raise ValueError('late')\n"
        "def test_a(broken): pass\ndef test_b(late): pass\n"
    )
    assert [case.outcome for case in run_tests(source).report.cases] == [Outcome.ERROR, Outcome.ERROR]


def test_a_file_that_cannot_be_imported_is_an_error_and_others_still_run(run_tests):
    report = run_tests({"test_a.py": "import not_there\n", "test_b.py": PASSING}).report
    assert not report.passed
    assert {case.name: case.outcome for case in report.cases} == {
        "test_a.py": Outcome.ERROR,
        "test_b.py::test_a": Outcome.PASSED,
    }


@pytest.mark.parametrize(
    "source",
    ["x = 1\n", "import pytest\n@pytest.mark.skip\ndef test_a(): pass\n"],
    ids=["no test", "all skipped"],
)
def test_nothing_tested_does_not_pass(run_tests, source):
    report = run_tests(source).report
    assert (report.passed, report.status) == (False, Verdict.NO_TESTS)


@both_tiers
@pytest.mark.parametrize(
    "body",
    ["import os; os._exit(0)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "import os; os.abort()"],
)
def test_leaving_without_a_report_is_a_crash_that_names_the_test(run_tests, body, tier):
    report = run_tests(f"def test_a():\n    {body}\n", screened=False).report
    assert (report.passed, report.status) == (False, Verdict.CRASH)
    assert "test_it.py::test_a" in report.output


def test_ending_the_session_early_is_no_pass(run_tests):
    for body in ("raise KeyboardInterrupt", "import pytest; pytest.exit('done', returncode=1)"):
        report = run_tests(f"{PASSING}def test_b():\n    {body}\n", screened=False).report
        assert not report.passed
        assert report.status in (Verdict.CRASH, Verdict.TAMPERED)


def test_writing_into_the_report_is_tampering(run_tests):
    source = (
        "import os\ndef test_a():\n    for fd in range(3, 20):\n"
        "        try: os.write(fd, b'{}\\n')\n        except OSError: pass\n"
    )
    report = run_tests(source, screened=False).report
    assert (report.passed, report.status) == (False, Verdict.TAMPERED)


def test_tests_taken_out_by_a_test_are_noticed(run_tests):
    source = "def test_a(request):\n    del request.session.items[2:-1]\ndef test_b():\n    assert False\n"
    report = run_tests(source, screened=False).report
    assert (report.passed, report.status) == (False, Verdict.TAMPERED)


def test_a_runner_killed_from_outside_is_no_pass(run_tests):
    report = run_tests(
        "import os, signal\ndef test_a():\n    os.kill(os.getppid(), signal.SIGKILL)\n", screened=False
    ).report
    assert report.passed  # it is the first process of its namespace: the signal does not arrive


@pytest.mark.parametrize("tier", ["unsafe"], indirect=True)
def test_without_isolation_a_killed_runner_is_a_crash(run_tests, tier):
    report = run_tests(
        "import os, signal\ndef test_a():\n    os.kill(os.getppid(), signal.SIGKILL)\n", screened=False
    ).report
    assert (report.passed, report.status) == (False, Verdict.CRASH)


def test_code_that_reaches_for_the_runner_is_refused_before_it_runs(run_tests):
    report = run_tests("import gc\ndef test_a(): pass\n").report
    assert (report.passed, report.status, report.cases) == (False, Verdict.REFUSED, ())
    assert "test_it.py: line 1: imports `gc`" in report.output


def test_equal_runs_have_equal_results(run_tests):
    source = "def test_a(tmp_path):\n    x = object()\n    print(x, tmp_path, hash('a'))\n    assert x is None\n"
    first, second = run_tests(source), run_tests(source)
    assert first == second
    assert "0x…" in first.report.cases[0].message


def test_the_seed_orders_the_tests(run_tests):
    source = "".join(f"def test_{n}(): pass\n" for n in range(9))
    names = [[case.name for case in run_tests(source, seed=seed).report.cases] for seed in (0, 1, 1, 2)]
    assert names[0] == sorted(names[0]) != names[1] == names[2] != names[3]


def test_covered_and_missed_lines_are_reported_also_of_files_nobody_imports(run_tests):
    files = {
        "pkg/__init__.py": "",
        "pkg/a.py": "def f(x):\n    if x:\n        return 1\n    return 2\n",
        "pkg/b.py": "def g():\n    return 3\n",
        "tests/test_a.py": "from pkg.a import f\ndef test_a(): assert f(1) == 1\n",
    }
    run = run_tests(files, tests=("tests",), coverage=("pkg",))
    assert run.report.passed
    assert (run.coverage["pkg/a.py"].executed, run.coverage["pkg/a.py"].missing) == ((1, 2, 3), (4,))
    assert run.coverage["pkg/b.py"].executed == ()
    assert run.coverage["pkg/b.py"].missing == (1, 2)


def test_a_src_folder_and_conftest_fixtures_work_as_in_a_plain_checkout(run_tests):
    files = {
        "src/lib/__init__.py": "VALUE = 4\n",
        "tests/conftest.py": "import pytest\n@pytest.fixture\ndef four(): return 4\n",
        "tests/test_lib.py": "from lib import VALUE\ndef test_a(four): assert VALUE == four\n",
    }
    assert run_tests(files, tests=("tests",)).report.passed


def test_a_timed_out_run_says_what_was_running(run_tests):
    source = PASSING + "def test_b():\n    while True: pass\n"
    report = run_tests(source, limits=Limits(wall_s=1)).report
    assert (report.passed, report.status) == (False, Verdict.TIMEOUT)
    assert "test_it.py::test_b" in report.output
    assert [case.outcome for case in report.cases] == [Outcome.PASSED]
