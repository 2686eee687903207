"""Votes need a strict majority; runs that differ are never passed; look-ups find nodes and say what is not there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpg.sample import plan
from zerorepo.target import Outcome, TestCase, TestReport
from zerorepo_rpg.consensus import agree, combined, unsteady
from zerorepo_rpg.lookups import best, file_map, hushed, neighbours, search, texts
from zerorepo_rpg.providers import Cause, Diagnosis
from zerorepo_rpg.vote import majority, tally

PLAN = plan()
CAUSES = st.sampled_from([*Cause, None])


def said(*causes: Cause | None) -> list[Diagnosis | None]:
    return [Diagnosis(cause=each, explanation=f"because {n}") if each else None for n, each in enumerate(causes)]


@given(st.lists(CAUSES, min_size=1, max_size=9))
def test_a_cause_wins_exactly_when_more_than_half_of_all_name_it(causes: list[Cause | None]) -> None:
    found = majority(said(*causes))
    winners = [each for each in Cause if causes.count(each) * 2 > len(causes)]
    assert ([found.cause] if found else []) == winners
    if found:
        assert (found.votes, found.asked) == (causes.count(found.cause), len(causes))


def test_what_the_majority_says_is_handed_on_once_each_and_no_other_voice() -> None:
    tests, code = Cause.TESTS, Cause.IMPLEMENTATION
    found = majority([*said(tests, code), *said(tests), None, Diagnosis(cause=tests, explanation="else")])
    assert found and found.explanation == "because 0\n\nelse"
    assert tally(said(tests, None, tests, code)) == "tests 2, implementation 1, no answer 1"


def report(*outcomes: str, status: str = "ok") -> TestReport:
    cases = tuple(TestCase(name=f"t{n}", outcome=Outcome(each)) for n, each in enumerate(outcomes))
    return TestReport(passed=status == "ok" and all(each == "passed" for each in outcomes), status=status, cases=cases)


@given(
    st.lists(st.lists(st.sampled_from(["passed", "failed", "error"]), min_size=2, max_size=2), min_size=1, max_size=5)
)
def test_several_runs_pass_only_when_each_of_them_does(runs: list[list[str]]) -> None:
    reports = [report(*run) for run in runs]
    found = combined(reports)
    assert found.passed == all(each.passed for each in reports)
    for number, case in enumerate(found.cases):
        outcomes = [run[number] for run in runs]
        if set(outcomes) == {"passed"}:
            assert case.outcome is Outcome.PASSED
        else:
            bad = sum(each != "passed" for each in outcomes)
            flaky = 0 < bad < 0.6 * len(outcomes)
            assert (case.outcome is Outcome.FLAKY) == flaky


def test_four_of_five_failures_are_a_failure_and_two_are_flaky() -> None:
    failed = combined([report("failed")] * 4 + [report("passed")])
    assert (failed.cases[0].outcome, failed.passed) == (Outcome.FAILED, False)
    flaky = combined([report("passed"), report("failed"), report("passed"), report("failed"), report("passed")])
    assert (flaky.cases[0].outcome, flaky.passed, flaky.status) == (Outcome.FLAKY, False, "ok")
    assert flaky.cases[0].message == "in 5 runs: failed 2, passed 3"
    assert "5 runs do not agree: 3 passed, 2 did not" in flaky.output


def test_a_run_that_was_cut_off_among_complete_ones_is_flaky_as_a_whole() -> None:
    found = combined([report("passed"), report("passed"), report(status="timeout")])
    assert (found.passed, found.status) == (False, "flaky")
    assert "not run 1" in found.cases[0].message


def test_runs_that_agree_are_the_first_one() -> None:
    reports = [report("failed", "passed"), report("failed", "passed")]
    assert agree(reports)
    assert combined(reports) is reports[0]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import random", True),
        ("from time import sleep", True),
        ("from datetime import datetime\nx = datetime.now()", True),
        ("from datetime import date", False),
        ("import re\nx = re.compile('time')", False),
        ("def broken(", False),
    ],
)
def test_clocks_and_chance_make_one_run_too_few(source: str, expected: bool) -> None:
    assert unsteady(source) is expected


def test_searching_finds_a_node_by_what_it_does() -> None:
    node = PLAN.nodes()[0]
    assert search(PLAN, best(PLAN, node.name.replace("_", " "))).splitlines()[0].startswith(node.id)
    assert best(PLAN, "zzzz qqqq") == []
    assert search(PLAN, []) == "no node has any of these words"


def test_a_search_by_meaning_adds_what_the_words_say_to_how_near_nodes_are() -> None:
    nodes = PLAN.nodes()
    assert len(texts(PLAN)) == len(nodes)
    near = [0.0] * len(nodes)
    near[-1] = 0.5
    assert best(PLAN, "zzzz qqqq", near) == [nodes[-1].id]
    # The best word score counts less than a half of the way.
    assert best(PLAN, nodes[0].name.replace("_", " "), near)[:2] == [nodes[-1].id, nodes[0].id]
    near[-1] = 0.1
    assert best(PLAN, nodes[0].name.replace("_", " "), near)[0] == nodes[0].id


def test_what_counts_of_a_plan_has_no_docstrings_but_ones_own() -> None:
    nodes = PLAN.nodes()
    kept = {node.id: node.docstring for node in hushed(PLAN, nodes[0].id).nodes()}
    assert kept == {node.id: node.docstring if node.id == nodes[0].id else "" for node in nodes}
    assert [node.signature for node in hushed(PLAN, "").nodes()] == [node.signature for node in nodes]


def test_neighbours_are_those_within_two_steps() -> None:
    uses = PLAN.uses()
    node = next(name for name, used in uses.items() if used)
    text = neighbours(PLAN, node)
    for used in uses[node]:
        assert f"uses {used} (" in text
        assert f"is used by {node} (" in neighbours(PLAN, used)
    assert "there is no `nowhere/nothing`" in neighbours(PLAN, "nowhere/nothing")


def test_the_map_of_a_file_names_its_interfaces_and_a_wrong_path_the_nearest() -> None:
    node = PLAN.nodes()[0]
    assert f"{node.id} ({node.file})" in file_map(PLAN, node.file)
    assert f"did you mean `{node.file}`" in file_map(PLAN, node.file + "x")
