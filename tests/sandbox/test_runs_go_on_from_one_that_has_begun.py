"""Resident workers begin a run of pytest once, and each request goes on from there: no request can tell."""

import subprocess
import sys

from zerorepo_sandbox import inside

TELLS = """
import os, stat, sys

def test_tells(request, capsys):
    config, session = request.config, request.session
    assert config.args == ["tests/test_it.py"] == config.option.file_or_dir
    assert config.invocation_params.args[-1] == "tests/test_it.py"
    assert config.option.tbstyle == "short" and "--tb=short" in config.invocation_params.args
    assert str(config.invocation_params.dir) == os.getcwd() == str(session.path) == "/work"
    assert [type(each).__name__ for each in config.invocation_params.plugins] == ["Recorder"]
    assert "standby" not in repr(config.pluginmanager.list_name_plugin()).lower()
    assert sys.path[:2] == ["/work/tests", "/work"]
    print("captured")
    assert capsys.readouterr().out == "captured\\n"

def test_what_a_failure_printed_is_told():
    print("told")
    os.write(2, b"told, too\\n")
    assert False
"""


def test_a_run_sees_a_command_line_of_its_own(run_tests):
    report = run_tests({"tests/test_it.py": TELLS}, screened=False).report
    assert [case.outcome for case in report.cases] == ["passed", "failed"], report
    assert "told\n" in report.cases[1].message and "told, too" in report.cases[1].message


def test_hooks_that_a_conftest_has_for_the_beginning_are_called(run_tests):
    conftest = (
        "begun = []\ndef pytest_configure(config): begun.append('configured')\n"
        "def pytest_sessionstart(session): begun.append('started')\n"
        "def pytest_addoption(parser): parser.addoption('--own', default='own')\n"
    )
    test = (
        "import conftest\ndef test_a(request):\n    assert conftest.begun == ['configured', 'started']\n"
        "    assert request.config.getoption('own') == 'own'\n"
    )
    plain = "def test_a(request):\n    assert not hasattr(request.config.option, 'own')\n"
    for files, plugin in (({"test_it.py": plain}, False), ({"conftest.py": conftest, "test_it.py": test}, True)) * 2:
        run = run_tests(files, screened=False)
        assert run.report.passed, (plugin, run)


def test_a_seed_and_coverage_are_those_of_the_request(run_tests):
    files = {"mod.py": "def f(x):\n    return x\n", "test_it.py": "from mod import f\n"}
    files["test_it.py"] += "".join(f"def test_{n}():\n    assert f({n}) == {n}\n" for n in range(9))
    orders, lines = set(), set()
    for seed in (0, 1, 0, 2):
        run = run_tests(files, seed=seed, coverage=("mod.py",) if seed else ())
        assert run.report.passed and run.report.apart, run
        orders.add(tuple(case.name for case in run.report.cases))
        lines.add(tuple(run.coverage["mod.py"].executed) if seed else ())
    assert len(orders) == 3
    assert lines == {(), (1, 2)}


def test_a_pytest_that_holds_something_open_begins_with_each_request(tmp_path):
    """Then ``stand_by`` comes back without having served, and the worker serves as it did before."""
    code = (
        "import sys\nfrom zerorepo_sandbox.inside import standby\n"
        "begin = standby.recorder.arguments\nheld = []\n"
        "class Holds:\n    def pytest_configure(self): held.append(open(__import__('os').path.realpath(sys.argv[1])))\n"
        "run = standby.pytest.main\n"
        "standby.pytest.main = lambda args, plugins: run(args, plugins=[*plugins, Holds()])\n"
        "standby.stand_by(sys.argv[2], sys.argv[2] + '/tmp', lambda kept: print('served') or sys.exit(9))\n"
        "print('came back, holding', len(held))\n"
    )
    argv = [sys.executable, "-c", code, inside.__file__, str(tmp_path)]
    ended = subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "came back, holding 1\n"), ended
