"""The output folder: nothing that a person wrote is lost, nothing of ours stays behind, nothing is run only to restore a file."""

from __future__ import annotations

import os
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
