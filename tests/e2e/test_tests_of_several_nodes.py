"""Integration tests of flows and modules, smoke tests of the whole: asked for once, run with what they use, mended once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.scripted_library import Built, ScriptedLibrary, Sketch, Tinytext, diagnosis, fresh, objection, python, shown
from zerorepo.errors import ExitCode
from zerorepo.target import TestReport
from zerorepo_rpg.staged import ProvenTests

pytestmark = pytest.mark.sandbox

FLOWS = ["write the integration tests of slugs and paths", "write the integration tests of words and slugs"]
STAGED = [*FLOWS, "write the integration tests of the module words", "write the smoke tests"]
FILES = {
    "tests/integration/__init__.py",
    "tests/integration/test_flow_slugs_to_paths.py",
    "tests/integration/test_flow_words_to_slugs.py",
    "tests/integration/test_module_words.py",
    "tests/test_smoke.py",
}
PATHS = "//paths:with_slugs.integration_test"
WORDS = "//words:module.integration_test"
SLUGS = "//slugs:with_words.integration_test"
SMOKE = "//:tinytext.smoke_test"
VERDICTS = [SMOKE, PATHS, SLUGS, WORDS]
BOTH = "from tinytext.paths.core import page_path\nfrom tinytext.slugs.core import make_slug"
TRUE = 'assert page_path("a", make_slug("b")) == "/a/b"'
GOOD = (
    BOTH,
    "",
    "def test_a_path_ends_in_the_slug() -> None:",
)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tinytext, Built]]:
    """The library with all stages of tests, built once; tests copy it before they change it."""
    made = Tinytext(tmp_path_factory.mktemp("staged") / "ws", integration=True)
    yield made, made.build()


@pytest.fixture
def state(first: tuple[Tinytext, Built]) -> Path:
    """A state folder that lends its sandbox environment."""
    return first[0].root / ".zerorepo"


@pytest.fixture
def copy(first: tuple[Tinytext, Built], tmp_path: Path) -> Tinytext:
    """The built library in a folder that a test may change."""
    return first[0].copy(tmp_path / "copy")


def proven(built: Built, label: str) -> ProvenTests:
    """Tests of several nodes as accepted."""
    found: ProvenTests = built.run.provider(label, ProvenTests)
    return found


def report(built: Built, label: str) -> TestReport:
    """The verdict of a test target."""
    found: TestReport = built.run.provider(label, TestReport)
    return found


def build_paths(root: Path, lender: Path, library: ScriptedLibrary) -> Built:
    """Everything, from nothing, with a model that answers about the flow to ``paths`` as a test told it to."""
    return fresh(root, lender, library, integration=True).build()


# --- what is made


def test_each_flow_each_module_of_several_nodes_and_the_whole_are_tested(first: tuple[Tinytext, Built]) -> None:
    tiny, built = first
    assert built.code is ExitCode.OK, built.failures
    assert sorted(each for each in built.asked if each in STAGED) == sorted(STAGED)
    assert not [each for each in built.asked if "integration" in each and each not in STAGED]
    assert {str(path.relative_to(tiny.out)) for path in tiny.out.rglob("*.py")} >= FILES
    for label in VERDICTS:
        assert proven(built, label).passed
        assert report(built, label).passed
    suite = report(built, "//:tinytext.suite")
    assert any("test_smoke" in case.name for case in suite.cases)
    assert sum("integration" in case.name for case in suite.cases) == 3


def test_without_the_attribute_nobody_is_asked(state: Path, tmp_path: Path) -> None:
    tiny = fresh(tmp_path / "ws", state)
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    assert not set(STAGED) & set(built.asked)
    assert not (tiny.out / "tests/integration").exists()


def test_a_question_shows_the_interfaces_of_both_sides_and_of_nothing_else(first: tuple[Tinytext, Built]) -> None:
    library = first[0].library
    (request,) = library.asked_for("write the integration tests of slugs and paths")
    text = request.action.messages[1].content
    assert "from tinytext.slugs.core import make_slug" in shown(request, "interfaces of the source")
    assert "from tinytext.paths.core import page_path" in shown(request, "interfaces of the target")
    assert "slugs_made (str)" in shown(request, "data flow")
    assert "initials" not in text
    assert ".lower()" not in text  # no body


def test_smoke_tests_import_from_the_package(first: tuple[Tinytext, Built]) -> None:
    (request,) = first[0].library.asked_for("write the smoke tests")
    assert "from tinytext import page_path" in shown(request, "interfaces")
    assert "Its command" not in request.action.messages[1].content


def test_a_second_build_runs_nothing(copy: Tinytext) -> None:
    built = copy.build()
    assert (built.asked, built.run.actions, built.code) == ([], [], ExitCode.OK)


# --- what a change reaches


def test_a_changed_interface_asks_for_the_tests_that_it_takes_part_in_and_no_other(copy: Tinytext) -> None:
    copy.edit_interface("slugs/make_slug", raises=("TypeError: the text is no string",))
    built = copy.build()
    assert built.code is ExitCode.OK, built.failures
    # The interface of make_slug is part of what both flows and the smoke tests were written from; words' own is not.
    assert set(STAGED) & set(built.asked) == {*FLOWS, "write the smoke tests"}


def test_a_reworded_docstring_runs_the_tests_that_it_takes_part_in_and_asks_for_none_of_them(copy: Tinytext) -> None:
    copy.edit_interface("words/initials", description="Said differently.")
    copy.edit_interface("slugs/make_slug", docstring="The words, joined by hyphens, in lower case.")
    copy.library.sketch("make_slug", body='return "-".join(word.lower() for word in split_words(text))')
    built = copy.build()
    assert built.code is ExitCode.OK, built.failures
    assert not {*FLOWS, WORDS} & set(built.asked)
    assert "write the tests of initials" not in built.asked
    assert WORDS not in built.tested
    assert not [label for label in built.tested if label.startswith("//words:")]
    assert {PATHS, SLUGS, SMOKE} <= set(built.tested)


def test_a_body_alone_runs_exactly_what_it_reaches_and_asks_nobody(copy: Tinytext) -> None:
    path = copy.out / "tinytext/slugs/core.py"
    text = path.read_text()
    path.write_text(
        text.replace('return "-".join(split_words(text)).lower()', 'return "-".join(split_words(text.lower()))')
    )
    assert path.read_text() != text
    argv = [sys.executable, "-m", "zerorepo", "adopt", str(path.relative_to(copy.root))]
    done = subprocess.run(argv, cwd=copy.root, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    built = copy.build()
    assert built.code is ExitCode.OK, built.failures
    assert built.asked == []
    nodes = ["//paths:page_path.code", "//slugs:make_slug.code"]
    assert built.tested == sorted(["//:tinytext.suite", SMOKE, PATHS, SLUGS, *nodes])


# --- answers that do not fit


@pytest.mark.parametrize(
    ("imports", "body", "reason"),
    [
        ("from tinytext.paths.core import page_path", 'assert page_path("a", "b")', "nothing of the module `slugs`"),
        (BOTH, 'page_path("a", make_slug("b"))', "asserts nothing"),
        (
            f"from tinytext.words.core import initials\n{BOTH}",
            'assert page_path("a", make_slug("b")) == initials("c")',
            "`initials` of `tinytext.words.core` is not among what was given",
        ),
        (f"import tinytext\n{BOTH}", TRUE, "write `from tinytext import name`"),
        ("from tinytext import page_path, make_slug", TRUE, "import `page_path` from `tinytext.paths.core`"),
        (f"import subprocess\n{BOTH}", TRUE, "`subprocess` may not be used in tests"),
    ],
)
def test_tests_that_do_not_fit_are_asked_for_again_with_the_reason(
    copy: Tinytext, imports: str, body: str, reason: str
) -> None:
    copy.edit_interface("paths/page_path", raises=("TypeError: the section is no string",))
    copy.library.say(
        "write the integration tests of slugs and paths", python(imports, "def test_it() -> None:", f"    {body}")
    )
    built = copy.build(PATHS)
    assert built.code is ExitCode.OK, built.failures
    first, second = copy.library.asked_for("write the integration tests of slugs and paths")
    assert objection(first) == ""
    assert reason in objection(second)


def test_tests_that_pass_without_code_are_asked_for_again(copy: Tinytext) -> None:
    copy.edit_interface("paths/page_path", raises=("TypeError: the section is no string",))
    copy.library.say(FLOWS[0], python(*GOOD, "    assert callable(page_path) and callable(make_slug)"))
    copy.library.say(f"{FLOWS[0]} (again)", python(*GOOD, '    assert page_path("a", make_slug("b")) == "/a/b"'))
    built = copy.build(PATHS)
    assert built.code is ExitCode.OK, built.failures
    assert [each for each in built.asked if each.startswith(FLOWS[0])] == [FLOWS[0], f"{FLOWS[0]} (again)"]
    assert 'make_slug("b")' in proven(built, PATHS).source


# --- tests that fail


def test_tests_that_ask_too_much_are_mended_once(state: Path, tmp_path: Path) -> None:
    library = ScriptedLibrary()
    library.say(FLOWS[0], python(*GOOD, '    assert page_path("a", make_slug("b")) == "/a/b/"'))
    library.say("diagnose the tests of the data flow from slugs to paths", diagnosis("tests", "No slash at the end."))
    library.say(
        "mend the tests of the data flow from slugs to paths",
        python(*GOOD, "    pass"),
        python(*GOOD, '    assert page_path("a", make_slug("b")) == "/a/b"'),
    )
    built = build_paths(tmp_path / "ws", state, library)
    assert built.code is ExitCode.OK, built.failures
    assert proven(built, PATHS).rounds == 1
    first, second = library.asked_for("mend the tests of the data flow from slugs to paths")
    assert shown(first, "diagnosis") == "No slash at the end."
    assert "asserts nothing" in objection(second) and "now have 0" in objection(second)


@pytest.mark.parametrize("cause", ["implementation", "interface", "environment"])
def test_other_faults_are_reported_and_the_repository_is_assembled(state: Path, tmp_path: Path, cause: str) -> None:
    library = ScriptedLibrary()
    library.say(FLOWS[0], python(*GOOD, '    assert page_path("a", make_slug("b")) == "/a/b/"'))
    library.say("diagnose the tests of the data flow from slugs to paths", diagnosis(cause, "It lacks a slash."))
    tiny = fresh(tmp_path / "ws", state, library, integration=True)
    built = tiny.build()
    assert built.code is ExitCode.TESTS_FAILED, built.failures
    assert not [each for each in built.asked if each.startswith("mend")]
    assert not proven(built, PATHS).passed
    assert f"Diagnosis ({cause}): It lacks a slash." in report(built, PATHS).output
    assert (tiny.out / "tests/integration/test_flow_slugs_to_paths.py").exists()
    assert report(built, SMOKE).passed


def test_tests_that_fail_after_the_repair_are_reported_without_another(state: Path, tmp_path: Path) -> None:
    library = ScriptedLibrary()
    wrong = python(*GOOD, '    assert page_path("a", make_slug("b")) == "/a/b/"')
    library.say(FLOWS[0], wrong)
    library.say("diagnose the tests of the data flow from slugs to paths", diagnosis("tests"))
    library.say("mend the tests of the data flow from slugs to paths", wrong)
    built = build_paths(tmp_path / "ws", state, library)
    assert built.code is ExitCode.TESTS_FAILED
    assert built.asked.count("diagnose the tests of the data flow from slugs to paths") == 1
    assert proven(built, PATHS).rounds == 1


def test_tests_that_nobody_can_mend_fail_and_nothing_else_does(state: Path, tmp_path: Path) -> None:
    library = ScriptedLibrary()
    library.say(FLOWS[0], python(*GOOD, '    assert page_path("a", make_slug("b")) == "/a/b/"'))
    library.say("diagnose the tests of the data flow from slugs to paths", diagnosis("tests"))
    library.always_say("mend the tests of the data flow from slugs to paths", python(*GOOD, "    pass"))
    tiny = fresh(tmp_path / "ws", state, library, integration=True)
    built = tiny.build()
    assert built.code is ExitCode.TESTS_FAILED, built.failures
    assert "did not fit" in report(built, PATHS).output
    assert (tiny.out / "README.md").exists()


def test_against_a_failed_node_nothing_is_run_and_nobody_is_blamed(state: Path, tmp_path: Path) -> None:
    library = ScriptedLibrary()
    library.sketch("page_path", body='return f"/{section}/{title}"')
    library.always_say("diagnose page_path, round 1", diagnosis("interface"))
    library.always_say("correct the interface of page_path", "no")
    built = build_paths(tmp_path / "ws", state, library)
    assert built.code is ExitCode.TESTS_FAILED, built.failures
    assert report(built, PATHS).status == "not run"
    assert report(built, SMOKE).status == "not run"
    assert report(built, SLUGS).passed
    assert not [each for each in built.asked if each.startswith("diagnose the tests")]


# --- stopping and going on


@pytest.mark.parametrize("answers", range(7))
def test_a_build_that_stops_in_between_repeats_no_question(
    first: tuple[Tinytext, Built], tmp_path: Path, answers: int
) -> None:
    library = ScriptedLibrary()
    library.say(FLOWS[0], python(*GOOD, '    assert page_path("a", make_slug("b")) == "/a/b/"'))
    library.say("diagnose the tests of the data flow from slugs to paths", diagnosis("tests"))
    good = python(*GOOD, '    assert page_path("a", make_slug("b")) == "/a/b"')
    library.say("mend the tests of the data flow from slugs to paths", good)
    tiny = fresh(tmp_path / "ws", first[0].root / ".zerorepo", library, integration=True)
    assert tiny.build("//:tinytext.plan").code is ExitCode.OK
    tiny.build("//words:all", "//slugs:make_slug", "//paths:page_path")
    library.fail_after = len(library.answered) + answers
    stopped = tiny.build(PATHS, SLUGS, SMOKE)
    asked_before = list(library.answered)
    library.fail_after = None
    finished = tiny.build()
    assert finished.code is ExitCode.OK, finished.failures
    assert len(set(library.answered)) == len(library.answered)
    assert not set(asked_before) & set(finished.asked)
    assert proven(finished, PATHS).rounds == 1
    assert stopped.code in (ExitCode.OK, ExitCode.BUILD_FAILED)


# --- a command


def test_a_command_of_the_package_is_part_of_the_smoke_tests(state: Path, tmp_path: Path) -> None:
    spec = (
        "# Tinytext\n\nTinytext prints the slug of a title. The package is called `tinytext`.\n\n## Command\n\n"
        "- `make_slug(text)` joins the words of a text by hyphens.\n"
        "- `main(arguments)` prints the slug of its arguments and returns 0; the command is called `slugify`.\n"
    )
    slug = Sketch(
        "slugs", "def make_slug(text: str) -> str", 'return "-".join(text.split())', 'assert make_slug("a b") == "a-b"'
    )
    main = Sketch(
        "command",
        "def main(arguments: list[str] | None = None) -> int",
        'print(make_slug(" ".join(arguments or [])))\nreturn 0',
        'assert main(["a", "b"]) == 0',
        ("slugs/make_slug",),
    )
    library = ScriptedLibrary([slug, main])
    library.say(
        "write the smoke tests",
        python("from tinytext import make_slug", "def test_it() -> None:", '    assert make_slug("a b") == "a-b"'),
        python(
            "from tinytext import main, make_slug",
            "def test_it(capsys) -> None:",
            '    assert main(["a", "b"]) == 0',
            '    assert capsys.readouterr().out.strip() == make_slug("a b") == "a-b"',
        ),
    )
    tiny = fresh(tmp_path / "ws", state, library, spec=spec, integration=True)
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    request, again = library.asked_for("write the smoke tests")
    assert "Its command is called `slugify`; it runs `main()`." in request.action.messages[1].content
    assert "never calls `main()`" in objection(again) or "fewer than 2" in objection(again)
