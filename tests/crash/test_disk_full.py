"""A disk that is full or read-only: a clear error, nothing lost, and on with it when there is room again. Needs to mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import logged, runs, workspace
from command import Command, actions


def mount(*args: str) -> bool:
    return subprocess.run(["mount", *args], capture_output=True, check=False).returncode == 0


class Disk:
    """A small file system of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def option(self, text: str) -> None:
        """Mount it again, with other options."""
        assert mount("-o", f"remount,{text}", str(self.path))


@pytest.fixture(params=["cache", "ws/.zerorepo", "ws/out"], ids=["cache", "state", "outputs"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """2 MB, or 300 kB, in place of the cache, of the workspace's state, or of its outputs."""
    path = tmp_path / request.param
    path.mkdir(parents=True)
    if os.geteuid() != 0 or not mount(
        "-t", "tmpfs", "-o", f"size={'300k' if 'zerorepo' in request.param else '2m'}", "tmpfs", str(path)
    ):
        pytest.skip("file systems can be mounted by root only, and not in every container")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def filling(tmp_path: Path, **more: object) -> Command:
    """A workspace whose outputs take 6 MB, some in rows and some in files."""
    targets = [logged(tmp_path / "log", f"t{n}", size=31_000 if n % 2 else 700_000, **more) for n in range(16)]
    return workspace(tmp_path / "ws", "".join(targets), tmp_path / "cache")


def test_a_full_disk_stops_the_build_and_costs_nothing(tmp_path: Path, disk: Disk) -> None:
    ws, log = filling(tmp_path), tmp_path / "log"
    for number in range(2):  # also for a build that begins on a full disk
        answer = ws("build", "--keep-going", "--events", str(tmp_path / f"e{number}"))
        assert answer.code == 1
        assert "No space left" in answer.err or "disk is full" in answer.err or "disk I/O error" in answer.err
        assert "a bug in ZeroRepo" not in answer.err
        assert "  at /" in answer.err
    finished = actions(tmp_path / "e0", "done") + actions(tmp_path / "e1", "done")
    assert len(finished) == len(set(finished))
    disk.option("size=64m")
    answer = ws("build")
    assert (answer.code, "kept your edit" in answer.err) == (0, False)
    assert {runs(log)[label] for label in finished} <= {1}
    for n in range(16):
        assert (ws.root / f"out/t{n}").read_bytes().startswith(f"//:t{n} 0\n".encode())
    assert not list(ws.root.rglob(".zr-*"))
    assert "nothing to do" in ws("build").err


def test_a_read_only_disk_is_said_to_be_one(tmp_path: Path, disk: Disk) -> None:
    disk.option("size=64m")
    ws = filling(tmp_path, seconds=0.0)
    assert ws("build", "//:t1").code == 0
    disk.option("ro")
    for command in (["build"], ["build", "//:t2"]):
        answer = ws(*command)
        assert answer.code == 1, answer.err
        assert "read-only disk" in answer.err or "Read-only file system" in answer.err
        assert "a bug in ZeroRepo" not in answer.err
    assert ws("build", "--dry-run").code == 0
    assert ws("explain", "//:t1").code == 0
    disk.option("rw")
    assert ws("build").code == 0
    assert runs(tmp_path / "log")["//:t1"] == 1
