"""A stopped build ends what its commands had started: grandchildren, and those who do not listen. Finished work is kept."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from builders import until
from command import Command, actions

CMD = "trap '' TERM INT HUP; sleep {m} & (trap '' TERM INT HUP; setsid sleep {m} & sh -c 'sleep {m}; true') & wait"


def sleeping(marker: str) -> int:
    """Processes that sleep for ``marker`` seconds."""
    found = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += path.read_bytes().split(b"\0")[:2] == [b"sleep", marker.encode()]
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("unsafe", [False, True])
def test_a_signal_ends_everything_that_a_command_has_started(
    tmp_path: Path, number: signal.Signals, unsafe: bool
) -> None:
    if not unsafe and shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    marker = f"67.{os.getpid()}{int(number)}{int(unsafe)}"
    quick = '[[target]]\nname = "quick"\nrule = "command"\nouts = ["q"]\ncmd = "echo q > $OUTS"\n'
    slow = f'[[target]]\nname = "slow"\nrule = "command"\nouts = ["s"]\ncmd = "{CMD.format(m=marker)}"\n'
    ws, log = Command(tmp_path / "ws", quick + slow), tmp_path / "e"
    mode = ["--unsafe"] if unsafe else []
    build = ws.start("build", "--events", str(log), "--jobs", "2", *mode)
    until(lambda: "//:quick" in actions(log, "done") and sleeping(marker) == 3, "the command has started everything")
    began = time.monotonic()
    build.send_signal(number)
    _, err = build.communicate(timeout=30)
    took = time.monotonic() - began
    assert build.returncode == 130, err
    assert "Traceback" not in err
    until(lambda: not sleeping(marker), "everything has ended")
    assert took < 2.5  # two seconds are promised
    assert ws("build", "//:quick", "--json", *mode).json()["actions"]["executed"] == 0
