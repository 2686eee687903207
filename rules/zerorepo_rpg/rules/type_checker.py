"""The service that type-checks packages: resident workers, as many as processors, started when they are needed.

Knows nothing of what is checked, or of why.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from zerorepo.action import ActionContext
from zerorepo.errors import TransientFailure
from zerorepo_rpg import type_worker

_LIMIT_S = 120.0
_LONGEST = 1 << 24  # bytes of an answer
_TRIES = 2
_MEMORY = "/dev/shm"
"""Where a few small files for a moment cost a tenth of what they cost on a disk."""
_FLAGS = (
    "--config-file=", "--no-site-packages", "--ignore-missing-imports", "--check-untyped-defs", "--no-error-summary",
    "--no-color-output", "--python-version=3.11", "--disable-error-code=empty-body", "--allow-redefinition",
)  # fmt: skip


class Said(NamedTuple):
    """What mypy said of one package: 0 for nothing, 1 for problems, else it could not run."""

    code: int
    out: str
    err: str


class _Worker(NamedTuple):
    """A process, and the folders that it alone uses. Mypy does not keep several processes apart in one cache."""

    process: asyncio.subprocess.Process
    cache: Path
    folder: Path


class TypeChecker:
    """See the head of this file. ``started`` counts workers, for whoever wants to see that they are shared."""

    def __init__(self, cache: Path, size: int | None = None) -> None:
        self.started = 0
        self._cache = cache
        self._slots = asyncio.Semaphore(size or len(os.sched_getaffinity(0)))
        self._idle: list[_Worker] = []

    @classmethod
    async def open(cls, context: ActionContext) -> TypeChecker:
        """With caches of what mypy knows of the standard library, in the state folder."""
        return cls(context.state_dir / "mypy")

    async def close(self) -> None:
        """End all workers."""
        while self._idle:
            await _end(self._idle.pop())

    async def check(self, files: Mapping[str, str], package: str) -> Said:
        """Check ``package`` of ``files`` (path to source), with nothing else in reach.

        TransientFailure when it takes too long, or workers die.
        """
        request = json.dumps({"files": dict(files), "package": package}).encode() + b"\n"
        async with self._slots:
            for tried in range(_TRIES):
                worker = self._idle.pop() if self._idle else await self._start()
                answer, why = b"", ""
                try:
                    async with asyncio.timeout(_LIMIT_S):
                        answer = await _asked(worker.process, request)
                except TimeoutError:
                    raise TransientFailure(f"mypy took more than {_LIMIT_S:.0f} s") from None
                finally:
                    if not answer:
                        why = await _end(worker)
                if answer:
                    self._idle.append(worker)
                    said = Said(**json.loads(answer))
                    if said.code >= 0 or tried + 1 == _TRIES:
                        return said
                    # mypy does not write its cache for a crash, and a damaged one is never put right by it.
                    shutil.rmtree(worker.cache, ignore_errors=True)
        raise TransientFailure(
            f"{_TRIES} processes of mypy ended while they checked the same code: {why or 'no reason given'}"
        )

    async def _start(self) -> _Worker:
        self.started += 1
        cache, lock = _claimed(self._cache)
        folder = None
        try:
            folder = _folder()
            # As a file, and without the folder of that file among those to import from. The worker holds the claim on its
            # cache, so that it lasts as long as the worker does, whatever becomes of this process.
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-E", "-P", str(type_worker.__file__), str(cache), str(folder), *_FLAGS,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=_LONGEST,
                cwd="/", env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MYPYPATH": ""}, start_new_session=True,
                pass_fds=(lock,),
            )  # fmt: skip
        except BaseException:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            os.close(lock)
        return _Worker(process, cache, folder)


def _folder() -> Path:
    """For what a worker checks; in memory, where that can be had."""
    with contextlib.suppress(OSError):
        return Path(tempfile.mkdtemp(prefix="zerorepo-types-", dir=_MEMORY))
    return Path(tempfile.mkdtemp(prefix="zerorepo-types-"))


def _claimed(caches: Path) -> tuple[Path, int]:
    """A cache that no other worker of any build uses, and the open file that keeps it so."""
    caches.mkdir(parents=True, exist_ok=True)
    for number in itertools.count():
        lock = os.open(caches / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        except BaseException:
            os.close(lock)
            raise
        else:
            return caches / str(number), lock
    raise AssertionError


async def _asked(worker: asyncio.subprocess.Process, request: bytes) -> bytes:
    """The worker's answer; b"" when it has ended."""
    assert worker.stdin is not None and worker.stdout is not None
    try:
        worker.stdin.write(request)
        await worker.stdin.drain()
        line = await worker.stdout.readline()
    except (ConnectionError, ValueError):  # it has ended; or a line of endless length
        return b""
    return line if line.endswith(b"\n") else b""


async def _end(worker: _Worker) -> str:
    """End it, and a check that it has forked; its last words."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker.process.pid, signal.SIGKILL)
    _, err = await asyncio.shield(asyncio.ensure_future(worker.process.communicate()))
    shutil.rmtree(worker.folder, ignore_errors=True)
    return err.decode(errors="replace").strip()[-500:]


__all__ = ["Said", "TypeChecker"]
