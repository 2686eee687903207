"""Drives a real ``zerorepo build --watch`` and reads what it says, line by line."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

from command import Command

PATIENCE_S = 90.0
WAITING = "waiting for changes"
CAT = """
[[target]]
name = "a"
rule = "cat"
srcs = ["a.txt"]
"""
GLOB = """
[[target]]
name = "names"
rule = "ask"
patterns = ["data/**/*.txt"]
"""
FILES = {"a.txt": "A"}


def _with_hangup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Watching:
    """A watch that runs. Use as a context manager: it ends with the block."""

    def __init__(
        self, command: Command, *args: str, env: dict[str, str] | None = None, prefix: tuple[str, ...] = ()
    ) -> None:
        # A file that is emptied and then written is two changes to whoever happens to look between.
        command.at_once = True
        self.lines: list[str] = []
        self._new: queue.Queue[str | None] = queue.Queue()
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [*prefix, *command.argv(*(args or ("build", "//...")), "--watch")],
            cwd=command.root,
            env={**command.env, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Below `nohup`, which this may run under, it would rightly stay when the terminal goes.
            preexec_fn=_with_hangup,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._new.put(line.rstrip("\n"))
        self._new.put(None)

    def expect(self, text: str, within_s: float = PATIENCE_S) -> list[str]:
        """Wait for a line with ``text``; the lines until then, this one included."""
        seen: list[str] = []
        deadline = time.monotonic() + within_s
        while True:
            try:
                line = self._new.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line with {text!r} within {within_s} s; said: {self.lines}") from None
            assert line is not None, f"the watch ended; said: {self.lines}"
            self.lines.append(line)
            seen.append(line)
            if text in line:
                return seen

    def settled(self) -> list[str]:
        """Wait until it waits; the lines until then."""
        return self.expect(WAITING)

    def quiet(self, for_s: float) -> None:
        """Nothing is said for so long."""
        try:
            line = self._new.get(timeout=for_s)
        except queue.Empty:
            return
        raise AssertionError(f"said {line!r} after {self.lines}")

    def until_idle(self, for_s: float = 3.0) -> list[str]:
        """The lines until none has come for so long after one that says that it waits."""
        seen: list[str] = []
        while True:
            try:
                line = self._new.get(timeout=for_s if seen and WAITING in seen[-1] else PATIENCE_S)
            except queue.Empty:
                assert seen and WAITING in seen[-1], seen
                return seen
            assert line is not None, f"the watch ended; said: {self.lines}"
            self.lines.append(line)
            seen.append(line)

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(20)

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *exc: Any) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        assert self.process.stdout is not None
        self._reader.join(20)
        self.process.stdout.close()
        assert not any("Traceback" in line for line in self.lines), "\n".join(self.lines)


def children(pid: int) -> list[int]:
    """Processes that a process has started and that run."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:  # noqa: PTH123
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def output(command: Command, name: str) -> str:
    """Text of an output."""
    return (command.root / "out" / name).read_text()


def wait_until(true: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait for something that is not said."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
