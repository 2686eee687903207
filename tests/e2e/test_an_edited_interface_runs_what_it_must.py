"""One docstring edited in the lock: exactly which actions run. And what later builds do about surroundings and budgets."""

from __future__ import annotations

import json

import pytest

from e2e.scripted_library import Built, Tinytext, diagnosis, replaced, shown
from e2e.test_pipeline_branches import paths_reworded, written_badly
from zerorepo.action import ActionContext
from zerorepo.errors import ExitCode
from zerorepo.target import Outcome, TestCase, TestReport
from zerorepo_llm.testing import ScriptedProvider
from zerorepo_rpg.rules.proving import RunTestsAnew
from zerorepo_sandbox.run_tests import TestRun

pytestmark = pytest.mark.sandbox


def ran(built: Built) -> list[tuple[str, str]]:
    return sorted(built.run.actions)


def test_a_docstring_asks_for_its_node_alone_and_runs_the_tests_of_all_users(copy: Tinytext) -> None:
    copy.edit_interface("words/split_words", docstring="The words of a text, in their order.")
    built = copy.build()
    assert built.code is ExitCode.OK, built.failures
    # `make_slug` is shown the docstring, which alone is no reason to ask for it again: its tests and those of `page_path` tell.
    assert ran(built) == [
        ("AskModel", "//words:split_words.code"),
        ("AskModel", "//words:split_words.tests"),
        ("CheckTypes", "//:tinytext.plan"),
        ("CheckTypes", "//words:split_words.code"),
        ("RunTests", "//:tinytext.suite"),
        ("RunTests", "//paths:page_path.code"),
        ("RunTests", "//slugs:make_slug.code"),
        ("RunTests", "//words:split_words.code"),
    ]


def test_a_signature_asks_for_its_node_and_direct_users_and_runs_the_tests_of_all_users(copy: Tinytext) -> None:
    signature = "def split_words(text: str, limit: int = -1) -> list[str]"
    copy.library.sketch("split_words", signature=signature, body="return text.split(None, limit)")
    copy.edit_interface("words/split_words", signature=f"{signature}:\n    ...")
    built = copy.build()
    assert built.code is ExitCode.OK, built.failures
    names = ("split_words", "make_slug")
    writing = [
        purpose for purpose in built.asked if purpose.startswith("write ")
    ]  # the designs of users are looked at, too
    assert sorted(writing) == sorted(f"write {what}{name}" for name in names for what in ("", "the tests of "))
    (request,) = copy.library.asked_for("write make_slug")
    assert signature in shown(request, "used nodes")
    users = {"//slugs:make_slug.code", "//paths:page_path.code"}
    assert {label for label in built.tested if label.endswith(".code")} == {"//words:split_words.code", *users}


def test_users_that_fail_after_a_docstring_changed_are_mended_with_the_present_text(copy: Tinytext) -> None:
    library, docstring = copy.library, "The parts of a text between underscores, none of them empty."
    body, checks = 'return [part for part in text.split("_") if part]', 'assert split_words("a_b") == ["a", "b"]'
    library.sketch("split_words", body=body, checks=checks)
    library.sketch("make_slug", body='return "-".join(split_words(text.replace(" ", "_"))).lower()')
    library.always_say("diagnose make_slug, round 1", diagnosis("implementation"))
    library.always_say("mend make_slug, round 1", replaced(library.code_of("make_slug"), "make_slug"))
    copy.edit_interface("words/split_words", docstring=docstring)
    built = copy.build()
    assert built.code is ExitCode.OK, built.failures
    own = ["write split_words", "write the tests of split_words"]
    mending = ["localize make_slug, round 1, step 1", *["diagnose make_slug, round 1"] * 5, "mend make_slug, round 1"]
    assert sorted(built.asked) == sorted([*own, *mending])
    for purpose in ("localize make_slug, round 1, step 1", "mend make_slug, round 1"):
        assert docstring in shown(library.asked_for(purpose)[0], "used nodes")
    # Another wording of what it was mended by asks nobody for it: only its tests run.
    copy.edit_interface("words/split_words", docstring=f"{docstring} In order.")
    again = copy.build()
    assert (sorted(again.asked), again.code) == (own, ExitCode.OK), again.failures
    assert again.node("slugs/make_slug").rounds == 1
    assert "//slugs:make_slug.code" in again.tested


def test_what_was_looked_up_of_others_counts_without_their_docstrings(copy: Tinytext) -> None:
    library = paths_reworded(copy).library
    library.say("write page_path", written_badly(library))
    look = json.dumps(
        {"look_ups": [{"tool": tool, "query": "words/split_words"} for tool in ("interface", "neighbours")]}
    )
    library.say("localize page_path, round 1, step 1", look)
    library.always_say("localize page_path, round 1, step 2", json.dumps({"look_ups": []}))
    library.always_say("diagnose page_path, round 1", diagnosis("implementation"))
    library.always_say("mend page_path, round 1", replaced(library.code_of("page_path"), "page_path"))
    assert copy.build().code is ExitCode.OK
    copy.edit_interface("words/split_words", docstring="What stands between white space.")
    built = copy.build()
    assert built.code is ExitCode.OK, built.failures
    assert sorted(built.asked) == ["write split_words", "write the tests of split_words"]
    assert built.node("paths/page_path").rounds == 1


def test_a_docstring_of_a_node_that_nothing_uses_concerns_it_alone(copy: Tinytext) -> None:
    built = paths_reworded(copy).build()
    assert built.code is ExitCode.OK, built.failures
    assert ran(built) == [
        ("AskModel", "//paths:page_path.code"),
        ("AskModel", "//paths:page_path.tests"),
        ("CheckTypes", "//:tinytext.plan"),
        ("CheckTypes", "//paths:page_path.code"),
        ("RunTests", "//:tinytext.suite"),
        ("RunTests", "//paths:page_path.code"),
    ]


def test_when_the_surroundings_are_well_again_the_next_build_passes_and_asks_nobody(
    copy: Tinytext, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = paths_reworded(copy).library
    library.say("write page_path", written_badly(library))
    library.always_say("diagnose page_path, round 1", diagnosis("environment"))
    assert copy.build().code is ExitCode.TESTS_FAILED

    async def well(self: RunTestsAnew, context: ActionContext) -> TestRun:
        cases = (TestCase(name="it", outcome=Outcome.PASSED),)
        return TestRun(report=TestReport(passed=True, status="ok", cases=cases))

    monkeypatch.setattr(RunTestsAnew, "execute", well)
    again = copy.build("//paths/...")
    assert (again.code, again.asked, again.failures) == (ExitCode.OK, [], "")
    assert again.node("paths/page_path").passed


@pytest.mark.parametrize("tokens", [21_000, 22_500])
def test_a_budget_that_ends_on_the_way_is_told_and_the_next_build_goes_on_from_there(
    copy: Tinytext, tokens: int
) -> None:
    library = paths_reworded(copy).library
    library.say("write page_path", written_badly(library))
    library.always_say("diagnose page_path, round 1", diagnosis("implementation"))
    library.always_say("mend page_path, round 1", replaced(library.code_of("page_path"), "page_path"))
    copy.provider = lambda: ScriptedProvider(library, limited=True)  # type: ignore[method-assign]
    config = copy.root / "zerorepo.toml"
    text = config.read_text()
    # What is held for a question is far more than it takes in the end, so this is enough for some of them.
    config.write_text(f"[llm.budget]\nbuild_tokens = {tokens}\n\n{text}")
    built = copy.build()
    assert built.code is ExitCode.BUDGET, built.failures
    answered = list(library.answered)
    assert 0 < len(answered) < 9
    config.write_text(text)
    rest = copy.build()
    assert rest.code is ExitCode.OK, rest.failures
    writing = ["write the tests of page_path", "write page_path", "localize page_path, round 1, step 1"]
    mending = [*["diagnose page_path, round 1"] * 5, "mend page_path, round 1"]
    assert sorted([*answered, *rest.asked]) == sorted([*writing, *mending])
