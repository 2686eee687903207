"""Pictures of a workspace: two of them differ wherever a file was touched in between."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from zerorepo.cli.picture import YOUNG_NS, take


def grow_old() -> None:
    time.sleep(YOUNG_NS / 1e9 * 1.5)


def rewrite(path: Path) -> None:
    path.write_text("B")


def rewrite_keeping_the_mtime(path: Path) -> None:
    before = path.stat()
    path.write_text("B")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path) -> None:
    path.with_name("new").write_text("A")
    path.with_name("new").rename(path)


def make_executable(path: Path) -> None:
    path.chmod(0o755)


def touch(path: Path) -> None:
    path.touch()


@pytest.mark.parametrize("change", [rewrite, rewrite_keeping_the_mtime, replace, make_executable, touch])
def test_a_changed_file_differs(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = tmp_path / "sub/a"
    path.parent.mkdir()
    path.write_text("A")
    grow_old()
    before = take(str(tmp_path))
    assert not before.young
    change(path)
    after = take(str(tmp_path))
    assert after.young
    assert before.changes(after) == {"sub/a": "changed"}
    assert after.changes(take(str(tmp_path))) == {}


def test_files_that_come_and_go_are_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    before = take(str(tmp_path))
    (tmp_path / "a").rename(tmp_path / "b")
    assert before.changes(take(str(tmp_path))) == {"a": "removed", "b": "added"}


def test_a_removed_file_makes_a_picture_young(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    grow_old()
    (tmp_path / "a").unlink()
    assert take(str(tmp_path)).young


def test_what_the_engine_never_looks_at_is_passed_over(tmp_path: Path) -> None:
    for path in (".git/a", "__pycache__/a", "sub/node_modules/a", "kept/a", "sub/a"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "nowhere").symlink_to("none")
    assert set(take(str(tmp_path), skip=frozenset({"kept"})).files) == {"sub/a"}


def test_files_asked_for_are_in_it_wherever_they_are(tmp_path: Path) -> None:
    root, outside = tmp_path / "ws", tmp_path / "outside"
    (root / ".hidden").mkdir(parents=True)
    (root / ".hidden/a").write_text("")
    outside.write_text("")
    (root / "link").symlink_to(outside)
    grow_old()
    extra = [".hidden/a", str(outside), ".hidden/none"]
    before = take(str(root), extra=extra)
    assert set(before.files) == {".hidden/a", str(outside), "link"}
    outside.write_text("B")
    (root / ".hidden/none").write_text("")
    assert before.changes(take(str(root), extra=extra)) == {
        str(outside): "changed",
        "link": "changed",
        ".hidden/none": "added",
    }


def test_a_file_that_is_asked_for_later_counts_only_when_it_has_changed_since(tmp_path: Path) -> None:
    root = tmp_path / "ws"
    root.mkdir()
    for name in ("one", "two"):
        (tmp_path / name).write_text("")
    grow_old()
    grow_old()
    before = take(str(root))
    (tmp_path / "two").write_text("B")
    after = take(str(root), extra=[str(tmp_path / "one"), str(tmp_path / "two")])
    assert before.changes(after) == {str(tmp_path / "two"): "changed"}
    assert after.changes(take(str(root))) == {}
