"""A person's code in a generated repository: adopted where it belongs, tested with what uses it, and no model is asked for it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from e2e.scripted_library import Built, Tinytext
from zerorepo.errors import ExitCode

pytestmark = pytest.mark.sandbox

WORDS, TESTS = "tinytext/words/core.py", "tests/words/test_split_words.py"
USERS_OF_SPLIT_WORDS = ["//paths:page_path.code", "//slugs:make_slug.code", "//words:split_words.code"]


def edit(tiny: Tinytext, path: str, old: str, new: str) -> None:
    text = (tiny.out / path).read_text()
    assert text.count(old) == 1
    (tiny.out / path).write_text(text.replace(old, new))


def command(tiny: Tinytext, *args: str) -> Any:
    """What a command says with ``--json``."""
    argv = [sys.executable, "-m", "zerorepo", *args]
    done = subprocess.run(argv, cwd=tiny.root, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def adopt(tiny: Tinytext, *args: str) -> list[dict[str, Any]]:
    """What the command says that it adopted."""
    found: list[dict[str, Any]] = command(tiny, "adopt", *args, "--json")["adopted"]
    return found


def edited(built: Built) -> list[str]:
    return [note.detail["path"] for note in built.run.notes("edited output left alone")]


def test_an_edited_function_is_tested_with_all_that_uses_it_and_nobody_is_asked(copy: Tinytext) -> None:
    # In a person's own layout: what is adopted is the code, not its line breaks.
    edit(copy, WORDS, "    return text.split()\n", "    pieces = text.split( None )\n    return pieces  # mine\n")
    assert edited(copy.build()) == [f"out/tinytext/{WORDS}"]
    rows = adopt(copy, "//:tinytext")
    assert [(row["label"], row["source"]) for row in rows] == [
        ("//words:split_words.code", "adopted/words/split_words.py")
    ]
    dry = command(copy, "build", "//words:split_words.code", "--dry-run", "--json")
    assert dry["would_run"].keys() == {"//words:split_words.code"}
    assert dry["estimate"]["meters"].get("model_calls", {"at_most": 0})["at_most"] == 0
    built = copy.build()
    assert (built.code, built.asked, edited(built)) == (ExitCode.OK, [], [])
    assert built.tested == ["//:tinytext.suite", *USERS_OF_SPLIT_WORDS]
    assert "pieces = text.split(None)\n    return pieces  # mine" in (copy.out / WORDS).read_text()
    assert built.node("words/split_words").passed
    again = copy.build()
    assert (again.run.ran, edited(again)) == ([], [])


def test_it_stays_so_when_the_plan_changes_elsewhere(copy: Tinytext) -> None:
    edit(copy, WORDS, "return text.split()", "return list(text.split())")
    adopt(copy, f"out/tinytext/{WORDS}")
    copy.build()
    copy.edit_interface("paths/page_path", docstring="A slash, the section, a slash, and the slug of the title.")
    built = copy.build()
    assert built.code is ExitCode.OK, built.failures
    assert sorted(built.asked) == ["write page_path", "write the tests of page_path"]
    assert "list(text.split())" in (copy.out / WORDS).read_text()
    # Even another docstring in its own interface asks for new tests only.
    copy.edit_interface("words/split_words", docstring="The words of a text, in order.")
    built = copy.build()
    assert "write split_words" not in built.asked
    assert "list(text.split())" in (copy.out / WORDS).read_text()


def test_code_that_fails_its_tests_is_reported_and_nobody_mends_it(copy: Tinytext) -> None:
    edit(copy, WORDS, "return text.split()", 'return text.split(" ")')
    adopt(copy, "//words:split_words.code")
    built = copy.build()
    assert (built.code, built.asked) == (ExitCode.TESTS_FAILED, [])
    assert not built.node("words/split_words").passed
    assert "//words:split_words.code" in built.node("slugs/make_slug").failure


def test_code_that_is_not_what_its_interface_says_is_an_error(copy: Tinytext) -> None:
    (copy.root / "mine.py").write_text(
        "def split_words(text: str, sep: str) -> list[str]:\n    return text.split(sep)\n"
    )
    adopt(copy, "//words:split_words.code", "--from", "mine.py")
    built = copy.build(keep_going=True)
    assert (built.code, built.asked) == (ExitCode.BUILD_FAILED, [])
    assert "The adopted code of `words/split_words` is not what its interface says" in built.failures


def test_an_edit_that_is_no_nodes_stands_for_the_whole_file(copy: Tinytext) -> None:
    edit(copy, WORDS, '"""words."""', '"""All about words, by hand."""')
    edit(copy, "README.md", "# Tinytext", "# My Tinytext")
    rows = adopt(copy, "//:tinytext")
    assert {(row["label"], row["file"]) for row in rows} == {
        ("//:tinytext.assembled", WORDS),
        ("//:tinytext.assembled", "README.md"),
    }
    built = copy.build()
    assert (built.code, built.asked, edited(built)) == (ExitCode.OK, [], [])
    assert built.tested == ["//:tinytext.suite"]
    assert "by hand" in (copy.out / WORDS).read_text()
    assert (copy.out / "README.md").read_text().startswith("# My Tinytext")


def test_edited_tests_of_a_node_prove_its_code(copy: Tinytext) -> None:
    edit(copy, TESTS, 'assert split_words("") == []', 'assert split_words("x") == ["x"]')
    (row,) = adopt(copy, "//:tinytext")
    assert (row["label"], row["source"]) == ("//words:split_words.tests", "adopted/words/test_split_words.py")
    built = copy.build()
    assert (built.code, built.asked, edited(built)) == (ExitCode.OK, [], [])
    assert built.tested == ["//:tinytext.suite", "//words:split_words.code"]
    assert 'split_words("x")' in (copy.out / TESTS).read_text()


def test_code_may_be_adopted_as_it_is_to_be_edited_there(copy: Tinytext) -> None:
    (row,) = adopt(copy, "//words:initials.code")
    source = copy.root / row["source"]
    built = copy.build()
    assert (built.asked, built.tested) == ([], [])
    source.write_text(source.read_text().replace("return ", "return str() + "))
    built = copy.build()
    assert (built.code, built.asked) == (ExitCode.OK, [])
    assert built.tested == ["//:tinytext.suite", "//words:initials.code"]
    assert "str() + " in (copy.out / WORDS).read_text()
