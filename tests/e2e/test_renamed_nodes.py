"""A node that a change of the plan renames, and otherwise leaves as it was, keeps its tests and code; nobody is asked for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.scripted_library import Tinytext, fresh
from zerorepo.errors import ExitCode
from zerorepo_rpg.lock import parse_lock
from zerorepo_rpg.renames import Rename

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tinytext]:
    """The library, built; tests copy it."""
    made = Tinytext(tmp_path_factory.mktemp("renames") / "ws")
    assert made.build().code is ExitCode.OK
    yield made


@pytest.fixture
def tiny(settled: Tinytext, tmp_path: Path) -> Tinytext:
    """A copy with a model that was asked nothing yet."""
    return settled.copy(tmp_path / "copy")


def rename_slug(tiny: Tinytext, new: str, old: str = "make_slug") -> None:
    """In the specification, and in what the model imagines."""
    tiny.edit_spec(f"`{old}(text)`", f"`{new}(text)`")
    sketches = {}
    for name, sketch in tiny.library.sketches.items():
        changes = {field: getattr(sketch, field).replace(old, new) for field in ("signature", "body", "checks")}
        uses = tuple(used.replace(old, new) for used in sketch.uses)
        sketches[new if name == old else name] = type(sketch)(module=sketch.module, uses=uses, **changes)
    tiny.library.sketches = sketches


def writing(asked: list[str]) -> list[str]:
    """Questions about tests and code."""
    return [purpose for purpose in asked if purpose.startswith(("write", "mend", "diagnose"))]


def renames(tiny: Tinytext) -> tuple[Rename, ...]:
    return parse_lock(tiny.lock_path.read_text()).renames


def test_a_renamed_node_and_its_users_keep_tests_and_code_without_asking(tiny: Tinytext) -> None:
    rename_slug(tiny, "slug_of")
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    assert writing(built.asked) == []
    assert "def slug_of(text: str) -> str:" in built.node("slugs/slug_of").source
    assert "from tinytext.slugs.core import slug_of" in built.node("paths/page_path").source
    assert "slug_of(title)" in (tiny.out / "tinytext/paths/core.py").read_text()
    assert 'slug_of("Hello World") == "hello-world"' in (tiny.out / "tests/slugs/test_slug_of.py").read_text()
    assert not any(b"make_slug" in content for content in tiny.files().values())
    # What was renamed is proven under the new name.
    assert {"//slugs:slug_of.code", "//paths:page_path.code"} <= set(built.tested)
    (entry,) = renames(tiny)
    assert entry == Rename(
        id="slugs/slug_of",
        was="slugs/make_slug",
        file="tinytext/slugs/core.py",
        nodes=("paths/page_path", "slugs/slug_of"),
    )
    text = tiny.lock_path.read_text()
    assert text.startswith("# zerorepo.lock") and "\nschema = 3\n" in text
    again = tiny.build()
    assert (again.asked, again.run.actions) == ([], [])
    assert tiny.lock_path.read_text() == text
    locked = tiny.build(locked=True)
    assert (locked.asked, locked.code) == ([], ExitCode.OK)


def test_a_node_renamed_twice_keeps_them_still(tiny: Tinytext) -> None:
    rename_slug(tiny, "slug_of")
    assert tiny.build().code is ExitCode.OK
    rename_slug(tiny, "slugified", "slug_of")
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    assert writing(built.asked) == []
    (entry,) = renames(tiny)
    assert (entry.id, entry.was, entry.nodes) == (
        "slugs/slugified", "slugs/make_slug", ("paths/page_path", "slugs/slugified"),
    )  # fmt: skip


def test_a_rename_that_is_more_than_a_rename_is_written_anew(tiny: Tinytext) -> None:
    tiny.edit_spec(
        "joins the words of a text by hyphens, in lower case", "joins the words of a text by dots, in lower case"
    )
    rename_slug(tiny, "slug_of")
    built = tiny.build()
    assert sorted(writing(built.asked)) == sorted(
        ["write the tests of slug_of", "write slug_of", "write the tests of page_path", "write page_path"]
    )
    assert renames(tiny) == ()


def test_a_user_that_changes_later_is_written_anew_and_the_rename_stays_for_the_rest(tiny: Tinytext) -> None:
    rename_slug(tiny, "slug_of")
    assert tiny.build().code is ExitCode.OK
    tiny.edit_spec("a slash and the slug of the title", "another slash and the slug of the title")
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    assert sorted(writing(built.asked)) == ["write page_path", "write the tests of page_path"]
    (entry,) = renames(tiny)
    assert entry.nodes == ("slugs/slug_of",)


def test_code_that_does_not_pass_under_the_new_name_is_written_anew(settled: Tinytext, tmp_path: Path) -> None:
    tiny = fresh(tmp_path / "ws", settled.root / ".zerorepo")
    # It imports something under the name that the node will have: renamed, it calls itself.
    tiny.library.say(
        "write make_slug",
        "```python\nfrom functools import reduce\n\nfrom tinytext.words.core import split_words\n\n\n"
        'def make_slug(text: str) -> str:\n    """As it says."""\n    words = split_words(text)\n'
        '    return reduce(lambda a, b: f"{a}-{b}", words).lower() if words else ""\n```',
    )
    first = tiny.build()
    assert first.code is ExitCode.OK and "functools" in first.node("slugs/make_slug").source
    rename_slug(tiny, "reduce")
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    assert writing(built.asked) == ["write reduce"]
    assert built.node("slugs/reduce").passed
