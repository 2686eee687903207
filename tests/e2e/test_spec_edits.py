"""An edit of the specification, or of the lock, asks for what it touches and for nothing else; everything else stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.scripted_library import NAMES, Built, ScriptedLibrary, Sketch, Tinytext, fresh, shown
from zerorepo.errors import ExitCode, UsageError

pytestmark = pytest.mark.sandbox

NODES = ("words/split_words", "words/initials", "slugs/make_slug", "paths/page_path")
PATHS_SECTION = """
## Paths

- `page_path(section, title)` returns a slash, the section, a slash and the slug of the title.
"""
SHOUT = Sketch("words", "def shout(text: str) -> str", "return text.upper()", 'assert shout("a") == "A"')


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tinytext]:
    """The library, built until nothing runs any more; tests copy it before they change it."""
    made = Tinytext(tmp_path_factory.mktemp("settled") / "ws")
    assert made.build().code is ExitCode.OK
    assert made.build().run.actions == []
    yield made


@pytest.fixture
def tiny(settled: Tinytext, tmp_path: Path) -> Tinytext:
    """A copy with a model that was asked nothing yet."""
    return settled.copy(tmp_path / "copy")


@pytest.fixture(scope="module")
def before(settled: Tinytext) -> Built:
    """A build of it in which nothing ran: every digest as it was."""
    return settled.build()


def written(*names: str) -> list[str]:
    """Purposes of asking for the tests and the code of these."""
    return [f"{what} {name}" for name in names for what in ("write the tests of", "write")]


def assert_unchanged(before: Built, after: Built, *nodes: str) -> None:
    """All that the targets of these nodes hand on is the same."""
    for node in nodes:
        assert after.digests(node) == before.digests(node), node


def without(tiny: Tinytext, part: str) -> None:
    """Delete one table from the lock; ``part`` is how it begins."""
    text = tiny.lock_path.read_text()
    start = text.index(part)
    tiny.lock_path.write_text(text[:start] + text[text.index("\n[[", start) + 1 :])


# --- edits of the specification


def test_a_reworded_requirement_asks_what_stands_behind_it_and_nothing_else(tiny: Tinytext, before: Built) -> None:
    tiny.edit_spec("a slash and the slug of the title", "another slash and the slug of the title")
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    assert sorted(built.asked) == sorted(
        [
            "parse the section paths",
            "change the features",
            "change the interfaces of paths",
            *written("page_path"),
        ]
    )
    assert_unchanged(before, built, *NODES[:3])
    assert built.tested == ["//:tinytext.suite", "//paths:page_path.code"]
    others = [label for label in built.run.ran if label.startswith(("//words:", "//slugs:"))]
    assert {label.partition(":")[2] for label in others} <= {"files", "interfaces"}  # which ask nobody
    assert "another slash" in tiny.interface("paths/page_path").docstring
    again = tiny.build()
    assert (again.asked, again.run.actions) == ([], [])


def test_a_reworded_requirement_whose_id_changes_asks_no_more(tiny: Tinytext, before: Built) -> None:
    # Ids come from the first words of a sentence.
    tiny.edit_spec("returns a slash, the section, a slash", "gives a slash, the section, a slash")
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    assert sorted(built.asked) == sorted(
        ["parse the section paths", "change the features", "change the interfaces of paths", *written("page_path")]
    )
    assert_unchanged(before, built, *NODES[:3])


def test_a_reworded_requirement_of_a_used_node_asks_for_it_and_for_none_of_its_users(
    tiny: Tinytext, before: Built
) -> None:
    tiny.edit_spec("in order, separated by white space", "in their order, separated by white space")
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    assert sorted(built.asked) == sorted(
        [
            "parse the section words",
            "change the features",
            "change the interfaces of words",
            *written("split_words"),
        ]
    )
    assert {"//slugs:make_slug.code", "//paths:page_path.code"} <= set(built.tested)
    assert_unchanged(before, built, "words/initials")


def test_white_space_and_prose_that_say_nothing_new_stop_at_their_section(tiny: Tinytext, before: Built) -> None:
    tiny.edit_spec("## Slugs\n", "## Slugs\n\nSlugs are the last part of an address.\n")
    built = tiny.build()
    assert built.asked == ["parse the section slugs"]
    assert built.run.actions == [("AskModel", "//:tinytext.spec")]
    assert_unchanged(before, built, *NODES)


def test_a_removed_requirement_removes_its_node_and_its_files(tiny: Tinytext, before: Built) -> None:
    files = set(tiny.files())
    tiny.edit_spec("- `initials(text)` returns the first letter of each word, joined.\n", "")
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    # The interfaces of what lies further down are asked for since there is one function less that they may use.
    assert sorted(built.asked) == sorted(
        [
            "parse the section words",
            "change the features",
            "change the modules",
            "find base classes",
            "lay out the files of words",
            "change the interfaces of words",
            "change the interfaces of slugs",
            "change the interfaces of paths",
        ]
    )
    assert_unchanged(before, built, "words/split_words", "slugs/make_slug", "paths/page_path")
    assert not any("initials" in str(label) for label in built.run.result.built)
    assert files - set(tiny.files()) == {"tinytext/tests/words/test_initials.py"}
    assert not any(b"initials" in content for content in tiny.files().values())
    assert "initials" not in tiny.lock_path.read_text()
    assert built.tested == ["//:tinytext.suite"]


def test_a_removed_section_removes_its_module(tiny: Tinytext, before: Built) -> None:
    tiny.edit_spec(PATHS_SECTION, "")
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    # Modules see which data flows out of them.
    assert sorted(built.asked) == sorted(
        ["change the features", "change the modules", "find base classes", "change the interfaces of slugs"]
    )
    assert_unchanged(before, built, *NODES[:3])
    assert not any(label.package == "paths" for label in built.run.result.built)
    assert not any("paths" in path for path in tiny.files())
    assert not (tiny.out / "tinytext/paths").exists()
    assert "paths" not in tiny.lock_path.read_text()


def test_an_added_requirement_adds_a_node_and_leaves_the_others_alone(tiny: Tinytext, before: Built) -> None:
    tiny.library.add(SHOUT)
    tiny.edit_spec("each word, joined.\n", "each word, joined.\n- `shout(text)` returns the text in upper case.\n")
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    # The interfaces of slugs are asked for since there is one more function that it may use.
    assert sorted(built.asked) == sorted(
        [
            "parse the section words",
            "change the features",
            "change the modules",
            "find base classes",
            "lay out the files of words",
            "change the interfaces of words",
            "change the interfaces of slugs",
            "change the interfaces of paths",
            *written("shout"),
        ]
    )
    assert_unchanged(before, built, *NODES)
    assert built.node("words/shout").passed
    assert "def shout" in (tiny.out / "tinytext/words/core.py").read_text()
    assert "shout" in (tiny.out / "tinytext/__init__.py").read_text()
    assert built.tested == ["//:tinytext.suite", "//words:shout.code", "//words:shout.tests"]


def test_going_back_to_the_old_specification_asks_nothing(tiny: Tinytext, before: Built) -> None:
    files, spec, lock = tiny.files(), tiny.spec_path.read_text(), tiny.lock_path.read_text()
    tiny.edit_spec("a slash and the slug of the title", "another slash and the slug of the title")
    assert tiny.build().asked != []
    tiny.spec_path.write_text(spec)
    tiny.lock_path.write_text(lock)  # as version control would
    back = tiny.build()
    assert (back.asked, back.run.actions, back.code) == ([], [], ExitCode.OK)
    assert tiny.files() == files
    assert_unchanged(before, back, *NODES)


# --- edits of the lock


def test_a_docstring_edited_in_the_lock_asks_for_this_node_only(tiny: Tinytext, before: Built) -> None:
    tiny.edit_interface("words/initials", docstring="The first letter of each word.")
    text = tiny.lock_path.read_text()
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    assert sorted(built.asked) == sorted(written("initials"))
    assert_unchanged(before, built, "words/split_words", "slugs/make_slug", "paths/page_path")
    assert tiny.lock_path.read_text() == text
    assert "The first letter of each word." in (tiny.out / "tinytext/words/core.py").read_text()


def test_an_import_that_comes_into_a_file_is_told_to_whoever_is_asked_and_asks_nobody(
    tiny: Tinytext, before: Built
) -> None:
    tiny.edit_interface("words/initials", imports=("from typing import Final",))
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    assert sorted(built.asked) == sorted(written("initials"))
    assert_unchanged(before, built, "words/split_words", "slugs/make_slug", "paths/page_path")
    tiny.edit_interface("words/split_words", docstring="The words of a text.")
    assert tiny.build().code is ExitCode.OK
    (request,) = tiny.library.asked_for("write split_words")
    assert shown(request, "imports of the file") == "from typing import Final"


def test_a_changed_body_is_tested_with_all_that_uses_it_and_asks_for_none_of_it(tiny: Tinytext, before: Built) -> None:
    tiny.edit_interface("words/split_words", docstring="The words of a text.")
    tiny.library.sketch("split_words", body="return [word for word in text.split() if word]")
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    assert sorted(built.asked) == sorted(written("split_words"))
    assert built.tested == [
        "//:tinytext.suite",
        "//paths:page_path.code",
        "//slugs:make_slug.code",
        "//words:split_words.code",
    ]
    assert_unchanged(before, built, "words/initials")
    assert built.node("paths/page_path").source == before.node("paths/page_path").source


def test_a_body_that_comes_out_the_same_tests_nobody_again(tiny: Tinytext, before: Built) -> None:
    source = before.node("words/split_words").source
    tiny.edit_interface("words/split_words", docstring="The words of a text.")
    tiny.library.say("write split_words", f"```python\n{source}```")
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    assert sorted(built.asked) == sorted(written("split_words"))
    assert built.tested == []
    assert "//paths:page_path" not in built.run.ran


def test_a_changed_signature_asks_for_the_users_and_their_modules_interfaces(tiny: Tinytext, before: Built) -> None:
    signature = 'def make_slug(text: str, separator: str = "-") -> str'
    tiny.edit_interface("slugs/make_slug", signature=signature)
    tiny.library.sketch("make_slug", signature=signature, body="return separator.join(split_words(text)).lower()")
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    assert sorted(built.asked) == sorted(["change the interfaces of paths", *written("make_slug", "page_path")])
    assert_unchanged(before, built, "words/split_words", "words/initials")


def test_a_description_edited_in_the_lock_asks_nobody(tiny: Tinytext, before: Built) -> None:
    tiny.edit_lock('description = "All about slugs."', 'description = "Parts of addresses."')
    built = tiny.build()
    assert (built.asked, built.code) == ([], ExitCode.OK)
    assert "Parts of addresses." in (tiny.out / "README.md").read_text()
    assert 'description = "Parts of addresses."' in tiny.lock_path.read_text()
    assert_unchanged(before, built, *NODES)


def test_a_lock_edited_into_a_plan_that_does_not_hold_together_fails_with_the_problem(tiny: Tinytext) -> None:
    files = tiny.files()
    tiny.edit_interface("words/initials", uses=("paths/page_path",))
    text = tiny.lock_path.read_text()
    built = tiny.build()
    assert built.code is ExitCode.BUILD_FAILED
    assert "no data flows from module `paths` to `words`" in built.failures
    assert "zerorepo.lock" in built.failures
    assert built.asked == []
    assert tiny.lock_path.read_text() == text
    assert tiny.files() == files


def test_a_lock_that_cannot_be_read_is_a_usage_error_with_its_line(tiny: Tinytext) -> None:
    tiny.edit_lock('id = "words/initials"\nmodule = "words"', 'id = "words/initials"\nmodul = "words"')
    built = tiny.build()
    assert built.code is ExitCode.USAGE
    (error,) = built.run.result.failed.values()
    assert isinstance(error, UsageError)
    assert "did you mean `module`?" in built.failures
    assert "zerorepo.lock:" in built.failures
    assert built.asked == []


def test_a_lost_lock_is_written_again_without_asking(tiny: Tinytext) -> None:
    text = tiny.lock_path.read_text()
    tiny.lock_path.unlink()
    built = tiny.build()
    assert (built.asked, built.code) == ([], ExitCode.OK)
    assert tiny.lock_path.read_text() == text


def test_with_the_lock_alone_the_plan_is_not_asked_for(tiny: Tinytext, tmp_path: Path) -> None:
    elsewhere = fresh(tmp_path / "elsewhere", tiny.root / ".zerorepo", ScriptedLibrary())
    elsewhere.lock_path.write_bytes(tiny.lock_path.read_bytes())
    built = elsewhere.build(locked=True)
    assert built.code is ExitCode.OK, built.failures
    sections = [f"parse the section {name}" for name in ("tinytext", "words", "slugs", "paths")]
    assert sorted(built.asked) == sorted([*sections, *written(*NAMES)])
    assert elsewhere.files() == tiny.files()


@pytest.mark.parametrize(
    ("stage", "purpose"),
    [
        ("interfaces/words", "change the interfaces of words"),
        ("features", "change the features"),
        ("modules", "change the modules"),
    ],
)
def test_a_stage_whose_digest_is_deleted_is_asked_for_again_and_no_other(
    tiny: Tinytext, stage: str, purpose: str
) -> None:
    text = tiny.lock_path.read_text()
    (line,) = (line for line in text.split("\n") if line.startswith((f'{stage} = "', f'"{stage}" = "')))
    tiny.edit_lock(f"{line}\n", "")
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    assert built.asked == [purpose]
    assert tiny.lock_path.read_text() == text


@pytest.mark.parametrize(
    ("part", "asked"),
    [
        ('[[feature]]\nid = "page-path"', ["change the features"]),
        ('[[module]]\nid = "paths"', ["change the modules"]),
        (
            '[[file]]\npath = "tinytext/paths/core.py"',
            [],
        ),  # without an old file it is the first question, answered long ago
        ('[[interface]]\nid = "words/initials"', ["change the interfaces of words"]),
    ],
)
def test_a_part_deleted_from_the_lock_is_planned_anew(
    tiny: Tinytext, before: Built, part: str, asked: list[str]
) -> None:
    text = tiny.lock_path.read_text()
    without(tiny, part)
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    assert built.asked == asked
    assert tiny.lock_path.read_text() == text
    assert_unchanged(before, built, *NODES)


# --- locked


def test_locked_changes_nothing_where_nothing_is_to_change(tiny: Tinytext) -> None:
    files, lock = tiny.files(), tiny.lock_path.read_bytes()
    built = tiny.build(locked=True)
    assert (built.asked, built.run.actions, built.code) == ([], [], ExitCode.OK)
    assert (tiny.files(), tiny.lock_path.read_bytes()) == (files, lock)


def test_locked_refuses_before_the_plan_is_asked_for(tiny: Tinytext) -> None:
    files, lock = tiny.files(), tiny.lock_path.read_bytes()
    tiny.edit_spec("a slash and the slug of the title", "another slash and the slug of the title")
    built = tiny.build(locked=True)
    assert built.code is ExitCode.BUILD_FAILED
    assert built.asked == ["parse the section paths"]
    assert "--locked forbids changing it" in built.failures
    assert "stage features" in built.failures
    assert (tiny.files(), tiny.lock_path.read_bytes()) == (files, lock)
    assert tiny.build().code is ExitCode.OK


def test_locked_builds_from_a_lock_that_was_edited_by_hand(tiny: Tinytext) -> None:
    tiny.edit_interface("words/initials", docstring="The first letter of each word.")
    lock = tiny.lock_path.read_bytes()
    built = tiny.build(locked=True)
    assert built.code is ExitCode.OK, built.failures
    assert sorted(built.asked) == sorted(written("initials"))
    assert tiny.lock_path.read_bytes() == lock


def test_locked_refuses_to_plan_a_deleted_part(tiny: Tinytext) -> None:
    without(tiny, '[[interface]]\nid = "words/initials"')
    built = tiny.build(locked=True)
    assert built.code is ExitCode.BUILD_FAILED
    assert "stage interfaces/words" in built.failures
    assert built.asked == []


def test_locked_without_a_lock_refuses(tiny: Tinytext) -> None:
    tiny.lock_path.unlink()
    built = tiny.build(locked=True)
    assert built.code is ExitCode.BUILD_FAILED
    assert "--locked forbids changing it" in built.failures
    assert built.asked == []
    assert not tiny.lock_path.exists()
