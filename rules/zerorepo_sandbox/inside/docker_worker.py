"""The first process of a container for commands: starts one after another, each as a user that never was before.

It is the container's root, with the capabilities to change users and to kill and no other; nobody else in the container can signal,
trace or read it. When its input ends, so does the container. Knows nothing of docker.
"""

# ruff: noqa: PTH102
# Os.path alone: pathlib is not worth its time in what starts with each container.

from __future__ import annotations

import base64
import contextlib
import json
import os
import resource
import select
import signal
import time
from typing import Any, NoReturn

from . import frames, lockdown, worlds
from .watch import POLL_S, Watch

PARENT, WORK, TMP = "/work", "/work/w", "/tmp"
_FOLDERS = (PARENT, TMP, "/dev/shm")
_CHUNK = 1 << 16


class _BuilderGone(Exception):
    """Nobody waits for the answer any more."""


def main() -> None:
    """Serve until the input ends: two frames in, what to run and its standard input; frames with a letter in front out."""
    lockdown.set_readable(False)
    worlds.hide_first()
    frames.write(1, b"h")
    turn = 0
    try:
        while True:
            request, stdin = json.loads(frames.read(0)), frames.read(0)
            turn += 1
            if not _Command(request, worlds.user_of(turn)).to_end(stdin):
                return  # and the kernel ends with us whoever would not go
    except (frames.Ended, _BuilderGone, BrokenPipeError):
        return


class _Command:
    """One command."""

    def __init__(self, request: dict[str, Any], user: int) -> None:
        self.request = request
        self.limits = request["limits"]
        self.user = user
        self.caps = {b"o": int(request["stdout_cap"]), b"e": int(request["stderr_cap"])}
        self.streams: dict[int, bytes] = {}

    def to_end(self, stdin: bytes) -> bool:
        """Run it and say how it ended, after all of it is gone; whether it is."""
        stdin_fd = _as_memory_file(stdin)
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        self.streams = {out_read: b"o", err_read: b"e"}
        watch = Watch(self.limits, time.monotonic())
        pid = os.fork()
        if pid == 0:
            self._child((stdin_fd, out_write, err_write))
        for fd in (stdin_fd, out_write, err_write):
            os.close(fd)
        disks = worlds.open_disks((PARENT, TMP))
        stopped = self._listen(pid, watch, disks) or watch.exceeded(worlds.others(), disks)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # also when it has ended: it has not been waited for, so it is still this one
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        worlds.clear_as(self.user, _FOLDERS)
        empty = worlds.wait_until_empty()
        stopped = self._drain() or stopped
        empty = worlds.clear(_FOLDERS) and empty
        for fd in (out_read, err_read, *disks):
            os.close(fd)
        frames.write(1, b"x" + json.dumps({"code": code, "stopped": stopped}).encode())
        return empty

    def _child(self, fds: tuple[int, int, int]) -> NoReturn:
        """Become the command. Never returns."""
        try:
            os.setsid()
            for target, fd in enumerate(fds):
                os.dup2(fd, target)
            os.closerange(3, 4096)
            os.umask(0o022)
            lockdown.first_to_die()
            worlds.become(self.user)
            os.mkdir(WORK)
            os.chdir(WORK)
            for kind in (resource.RLIMIT_CORE, resource.RLIMIT_MSGQUEUE, resource.RLIMIT_MEMLOCK):
                with contextlib.suppress(OSError, ValueError):
                    resource.setrlimit(kind, (0, 0))
            if program := base64.b64decode(self.request["filter"]):
                lockdown.filter_calls(program)
            os.execve(self.request["argv"][0], self.request["argv"], self.request["env"])
        except BaseException as error:  # noqa: BLE001  (the edge of a forked process: it reports and ends)
            with contextlib.suppress(OSError):
                os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(126)

    def _listen(self, pid: int, watch: Watch, disks: list[int]) -> str | None:
        """Pass on what it writes until it ends; the limit that was hit before, if any."""
        child = worlds.when_ended(pid)
        poll = select.poll()
        for fd in (0, child, *self.streams):
            poll.register(fd, select.POLLIN)
        end, look = watch.started + self.limits["wall_s"], watch.started + POLL_S
        try:
            while True:
                now = time.monotonic()
                if now >= end:
                    return "timeout"
                if now >= look:
                    if over := watch.exceeded(worlds.others(), disks):
                        return over
                    # Where looking is slow, half of the time is left for other things.
                    look = 2 * time.monotonic() - now + POLL_S
                for fd, _ in poll.poll(max(0.0, min(look, end) - now) * 1000):
                    if fd == child:
                        return None
                    if (
                        fd == 0
                    ):  # the builder is silent while a command runs, so whatever happens there is that it has ended
                        raise _BuilderGone
                    chunk = os.read(fd, _CHUNK)
                    if not chunk:
                        poll.unregister(fd)
                    elif over := self._pass_on(self.streams[fd], chunk):
                        return over
        finally:
            os.close(child)

    def _pass_on(self, kind: bytes, chunk: bytes) -> str | None:
        self.caps[kind] -= len(chunk)
        if self.caps[kind] < 0:
            return "output"
        frames.write(1, kind + chunk)
        return None

    def _drain(self) -> str | None:
        """What is left in the pipes, when nobody can write any more."""
        for fd, kind in self.streams.items():
            os.set_blocking(fd, False)
            with contextlib.suppress(BlockingIOError):
                while chunk := os.read(fd, _CHUNK):
                    if over := self._pass_on(kind, chunk):
                        return over
        return None


def _as_memory_file(data: bytes) -> int:
    fd = os.memfd_create("stdin", os.MFD_CLOEXEC)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


if __name__ == "__main__":
    main()
