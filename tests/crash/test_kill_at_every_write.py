"""A killed build costs nothing that was finished, wherever it is killed. ``ZEROREPO_CRASH_ALL=1`` leaves no point out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def drive(tmp_path: Path, scenario: str) -> None:
    script = Path(__file__).with_name("killing.py")
    places = [str(script.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    argv = [sys.executable, str(script), str(tmp_path), scenario]
    done = subprocess.run(
        argv,
        env=env,
        capture_output=True,
        text=True,
        timeout=3000 if os.environ.get("ZEROREPO_CRASH_ALL") else 150,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "after",
    [
        "nothing",
        "nothing, killed again and again",
        "a build and an edit",
        "a build, a kill and another edit",
        "a build and renames",
    ],
)
def test_a_kill_at_any_effect_costs_nothing_that_was_finished(tmp_path: Path, after: str) -> None:
    drive(tmp_path, after)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_kill_within_a_transaction_of_the_database_costs_nothing_that_was_finished(tmp_path: Path) -> None:
    drive(tmp_path, "system calls")


def test_builds_at_once_on_one_workspace_do_no_harm(tmp_path: Path) -> None:
    drive(tmp_path, "at once")
