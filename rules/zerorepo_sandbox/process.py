"""Run one process tree to its end or to a limit, and leave nothing of it. Knows nothing of isolation or of what is run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence

from zerorepo.errors import EnvironmentFailure, TransientFailure
from zerorepo_sandbox import tree
from zerorepo_sandbox.limits import Limits, Verdict
from zerorepo_sandbox.tier import Capture, Ended

_POLL_S = 0.025
"""A process can touch about 1 GB in a second, so this is an overshoot of some 25 MB for each core."""
_CHUNK = 1 << 16
_GONE_S = 5.0
_GENTLE_TRIES, _GENTLE_S = 4, 0.5
_DRAIN_S = 0.5


async def supervise(
    argv: Sequence[str],
    *,
    stdin: bytes,
    env: Mapping[str, str],
    cwd: str,
    limits: Limits,
    capture: Capture,
    pass_fds: Sequence[int] = (),
    disks: tuple[str, ...] = (),
) -> Ended:
    """Run ``argv`` and everything it starts; ``disks`` are the folders inside whose files are counted; naming any
    says that the run has a process namespace of its own.

    EnvironmentFailure when it cannot be started. On cancellation everything is killed before the error goes on.
    """
    run = _Run(limits, capture, disks)
    with _memory_file(stdin) as stdin_fd, _pipe() as out, _pipe() as err:
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *argv,
                stdin=stdin_fd,
                stdout=out.write_end,
                stderr=err.write_end,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
                pass_fds=tuple(pass_fds),
            )
        )
        try:
            # Not to be cut short: asyncio would kill the launcher only, at a moment when its child may not notice.
            process = await asyncio.shield(starting)
        except asyncio.CancelledError:
            await run.abandon(await starting)
            raise
        except BlockingIOError as error:
            raise TransientFailure(f"No process could be started: {error.strerror}") from error
        except OSError as error:
            raise EnvironmentFailure(f"`{argv[0]}` could not be started: {error.strerror}") from error
        return await run.to_end(process, out, err)


class _Run:
    """The state of one run: what it wrote, and what stopped it."""

    def __init__(self, limits: Limits, capture: Capture, disks: tuple[str, ...]) -> None:
        self.limits = limits
        self.capture = capture
        self.disks = disks
        self.stopped: Verdict | None = None
        self.stop_event = asyncio.Event()
        self.stdout = bytearray()
        self.stderr = bytearray()

    def stop(self, verdict: Verdict) -> None:
        self.stopped = self.stopped or verdict
        self.stop_event.set()

    async def to_end(self, process: asyncio.subprocess.Process, out: _Pipe, err: _Pipe) -> Ended:
        """Wait for the process or a limit, then for everything it started to be gone."""
        out.read_into(self.stdout, self.capture.stdout, self.capture.stdout, lambda: self.stop(Verdict.OUTPUT))
        err.read_into(self.stderr, self.capture.keep, self.capture.stderr, lambda: self.stop(Verdict.OUTPUT))
        exited = asyncio.ensure_future(process.wait())
        guard = asyncio.ensure_future(self._guard(process.pid))
        stop = asyncio.ensure_future(self.stop_event.wait())
        try:
            done, _ = await asyncio.wait(
                {exited, stop}, timeout=self.limits.wall_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                self.stop(Verdict.TIMEOUT)
        finally:
            guard.cancel()
            stop.cancel()
            await self._end(process, exited)
        # Someone outside the tree may hold a pipe open (only where nothing isolates); its output does not count.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                await asyncio.gather(out.closed.wait(), err.closed.wait())
        return Ended(exited.result(), self.stopped, bytes(self.stdout), bytes(self.stderr[-self.capture.keep :]))

    async def abandon(self, process: asyncio.subprocess.Process) -> None:
        """End a run that nobody waits for any more."""
        await self._end(process, asyncio.ensure_future(process.wait()))

    async def _guard(self, pid: int) -> None:
        """Look at the whole tree now and then: the kernel's own limits are for one process each."""
        polls = 0
        while True:
            await asyncio.sleep(_POLL_S)
            pids = tree.descendants(pid)
            if tree.memory_kb(pids) > self.limits.memory_mb << 10:
                self.stop(Verdict.MEMORY)
            polls += 1
            if self.disks and polls % 2 == 0 and tree.inodes(pids, self.disks) > self.limits.inodes:
                self.stop(Verdict.DISK)

    async def _end(self, process: asyncio.subprocess.Process, exited: asyncio.Future[int]) -> None:
        """Kill what still runs and wait until it is gone; a second cancellation does not cut this short.

        When the process has ended by itself its world has ended with it: nothing to look for.
        """
        if not exited.done():
            await asyncio.shield(end_tree(process.pid, exited, namespaced=bool(self.disks)))


async def end_tree(root: int, exited: asyncio.Future[int], *, namespaced: bool) -> None:
    """Kill ``root`` with all below it and return when they are gone. ``exited`` is done when ``root`` has been collected;
    ``namespaced``: it is a launcher, below which is a process namespace of its own.
    """
    if namespaced:
        # From the inside out: the kernel ends a namespace with its first process, and each launcher then ends by
        # itself and collects its child. Killed from the outside in, they would be left to a pid 1 that may not collect.
        # Stopped meanwhile, so that no launcher is killed just when it has made a child that does not know it yet.
        for _ in range(_GENTLE_TRIES):
            if exited.done():
                return
            _signal(root, signal.SIGSTOP)
            pids = tree.descendants(root)
            _signal(next(filter(tree.in_namespace, pids), pids[-1]), signal.SIGKILL)
            _signal(root, signal.SIGCONT)
            await asyncio.wait({exited}, timeout=_GENTLE_S)
    if exited.done():
        return
    left = {pid: tree.started(pid) for pid in tree.descendants(root)}
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(root, signal.SIGKILL)
    for pid, started in left.items():
        # The start time tells a process from a later one that was given its number.
        if started is not None and tree.started(pid) == started:
            _signal(pid, signal.SIGKILL)
    await exited
    loop = asyncio.get_running_loop()
    end = loop.time() + _GONE_S
    for pid, started in left.items():
        # There is no event for the end of another's child.
        while loop.time() < end and started is not None and tree.started(pid) == started:  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


class _Pipe:
    """A pipe whose reading end is drained by the event loop."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self.write_end, True)
        self.closed = asyncio.Event()

    def read_into(self, buffer: bytearray, keep: int, cap: int, over: Callable[[], None]) -> None:
        """Append what comes to ``buffer``, of which the last ``keep`` bytes stay; ``over()`` when more than ``cap`` came."""
        loop, total = asyncio.get_running_loop(), 0
        os.close(self.write_end)
        self.write_end = -1

        def ready() -> None:
            nonlocal total
            try:
                chunk = os.read(self.read_end, _CHUNK)
            except BlockingIOError:
                return
            if not chunk:
                loop.remove_reader(self.read_end)
                self.closed.set()
                return
            total += len(chunk)
            if total > cap:
                over()
            buffer.extend(chunk)
            if len(buffer) > 2 * keep + _CHUNK:
                del buffer[:-keep]

        loop.add_reader(self.read_end, ready)

    def close(self) -> None:
        """Close both ends."""
        if self.write_end < 0:
            asyncio.get_running_loop().remove_reader(self.read_end)
        else:
            os.close(self.write_end)
        os.close(self.read_end)


@contextlib.contextmanager
def _pipe() -> Iterator[_Pipe]:
    pipe = _Pipe()
    try:
        yield pipe
    finally:
        pipe.close()


@contextlib.contextmanager
def _memory_file(data: bytes) -> Iterator[int]:
    """A descriptor from which ``data`` is read: no writer to wait for, and no file that could be left behind."""
    fd = os.memfd_create("zerorepo-stdin", os.MFD_CLOEXEC)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)
