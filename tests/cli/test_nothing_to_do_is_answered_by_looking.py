"""When nothing changed, a build is answered by looking at files; whatever changed, the engine decides."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Command

from zerorepo import snapshot

TARGETS = """
[[target]]
name = "a"
rule = "cat"
srcs = ["a.txt"]

[[target]]
name = "b"
rule = "cat"
deps = [":a", "//sub:c"]
"""
SUB = """
[[target]]
name = "c"
rule = "cat"
srcs = ["c.txt"]
"""


def old(root: Path) -> None:
    """Wait until what was just written is no longer too young to be trusted."""
    time.sleep(0.12)


def looked_only(command: Command, *args: str) -> bool:
    """Whether a build was answered without loading the engine."""
    argv = [sys.executable, "-X", "importtime", "-m", "zerorepo", "build", *(args or ("//...",))]
    done = subprocess.run(
        argv, cwd=command.root, env=command.env, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return "pydantic" not in done.stderr


@pytest.fixture
def built(tmp_path: Path) -> Command:
    """A workspace that was built twice: the second build did nothing and wrote that down."""
    files = {"a.txt": "A", "sub/BUILD.toml": SUB, "sub/c.txt": "C", "sub/deep/x": ""}
    command = Command(tmp_path / "ws", TARGETS, files)
    assert command("build", "//...").code == 0
    old(command.root)
    assert command("build", "//...").code == 0
    return command


def test_the_third_build_loads_no_engine_and_says_the_same(built: Command) -> None:
    assert looked_only(built)
    assert "3 targets built · nothing to do" in built("build", "//...").err


def test_json_is_answered_too(built: Command) -> None:
    built("build", "//...", "--json")
    assert looked_only(built, "//...", "--json")
    body = json.loads(built("build", "//...", "--json").out)
    assert body["targets"] == {"built": 3, "failed": 0, "skipped": 0}
    assert body["actions"] == {"executed": 0, "cached": 0}
    assert isinstance(body["wall_s"], float)


def edit_source(root: Path) -> None:
    (root / "a.txt").write_text("B")


def edit_source_keeping_size_and_mtime(root: Path) -> None:
    path = root / "a.txt"
    before = path.stat()
    path.write_text("B")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def delete_output(root: Path) -> None:
    (root / "out/b").unlink()


def edit_output(root: Path) -> None:
    (root / "out/b").write_text("mine")


def change_mode_of_output(root: Path) -> None:
    (root / "out/b").chmod(0o755)


def edit_build_file(root: Path) -> None:
    (root / "sub/BUILD.toml").write_text(SUB + "# more\n")


def edit_settings(root: Path) -> None:
    path = root / "zerorepo.toml"
    path.write_text(path.read_text() + "\n[toy]\ngreeting = 'ho'\n")


def new_package(root: Path) -> None:
    (root / "sub/deep/BUILD.toml").write_text(SUB.replace('"c.txt"', '"x"'))


def nested_workspace(root: Path) -> None:
    (root / "sub/zerorepo.toml").write_text("")


@pytest.mark.parametrize(
    "change",
    [
        edit_source,
        edit_source_keeping_size_and_mtime,
        delete_output,
        edit_output,
        change_mode_of_output,
        edit_build_file,
        edit_settings,
        new_package,
    ],
)
def test_whatever_changed_the_engine_decides(built: Command, change: Callable[[Path], None]) -> None:
    change(built.root)
    assert not looked_only(built)


def test_a_package_that_became_a_workspace_of_its_own_is_noticed(built: Command) -> None:
    nested_workspace(built.root)
    assert built("build", "//...").code == 2  # //:b needs //sub:c, which is not of this workspace any more


def test_what_changed_since_the_build_began_is_not_taken_for_seen(tmp_path: Path) -> None:
    began = time.time_ns()
    (tmp_path / "a.txt").write_text("A")
    given = {"files": ["a.txt"], "folders": [], "absent": [], "text": "", "to_stdout": False}
    assert not snapshot.save(str(tmp_path), b"key", began, **given)
    assert snapshot.save(str(tmp_path), b"key", time.time_ns() + 10**9, **given)


def test_a_damaged_snapshot_is_as_good_as_none(built: Command) -> None:
    for path in (built.root / ".zerorepo/snapshots").iterdir():
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0x40
        path.write_bytes(bytes(data))
    assert not looked_only(built)


def test_another_command_line_has_another_answer(built: Command) -> None:
    assert not looked_only(built, "//:a")
    assert looked_only(built, "//:a")
    assert "1 target built" in built("build", "//:a").err


def test_a_volatile_or_failing_build_is_never_answered_by_looking(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", '[[target]]\nname = "t"\nrule = "tick"\n')
    for _ in range(3):
        assert command("build", "//...").code == 0
        old(command.root)
    assert not looked_only(command)
