"""One request: a fresh world, tests in it, what was heard of them. Runs in the worker, which no code under test can reach.

The worker never imports code under test and reads nothing of a request's processes but bytes on pipes. Knows nothing of what
makes a verdict pass.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from . import lockdown, subject, worlds
from .watch import POLL_S, Watch

_CHUNK, _LITTLE = 1 << 16, 1 << 12
_CONTROL_FD, _REPORT_FD = 4, 3
_DISK_FDS = 8
_ENTERED, _FAILED, _LEFT = b"entered", b"failed:", b"left:"


class BuilderGone(Exception):
    """Nobody waits for the answer any more."""


class Run:
    """One request. ``turn`` is its number; ``isolate`` one of the ways in ``worlds``. ``kept``: descriptors that the process of
    the tests inherits.
    """

    def __init__(
        self, header: dict[str, Any], files: dict[str, bytes], isolate: str, turn: int, kept: Iterable[int] = ()
    ) -> None:
        self.header = header
        self.files = files
        self.isolate = isolate
        self.kept = sorted(kept)
        self.limits = header["limits"]
        self.secret = secrets.token_hex(16)
        self.report = bytearray()
        self.output = bytearray()
        self.printed = 0
        self.user = worlds.user_of(turn)
        self.work: str = header["work"] if isolate in (worlds.NAMESPACES, worlds.NONE) else f"{header['work']}/w{turn}"
        self.tmp: str = header["tmp"]
        self.clears = (header["work"], header["tmp"], "/dev/shm", "/dev/mqueue")
        self.entered = False
        self.trouble = ""
        self.crowded = False
        self.apart: int | None = None
        """In the process of the tests: a descriptor behind which the code under test is."""
        self.ids = os.getuid(), os.getgid()
        # The parent of the first process of a request's own namespace, which is the worker, counts as well.
        parent = int(isolate == worlds.NAMESPACES)
        self.within = {**self.limits, "processes": self.limits["processes"] - parent}
        self.disks: list[int] = []

    def to_end(self) -> tuple[dict[str, Any], bool] | None:
        """Fork, listen until it ends or must be ended, and sum up; and whether the worker's world is empty again.

        None in the fork that is to run the tests: that one goes on by ``request``, and ends in ``end_with``.
        """
        report_read, report_write = os.pipe()
        output_read, output_write = os.pipe()
        ours, theirs = socket.socketpair()
        watch = Watch(self.within, time.monotonic())
        try:
            pid = worlds.fork_into_new() if self.isolate == worlds.NAMESPACES else os.fork()
        except OSError as error:
            self.trouble, pid = str(error), -1
        if pid == 0:
            self._child(report_write, output_write, theirs.fileno())
            return None
        os.close(report_write)
        os.close(output_write)
        theirs.close()
        streams = {report_read: self.report, output_read: self.output}
        if self.isolate == worlds.USERS:
            self.disks = worlds.open_disks((self.header["work"], self.tmp))
        try:
            if pid < 0:
                return self._answer(None, False, 97), True
            stopped = self._listen(pid, streams, ours, watch)
            if stopped is None and self.isolate != worlds.NONE:
                stopped = "processes" if self.crowded else watch.exceeded(worlds.others(), self.disks)
            starved = stopped == "timeout" and watch.starved(time.monotonic())
            code, empty = self._end(pid)
            if stopped is None:
                stopped = self._drain(streams)
            if stopped is None and code == -signal.SIGXCPU:
                stopped = "cpu"
        finally:
            for fd in (report_read, output_read, *self.disks):
                os.close(fd)
            ours.close()
        return self._answer(stopped, starved, code), empty

    def _answer(self, stopped: str | None, starved: bool, code: int) -> dict[str, Any]:
        events, intact = self._events()
        return {
            "entered": self.entered,
            "trouble": self.trouble,
            "stopped": stopped,
            "starved": starved,
            "code": code,
            "intact": intact,
            "secret": self.secret,
            "events": events,
            "output": bytes(self.output[-_CHUNK:]).decode("utf-8", "replace"),
            "work": self.work,
        }

    # ------------------------------------------------------------------ the other side of the fork

    def _child(self, report_fd: int, output_fd: int, control_fd: int) -> None:
        """Become the process that is to run the tests, through those that make its world, none of which returns."""
        try:
            self._prepare(report_fd, output_fd, control_fd)
            if self.isolate == worlds.NAMESPACES:
                self._namespaces()
            else:
                self._no_namespaces()
            os.chdir(self.work)
        except BaseException as error:  # noqa: BLE001  (the edge of a forked process: it reports and ends)
            die(error)

    def request(self) -> tuple[dict[str, Any], int, str, int | None]:
        """What ``recorder.run`` is given."""
        return {**self.header, "work": self.work, "tmp": self.tmp}, _REPORT_FD, self.secret, self.apart

    def _prepare(self, report_fd: int, output_fd: int, control_fd: int) -> None:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        null = os.open("/dev/null", os.O_RDONLY)
        wanted = ((null, 0), (output_fd, 1), (output_fd, 2), (report_fd, _REPORT_FD), (control_fd, _CONTROL_FD))
        moved = [(fcntl.fcntl(source, fcntl.F_DUPFD, _CONTROL_FD + 1), target) for source, target in wanted]
        for source, target in moved:
            os.dup2(source, target)
        first = _CONTROL_FD + 1
        for kept in self.kept:
            os.closerange(first, kept)
            first = kept + 1
        os.closerange(first, 4096)
        lockdown.first_to_die()

    def _namespaces(self) -> None:
        """Returns only in the process that runs the tests."""
        lockdown.die_with_parent()
        try:
            worlds.keep_user(*self.ids)
            disks = worlds.mount_fresh(self.work, self.tmp, self.limits)
            worlds.write_files(self.work, self.files)
            worlds.make_read_only(self.work)
            lockdown.drop_capabilities()
            self._give_up_calls()
        except OSError as error:
            self._say(_FAILED + str(error).encode())
            raise
        fds = [os.open(path, os.O_PATH | os.O_DIRECTORY) for path in disks]
        with socket.socket(fileno=os.dup(_CONTROL_FD)) as control:
            socket.send_fds(control, [_ENTERED], fds)
        for fd in fds:
            os.close(fd)
        lockdown.set_readable(False)
        self._subject()
        tests = os.fork()
        if tests:
            os.close(_REPORT_FD)
            self._close_apart()
            code = _wait_for(tests)
            # Who is left says whether the limit on processes was reached, also between two looks of the worker.
            self._say(_LEFT + b"%d" % worlds.count())
            os._exit(code)
        os.close(_CONTROL_FD)
        # Tests apart from the code under test are not for it to look into.
        lockdown.set_readable(self.apart is None)
        lockdown.limit(self.within, count_processes=True)

    def _subject(self) -> None:
        """Fork the process of the code under test, when the tests are to be apart from it."""
        if not self.header["apart"]:
            return
        ours, theirs = socket.socketpair()
        self.apart = ours.detach()
        if os.fork():
            theirs.close()
            return
        os.close(self.apart)
        for fd in (_REPORT_FD, _CONTROL_FD):
            with contextlib.suppress(OSError):
                os.close(fd)
        lockdown.set_readable(True)
        lockdown.limit(self.within, count_processes=bool(self.header["count_processes"]))
        os.chdir(self.work)
        try:
            subject.serve(theirs.fileno(), {**self.header, "work": self.work})
        finally:
            os._exit(0)

    def _close_apart(self) -> None:
        if self.apart is not None:
            os.close(self.apart)

    def _no_namespaces(self) -> None:
        if self.isolate != worlds.NONE:
            os.mkdir(self.work, 0o755)  # noqa: PTH102
        # Before the user changes: what is not theirs they cannot make writable.
        worlds.write_files(self.work, self.files)
        if self.isolate == worlds.USERS:
            worlds.become(self.user)
        if self.isolate != worlds.NONE:
            self._give_up_calls()
            self._subject()
            # Only now, or the user's change would have taken it away again.
            lockdown.set_readable(self.apart is None)
        lockdown.limit(self.limits, count_processes=bool(self.header["count_processes"]))
        self._say(_ENTERED)
        os.close(_CONTROL_FD)

    def _give_up_calls(self) -> None:
        if program := base64.b64decode(self.header["filter"]):
            lockdown.filter_calls(program)

    def _say(self, what: bytes) -> None:
        os.write(_CONTROL_FD, what + b"\n")

    # ------------------------------------------------------------------ this side of the fork

    def _listen(self, pid: int, streams: dict[int, bytearray], control: socket.socket, watch: Watch) -> str | None:
        """Until the child has ended; the limit that was hit before, if any."""
        child = worlds.when_ended(pid)
        poll = select.poll()
        for fd in (child, control.fileno(), *streams):
            poll.register(fd, select.POLLIN)
        # The builder is silent while a request runs, so whatever happens on its side is that it has ended.
        watches = self.isolate != worlds.NONE
        if watches:
            poll.register(0, select.POLLIN)
        end, look = watch.started + self.limits["wall_s"], watch.started + POLL_S
        waiting: list[int] = []
        try:
            while True:
                now = time.monotonic()
                if watches and now >= look:
                    if over := watch.exceeded(worlds.others(), self.disks):
                        return over
                    look = time.monotonic() + POLL_S
                    while waiting:
                        poll.register(waiting.pop(), select.POLLIN)
                if watch.time_is_up(now) if watches else now >= end:
                    return "timeout"
                for fd, _ in poll.poll(max(0.0, (look if watches else end) - now) * 1000):
                    if fd == child:
                        self._hear(control)
                        return None
                    if fd == 0:
                        raise BuilderGone
                    if fd == control.fileno():
                        if not self._hear(control):
                            poll.unregister(fd)
                        continue
                    chunk = os.read(fd, _CHUNK)
                    if not chunk:
                        poll.unregister(fd)
                    elif over := self._take(streams[fd], chunk):
                        return over
                    elif watches and len(chunk) < _LITTLE:
                        # A line for each test would wake this process as often: what comes until the next look waits.
                        poll.unregister(fd)
                        waiting.append(fd)
        finally:
            os.close(child)

    def _hear(self, control: socket.socket) -> bool:
        """What the processes that make the world say; False when they have said all."""
        try:
            said, fds, _, _ = socket.recv_fds(control, 4096, _DISK_FDS, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        self.disks += fds
        for line in said.splitlines():
            if line.startswith(_FAILED):
                self.trouble = line.removeprefix(_FAILED).decode("utf-8", "replace")
            elif line.startswith(_LEFT):
                # Besides these there was the process that ended.
                self.crowded = int(line.removeprefix(_LEFT)) + 1 >= self.within["processes"]
            elif line.startswith(_ENTERED):
                self.entered = True
        return bool(said)

    def _take(self, buffer: bytearray, chunk: bytes) -> str | None:
        buffer += chunk
        if buffer is self.report:
            return "output" if len(buffer) > self.limits["report_kb"] << 10 else None
        self.printed += len(chunk)
        if len(buffer) > 4 * _CHUNK:
            del buffer[:-_CHUNK]
        return "output" if self.printed > self.limits["output_kb"] << 10 else None

    def _end(self, pid: int) -> tuple[int, bool]:
        """End the child and all that it started: the child's exit code, negative for a signal, and whether all are gone."""
        if self.isolate == worlds.NAMESPACES:
            # Everybody else of its namespace ends before it does.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ended, status = os.waitpid(pid, os.WNOHANG)
        if self.isolate == worlds.NONE:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-pid, signal.SIGKILL)
        if not ended:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if self.isolate == worlds.NAMESPACES and code > 128:
            code = 128 - code
        if self.isolate == worlds.NONE:
            return code, True
        if self.isolate == worlds.USERS:
            worlds.clear_as(self.user, self.clears)
        empty = worlds.wait_until_empty()
        if self.isolate != worlds.NAMESPACES:
            empty = worlds.clear(self.clears) and empty
        return code, empty

    def _drain(self, streams: dict[int, bytearray]) -> str | None:
        """What is left in the pipes, without waiting for anybody who still holds them."""
        for fd, buffer in streams.items():
            os.set_blocking(fd, False)
            try:
                while chunk := os.read(fd, _CHUNK):
                    if over := self._take(buffer, chunk):
                        return over
            except BlockingIOError:
                continue
        return None

    def _events(self) -> tuple[list[Any], bool]:
        """The events, and whether every line was one of ours. What follows a line that is not ours counts for nothing."""
        events: list[Any] = []
        prefix = f"{self.secret} ".encode()
        lines = bytes(self.report).split(b"\n")
        for line in lines[:-1]:
            if not line.startswith(prefix):
                return events, False
            try:
                events.append(json.loads(line[len(prefix) :]))
            except ValueError:
                return events, False
        return events, not lines[-1]


def end_with(run: Callable[[], None]) -> NoReturn:
    """End this process, the fork that runs tests, with that."""
    try:
        run()
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001  (the edge of a forked process: it reports and ends)
        die(error)
    os._exit(0)


def die(error: BaseException) -> NoReturn:
    """End a forked process that failed."""
    try:
        with contextlib.suppress(OSError):
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(97)


def _wait_for(pid: int) -> int:
    """Collect children until that one ends; its exit code, above 128 for a signal."""
    while True:
        try:
            ended, status = os.waitpid(-1, 0)
        except InterruptedError:
            continue
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            return 128 - code if code < 0 else code
