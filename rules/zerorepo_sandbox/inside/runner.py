"""The first process of a world for tests: forks pytest, listens to it, and says what it heard.

It reads a request from its standard input, never imports code under test, and cannot be signalled, traced or read by the
process it forks (where the tier makes it the first of a process namespace). Knows nothing of what makes a verdict pass.
"""

# ruff: noqa: PTH101, PTH103, PTH118, PTH120, PTH123
# Os.path alone: what is loaded here is paid for in every run.

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import sys
import time
from typing import Any

from . import lockdown

_CHUNK = 1 << 16


def main() -> None:
    """Serve one request. The answer goes to standard output: the line ``{"ready": true}``, then one line with all of it."""
    header, files = _read_request()
    if header["isolated"]:
        lockdown.set_readable(False)
    _write_files(header["work"], files)
    _answer({"ready": True})
    run = _Run(header)
    _answer(run.to_end())


def _answer(value: dict[str, Any]) -> None:
    data = memoryview(json.dumps(value).encode() + b"\n")
    while data:
        data = data[os.write(1, data) :]


def _read_request() -> tuple[dict[str, Any], dict[str, bytes]]:
    """The first line is JSON and lists files with their sizes; the contents follow in that order."""
    data = b""
    while chunk := os.read(0, 1 << 20):
        data += chunk
    line, _, rest = data.partition(b"\n")
    header = json.loads(line)
    files, offset = {}, 0
    for path, size in header["files"]:
        files[path] = rest[offset : offset + size]
        offset += size
    return header, files


def _write_files(work: str, files: dict[str, bytes]) -> None:
    """Inputs, read-only: a test that writes beside its sources would not be the same twice."""
    folders = {work}
    for path, content in files.items():
        target = os.path.join(work, path)
        folder = os.path.dirname(target)
        os.makedirs(folder, exist_ok=True)
        while folder not in folders:
            folders.add(folder)
            folder = os.path.dirname(folder)
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        with open(fd, "wb") as file:
            file.write(content)
    for folder in folders:
        os.chmod(folder, 0o555)


class _Run:
    """One fork of pytest and what came from it."""

    def __init__(self, header: dict[str, Any]) -> None:
        self.header = header
        self.limits = header["limits"]
        self.secret = secrets.token_hex(16)
        self.report = bytearray()
        self.output = bytearray()
        self.printed = 0

    def to_end(self) -> dict[str, Any]:
        """Fork, listen until it ends or must be ended, and sum up."""
        report_read, report_write = os.pipe()
        output_read, output_write = os.pipe()
        pid = os.fork()
        if pid == 0:
            self._child(report_write, output_write)
        os.close(report_write)
        os.close(output_write)
        stopped = self._listen(pid, {report_read: self.report, output_read: self.output})
        code = self._kill(pid)
        if stopped is None:
            stopped = self._drain({report_read: self.report, output_read: self.output})
        events, intact = self._events()
        return {
            "stopped": stopped,
            "code": code,
            "intact": intact,
            "secret": self.secret,
            "events": events,
            "output": bytes(self.output[-_CHUNK:]).decode("utf-8", "replace"),
        }

    def _child(self, report_fd: int, output_fd: int) -> None:
        """Become the process that runs pytest. Never returns."""
        code = 97
        try:
            os.setsid()
            null = os.open("/dev/null", os.O_RDONLY)
            os.dup2(null, 0)
            os.dup2(output_fd, 1)
            os.dup2(output_fd, 2)
            os.dup2(report_fd, 3)
            os.closerange(4, 1024)
            if self.header["isolated"]:
                lockdown.set_readable(True)
            lockdown.limit(self.limits, count_processes=self.header["count_processes"])
            os.chdir(self.header["work"])
            from . import recorder  # pytest is loaded on this side only

            recorder.run(self.header, 3, self.secret)
            with contextlib.suppress(OSError, ValueError, AttributeError):
                sys.stdout.flush()
            code = 0
        except BaseException as error:  # noqa: BLE001  (the edge of the untrusted process: it reports and ends)
            with contextlib.suppress(OSError):
                os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)

    def _listen(self, pid: int, streams: dict[int, bytearray]) -> str | None:
        """Until the child has ended; the limit that was hit before, if any."""
        child = os.pidfd_open(pid)
        poll = select.poll()
        for fd in (child, *streams):
            poll.register(fd, select.POLLIN)
        end = time.monotonic() + self.limits["wall_s"]
        while True:
            left = end - time.monotonic()
            if left <= 0:
                return "timeout"
            for fd, _ in poll.poll(left * 1000):
                if fd == child:
                    return None
                chunk = os.read(fd, _CHUNK)
                if not chunk:
                    poll.unregister(fd)
                elif over := self._take(streams[fd], chunk):
                    return over

    def _take(self, buffer: bytearray, chunk: bytes) -> str | None:
        buffer += chunk
        if buffer is self.report:
            return "output" if len(buffer) > self.limits["report_kb"] << 10 else None
        self.printed += len(chunk)
        if len(buffer) > 4 * _CHUNK:
            del buffer[:-_CHUNK]
        return "output" if self.printed > self.limits["output_kb"] << 10 else None

    def _kill(self, pid: int) -> int:
        """End the child and all that it started; the child's exit code, negative for a signal."""
        _, status = os.waitpid(pid, os.WNOHANG)
        ended = _ == pid
        with contextlib.suppress(ProcessLookupError):
            # As the first process of a namespace, -1 is everybody else in it; otherwise only the child's session is ours.
            os.kill(-1 if self.header["isolated"] else -pid, signal.SIGKILL)
        if not ended:
            _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status)

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


if __name__ == "__main__":
    main()
