"""``zerorepo test`` sums up by package, by what is proven, and by time; for people, for CI, for programs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from command import Command

from zerorepo.cli.test_summary import Output, TestSummary, to_output
from zerorepo.errors import UsageError
from zerorepo.label import Label
from zerorepo.target import Outcome, Proof, TestCase, TestReport

GOOD = TestCase(name="tests/test_a.py::test_one", outcome=Outcome.PASSED)
BAD = TestCase(name="tests/test_b.py::test_two[<x>]", outcome=Outcome.FAILED, message="trace\nAssertionError: <b>\x00")
SKIPPED = TestCase(name="tests/test_b.py::test_three", outcome=Outcome.SKIPPED)
A, B, ROOT = Label("a", "x.test"), Label("b", "y.test"), Label("", "suite")


def summary() -> TestSummary:
    return TestSummary(
        {
            A: TestReport(passed=True, status="ok", cases=(GOOD,)),
            B: TestReport(passed=False, status="ok", cases=(GOOD, BAD, SKIPPED)),
            ROOT: TestReport(passed=False, status="timeout", output="stopped after 60 s"),
        },
        (
            Proof(kind="node", name="a/x", tests=("t",), lines=8, covered=6),
            Proof(kind="node", name="b/y", tests=("t",), failed=("u",), lines=2, covered=1),
            Proof(kind="requirement", name="r", text="It joins <words>.", by=("a/x",)),
        ),
        {A: 0.5, B: 2.0},
    )


def test_the_text_counts_by_package_and_names_what_is_not_proven() -> None:
    assert summary().lines() == [
        "",
        "package  targets passed  tests passed",
        "//               0 of 1        0 of 0",
        "//a              1 of 1        1 of 1",
        "//b              0 of 1        1 of 2",
        "node: 1 of 2 proven, 70 % of their lines ran",
        "  not proven: b/y (1 test failed)",
        "requirement: 0 of 1 proven",
        "  not proven: It joins <words>. (no test)",
        "slowest: //b:y.test 2.00s, //a:x.test 0.50s",
    ]


def test_one_package_without_proofs_needs_no_summary() -> None:
    assert TestSummary({A: TestReport(passed=True, status="ok", cases=(GOOD,))}).lines() == []


def test_a_flaky_verdict_is_named() -> None:
    sometimes = BAD.model_copy(update={"outcome": Outcome.FLAKY})
    always = BAD.model_copy(update={"name": "tests/test_b.py::test_always"})
    flaky = TestReport(passed=False, status="flaky", cases=(GOOD, always, sometimes))
    made = TestSummary({A: flaky, B: TestReport(passed=True, status="ok")})
    assert made.flaky() == [(A, "tests/test_b.py::test_two[<x>]")], "what fails in every run has failed"
    assert made.lines()[-1] == "flaky: //a:x.test tests/test_b.py::test_two[<x>]"


def test_junit_has_a_suite_for_each_target_and_an_error_where_there_is_no_result() -> None:
    root = ElementTree.fromstring(summary().render(Output.JUNIT))
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["//:suite", "//a:x.test", "//b:y.test"]
    b = suites["//b:y.test"]
    assert (b.get("tests"), b.get("failures"), b.get("errors"), b.get("skipped"), b.get("time")) == (
        "3",
        "1",
        "0",
        "1",
        "2.000",
    )
    failure = b.find("testcase/failure")
    assert failure is not None and failure.get("message") == "AssertionError: <b>\ufffd"
    error = suites["//:suite"].find("testcase/error")
    assert error is not None and error.text == "stopped after 60 s"
    assert suites["//:suite"].get("errors") == "1"


def test_json_holds_every_case_and_every_proof() -> None:
    body = json.loads(summary().render(Output.JSON))
    assert body["packages"]["//b"] == {"targets": 1, "targets_passed": 0, "tests": 2, "tests_passed": 1}
    assert [case["outcome"] for case in body["targets"]["//b:y.test"]["cases"]] == ["passed", "failed", "skipped"]
    assert [proof["proven"] for proof in body["proofs"]] == [True, False, False]
    assert body["slowest"][0] == {"target": "//b:y.test", "seconds": 2.0}


def test_the_page_escapes_what_it_shows() -> None:
    page = summary().render(Output.HTML)
    assert "It joins &lt;words&gt;." in page and "<words>" not in page
    assert "test_two[&lt;x&gt;]" in page and '<tr class="bad">' in page
    assert "<td>timeout</td>" in page


def test_an_unknown_format_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="does not know 'jnit'") as raised:
        to_output("jnit")
    assert "junit" in str(raised.value.hint)


def test_a_run_that_was_cut_off_is_an_error_of_its_suite_also_beside_failed_cases() -> None:
    report = TestReport(passed=False, status="timeout", cases=(BAD,), output="stopped after 60 s")
    (suite,) = ElementTree.fromstring(TestSummary({A: report}).render(Output.JUNIT))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "1")
    assert suite.findall("testcase/error")[0].text == "stopped after 60 s"


TARGETS = """
[[target]]
name = "bad"
rule = "judge_test"
src = "bad.txt"

[[target]]
name = "good"
rule = "judge_test"
src = "good.txt"
"""


@pytest.fixture
def ws(tmp_path: Path) -> Command:
    return Command(tmp_path / "ws", TARGETS, {"bad.txt": "bad", "good.txt": "good"})


@pytest.mark.parametrize("output", ["junit", "json", "html", "text"])
def test_a_test_that_could_not_be_built_is_among_those_that_did_not_pass(ws: Command, output: str) -> None:
    ws.write("a/BUILD.toml", '[[target]]\nname = "t"\nrule = "judge_test"\nsrc = "odd.txt"\n')
    (ws.root / "a/odd.txt").write_bytes(b"\xff")  # which the rule cannot read
    answer = ws("test", "//a/...", "//:good", "-k", "-o", output)
    assert answer.code != 0
    if output == "junit":
        root = ElementTree.fromstring(answer.out)
        assert {suite.get("name"): suite.get("errors") for suite in root} == {"//:good": "0", "//a:t": "1"}
    elif output == "json":
        assert answer.json()["targets"]["//a:t"]["status"] == "not built"
    else:
        assert "0 of 1" in answer.out


@pytest.mark.parametrize("command", [("test", "//..."), ("test", "//...", "-o", "junit"), ("build", "//...", "--json")])
def test_the_verdict_stands_when_nobody_reads_it_to_its_end(ws: Command, command: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            ws.argv(*command), cwd=ws.root, env=ws.env, stdout=closed, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 3, done.stderr
    assert b"Traceback" not in done.stderr


def test_two_ways_to_answer_at_once_are_refused(ws: Command) -> None:
    answer = ws("test", "//...", "-o", "junit", "--dry-run")
    assert answer.code == 2 and "--dry-run" in answer.err
