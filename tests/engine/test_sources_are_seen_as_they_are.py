"""A changed source is always noticed, however it was changed; an unchanged one is not read again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from zerorepo.digest import DigestFunction
from zerorepo.errors import EnvironmentFailure, TargetFailed, UsageError
from zerorepo.sources import SourceTree
from zerorepo.store import Store
from zerorepo.testing import RuleRunner

ONE = '[[target]]\nname = "x"\nrule = "cat"\nsrcs = ["a"]\n'
XXH3 = DigestFunction.XXH3


def quiet(path: Path) -> None:
    """Wait until a change of the file is old enough to be trusted."""
    while time.time_ns() - path.stat().st_ctime_ns < 60_000_000:
        time.sleep(0.01)


def tree(tmp_path: Path) -> SourceTree:
    return SourceTree(tmp_path, Store(tmp_path / ".state"), XXH3, frozenset({"out", ".state"}))


def test_a_change_in_the_same_moment_is_seen(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(ONE, {"a": "0"})
    for text in "123456":
        runner.write("a", text)
        runner.build_ok()
        assert runner.outputs() == {"x": text.encode()}


def test_a_change_that_keeps_size_and_mtime_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"A")
    quiet(path)
    assert tree(tmp_path).digest("a") == XXH3.of_bytes(b"A")
    stat = path.stat()
    path.write_bytes(b"B")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert tree(tmp_path).digest("a") == XXH3.of_bytes(b"B")


def test_a_replaced_file_with_the_same_stat_otherwise_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"A")
    quiet(path)
    tree(tmp_path).digest("a")
    stat = path.stat()
    (tmp_path / "b").write_bytes(b"B")
    os.utime(tmp_path / "b", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (tmp_path / "b").replace(path)
    assert tree(tmp_path).digest("a") == XXH3.of_bytes(b"B")


def test_an_unchanged_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"A")
    quiet(path)
    tree(tmp_path).digest("a")
    monkeypatch.setattr(SourceTree, "_hash", lambda *_: pytest.fail("hashed again"))
    assert tree(tmp_path).digest("a") == XXH3.of_bytes(b"A")


def test_a_file_dated_in_the_future_is_read_each_time(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"A")
    later = time.time_ns() + 3600 * 10**9
    os.utime(path, ns=(later, later))
    assert tree(tmp_path).digest("a") == XXH3.of_bytes(b"A")
    path.write_bytes(b"B")
    os.utime(path, ns=(later, later))
    assert tree(tmp_path).digest("a") == XXH3.of_bytes(b"B")


def test_touching_a_file_runs_nothing(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(ONE, {"a": "A"})
    runner.build_ok()
    os.utime(runner.root / "a")
    assert runner.build_ok().ran == []


def test_a_folder_or_a_missing_file_has_no_digest(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    assert [tree(tmp_path).digest(path) for path in ("d", "none", "none/deeper")] == [None, None, None]


def test_globs_follow_the_usual_rules(tmp_path: Path) -> None:
    for path in ("a.py", "b.txt", "d/a.py", "d/e/a.py", "d/.hidden/a.py", "out/a.py", "d/[x].py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "d")
    sources = tree(tmp_path)
    assert sources.glob(["*.py"], []) == ("a.py",)
    assert sources.glob(["**/*.py"], ["d/e/**"]) == ("a.py", "d/[x].py", "d/a.py")
    assert sources.glob(["d/?.py"], []) == ("d/a.py",)
    assert sources.glob(["d/[x].py"], []) == ("d/[x].py",)
    assert sources.glob(["d/**"], []) == ("d/[x].py", "d/a.py", "d/e/a.py")


def test_a_glob_is_an_input_by_the_names_it_finds(toys: Callable[..., RuleRunner]) -> None:
    runner = toys('[[target]]\nname = "x"\nrule = "ask"\npatterns = ["s/*.py"]\n', {"s/a.py": "A"})
    runner.build_ok()
    runner.write("s/a.py", "changed")
    runner.write("s/b.txt", "B")
    assert runner.build_ok().ran == []
    runner.write("s/b.py", "B")
    assert runner.build_ok().ran == ["//:x"]
    assert runner.outputs() == {"x": b"s/a.py s/b.py"}


def test_absence_is_an_input_too(toys: Callable[..., RuleRunner]) -> None:
    runner = toys('[[target]]\nname = "x"\nrule = "ask"\nmaybe = "m"\n')
    runner.build_ok()
    assert runner.build_ok().ran == []
    runner.write("m", "here")
    assert runner.build_ok().ran == ["//:x"]
    assert runner.outputs() == {"x": b"here"}
    runner.remove("m")
    assert runner.build_ok().ran == []  # seen before
    assert runner.outputs() == {"x": b"none"}


def test_no_source_is_outside_the_workspace(toys: Callable[..., RuleRunner]) -> None:
    runner = toys('[[target]]\nname = "x"\nrule = "ask"\nmaybe = "../m"\n')
    assert isinstance(runner.build().error("//:x"), TargetFailed)


def test_garbage_in_the_remembered_state_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"A")
    quiet(path)
    for row in (b"", b"[]", b"[[1,2,3,4], 5]", b"\xff", b'{"a": 1}'):
        store = Store(tmp_path / ".state")
        store.put(b"sa", row)
        assert SourceTree(tmp_path, store, XXH3, frozenset()).digest("a") == XXH3.of_bytes(b"A")


def test_a_name_that_is_no_utf_8_is_told_where_a_glob_finds_it(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "é").write_text("A")
    odd = tmp_path / "in" / os.fsdecode(b"\xff.txt")
    odd.write_text("B")
    with pytest.raises(EnvironmentFailure, match="is not UTF-8"):
        tree(tmp_path).glob(["in/*"], [])
    assert tree(tmp_path).glob(["in/*"], ["in/*.txt"]) == ("in/é",)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.symlink_to("nowhere"), "a link that leads nowhere"),
        (lambda path: path.symlink_to(path.name), "a link that leads nowhere"),
        (os.mkfifo, "neither file nor folder"),
        (lambda path: path.symlink_to("/dev/null"), "neither file nor folder"),
    ],
)
def test_a_source_that_is_there_and_no_file_is_said_to_be_what_it_is(
    toys: Callable[..., RuleRunner], make: Callable[[Path], object], words: str
) -> None:
    runner = toys(ONE)
    make(runner.root / "a")
    with pytest.raises(UsageError, match=words):
        runner.build()
