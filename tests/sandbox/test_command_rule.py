"""The rules ``command`` and ``command_test`` and the section ``[sandbox]``, in real builds."""

import pytest

from zerorepo.errors import UsageError
from zerorepo.target import TestReport
from zerorepo.testing import RuleRunner
from zerorepo_sandbox.limits import Verdict
from zerorepo_sandbox.register import RULE_SET
from zerorepo_sandbox.settings import SandboxSettings

BUILD = """
[[target]]
name = "upper"
rule = "command"
srcs = ["*.txt"]
outs = ["gen/upper.txt"]
cmd = "cat $SRCS | tr a-z A-Z > $OUTS"
"""
APP = """
[[target]]
name = "tool"
rule = "command"
deps = ["//:upper"]
outs = ["tool.sh"]
cmd = "echo echo $(cat $DEPS) > $OUTS; chmod +x $OUTS"

[[target]]
name = "result"
rule = "command"
deps = [":tool"]
outs = ["result.txt"]
cmd = "sh app/tool.sh > app/result.txt"

[[target]]
name = "test"
rule = "command_test"
deps = [":result"]
cmd = "grep -q ABC $DEPS"
"""


@pytest.fixture
def workspace(tmp_path):
    def make(root: str = BUILD, **files: str) -> RuleRunner:
        return RuleRunner(tmp_path / "ws", {"zerorepo.toml": root, **files}, rule_sets=[RULE_SET])

    return make


@pytest.fixture
def chain(workspace):
    return workspace(**{"a.txt": "a", "b.txt": "bc", "app/BUILD.toml": APP})


def test_outputs_flow_from_command_to_command_at_their_paths(chain):
    run = chain.build_ok()
    assert chain.outputs() == {
        "gen/upper.txt": b"ABC",
        "app/tool.sh": b"echo ABC\n",
        "app/result.txt": b"ABC\n",
    }
    report = run.provider("//app:test", TestReport)
    assert (report.passed, report.status, report.sandbox) == (True, Verdict.OK, "bubblewrap")
    assert chain.build_ok().actions == []


def test_only_what_depends_on_an_edit_runs_again(chain):
    chain.build_ok()
    chain.write("b.txt", "BC")
    assert chain.build_ok().actions == [("Command", "//:upper")]  # the same output: what comes after rests


def test_a_verdict_under_unsafe_is_never_one_under_isolation(chain):
    chain.build_ok()
    run = chain.build_ok(extra={"unsafe": True})
    assert {label for _, label in run.actions} == {"//:upper", "//app:tool", "//app:result", "//app:test"}
    assert run.provider("//app:test", TestReport).sandbox == "unsafe"


def test_a_failing_command_test_is_a_result(workspace):
    runner = workspace('[[target]]\nname = "t"\nrule = "command_test"\ncmd = "echo seen; exit 4"\n')
    report = runner.build().provider("//:t", TestReport)
    assert not report.passed
    assert "exited with code 4" in report.cases[0].message and "seen" in report.cases[0].message


@pytest.mark.parametrize(
    ("outs", "why"),
    [
        ("[]", "outs"),
        ('["/etc/x"]', "no path inside the package"),
        ('["../x"]', "no path inside the package"),
        ('["a", "a"]', "declared twice"),
        ('["a", "a/b"]', "would be in it"),
        ('["-rf"]', "misread"),
    ],
)
def test_bad_outputs_are_usage_errors(workspace, outs, why):
    runner = workspace(f'[[target]]\nname = "x"\nrule = "command"\ncmd = "true"\nouts = {outs}\n')
    with pytest.raises(UsageError, match=why):
        runner.build()


def test_a_pattern_without_files_and_an_output_that_is_an_input_are_errors(workspace):
    runner = workspace()
    assert "no file matches `*.txt`" in str(runner.build().error("//:upper"))
    runner.write("zerorepo.toml", BUILD.replace("gen/upper.txt", "a.txt"))
    runner.write("a.txt", "")
    assert "is an input and an output" in str(runner.build().error("//:upper"))


def test_an_unknown_tier_is_an_error_with_a_near_miss(workspace):
    runner = workspace('[sandbox]\ntier = "bublewrap"\n' + BUILD, **{"a.txt": ""})
    with pytest.raises(UsageError, match="did you mean `bubblewrap`"):
        runner.build()


def test_unsafe_cannot_be_configured():
    with pytest.raises(ValueError, match="--unsafe"):
        SandboxSettings(tier="unsafe")
