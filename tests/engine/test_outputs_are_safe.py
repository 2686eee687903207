"""The output folder: nothing that a person wrote is lost, nothing of ours stays behind, nothing is run only to restore a file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from zerorepo.errors import EnvironmentFailure, TargetFailed
from zerorepo.testing import RuleRunner

ONE = '[[target]]\nname = "x"\nrule = "cat"\nsrcs = ["a"]\n'


def cat(name: str, src: str = "a", **attrs: object) -> str:
    more = "".join(f"{key} = {value!r}\n".replace("True", "true") for key, value in attrs.items())
    return f'[[target]]\nname = "{name}"\nrule = "cat"\nsrcs = ["{src}"]\n{more}'


def edited(run: object) -> list[str]:
    return [event.detail["path"] for event in run.notes("edited output left alone")]  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", ["B", "longer", ""])
def test_an_edited_output_is_never_overwritten_and_is_reported(toys: Callable[..., RuleRunner], text: str) -> None:
    runner = toys(ONE, {"a": "A"})
    runner.build_ok()
    runner.write("out/x", text)  # at once after the build, in place, perhaps of the same size
    for _ in range(2):
        run = runner.build_ok()
        assert edited(run) == ["out/x"]
        assert runner.read("out/x") == text.encode()
    runner.write("a", "new")
    assert edited(runner.build_ok()) == ["out/x"]
    assert runner.read("out/x") == text.encode()
    assert runner.build_ok(overwrite=True).actions == []
    assert runner.read("out/x") == b"new"
    assert edited(runner.build_ok()) == []


def test_an_edit_that_keeps_size_and_mtime_is_seen(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(ONE, {"a": "A"})
    runner.build_ok()
    path = runner.root / "out/x"
    stat = path.stat()
    path.write_bytes(b"B")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert edited(runner.build_ok()) == ["out/x"]


def test_a_deleted_output_is_restored_without_running_anything(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(ONE, {"a": "A"})
    runner.build_ok()
    runner.remove("out/x")
    run = runner.build_ok()
    assert (run.ran, run.actions, runner.outputs()) == ([], [], {"x": b"A"})


def test_an_equal_file_is_adopted(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(ONE, {"a": "A", "out/x": "A"})
    assert edited(runner.build_ok()) == []
    runner.write("a", "B")
    runner.build_ok()
    assert runner.read("out/x") == b"B"


def test_a_file_that_was_there_before_is_somebodys(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(ONE, {"a": "A", "out/x": "mine"})
    assert edited(runner.build_ok()) == ["out/x"]
    assert runner.read("out/x") == b"mine"


def test_what_a_target_once_made_is_no_edit_when_the_state_was_lost(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(ONE, {"a": "A"})
    runner.build_ok()
    runner.write("a", "B")
    runner.build_ok()
    for content in ("A", "B"):
        runner.write("out/x", content)
        shutil.rmtree(runner.root / ".zerorepo/state")
        runner.write("a", f"new {content}")
        assert edited(runner.build_ok()) == []
        assert runner.read("out/x") == f"new {content}".encode()
    runner.write("out/x", "an edit")
    shutil.rmtree(runner.root / ".zerorepo/state")
    runner.write("a", "C")
    assert edited(runner.build_ok()) == ["out/x"]
    assert runner.read("out/x") == b"an edit"


def test_going_back_to_the_original_by_hand_ends_the_edit(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(ONE, {"a": "A"})
    runner.build_ok()
    runner.write("out/x", "edit")
    runner.build_ok()
    runner.write("out/x", "A")
    assert edited(runner.build_ok()) == []
    runner.write("a", "B")
    runner.build_ok()
    assert runner.read("out/x") == b"B"


def test_a_changed_output_name_moves_the_file(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(cat("x", out="deep/er/one"), {"a": "A"})
    runner.build_ok()
    runner.write("zerorepo.toml", cat("x", out="two"))
    run = runner.build_ok()
    assert (run.actions, runner.outputs()) == ([], {"two": b"A"})
    assert not (runner.root / "out/deep").exists()


def test_a_file_may_become_a_folder_and_a_folder_a_file(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(cat("x", out="p"), {"a": "A"})
    for out in ("p", "p/q", "p/q/r", "p"):
        runner.write("zerorepo.toml", cat("x", out=out))
        runner.build_ok()
        assert runner.outputs() == {out: b"A"}


def test_a_removed_target_removes_its_outputs_unless_edited(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(cat("x") + cat("y") + cat("z"), {"a": "A"})
    runner.build_ok()
    runner.write("out/y", "edit")
    runner.write("zerorepo.toml", cat("z"))
    run = runner.build_ok()
    assert runner.outputs() == {"y": b"edit", "z": b"A"}
    assert edited(run) == ["out/y"]
    assert edited(runner.build_ok()) == []  # theirs now


def test_a_renamed_target_keeps_its_output(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(cat("old", out="f"), {"a": "A"})
    runner.build_ok()
    before = (runner.root / "out/f").stat()
    runner.write("zerorepo.toml", cat("new", out="f"))
    assert runner.build_ok().actions == []
    assert (runner.root / "out/f").stat() == before
    assert runner.build_ok().ran == []
    assert runner.outputs() == {"f": b"A"}


def test_two_targets_may_not_write_one_path(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(cat("x", out="f") + cat("y", out="f"), {"a": "A"})
    run = runner.build(keep_going=True)
    assert len(run.failed) == 1
    error = run.error(run.failed[0])
    assert isinstance(error, TargetFailed)
    assert "both write `f`" in error.message


def test_the_executable_bit_is_part_of_an_output(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(cat("x", executable=True), {"a": "A"})
    path = runner.root / "out/x"
    runner.build_ok()
    assert path.stat().st_mode & 0o777 == 0o755
    runner.write("zerorepo.toml", cat("x"))
    runner.build_ok()
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o600)
    runner.build_ok()
    assert path.stat().st_mode & 0o777 == 0o644


def test_something_that_is_no_file_is_left_alone(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(ONE, {"a": "A", "out/x/y": "in the way"})
    assert isinstance(runner.build().error("//:x"), EnvironmentFailure)
    assert runner.outputs() == {"x/y": b"in the way"}


def test_a_change_of_the_digest_function_keeps_what_is_ours(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(ONE, {"a": "A"})
    runner.build_ok()
    runner.write("a", "B")
    run = runner.build_ok(overrides=['cache.digest="sha256"'])
    assert edited(run) == []
    assert runner.outputs() == {"x": b"B"}
    assert runner.build_ok().actions == [("Cat", "//:x")]


def test_no_output_leaves_the_output_folder(toys: Callable[..., RuleRunner]) -> None:
    for bad in ("../f", "/f", "a/../f", "./f"):
        runner = toys(cat("x", out=bad), {"a": "A"})
        assert isinstance(runner.build().error("//:x"), TargetFailed)
    assert not (runner.root / "f").exists()


def test_nothing_but_outputs_is_in_the_output_folder(toys: Callable[..., RuleRunner], tmp_path: Path) -> None:
    runner = toys(cat("x") + cat("y", "b"), {"a": "A", "b": "B" * 100_000})
    runner.build_ok()
    assert set(runner.outputs()) == {"x", "y"}
    assert not list((runner.root / ".zerorepo/tmp").iterdir())


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder"])
def test_an_edit_may_make_it_something_else_than_a_file(toys: Callable[..., RuleRunner], kind: str) -> None:
    runner = toys(cat("x") + cat("y"), {"a": "A", "mine": "mine"})
    runner.build_ok()
    path = runner.root / "out/x"
    path.unlink()
    if kind == "folder":
        path.mkdir()
        (path / "own").write_text("own")
    else:
        path.symlink_to(runner.root / ("mine" if kind == "link" else "nowhere"))
    runner.write("a", "B")
    for _ in range(2):
        assert edited(runner.build_ok()) == ["out/x"]
        assert path.is_symlink() or (path / "own").read_text() == "own"
        assert runner.read("out/y") == b"B"
    run = runner.build_ok(overwrite=True)
    assert (edited(run), runner.read("out/x"), path.is_symlink()) == ([], b"B", False)
    assert runner.read("mine") == b"mine"
    (replaced,) = run.notes("edited output replaced")
    assert replaced.detail == {"path": "out/x", "kept": ".zerorepo/replaced/x.1"}
    kept = runner.root / ".zerorepo/replaced/x.1"
    assert (kept / "own").read_text() == "own" if kind == "folder" else kept.is_symlink()


def test_what_overwrite_replaces_is_kept(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(cat("x", out="deep/x"), {"a": "A"})
    runner.build_ok()
    for number, text in enumerate(("one", "two"), 1):
        runner.write("out/deep/x", text)
        run = runner.build_ok(overwrite=True)
        assert [note.detail["kept"] for note in run.notes("edited output replaced")] == [
            f".zerorepo/replaced/deep/x.{number}"
        ]
        assert runner.read(f".zerorepo/replaced/deep/x.{number}") == text.encode()
    runner.write("a", "B")
    run = runner.build_ok(overwrite=True)
    assert (run.notes("edited output replaced"), runner.read("out/deep/x")) == ([], b"B")


@pytest.mark.parametrize("mode", [0o755, 0o600, 0o444])
def test_a_changed_mode_alone_is_no_edit(toys: Callable[..., RuleRunner], mode: int) -> None:
    runner = toys(cat("x") + cat("y"), {"a": "A"})
    runner.build_ok()
    for name in "xy":
        (runner.root / "out" / name).chmod(mode)
    runner.write("zerorepo.toml", cat("x"))
    run = runner.build_ok()
    assert (edited(run), run.actions, runner.outputs()) == ([], [], {"x": b"A"})
    assert (runner.root / "out/x").stat().st_mode & 0o777 == 0o644


def test_an_edit_of_a_file_that_becomes_another_ones_stays(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(cat("x", out="f") + cat("y", out="g"), {"a": "A"})
    runner.build_ok()
    runner.write("out/f", "edit")
    runner.write("zerorepo.toml", cat("y", out="f") + cat("x", out="g"))
    for _ in range(2):
        assert edited(runner.build_ok()) == ["out/f"]
        assert runner.outputs() == {"f": b"edit", "g": b"A"}


def test_the_output_of_a_renamed_target_moves(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(cat("old") + cat("edited"), {"a": "A" * 50_000})
    runner.build_ok()
    before = (runner.root / "out/old").stat()
    runner.write("out/edited", "edit")
    runner.write("zerorepo.toml", cat("new") + cat("renamed"))
    run = runner.build_ok()
    after = (runner.root / "out/new").stat()
    assert run.actions == []
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert edited(run) == ["out/edited"]
    assert runner.outputs() == {"edited": b"edit", "new": b"A" * 50_000, "renamed": b"A" * 50_000}
    again = runner.build_ok()
    assert (again.ran, again.notes("edited output left alone")) == ([], [])
    runner.write("a", "B")
    runner.build_ok()
    assert runner.read("out/new") == b"B"


def test_the_output_of_a_target_of_another_folder_moves_and_leaves_no_folder(toys: Callable[..., RuleRunner]) -> None:
    runner = toys("", {"a": "A", "one/BUILD.toml": cat("x", "//:a")})
    runner.build_ok()
    before = (runner.root / "out/one/x").stat().st_ino
    runner.remove("one/BUILD.toml")
    runner.write("two/BUILD.toml", cat("x", "//:a"))
    assert runner.build_ok().actions == []
    assert (runner.outputs(), (runner.root / "out/two/x").stat().st_ino) == ({"two/x": b"A"}, before)
    assert not (runner.root / "out/one").exists()


def test_outputs_of_targets_that_swap_names_swap_contents(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(cat("x", "a") + cat("y", "b"), {"a": "A", "b": "B"})
    runner.build_ok()
    runner.write("zerorepo.toml", cat("y", "a") + cat("x", "b"))
    run = runner.build_ok()
    assert (run.actions, edited(run), runner.outputs()) == ([], [], {"x": b"B", "y": b"A"})
    runner.write("out/x", "edit")
    runner.write("zerorepo.toml", cat("x", "a") + cat("y", "b"))
    run = runner.build_ok()
    assert (run.actions, edited(run), runner.outputs()) == ([], ["out/x"], {"x": b"edit", "y": b"B"})


def test_the_output_of_a_target_that_an_expansion_renames_follows(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(
        '[[target]]\nname = "plan"\nrule = "expand"\nplan = "p"\n', {"p": "one a\ntwo b\n", "a": "A", "b": "B"}
    )
    runner.build_ok()
    runner.write("out/gen/two", "edit")
    runner.write("p", "uno a\ndos b\n")
    run = runner.build_ok()
    assert (run.actions, edited(run)) == ([], ["out/gen/two"])
    assert runner.outputs() == {"gen/uno": b"A", "gen/dos": b"B", "gen/two": b"edit"}


def test_a_target_that_may_still_exist_keeps_its_output(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(cat("x") + '[[target]]\nname = "plan"\nrule = "expand"\nplan = "p"\n', {"p": "one a\n", "a": "A"})
    runner.build_ok()
    # Whether //gen:one is still declared is not known to a build that does not ask for the plan.
    runner.write("zerorepo.toml", cat("z") + '[[target]]\nname = "plan"\nrule = "expand"\nplan = "p"\n')
    runner.build_ok("//:z")
    assert runner.outputs().keys() >= {"gen/one", "z"}


def test_an_edit_that_puts_a_file_where_a_folder_was_is_left_alone(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(cat("x", out="p/q") + cat("y"), {"a": "A"})
    runner.build_ok()
    runner.remove("out/p/q")
    (runner.root / "out/p").rmdir()
    runner.write("out/p", "mine")
    run = runner.build(keep_going=True)
    assert runner.outputs() == {"p": b"mine", "y": b"A"}
    assert isinstance(run.error("//:x"), EnvironmentFailure)


def test_an_output_handed_to_another_target_is_not_taken_back_by_the_first(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(cat("t0", out="o/h") + cat("t1", "b"), {"a": "A", "b": "B"})
    runner.build_ok()
    runner.write("zerorepo.toml", cat("t0") + cat("t1", "b", out="o/h"))
    runner.build_ok("//:t1")
    runner.build_ok("//:t0")
    assert runner.outputs() == {"o/h": b"B", "t0": b"A"}


def test_a_file_where_outputs_need_a_folder_is_named(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(
        '[[target]]\nname = "x"\nrule = "cat"\nsrcs = ["a"]\nout = "deep/er/x"\n', {"a": "A", "out/deep": "mine"}
    )
    (failed,) = runner.build().result.failed.values()
    assert isinstance(failed, EnvironmentFailure)
    assert f"`{runner.root}/out/deep` is in the way" in (failed.hint or "")
    assert runner.read("out/deep") == b"mine"
