"""``zerorepo diff``: two plans by content, with the tests concerned and what callers lose."""

# ruff: noqa: E501  (tables of one-line sources)

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings

from zerorepo_rpg.comparison import What, compare, parts_of
from zerorepo_rpg.compatibility import breaks
from zerorepo_rpg.lock import Lock, parse_lock, render_lock

from .drawn_graphs import graphs
from .sample import plan


def lock_text() -> str:
    return render_lock(plan(), {"features": "0"})


def compared(new: str):  # type: ignore[no-untyped-def]
    return compare(parts_of(parse_lock(lock_text())), parts_of(parse_lock(new)))


def whats(found) -> dict[str, What]:  # type: ignore[no-untyped-def]
    return {f"{change.kind} {change.id}": change.what for change in found.changes}


def test_nothing_changed() -> None:
    found = compared(lock_text())
    assert not found.changes and not found.affected and not found.regressions and found.kept > 10


def test_a_changed_signature_concerns_its_test_and_those_of_its_users() -> None:
    found = compared(lock_text().replace('text: str, *, separator: str = "-"', "text: str, separator: str"))
    assert whats(found) == {"interface slug/slugify": What.CHANGED}
    assert found.affected == ("//slug:SlugTable.test", "//slug:slugify.test", "//slug:unique_slug.test")
    assert found.regressions == ("interface slug/slugify: the parameter `separator` has no default any more",)


def test_a_node_of_another_name_with_the_same_content_is_renamed() -> None:
    found = compared(
        lock_text().replace("word_count", "count_of_words").replace("What count_of_words", "What count_of_words")
    )
    assert whats(found)["interface counting/count_of_words"] is What.RENAMED
    assert not [change for change in found.changes if change.what in (What.ADDED, What.REMOVED)]
    assert found.affected == ("//counting:count_of_words.test",)
    assert "interface counting/word_count is called counting/count_of_words now" in found.regressions


def test_a_renamed_module_takes_its_nodes_along() -> None:
    text = (
        lock_text()
        .replace('"counting/', '"tally/')
        .replace('"counting"', '"tally"')
        .replace("textkit/counting", "textkit/tally")
    )
    found = whats(compared(text))
    assert (
        found["module tally"]
        is found["interface tally/word_count"]
        is found["file textkit/tally/words.py"]
        is What.RENAMED
    )
    assert What.ADDED not in {what for name, what in found.items() if not name.startswith("flow")}


def test_a_removed_node_concerns_its_users_and_an_added_one_itself() -> None:
    lock = parse_lock(lock_text())
    words = next(each for each in lock.interfaces if each.module == "words")
    fewer = words.model_copy(update={"interfaces": words.interfaces[1:]})
    shout = words.interfaces[1].model_copy(
        update={"id": "words/shout", "name": "shout", "signature": "def shout(x: int) -> int"}
    )
    more = fewer.model_copy(update={"interfaces": (*fewer.interfaces, shout)})
    new = lock.model_copy(
        update={"interfaces": tuple(more if each.module == "words" else each for each in lock.interfaces)}
    )
    gone = words.interfaces[0].id
    found = compare(parts_of(lock), parts_of(new))
    assert whats(found) == {f"interface {gone}": What.REMOVED, "interface words/shout": What.ADDED}
    assert "//words:shout.test" in found.affected and "//slug:slugify.test" in found.affected
    assert found.regressions == (f"interface {gone} is gone",)


@settings(max_examples=60, deadline=None)
@given(one=graphs(), two=graphs())
def test_each_part_is_told_once_and_the_way_back_mirrors_it(one, two) -> None:  # type: ignore[no-untyped-def]
    before, after = parts_of(one), parts_of(two)
    there, back = compare(before, after), compare(after, before)
    for found, old, new in ((there, before, after), (back, after, before)):
        assert found.kept + len(found.changes) - found.count(What.ADDED) == len(old)
        assert found.kept + len(found.changes) - found.count(What.REMOVED) == len(new)
    assert there.count(What.ADDED) == back.count(What.REMOVED) and there.count(What.RENAMED) == back.count(What.RENAMED)
    assert not compare(before, before).changes


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("def f(a, b=1)", "def f(a, b=2, *, c=3)", []),
        ("def f(a)", "def f(a, b)", ["the new parameter `b` has no default"]),
        ("def f(a, b)", "def f(b, a)", ["the parameter `a` is no longer number 1, now number 2", "the parameter `b` is no longer number 2, now number 1"]),
        ("def f(a, b=1)", "def f(a, *, b=1)", ["the parameter `b` is no longer number 2, now given by name only"]),
        ("def f(a)", "def f(a, /)", ["the parameter `a` can no longer be given by name"]),
        ("def f(*, a=1)", "def f(**kw)", []),
        ("def f(*, a=1)", "def f()", ["the parameter `a` is gone"]),
        ("def f(*a, **k)", "def f()", ["`*a` is gone", "`**k` is gone"]),
        ("def f() -> int", "def f() -> str", ["it returns `str` instead of `int`"]),
        ("def f()", "async def f()", ["it must be awaited now"]),
        ("class A:\n    x: int\n    def m(self): ...", "class A:\n    def _m(self): ...", ["`A.x` is gone", "`A.m` is gone"]),
        ("class A(B)", "class A(C)", []),
        ("not python (", "def f()", []),
    ],
)  # fmt: skip
def test_what_callers_trip_over(old: str, new: str, expected: list[str]) -> None:
    assert breaks(old, new) == expected


def command(*args: str) -> subprocess.CompletedProcess[str]:
    """The real command line."""
    return subprocess.run(
        [sys.executable, "-m", "zerorepo", *args],
        env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_the_command_says_it_in_text_and_json_and_fails_when_asked(tmp_path: Path) -> None:
    old, new, graph = tmp_path / "old.lock", tmp_path / "new.lock", tmp_path / "graph.json"
    old.write_text(lock_text())
    new.write_text(lock_text().replace("limit: int = 80", "limit: int"))
    graph.write_text(plan().to_graph().to_json())
    text = command("diff", str(old), str(new))
    assert text.returncode == 0 and "1 changed, " in text.stdout
    assert "~ interface slug/SlugTable: signature" in text.stdout
    assert (
        "  //slug:SlugTable.test" in text.stdout
        and "`SlugTable.add`: the parameter `limit` has no default" in text.stdout
    )
    body = json.loads(command("diff", str(old), str(new), "--output", "json").stdout)
    assert body["changed"][0]["id"] == "slug/SlugTable" and body["affected_tests"] == ["//slug:SlugTable.test"]
    assert command("diff", str(old), str(new), "--fail-on-regression").returncode == 1
    assert command("diff", str(old), str(old), "--fail-on-regression").returncode == 0
    assert "no difference" in command("diff", str(old), str(graph)).stdout
    missing = command("diff", str(old), str(tmp_path / "nowhere"))
    assert missing.returncode == 2 and "no such file" in missing.stderr


@pytest.mark.parametrize("output", ["json", "graphml", "dot", "csv", "mermaid", "yaml"])
def test_a_graph_goes_through_the_command_in_every_format(output: str, tmp_path: Path) -> None:
    lock, first, second = tmp_path / "a.lock", tmp_path / "first", tmp_path / "second"
    lock.write_text(lock_text())
    assert command("graph", str(lock), "-o", output, "--to", str(first)).returncode == 0
    assert command("graph", str(first), "-o", "json", "--to", str(second)).returncode == 0
    assert second.read_text() == plan().to_graph().to_json()


def test_the_graph_command_selects_orders_and_explains(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    lock.write_text(lock_text())
    tree = command("graph", str(lock), "--module", "slug").stdout
    assert "def slugify" in tree and "split_words" not in tree
    assert command("graph", str(lock), "-o", "layers").stdout.splitlines()[-1] == "5: slug/SlugTable"
    assert command("graph", str(lock), "-o", "cycles").stdout == "no cycle\n"
    wrong = command("graph", str(lock), "--module", "slugs")
    assert wrong.returncode == 2 and "did you mean `slug`" in wrong.stderr


def test_a_lock_without_a_plan_is_compared_as_far_as_it_goes() -> None:
    assert compare(parts_of(Lock()), parts_of(parse_lock(lock_text()))).count(What.ADDED) > 10
