"""``zerorepo adopt``: an edited output becomes a source; the record, its ways back, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import PLUGINS, Command

TARGETS = """
[[target]]
name = "x"
rule = "cat"
srcs = ["a"]
out = "deep/x.txt"

[[target]]
name = "y"
rule = "cat"
deps = [":x"]

[[target]]
name = "typed"
rule = "ask"
maybe = "a"

[[target]]
name = "plan"
rule = "expand"
plan = "p"
"""
RECORD = "zerorepo.adopted.toml"


@pytest.fixture
def ws(tmp_path: Path) -> Command:
    command = Command(tmp_path / "ws", TARGETS, {"a": "A", "p": "one a\n"})
    assert command("build").code == 0
    return command


def test_an_edited_output_becomes_a_source(ws: Command) -> None:
    ws.write("out/deep/x.txt", "mine")
    told = ws("build")
    assert "kept your edit of out/deep/x.txt" in told.err
    assert "`zerorepo adopt //:x`" in told.err
    answer = ws("adopt", "//:x")
    assert answer.code == 0
    assert answer.out == "adopted deep/x.txt of //:x: its source is adopted/deep/x.txt now\n"
    assert (ws.root / "adopted/deep/x.txt").read_text() == "mine"
    built = ws("build", "--json").json()
    assert (built["edited_outputs"], built["stale_adoptions"]) == ([], [])
    assert built["targets_run"] == ["//:x", "//:y"]
    assert (ws.root / "out/y").read_text() == "mine"
    assert "nothing to do" in ws("build").err
    ws.write("a", "new")
    assert ws("build", "--json").json()["targets_run"] == ["//:typed", "//gen:one"]
    assert (ws.root / "out/deep/x.txt").read_text() == "mine"
    ws.write("adopted/deep/x.txt", "more")
    ws("build")
    assert (ws.root / "out/y").read_text() == "more"


def test_nothing_to_do_is_not_said_of_a_changed_record(ws: Command) -> None:
    ws("build")
    assert "nothing to do" in ws("build").err
    ws.write("mine", "mine")
    ws.write(RECORD, '[[adopted]]\nlabel = "//:x"\nwhole = true\nfiles = { "deep/x.txt" = "mine" }\n')
    assert ws("build", "--json").json()["targets_run"] == ["//:x", "//:y"]
    ws("build")
    ws("build")
    (ws.root / RECORD).unlink()
    ws("build")
    assert (ws.root / "out/deep/x.txt").read_text() == "A"


def test_a_file_can_be_named_and_where_its_source_lands(ws: Command) -> None:
    ws.write("out/deep/x.txt", "mine")
    answer = ws("adopt", "x.txt", "--to", "src/x.txt", cwd="out/deep")
    assert answer.code == 0, answer.err
    assert (ws.root / "src/x.txt").read_text() == "mine"
    assert ws("build", "--json").json()["targets_run"] == ["//:x", "//:y"]
    ws.write("out/deep/x.txt", "mine again")
    assert "kept your edit" in ws("build").err
    again = ws("adopt", "out/deep/x.txt", "--json").json()
    assert [row["source"] for row in again["adopted"]] == ["src/x.txt"]
    assert (ws.root / "src/x.txt").read_text() == "mine again"
    assert not (ws.root / "adopted").exists()


def test_a_pattern_means_every_edit_below_it(ws: Command) -> None:
    ws.write("out/deep/x.txt", "mine")
    ws.write("out/gen/one", "mine, too")
    rows = ws("adopt", "//...", "--json").json()["adopted"]
    assert [(row["label"], row["source"]) for row in rows] == [
        ("//:x", "adopted/deep/x.txt"),
        ("//gen:one", "adopted/gen/one"),
    ]


def test_an_output_can_be_adopted_as_it_is_or_from_a_file(ws: Command) -> None:
    assert ws("adopt", "//gen:one").code == 0
    assert (ws.root / "adopted/gen/one").read_text() == "A"
    assert ws("build", "--json").json()["actions"] == {"executed": 0, "cached": 0}
    ws.write("draft", "drafted")
    assert ws("adopt", "//:x", "--from", "draft").code == 0
    ws("build")
    assert (ws.root / "out/y").read_text() == "drafted"


def test_what_was_adopted_is_listed_and_can_be_undone(ws: Command) -> None:
    assert ws("adopt", "--list").err == "nothing was adopted\n"
    ws.write("out/deep/x.txt", "mine")
    ws("adopt", "//:x")
    assert ws("adopt", "--list").out == "//:x  deep/x.txt <- adopted/deep/x.txt\n"
    ws.write("zerorepo.toml", PLUGINS + TARGETS.replace('name = "x"', 'name = "w"').replace(":x", ":w"))
    assert f"there is no such target, {RECORD}:5" in ws("adopt", "--list").out
    stale = ws("build", "--json")
    assert stale.json()["stale_adoptions"] == [{"label": "//:x", "where": f"{RECORD}:5"}]
    assert "zerorepo adopt --undo //:x" in stale.err
    undone = ws("adopt", "--undo", "//:x")
    assert (undone.code, undone.out) == (0, "//:x is made by its rule again\n")
    assert (ws.root / "adopted/deep/x.txt").read_text() == "mine"
    assert not (ws.root / RECORD).exists()
    ws("build")
    assert (ws.root / "out/deep/x.txt").read_text() == "A"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["//:typed"], "cannot be adopted: its rule `ask` hands on Text"),
        (["//:z"], "did you mean"),
        (["//:plan"], "makes no file that could be adopted"),
        (["//gen/..."], "No output of `//gen/...` was edited"),
        (["//...", "--from", "a"], "is a pattern"),
        (["out/y"], "is as `//:y` made it"),
        (["out/own"], "No target makes `out/own`"),
        ([], "Nothing to adopt was named"),
        (["//:x", "--to", "../x"], "no path inside the workspace"),
        (["//:x", "--to", "out/z"], "the build writes there"),
        (["//:x", "--to", "a"], "`a` exists"),
        (["//:x", "--from", "nowhere"], "Cannot read"),
        (["--undo", "//:x"], "was not adopted"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(ws: Command, args: list[str], says: str) -> None:
    ws.write("out/own", "own")
    ws.write("out/deep/x.txt", "edit")
    before = {
        path: path.read_bytes() for path in ws.root.rglob("*") if path.is_file() and ".zerorepo" not in path.parts
    }
    answer = ws("adopt", *args)
    assert answer.code == 2, answer
    assert says in answer.err
    after = {path: path.read_bytes() for path in ws.root.rglob("*") if path.is_file() and ".zerorepo" not in path.parts}
    assert after == before


def test_an_edit_that_is_no_file_is_refused_with_the_reason(ws: Command) -> None:
    path = ws.root / "out/deep/x.txt"
    path.unlink()
    path.symlink_to("elsewhere")
    answer = ws("adopt", "//:x")
    assert answer.code == 1
    assert "not adopted: out/deep/x.txt: it is no regular file any more" in answer.err
    assert not (ws.root / RECORD).exists()


def test_overwrite_says_what_it_replaced(ws: Command) -> None:
    ws.write("out/deep/x.txt", "edit")
    answer = ws("build", "--overwrite", "--json")
    assert answer.json()["replaced_outputs"] == [{"path": "out/deep/x.txt", "kept": ".zerorepo/replaced/deep/x.txt.1"}]
    assert "replaced your edit of out/deep/x.txt; it is kept as .zerorepo/replaced/deep/x.txt.1" in answer.err
    assert (ws.root / ".zerorepo/replaced/deep/x.txt.1").read_text() == "edit"
