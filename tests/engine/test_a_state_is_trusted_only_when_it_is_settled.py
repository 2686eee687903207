"""When the state of a file shows that it is what the build saw; see ``zerorepo.settled``."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from zerorepo.digest import Digest, DigestFunction
from zerorepo.outputs import OutputTree
from zerorepo.settled import QUIET_NS, States, Unsettled, links
from zerorepo.snapshot import packed, state_of
from zerorepo.store import Store

SECOND = 10**9


def test_a_file_that_changed_since_the_build_began_is_not_trusted(tmp_path: Path) -> None:
    began = time.time_ns()
    (tmp_path / "a").write_text("A")
    with pytest.raises(Unsettled):
        States(str(tmp_path)).take(["a"], began)
    States(str(tmp_path)).take(["a"], time.time_ns() + SECOND)


def test_a_file_that_changed_within_a_tick_before_the_build_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("A")
    written = (tmp_path / "a").stat().st_ctime_ns
    with pytest.raises(Unsettled):
        States(str(tmp_path)).take(["a"], written + QUIET_NS - 1)
    States(str(tmp_path)).take(["a"], written + QUIET_NS)


def test_an_old_mtime_does_not_make_a_new_file_old(tmp_path: Path) -> None:
    began = time.time_ns()
    (tmp_path / "a").write_text("A")
    os.utime(tmp_path / "a", (1e9, 1e9))
    with pytest.raises(Unsettled):
        States(str(tmp_path)).take(["a"], began)


def test_an_mtime_in_the_future_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("A")
    os.utime(tmp_path / "a", (4e9, 4e9))
    with pytest.raises(Unsettled):
        States(str(tmp_path)).take(["a"], time.time_ns() + SECOND)


@pytest.mark.parametrize("link", ["file", "folder", "link to a link"])
def test_a_young_link_to_an_old_file_is_not_trusted(tmp_path: Path, link: str) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old/text").write_text("A")
    time.sleep(2 * QUIET_NS / 1e9)
    began = time.time_ns()
    (tmp_path / "way").symlink_to("old")
    path = "way/text"
    if link == "file":
        (tmp_path / "here").symlink_to("old/text")
        path = "here"
    elif link == "link to a link":
        (tmp_path / "here").symlink_to("way/text")
        path = "here"
    with pytest.raises(Unsettled):
        States(str(tmp_path)).take([path], began)
    states = States(str(tmp_path))
    states.take([path], time.time_ns() + SECOND)
    assert states.packed()[0][3] == packed([state_of((tmp_path / "old/text").stat())])


def test_links_on_the_way_are_all_found(tmp_path: Path) -> None:
    (tmp_path / "real/deep").mkdir(parents=True)
    (tmp_path / "real/deep/file").write_text("")
    (tmp_path / "one").symlink_to("real")
    (tmp_path / "real/two").symlink_to("../one/deep")
    (tmp_path / "three").symlink_to(tmp_path / "one/two/file")
    found = links(str(tmp_path.resolve() / "three"))
    assert [Path(path).name for path in found] == ["three", "one", "two", "one"]
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(Unsettled):
        links(str(tmp_path / "loop"))


# --- outputs that this build wrote


@pytest.fixture
def tree(tmp_path: Path) -> OutputTree:
    """An output folder in which the build has just written ``made``."""
    function = DigestFunction.XXH3
    blobs: dict[Digest, bytes] = {function.of_bytes(b"text"): b"text"}
    tree = OutputTree(tmp_path / "out", Store(tmp_path / "state"), function, blobs.__getitem__, lambda *_: None)
    tree.ensure("//:made", {"made": function.of_bytes(b"text")}, [], [])
    return tree


def take(tree: OutputTree) -> States:
    """The state of ``made``, which is younger than any build that could vouch for it."""

    def recorded(path: str) -> tuple[int, int, int, int, int] | None:
        record = tree._record(path)
        return record.stat if record else None

    states = States(str(tree.root.parent))
    states.take_outputs("out", ["made"], 0, recorded)
    return states


def test_an_output_that_was_just_written_is_trusted_in_the_state_on_record(tree: OutputTree) -> None:
    assert take(tree).packed()[0][3] == packed([state_of(os.lstat(tree.root / "made"))])


def test_an_output_edited_in_place_within_the_same_tick_is_not(tree: OutputTree) -> None:
    with (tree.root / "made").open("r+b") as file:
        file.write(b"TEXT")  # at once, of the same size: only because outputs are dated back does it show
    with pytest.raises(Unsettled):
        take(tree)


def test_an_output_edited_later_with_its_mtime_restored_is_not(tree: OutputTree) -> None:
    path = tree.root / "made"
    before = path.stat()
    time.sleep(2 * QUIET_NS / 1e9)
    with path.open("r+b") as file:
        file.write(b"TEXT")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    with pytest.raises(Unsettled):
        take(tree)


def test_an_edit_after_the_look_shows_in_the_state_that_was_taken(tree: OutputTree) -> None:
    taken = take(tree).packed()[0][3]
    path = tree.root / "made"
    with path.open("r+b") as file:
        file.write(b"TEXT")
    assert taken != packed([state_of(os.lstat(path))])


def test_a_look_is_never_content_with_less_than_the_ordinary_build(tree: OutputTree) -> None:
    """Even an edit within the tick of the write that restores the mtime: either both see it or neither does."""
    path, digest = tree.root / "made", DigestFunction.XXH3.of_bytes(b"text")
    for _ in range(50):
        path.unlink()
        tree.ensure("//:made", {"made": digest}, [], [])
        before = path.stat()
        with path.open("r+b") as file:
            file.write(b"TEXT")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        try:
            take(tree)
        except Unsettled:
            continue
        assert tree.intact({"made": digest})


def test_an_output_without_a_state_on_record_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/made").write_text("text")
    with pytest.raises(Unsettled):
        States(str(tmp_path)).take_outputs("out", ["made"], 0, lambda path: None)


# --- the workspace's own folder


def test_the_folder_of_the_workspace_may_gain_what_the_build_makes_and_nothing_else(tmp_path: Path) -> None:
    before = frozenset(path.name for path in tmp_path.iterdir())
    (tmp_path / "out").mkdir()
    States(str(tmp_path)).take_root(0, before, {"out"})
    (tmp_path / "new").mkdir()
    with pytest.raises(Unsettled):
        States(str(tmp_path)).take_root(0, before, {"out"})


def test_the_state_of_that_folder_is_taken_when_a_later_change_would_show(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    states = States(str(tmp_path))
    states.take_root(0, frozenset(), {"out"})
    assert time.time_ns() - tmp_path.stat().st_ctime_ns > QUIET_NS
    (tmp_path / "new").write_text("")
    assert states.packed()[0][3] != packed([state_of(tmp_path.lstat())])
