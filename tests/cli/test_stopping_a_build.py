"""SIGINT, SIGTERM and SIGKILL: out within two seconds, no child left, nothing finished is lost. And what a terminal shows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest
from command import Command, actions, events


def slow(name: str, seconds: float, **attrs: object) -> str:
    more = "".join(f"{key} = {str(value).lower()}\n" for key, value in attrs.items())
    return f'[[target]]\nname = "{name}"\nrule = "slow"\nseconds = {seconds}\n{more}'


def sleepers(marker: str) -> list[str]:
    """Processes that still sleep for ``marker`` seconds."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", marker.encode()]:
            found.append(path.parent.name)
    return found


def wait_for(log: Path, label: str, state: str) -> None:
    deadline = time.monotonic() + 20
    while label not in actions(log, state):
        assert time.monotonic() < deadline, events(log)
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_build_and_its_children_and_keeps_what_is_done(
    tmp_path: Path, number: signal.Signals
) -> None:
    marker = f"61.{os.getpid()}{int(number)}"
    ws, log = Command(tmp_path / "ws", slow("quick", 0.01) + slow("long", float(marker))), tmp_path / "e"
    process = ws.start("build", "--events", str(log), "--json")
    wait_for(log, "//:quick", "done")
    wait_for(log, "//:long", "running")
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert time.monotonic() - began < 2
    assert sleepers(marker) == []
    assert "Interrupted" in err
    assert '"exit_code": 130' in out
    again = ws("build", "//:quick", "--json").json()
    assert again["actions"]["executed"] == 0


def test_an_action_that_does_not_listen_does_not_keep_the_build_alive(tmp_path: Path) -> None:
    ws, log = Command(tmp_path / "ws", slow("deaf", 30.0, hard=True)), tmp_path / "e"
    process = ws.start("build", "--events", str(log))
    wait_for(log, "//:deaf", "running")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130
    assert time.monotonic() - began < 2.5


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    ws, log = Command(tmp_path / "ws", slow("deaf", 30.0, hard=True)), tmp_path / "e"
    process = ws.start("build", "--events", str(log))
    wait_for(log, "//:deaf", "running")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130
    assert time.monotonic() - began < 1


def test_a_killed_build_is_gone_on_with(tmp_path: Path) -> None:
    targets = "".join(slow(f"s{n}", 0.05 if n < 3 else 0.3) for n in range(6))
    ws, log = Command(tmp_path / "ws", targets), tmp_path / "e"
    process = ws.start("build", "--events", str(log), "--jobs", "1")
    wait_for(log, "//:s2", "done")
    process.kill()
    process.communicate()
    finished = actions(log, "done")
    assert len(finished) >= 3
    assert ws("build", "--events", str(tmp_path / "e2")).code == 0
    assert not set(actions(tmp_path / "e2", "done")) & set(finished)
    assert sorted(path.name for path in (ws.root / "out").iterdir()) == [f"s{n}" for n in range(6)]
    assert "nothing to do" in ws("build").err


def test_a_terminal_shows_what_runs_and_a_pipe_gets_plain_lines(tmp_path: Path) -> None:
    ws = Command(tmp_path / "ws", slow("s", 1.0))
    env = {**ws.env, "TERM": "xterm-256color"}
    env.pop("NO_COLOR")
    child = pexpect.spawn(
        sys.executable,
        ["-m", "zerorepo", "build"],
        cwd=str(ws.root),
        env=env,
        encoding="utf-8",
        timeout=20,
        dimensions=(24, 100),
    )
    child.expect(r"0/1 targets")
    child.expect(r"Slow //:s")
    child.expect(r"1 target built")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    ws.write("zerorepo.toml", (ws.root / "zerorepo.toml").read_text().replace("1.0", "0.1"))
    answer = ws("build")
    assert "\x1b" not in answer.err
    assert "Slow //:s" in answer.err


def test_ctrl_c_on_a_terminal_interrupts(tmp_path: Path) -> None:
    ws = Command(tmp_path / "ws", slow("s", 30.5))
    child = pexpect.spawn(
        sys.executable, ["-m", "zerorepo", "build"], cwd=str(ws.root), env=ws.env, encoding="utf-8", timeout=20
    )
    child.expect(r"Slow //:s")
    child.sendintr()
    child.expect("Interrupted")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


def test_a_reader_that_goes_away_is_no_crash(tmp_path: Path) -> None:
    ws = Command(tmp_path / "ws", '[[target]]\nname = "x"\nrule = "ask"\n')
    done = subprocess.run(
        " ".join([*ws.argv("query", "//..."), "| true"]),
        shell=True,
        cwd=ws.root,
        env=ws.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
