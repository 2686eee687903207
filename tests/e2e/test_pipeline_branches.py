"""The pipeline built for real around a scripted model: what it makes, how it goes on after bad answers, failures and crashes."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.scripted_library import (
    NAMES,
    Built,
    ScriptedLibrary,
    Sketch,
    Tinytext,
    diagnosis,
    fresh,
    objection,
    python,
    replaced,
    shown,
)
from zerorepo.errors import ExitCode

pytestmark = pytest.mark.sandbox

PLANNING = [
    *(f"parse the section {name}" for name in ("tinytext", "words", "slugs", "paths")),
    "choose the features",
    "group the features into modules",
    "find base classes",
    *(f"lay out the files of {name}" for name in ("words", "slugs", "paths")),
    *(f"design the interfaces of {name}" for name in ("words", "slugs", "paths")),
]
WRITING = [purpose for name in NAMES for purpose in (f"write the tests of {name}", f"write {name}")]


@pytest.fixture
def state(built_library: tuple[Tinytext, Built]) -> Path:
    """A state folder that lends its sandbox environment."""
    return built_library[0].root / ".zerorepo"


def paths_reworded(tiny: Tinytext) -> Tinytext:
    """A node that nothing uses has another docstring, so that its tests and code are asked for, and nothing else."""
    tiny.edit_interface("paths/page_path", docstring="A slash, the section, a slash, and the slug of the title.")
    return tiny


def written_badly(library: ScriptedLibrary) -> str:
    """An answer with code for ``page_path`` that forgets the slug."""
    sketch = replace(library.sketch("page_path"), body='return f"/{section}/{title}"')
    return sketch.code([library.sketches["make_slug"].import_line])


# --- what is made


def test_a_specification_becomes_a_tested_package(built_library: tuple[Tinytext, Built]) -> None:
    tiny, built = built_library
    assert built.code is ExitCode.OK, built.failures
    assert sorted(built.asked) == sorted([*PLANNING, *WRITING])
    names = {str(path.relative_to(tiny.out)) for path in tiny.out.rglob("*") if path.is_file()}
    assert names >= {
        "README.md",
        "pyproject.toml",
        "docs/coverage.md",
        "docs/rpg.json",
        "tinytext/__init__.py",
        "tinytext/py.typed",
        "tinytext/words/core.py",
        "tinytext/slugs/core.py",
        "tinytext/paths/core.py",
        "tests/words/test_split_words.py",
        "tests/words/test_initials.py",
        "tests/slugs/test_make_slug.py",
        "tests/paths/test_page_path.py",
    }
    words = (tiny.out / "tinytext/words/core.py").read_text()
    assert words.index("def split_words") and words.index("def initials")  # two nodes share the file
    assert "100 % of lines" in (tiny.out / "docs/coverage.md").read_text()
    assert "FAILED" not in (tiny.out / "docs/coverage.md").read_text()


def test_every_node_has_a_verdict_from_the_sandbox_and_is_run_once(built_library: tuple[Tinytext, Built]) -> None:
    _, built = built_library
    for node in ("words/split_words", "words/initials", "slugs/make_slug", "paths/page_path"):
        code = built.node(node)
        assert code.passed and code.rounds == 0
    codes = ["//paths:page_path.code", "//slugs:make_slug.code", "//words:initials.code", "//words:split_words.code"]
    # What its tests say to the package without any code, and what they say to the code.
    tests = [label.replace(".code", ".tests") for label in codes]
    assert built.tested == sorted(["//:tinytext.suite", *codes, *tests])


def test_the_package_passes_its_tests_under_plain_pytest(built_library: tuple[Tinytext, Built], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(built_library[0].out)]
    done = subprocess.run(command, cwd=built_library[0].out, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


def test_a_second_build_runs_no_action_and_a_third_no_target(copy: Tinytext) -> None:
    before, lock = copy.files(), copy.lock_path.read_bytes()
    second = copy.build()
    assert (second.asked, second.run.actions, second.code) == ([], [], ExitCode.OK)
    third = copy.build()
    assert (third.asked, third.run.actions, third.run.ran, third.code) == ([], [], [], ExitCode.OK)
    assert copy.files() == before
    assert copy.lock_path.read_bytes() == lock


def test_the_prompts_of_a_node_show_interfaces_and_no_bodies(built_library: tuple[Tinytext, Built]) -> None:
    library = built_library[0].library
    for purpose in ("write the tests of page_path", "write page_path"):
        (request,) = library.asked_for(purpose)
        used = shown(request, "used nodes")
        assert "def make_slug(text: str) -> str" in used
        assert "from tinytext.slugs.core import make_slug" in used
        assert "split_words" not in used  # used by what it uses, and so no concern of its own
        assert not any(
            "return " in message.content and ".lower()" in message.content for message in request.action.messages
        )


# --- answers that do not fit


def test_an_answer_outside_its_schema_is_asked_again_with_the_reason(state: Path, tmp_path: Path) -> None:
    library = ScriptedLibrary()
    library.say("choose the features", "Here you are: none.", json.dumps({"features": [{"name": "no id"}]}))
    built = fresh(tmp_path / "ws", state, library).build("//:tinytext.features")
    assert built.code is ExitCode.OK, built.failures
    first, second, third = library.asked_for("choose the features")
    assert objection(first) == ""
    assert "not a JSON document" in objection(second)
    assert "/features/0/id" in objection(third)
    assert third.action.purpose == "choose the features (attempt 3 of 3)"


def test_a_requirement_that_is_no_quote_is_asked_again(state: Path, tmp_path: Path) -> None:
    library = ScriptedLibrary()
    library.say("parse the section slugs", json.dumps({"requirements": [{"text": "`make_slug(text)` makes slugs."}]}))
    built = fresh(tmp_path / "ws", state, library).build("//:tinytext.spec")
    assert built.code is ExitCode.OK, built.failures
    assert "word for word" in objection(library.asked_for("parse the section slugs")[1])


def test_an_interface_list_that_is_wrong_is_asked_again_and_then_fails_with_the_problems(
    state: Path, tmp_path: Path
) -> None:
    library = ScriptedLibrary()
    node = {"id": "words/split_words", "module": "words", "file": "tinytext/words/core.py", "name": "split_words"}
    node |= {"signature": "def split_words(text) -> list[str]", "docstring": "Words."}
    wrong = {"module": "words", "interfaces": [{**node, "features": ["split-words"], "uses": ["slugs/make_slug"]}]}
    library.always_say("design the interfaces of words", json.dumps(wrong))
    tiny = fresh(tmp_path / "ws", state, library)
    built = tiny.build()
    assert built.code is ExitCode.BUILD_FAILED
    assert len(library.asked_for("design the interfaces of words")) == 3
    for text in (objection(library.asked_for("design the interfaces of words")[1]), built.failures):
        assert "the feature `initials` has no interface" in text
        assert "parameter `text` of `split_words` has no annotation" in text
        assert "`slugs/make_slug`" in text
    assert list(map(str, built.run.result.failed)) == ["//words:interfaces"]
    assert not tiny.lock_path.exists()
    assert not tiny.out.exists()


def test_code_that_is_not_what_the_interface_says_is_never_run(copy: Tinytext) -> None:
    library = paths_reworded(copy).library
    wrong = replace(library.sketch("page_path"), signature="def page_path(title: str) -> str", body="return title")
    library.say("write page_path", wrong.code([]), python("import subprocess", *wrong.code([]).splitlines()[1:-1]))
    built = copy.build()
    assert built.code is ExitCode.OK, built.failures
    assert len(library.asked_for("write page_path")) == 3
    assert "section" in objection(library.asked_for("write page_path")[1])
    assert "subprocess" in objection(library.asked_for("write page_path")[2])
    assert built.tested == ["//:tinytext.suite", "//paths:page_path.code"]


# --- code that fails its tests


def test_around_a_failed_node_the_repository_is_assembled_and_its_dependants_are_not_run(copy: Tinytext) -> None:
    library = copy.library
    copy.edit_interface("words/split_words", docstring="The words of a text.")
    library.say("write split_words", replace(library.sketch("split_words"), body="return [text]").code([]))
    library.always_say("diagnose split_words, round 1", diagnosis("interface"))
    library.always_say("correct the interface of split_words", "no")
    built = copy.build()
    assert built.code is ExitCode.TESTS_FAILED, built.failures
    assert built.run.result.ok
    assert set(built.tested) == {"//:tinytext.suite", "//words:split_words.code"}
    for node in ("slugs/make_slug", "paths/page_path"):
        assert not built.node(node).passed
        assert "//words:split_words.code" in built.node(node).failure
    assert built.node("words/initials").passed
    states = (copy.out / "docs/coverage.md").read_text()
    for name in ("words.core.split_words", "slugs.core.make_slug", "paths.core.page_path"):
        assert re.search(rf"`tinytext\.{name}` \|.*\| FAILED \|", states)
    assert re.search(r"`tinytext\.words\.core\.initials` \|.*\| passed \|", states)
    assert "return [text]" in (copy.out / "tinytext/words/core.py").read_text()

    # Once it is mended, what was written for its dependants is run at last; nobody is asked for them.
    copy.edit_interface("words/split_words", docstring="The words of a text, in order.")
    again = copy.build()
    assert again.code is ExitCode.OK, again.failures
    assert sorted(again.asked) == ["write split_words", "write the tests of split_words"]
    assert {"//slugs:make_slug.code", "//paths:page_path.code"} <= set(again.tested)
    assert "FAILED" not in (copy.out / "docs/coverage.md").read_text()


# --- crashes


@pytest.mark.parametrize("answers", [2, 9, 17])
def test_after_a_crash_only_what_was_not_answered_is_asked(state: Path, tmp_path: Path, answers: int) -> None:
    library = ScriptedLibrary()
    library.fail_after = answers
    tiny = fresh(tmp_path / "ws", state, library)
    crashed = tiny.build()
    assert crashed.code is ExitCode.BUILD_FAILED
    assert "gone away" in crashed.failures
    assert len(library.answered) == answers
    library.fail_after = None
    answered = list(library.answered)
    rest = tiny.build()
    assert rest.code is ExitCode.OK, rest.failures
    assert sorted([*answered, *rest.asked]) == sorted([*PLANNING, *WRITING])


@pytest.mark.parametrize("answers", [4, 15])
def test_after_a_cancelled_build_only_what_was_not_answered_is_asked(state: Path, tmp_path: Path, answers: int) -> None:
    library = ScriptedLibrary()
    tiny = fresh(tmp_path / "ws", state, library)
    tiny.latency_s = 0.005

    async def cancelled() -> None:
        task = asyncio.ensure_future(tiny.build_async())
        library.on_answer = lambda purpose: task.cancel() if len(library.answered) == answers else None
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    answered = list(library.answered)
    assert len(answered) >= answers  # what was on its way may have arrived
    rest = tiny.build()
    assert rest.code is ExitCode.OK, rest.failures
    assert sorted([*answered, *rest.asked]) == sorted([*PLANNING, *WRITING])


def test_a_crash_in_the_middle_of_mending_goes_on_from_there(copy: Tinytext) -> None:
    library = paths_reworded(copy).library
    library.say("write page_path", written_badly(library))
    library.always_say("diagnose page_path, round 1", diagnosis("implementation"))
    library.fail_after = 2 + 1 + 5
    crashed = copy.build()
    assert crashed.code is ExitCode.BUILD_FAILED
    library.fail_after = None
    library.say("mend page_path, round 1", replaced(library.code_of("page_path"), "page_path"))
    rest = copy.build()
    assert rest.code is ExitCode.OK, rest.failures
    assert rest.asked == ["mend page_path, round 1"]
    assert rest.tested == ["//:tinytext.suite"] + ["//paths:page_path.code"] * 3  # the failed runs are remembered


# --- time


def test_independent_nodes_are_asked_for_at_once(state: Path, tmp_path: Path) -> None:
    sketches = [
        Sketch(module, f"def {name}(text: str) -> str", "return text", f'assert {name}("a") == "a"')
        for module, names in (("alphas", ("one", "two")), ("betas", ("three", "four")), ("gammas", ("five", "six")))
        for name in names
    ]
    lines = [f"- `{sketch.name}(text)` returns the text as number {sketch.name}." for sketch in sketches]
    spec = "\n".join(["# Tinytext", "", "The package is called `tinytext`.", "", "## Numbers", "", *lines, ""])
    library = ScriptedLibrary(sketches, flows=[("alphas", "betas"), ("alphas", "gammas")])
    tiny = fresh(tmp_path / "ws", state, library, spec=spec)
    tiny.latency_s = 0.5
    times: list[float] = []
    library.on_answer = lambda purpose: times.append(time.monotonic())
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    assert len(built.asked) == 2 + 3 + 3 + 3 + 12
    # Times of answers: the first wait is not between them.
    asking = times[-1] - times[0] + tiny.latency_s
    serial = len(built.asked) * tiny.latency_s
    assert asking < 0.6 * serial


def test_the_tier_of_a_repository_counts_for_all_its_tests_whatever_the_workspace_says(copy: Tinytext) -> None:
    config = copy.root / "zerorepo.toml"
    config.write_text('[sandbox]\ntier = "gvisor"\n' + config.read_text() + 'sandbox = "bubblewrap"\n')
    again = copy.build()
    # Under gvisor every verdict would have to be found anew, or there would be none.
    assert (again.code, again.failures) == (ExitCode.OK, "")
    assert (again.asked, again.tested) == ([], [])
