"""A node whose tests fail, built for real around a scripted model: votes, look-ups, edits, bounds, flaky runs, the plan mended."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.scripted_library import (
    Built,
    ScriptedLibrary,
    Tinytext,
    diagnosis,
    edits,
    fresh,
    objection,
    python,
    replaced,
    shown,
)
from e2e.test_pipeline_branches import paths_reworded, written_badly
from zerorepo.errors import ExitCode
from zerorepo.target import Outcome, TestReport
from zerorepo_rpg.providers import Why

pytestmark = pytest.mark.sandbox

DIAGNOSE = "diagnose page_path, round 1"
MEND = "mend page_path, round 1"


@pytest.fixture
def bad(built_library: tuple[Tinytext, Built], tmp_path: Path) -> Tinytext:
    """A copy in which ``page_path`` is asked for again, and answered with code that forgets the slug."""
    copy = paths_reworded(built_library[0].copy(tmp_path / "copy"))
    copy.library.say("write page_path", written_badly(copy.library))
    return copy


def mended(library: ScriptedLibrary) -> str:
    """The edit that makes ``page_path`` right."""
    return replaced(library.code_of("page_path"), "page_path")


def report_of(built: Built) -> TestReport:
    """The verdict on ``page_path``."""
    found: TestReport = built.run.provider("//paths:page_path.test", TestReport)
    return found


# --- attribution


def test_five_votes_at_once_then_one_edit(bad: Tinytext) -> None:
    library = bad.library
    library.say(DIAGNOSE, *[diagnosis("implementation", "It does not make a slug.")] * 3, *[diagnosis("tests")] * 2)
    library.say(MEND, mended(library))
    built = bad.build()
    assert built.code is ExitCode.OK, built.failures
    writing = ["write the tests of page_path", "write page_path", "localize page_path, round 1, step 1"]
    assert sorted(built.asked) == sorted([*writing, *[DIAGNOSE] * 5, MEND])
    votes = library.asked_for(DIAGNOSE)
    assert sorted(request.action.sample for request in votes) == [0, 1, 2, 3, 4]
    assert {request.action.model for request in votes} == {"medium"}
    assert "/blog/My Day" in shown(votes[0], "test output")
    (mend,) = library.asked_for(MEND)
    assert shown(mend, "diagnosis") == "It does not make a slug."
    node = built.node("paths/page_path")
    assert (node.passed, node.rounds, node.why) == (True, 1, None)
    assert node.history[0].startswith("round 1: implementation (3 of 5)")
    assert bad.build().run.actions == []


def test_without_a_majority_another_round_and_then_the_stronger_tier_is_asked(bad: Tinytext) -> None:
    library = bad.library
    tie = [diagnosis("implementation")] * 2 + [diagnosis("tests")] * 2 + [diagnosis("interface")]
    library.say(DIAGNOSE, *tie, *tie, *[diagnosis("implementation")] * 5)
    library.say(MEND, mended(library))
    built = bad.build()
    assert built.code is ExitCode.OK, built.failures
    asked = [(request.action.model, request.action.sample) for request in library.asked_for(DIAGNOSE)]
    assert sorted(asked[:10]) == [("medium", n) for n in range(10)]
    assert sorted(asked[10:]) == [("strong", n) for n in range(5)]


def test_without_any_majority_the_node_fails_and_says_so(bad: Tinytext) -> None:
    library = bad.library
    tie = [diagnosis("implementation")] * 2 + [diagnosis("tests")] * 2 + ["no answer that can be used"]
    for _ in range(3):
        library.say(DIAGNOSE, *tie, "still none", "none")
    built = bad.build()
    assert built.code is ExitCode.TESTS_FAILED
    node = built.node("paths/page_path")
    assert node.why is Why.UNDECIDED
    assert node.history == (
        "round 1: no majority in three votes (the last one: implementation 2, tests 2, no answer 1)",
    )
    assert not [purpose for purpose in built.asked if purpose.startswith("mend")]


# --- look-ups


def test_what_is_looked_up_reaches_the_votes_and_the_repair(bad: Tinytext) -> None:
    library = bad.library
    wanted = [
        {"tool": "search", "query": "words of a text"},
        {"tool": "neighbours", "query": "paths/page_path"},
        {"tool": "interface", "query": "slugs/make_slug"},
    ]
    more = [{"tool": "file", "query": "tinytext/words/core.py"}, {"tool": "code", "query": "slugs/make_slug"}]
    more += [{"tool": "code", "query": "words/initials"}, {"tool": "interface", "query": "slugs/make_slgu"}, wanted[0]]
    library.say("localize page_path, round 1, step 1", json.dumps({"look_ups": wanted}))
    library.say("localize page_path, round 1, step 2", json.dumps({"look_ups": more}))
    library.always_say(DIAGNOSE, diagnosis("implementation"))
    library.say(MEND, mended(library))
    built = bad.build()
    assert built.code is ExitCode.OK, built.failures
    for purpose in (DIAGNOSE, MEND):
        found = shown(library.asked_for(purpose)[0], "look-ups")
        assert "words/split_words (tinytext/words/core.py): def split_words(text: str) -> list[str]" in found
        assert "uses slugs/make_slug" in found
        assert "uses, through that, words/split_words" in found
        assert "serves: initials" in found
        assert '"-".join(split_words(text)).lower()' in found
        assert "only code that the node uses can be shown" in found
        assert "did you mean `slugs/make_slug`" in found
    second, third = (library.asked_for(f"localize page_path, round 1, step {n}")[0] for n in (2, 3))
    assert "words/split_words" in shown(second, "look-ups")
    assert "Look-ups left: 17." in second.action.messages[1].content
    assert "Look-ups left: 13." in third.action.messages[1].content  # one was asked for twice
    # What nobody looked up is no input of the node; a mended one has the plan among its own.
    kinds = {
        request.name
        for group in built.run.result.built[_label("paths", "page_path.code")].trace.groups
        for request in group
    }
    assert "//:tinytext.plan Plan" in kinds
    other = built.run.result.built[_label("slugs", "make_slug.code")].trace
    assert "//:tinytext.plan Plan" not in {request.name for group in other.groups for request in group}


def _label(package: str, name: str) -> object:
    from zerorepo.label import Label

    return Label(package, name)


def test_look_ups_end_at_their_bound(bad: Tinytext) -> None:
    library = bad.library
    for step in range(1, 30):
        listed = [{"tool": "search", "query": f"word {step} {n}"} for n in range(8)]
        library.say(f"localize page_path, round 1, step {step}", json.dumps({"look_ups": listed}))
    library.always_say(DIAGNOSE, diagnosis("implementation"))
    library.say(MEND, mended(library))
    built = bad.build()
    assert built.code is ExitCode.OK, built.failures
    steps = [purpose for purpose in built.asked if purpose.startswith("localize")]
    assert len(steps) == 3
    assert shown(library.asked_for(MEND)[0], "look-ups").count("search word") == 20


# --- edits


def test_an_edit_that_does_not_apply_or_breaks_the_gate_is_asked_again_with_the_reason(bad: Tinytext) -> None:
    library = bad.library
    library.always_say(DIAGNOSE, diagnosis("implementation"))
    wrong = {
        "do": "replace",
        "what": "function",
        "name": "page_paht",
        "code": "def page_paht() -> None:\n    return None",
    }
    untyped = replaced(replace(library.sketch("page_path"), body="return make_slug(len(title))").code([]), "page_path")
    library.say(MEND, edits(wrong), untyped, mended(library))
    built = bad.build()
    assert built.code is ExitCode.OK, built.failures
    _, second, third = library.asked_for(MEND)
    assert "did you mean `page_path`" in objection(second)
    assert "make_slug(len(title))" in objection(third)
    assert "arg-type" in objection(third)


def test_repairs_that_cannot_be_used_end_the_mending(bad: Tinytext) -> None:
    bad.library.always_say(DIAGNOSE, diagnosis("implementation"))
    bad.library.always_say(MEND, edits({"do": "remove", "what": "function", "name": "nothing", "code": ""}))
    built = bad.build()
    assert built.code is ExitCode.TESTS_FAILED
    assert len(bad.library.asked_for(MEND)) == 3
    assert built.node("paths/page_path").why is Why.NO_REPAIR


def test_wrong_tests_are_mended_and_a_repair_that_asserts_or_covers_less_is_refused(
    built_library: tuple[Tinytext, Built], tmp_path: Path
) -> None:
    copy = paths_reworded(built_library[0].copy(tmp_path / "copy"))
    library = copy.library
    library.sketch(
        "page_path", body='if not section:\n    return make_slug(title)\nreturn f"/{section}/{make_slug(title)}"'
    )
    right = 'assert page_path("blog", "My Day") == "/blog/my-day"'
    checks = f'{right}\nassert page_path("", "B") == "B"'
    library.say("write the tests of page_path", replace(library.sketch("page_path"), checks=checks).tests())
    library.always_say(DIAGNOSE, diagnosis("tests", "A slug is in lower case."))
    name = "test_page_path_does_as_its_docstring_says"

    def repair(text: str) -> str:
        return replaced(replace(library.sketch("page_path"), checks=text).tests(), name)

    library.say(
        "mend the tests of page_path, round 1",
        repair(right),
        repair(f"{right}\nassert True"),
        repair(f'{right}\nassert page_path("a", "B") == "/a/b"'),
    )
    again = "mend the tests of page_path, round 2"
    built = copy.build()
    # Asserting as much, but of another line: three answers are used up, so the tests stay as they are.
    assert built.code is ExitCode.TESTS_FAILED
    asked = library.asked_for("mend the tests of page_path, round 1")
    assert "had 2 assertions and now have 1" in objection(asked[1])
    assert "had 2 assertions and now have 1" in objection(asked[2])
    assert 'page_path("", "B") == "B"' in built.node("paths/page_path").tests
    assert again not in built.asked


def test_tests_that_cover_less_are_refused_and_told_why(built_library: tuple[Tinytext, Built], tmp_path: Path) -> None:
    copy = paths_reworded(built_library[0].copy(tmp_path / "copy"))
    library = copy.library
    library.sketch(
        "page_path", body='if not section:\n    return make_slug(title)\nreturn f"/{section}/{make_slug(title)}"'
    )
    right = 'assert page_path("blog", "My Day") == "/blog/my-day"'
    wrong = replace(library.sketch("page_path"), checks=f'{right}\nassert page_path("", "B") == "B"')
    library.say("write the tests of page_path", wrong.tests())
    library.always_say(DIAGNOSE, diagnosis("tests", "A slug is in lower case."))
    name = "test_page_path_does_as_its_docstring_says"
    less, good = (
        replaced(replace(wrong, checks=f"{right}\nassert page_path({section!r}, 'B') == {path!r}").tests(), name)
        for section, path in (("a", "/a/b"), ("", "b"))
    )
    library.say("mend the tests of page_path, round 1", less, good)
    built = copy.build()
    assert built.code is ExitCode.OK, built.failures
    _, second = library.asked_for("mend the tests of page_path, round 1")
    assert "without testing less" in objection(second)
    assert "page_path('', 'B') == 'b'" in (copy.out / "tests/paths/test_page_path.py").read_text().replace('"', "'")


def test_mending_ends_after_max_repairs(built_library: tuple[Tinytext, Built], tmp_path: Path) -> None:
    library = ScriptedLibrary()
    library.say("write page_path", written_badly(library))
    used = library.sketches["make_slug"].import_line
    for number in (1, 2):
        library.always_say(f"diagnose page_path, round {number}", diagnosis("implementation"))
        still_bad = replace(library.sketch("page_path"), body=f'return f"/{{section}}/{{title}}{number}"')
        library.say(f"mend page_path, round {number}", replaced(still_bad.code([used]), "page_path"))
    tiny = fresh(tmp_path / "ws", built_library[0].root / ".zerorepo", library, max_repairs=2)
    built = tiny.build()
    assert built.code is ExitCode.TESTS_FAILED, built.failures
    mending = [purpose for purpose in built.asked if purpose.startswith(("diagnose", "mend"))]
    assert mending == [
        each for n in (1, 2) for each in [f"diagnose page_path, round {n}"] * 5 + [f"mend page_path, round {n}"]
    ]
    node = built.node("paths/page_path")
    assert (node.rounds, node.why) == (2, Why.REPAIRS)
    assert tiny.build().asked == []


# --- the surroundings


def test_environment_runs_again_in_each_build_and_asks_nobody(bad: Tinytext) -> None:
    bad.library.always_say(DIAGNOSE, diagnosis("environment", "Something is missing."))
    built = bad.build()
    assert built.code is ExitCode.TESTS_FAILED
    node = built.node("paths/page_path")
    assert (node.why, node.anew) == (Why.ENVIRONMENT, True)
    assert "/blog/My Day" in node.failure
    anew = [label for mnemonic, label in built.run.actions if mnemonic == "RunTestsAnew"]
    assert anew == ["//paths:page_path.code"] * 3
    again = bad.build()
    assert (again.asked, again.code) == ([], ExitCode.TESTS_FAILED)
    assert [mnemonic for mnemonic, _ in again.run.actions] == ["RunTestsAnew"] * 3


# --- the plan


def test_an_interface_found_wrong_is_corrected_in_the_lock_and_the_next_build_writes_by_it(bad: Tinytext) -> None:
    library = bad.library
    library.always_say(DIAGNOSE, diagnosis("interface", "It says two things."))
    interface = bad.interface("paths/page_path")
    other = "A slash, the section, a slash, and the title as it is."
    right = {"signature": interface.signature, "docstring": other}
    library.say(
        "correct the interface of page_path", json.dumps({**right, "docstring": interface.docstring}), json.dumps(right)
    )
    built = bad.build()
    assert built.code is ExitCode.TESTS_FAILED
    assert built.node("paths/page_path").why is Why.INTERFACE
    assert "as it was" in objection(library.asked_for("correct the interface of page_path")[1])
    assert bad.interface("paths/page_path") == interface.model_copy(update={"docstring": other})
    library.sketch(
        "page_path", body='return f"/{section}/{title}"', checks='assert page_path("blog", "My Day") == "/blog/My Day"'
    )
    again = bad.build()
    assert again.code is ExitCode.OK, again.failures
    assert sorted(again.asked) == ["write page_path", "write the tests of page_path"]
    last = bad.build()
    assert (last.asked, last.run.actions, last.run.ran) == ([], [], [])


def test_a_corrected_signature_asks_its_users_again(built_library: tuple[Tinytext, Built], tmp_path: Path) -> None:
    copy = built_library[0].copy(tmp_path / "copy")
    library = copy.library
    copy.edit_interface("slugs/make_slug", docstring="A slug, in lower and in upper case.")
    bad_code = replace(library.sketch("make_slug"), body='return " ".join(split_words(text))')
    library.say("write make_slug", bad_code.code([library.sketches["split_words"].import_line]))
    library.always_say("diagnose make_slug, round 1", diagnosis("interface"))
    correction = {"signature": "def make_slug(text: str, *, lower: bool = True) -> str:", "docstring": "A slug."}
    library.say("correct the interface of make_slug", json.dumps(correction))
    assert copy.build().code is ExitCode.TESTS_FAILED
    library.sketch("make_slug", signature="def make_slug(text: str, *, lower: bool = True) -> str")
    again = copy.build()
    assert again.code is ExitCode.OK, again.failures
    assert {"write make_slug", "write page_path"} <= set(again.asked)
    assert "write split_words" not in again.asked
    assert copy.build().run.actions == []


def test_locked_refuses_to_correct_the_plan_and_asks_for_no_correction(bad: Tinytext) -> None:
    bad.library.always_say(DIAGNOSE, diagnosis("interface"))
    before = bad.lock_path.read_bytes()
    bad.build("//:tinytext.plan")  # the reworded interface is the plan now
    before = bad.lock_path.read_bytes()
    built = bad.build(locked=True)
    assert built.code is ExitCode.TESTS_FAILED
    assert "correct the interface of page_path" not in built.asked
    assert "--locked forbids" in built.node("paths/page_path").history[-1]
    assert bad.lock_path.read_bytes() == before


# --- flaky


@pytest.mark.parametrize(("first_only", "outcome"), [("test_two", Outcome.FLAKY), ("test_one", Outcome.FAILED)])
def test_what_passes_in_some_orders_only_never_passed_and_is_flaky_unless_most_runs_fail(
    copy: Tinytext, first_only: str, outcome: Outcome
) -> None:
    """Run as they stand, and four times the other way round (so say the seeds): ``first_only`` passes when it runs first."""
    library = paths_reworded(copy).library
    line = library.sketch("page_path").import_line
    tests = []
    for name, letters in (("test_one", "ab"), ("test_two", "cd")):
        path = f"/{letters[0]}/{letters[1]}"
        claim = f'SEEN == ["{path}"]' if name == first_only else f'SEEN[-1] == "{path}"'
        call = f'SEEN.append(page_path("{letters[0]}", "{letters[1].upper()}"))'
        tests += ["", "", f"def {name}() -> None:", f"    {call}", f"    assert {claim}"]
    library.say(
        "write the tests of page_path", python("import time", line, "", "SEEN: list[str] = []", "", "", *tests[2:])
    )
    library.always_say(DIAGNOSE, diagnosis("tests", "The tests share a list."))
    library.always_say("mend the tests of page_path, round 1", "no")
    built = copy.build()
    assert built.code is ExitCode.TESTS_FAILED
    report = report_of(built)
    assert not report.passed
    outcomes = {case.name.rpartition("::")[2]: case.outcome for case in report.cases}
    other = {"test_one": "test_two", "test_two": "test_one"}[first_only]
    assert outcomes == {first_only: outcome, other: Outcome.PASSED}
    runs = [at for at in built.run.actions if at == ("RunTests", "//paths:page_path.code")]
    assert len(runs) == 5


# --- tests that prove nothing


def test_tests_that_pass_without_the_code_are_asked_again_and_single_ones_are_told(
    built_library: tuple[Tinytext, Built], tmp_path: Path
) -> None:
    copy = paths_reworded(built_library[0].copy(tmp_path / "copy"))
    library = copy.library
    empty = replace(library.sketch("page_path"), checks="assert callable(page_path)")
    both = library.sketch("page_path").tests().removesuffix("```")
    both += "\n\ndef test_it_is_there() -> None:\n    assert callable(page_path)\n```"
    library.say("write the tests of page_path", empty.tests(), both)
    built = copy.build()
    assert built.code is ExitCode.OK, built.failures
    _, second = library.asked_for("write the tests of page_path")
    assert "they prove nothing" in objection(second)
    from zerorepo_rpg.providers import NodeTests

    tests: NodeTests = built.run.provider("//paths:page_path.tests", NodeTests)
    assert [name.rpartition("::")[2] for name in tests.hollow] == ["test_it_is_there"]
