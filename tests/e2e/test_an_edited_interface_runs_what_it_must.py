"""One docstring edited in the lock: exactly which actions run. And what later builds do about surroundings and budgets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.scripted_library import Built, Tinytext, diagnosis, replaced
from e2e.test_pipeline_branches import paths_reworded, written_badly
from zerorepo.action import ActionContext
from zerorepo.errors import ExitCode
from zerorepo.target import Outcome, TestCase, TestReport
from zerorepo_llm.testing import ScriptedProvider
from zerorepo_rpg.rules.proving import RunTestsAnew
from zerorepo_sandbox.run_tests import TestRun

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tinytext]:
    """The library, built once from nothing; tests copy it before they change it."""
    made = Tinytext(tmp_path_factory.mktemp("first") / "ws")
    assert made.build().code is ExitCode.OK
    yield made


@pytest.fixture
def copy(first: Tinytext, tmp_path: Path) -> Tinytext:
    """The built library in a folder that a test may change, with a model that was asked nothing yet."""
    return first.copy(tmp_path / "copy")


def ran(built: Built) -> list[tuple[str, str]]:
    return sorted(built.run.actions)


def test_a_docstring_asks_for_its_node_and_direct_users_and_runs_the_tests_of_all_users(copy: Tinytext) -> None:
    copy.edit_interface("words/split_words", docstring="The words of a text, in their order.")
    built = copy.build()
    assert built.code is ExitCode.OK, built.failures
    # `make_slug` is shown the docstring of what it uses; `page_path`, which uses `make_slug`, is not, so it is only tested again.
    assert ran(built) == [
        ("AskModel", "//slugs:make_slug.code"),
        ("AskModel", "//slugs:make_slug.tests"),
        ("AskModel", "//words:split_words.code"),
        ("AskModel", "//words:split_words.tests"),
        ("CheckTypes", "//:tinytext.plan"),
        ("CheckTypes", "//words:split_words.code"),
        ("RunTests", "//:tinytext.suite"),
        ("RunTests", "//paths:page_path.code"),
        ("RunTests", "//slugs:make_slug.code"),
        ("RunTests", "//words:split_words.code"),
    ]


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
