"""Renames are found by content and only where nothing else changed; sources are renamed by syntax tree."""

from __future__ import annotations

import ast
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerorepo_rpg.cli.plan_command import _carried_lines
from zerorepo_rpg.lock import Lock, parse_lock, render
from zerorepo_rpg.plan_model import NodeInterface
from zerorepo_rpg.rename_code import Moved, rename_code
from zerorepo_rpg.renames import Rename, Told, before, carried, found_renames, told_of

from .sample import BODIES, plan, spec

OLD = told_of(plan(), spec().requirements)
NAMES = {node_id: node_id.rpartition("/")[2] for node_id in OLD}
NEW_NAMES = st.sampled_from(["alpha_one", "beta_two", "GammaThree", "delta_four"])


def renamed(told: dict[str, Told], names: dict[str, str]) -> dict[str, Told]:
    """Every mention of these nodes under their new names, as a careful model would write it."""
    words = {NAMES.get(old, old.rpartition("/")[2]): new for old, new in names.items()}

    def text(value: str) -> str:
        return re.sub(r"\w+", lambda match: words.get(match[0], match[0]), value)

    def new_id(name: str) -> str:
        return f"{name.rpartition('/')[0]}/{names[name]}" if name in names else name

    found = {}
    for each in told.values():
        node = each.node
        values = {
            "id": new_id(node.id),
            "name": names.get(node.id, node.name),
            "uses": tuple(new_id(used) for used in node.uses),
            **{name: text(getattr(node, name)) for name in ("signature", "docstring", "description")},
            **{name: tuple(map(text, getattr(node, name))) for name in ("raises", "examples")},
        }
        made = node.model_copy(update=values)
        found[made.id] = Told(node=made, sentences=tuple(map(text, each.sentences)))
    return found


RENAMINGS = st.dictionaries(st.sampled_from(sorted(OLD)), NEW_NAMES, max_size=3).filter(
    lambda names: len(set(names.values())) == len(names)
)


@settings(deadline=None)
@given(RENAMINGS)
def test_every_rename_is_found_with_all_whose_code_is_from_before(names: dict[str, str]) -> None:
    new = renamed(OLD, names)
    found = found_renames(OLD, new)
    ids = {old: f"{old.rpartition('/')[0]}/{name}" for old, name in names.items()}
    assert {rename.was: rename.id for rename in found} == ids
    for rename in found:
        assert rename.nodes == tuple(
            sorted({rename.id, *(user for user, each in new.items() if rename.id in each.node.uses)})
        )
    by_node = carried(found)
    for name, each in new.items():
        then = before(each, by_node.get(name, {}))
        old = OLD[then.node.id]
        assert (then.node.signature, then.node.docstring, then.node.examples) == (
            old.node.signature, old.node.docstring, old.node.examples,
        )  # fmt: skip
    assert found_renames(new, new, found) == found, "nothing is forgotten while nothing changes"
    back = found_renames(new, OLD, found)
    assert back == (), "what has its old name again needs no renaming"


@settings(deadline=None)
@given(RENAMINGS, RENAMINGS, st.sampled_from(sorted(OLD)))
def test_a_second_rename_starts_from_the_first_name_and_a_changed_node_carries_nothing(
    first: dict[str, str], second: dict[str, str], touched: str
) -> None:
    middle = renamed(OLD, first)
    known = found_renames(OLD, middle)
    now = {old: f"{old.rpartition('/')[0]}/{name}" for old, name in first.items()}
    again = {now.get(old, old): f"{name}_again" for old, name in second.items()}
    last = renamed(middle, again)
    found = found_renames(middle, last, known)
    assert {rename.was for rename in found} == {*first, *(old for old in second if old not in first)}
    node = now.get(touched, touched)
    node = f"{node.rpartition('/')[0]}/{again[node]}" if node in again else node
    changed = dict(last)
    changed[node] = last[node].model_copy(
        update={"node": last[node].node.model_copy(update={"docstring": "It is something else now."})}
    )
    after = found_renames(last, changed, found)
    assert not any(node in rename.nodes for rename in after)
    assert all(
        rename in found or set(rename.nodes) < set(next(f for f in found if f.id == rename.id).nodes)
        for rename in after
    )


def test_a_rename_with_another_change_is_none() -> None:
    new = renamed(OLD, {"slug/slugify": "to_slug"})
    for field, value in (
        ("docstring", "Other words."),
        ("signature", "def to_slug(text: str) -> str"),
        ("raises", ("E: x",)),
    ):
        node = new["slug/to_slug"].node.model_copy(update={field: value})
        other = {**new, "slug/to_slug": Told(node=node, sentences=new["slug/to_slug"].sentences)}
        assert found_renames(OLD, other) == ()
    reworded = Told(node=new["slug/to_slug"].node, sentences=("Something new.",))
    assert found_renames(OLD, {**new, "slug/to_slug": reworded}) == ()


def test_a_node_that_moves_to_another_file_keeps_its_code_under_its_name() -> None:
    node = OLD["slug/SlugTable"].node.model_copy(
        update={"id": "tables/SlugTable", "module": "tables", "file": "textkit/tables/core.py"}
    )
    new = {name: each for name, each in OLD.items() if name != "slug/SlugTable"}
    new["tables/SlugTable"] = Told(node=node, sentences=OLD["slug/SlugTable"].sentences)
    (found,) = found_renames(OLD, new)
    assert (found.was, found.file) == ("slug/SlugTable", "textkit/slug/table.py")


def test_the_lock_keeps_renames_and_goes_round() -> None:
    rename = Rename(
        id="slug/to_slug", was="slug/slugify", file="textkit/slug/core.py", nodes=("slug/to_slug", "slug/unique_slug")
    )
    text = render(Lock(renames=(rename,)))
    assert "schema = 3" in text and parse_lock(text).renames == (rename,) and render(parse_lock(text)) == text
    assert "schema = 1" in render(Lock())
    (line,) = _carried_lines(Lock(), parse_lock(text))
    assert line == "slug/to_slug keeps the tests and the code of slug/slugify, and so do slug/unique_slug, which use it"


def move(old: str = "slugify", new: str = "to_slug", where: str = "textkit.slug.core", to: str = "") -> Moved:
    return Moved(old=old, new=new, old_module=where, new_module=to or where)


def test_a_source_is_renamed_where_it_means_the_node_and_nowhere_else() -> None:
    source = '''\
"""Uses `slugify`, and textkit.slug.core.slugify."""
from textkit.slug.core import (
    slugify,  # the one
    unique_slug,
)
import textkit.slug.core as core


def test_slugify_works() -> None:
    slugify_all = [slugify(x) for x in "ab"]  # slugify each
    assert core.slugify("A") == f"{slugify('a')}"
    assert other().slugify == 1


def outer(slugify: int) -> int:
    return slugify
'''
    text = rename_code(source, [move()])
    assert "from textkit.slug.core import to_slug, unique_slug" in text
    assert "def test_to_slug_works()" in text and "slugify_all = [to_slug(x)" in text
    assert 'core.to_slug("A")' in text and "{to_slug('a')}" in text and "other().slugify == 1" in text
    assert "def outer(slugify: int) -> int:\n    return slugify" in text
    assert "textkit.slug.core.to_slug" in text and "# to_slug each" in text
    ast.parse(text)


def test_an_import_of_what_moved_elsewhere_is_split() -> None:
    source = "def f() -> None:\n    from textkit.slug.core import slugify, unique_slug\n    slugify\n"
    text = rename_code(source, [move(to="textkit.names")])
    assert (
        "    from textkit.names import to_slug\n" in text and "    from textkit.slug.core import unique_slug\n" in text
    )
    assert rename_code("from textkit.slug.core import slugify as s\ns\n", [move()]) == (
        "from textkit.slug.core import to_slug as s\ns\n"
    )


def test_a_word_in_a_string_that_is_a_value_stays_and_a_full_path_or_a_quoted_annotation_is_renamed() -> None:
    source = (
        "def count(x: 'slugify', y: 'é | slugify') -> 'list[slugify]':\n"
        "    return {'slugify': 1, 'path': 'textkit.slug.core.slugify', 'other': f'slugify {x}'}\n"
    )
    text = rename_code(source, [move()])
    assert "x: 'to_slug', y: 'é | to_slug') -> 'list[to_slug]'" in text
    assert "{'slugify': 1, 'path': 'textkit.slug.core.to_slug', 'other': f'slugify {x}'}" in text


def test_what_a_rename_has_put_there_is_not_renamed_again() -> None:
    moves = [
        Moved(old="a", new="b", old_module="pkg.x", new_module="pkg.x"),
        Moved(old="b", new="c", old_module="pkg.y", new_module="pkg.y"),
    ]
    assert rename_code("# pkg.x.a and pkg.y.b\nP = 'pkg.x.a'\n", moves) == "# pkg.x.b and pkg.y.c\nP = 'pkg.x.b'\n"


@pytest.mark.parametrize("before", ["if True: ", "import a; "])
def test_an_import_that_shares_its_line_is_an_error(before: str) -> None:
    with pytest.raises(ValueError, match="does not stand alone"):
        rename_code(f"{before}from textkit.slug.core import slugify\nslugify\n", [move()])


@settings(deadline=None)
@given(st.sampled_from(sorted(BODIES)), NEW_NAMES)
def test_renaming_and_back_gives_the_source(node: str, new: str) -> None:
    old, interface = NAMES[node], OLD[node].node
    there = Moved(old=old, new=new, old_module=interface.import_path, new_module=interface.import_path)
    back = Moved(old=new, new=old, old_module=interface.import_path, new_module=interface.import_path)
    for source in BODIES.values():
        assert ast.dump(ast.parse(rename_code(rename_code(source, [there]), [back]))) == ast.dump(ast.parse(source))
    assert isinstance(interface, NodeInterface)
