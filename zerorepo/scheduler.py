"""The suspending scheduler: decides order, and nothing else.

Each key is worked on by one asyncio task. A task that demands another key is suspended until that one has ended; demanding a
key twice does it once. Waiting in a circle is found at the moment the circle would close. Knows nothing of traces or caches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from zerorepo.errors import BuildError, CycleError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ValueT = TypeVar("ValueT")


class DependencyFailed(BuildError):
    """Something demanded did not succeed; ``root`` is the key whose own failure is the cause."""

    def __init__(self, key: object, root: object) -> None:
        super().__init__(
            f"`{key}` could not be built" if key == root else f"`{key}` could not be built because `{root}` failed"
        )
        self.key = key
        self.root = root


class BuildStopped(BuildError):
    """The build ends early (a failure without ``--keep-going``); this work was not started."""

    def __init__(self) -> None:
        super().__init__("not started: the build is stopping")


class Job(Generic[ValueT]):
    """One key and the task that works on it."""

    __slots__ = ("error", "key", "task", "value", "waits_for")

    def __init__(self, key: object) -> None:
        self.key = key
        self.task: asyncio.Task[None] | None = None
        self.value: ValueT | None = None
        self.error: BaseException | None = None
        self.waits_for: dict[Job[ValueT], int] = {}


class Scheduler(Generic[ValueT]):
    """``work`` builds one key; it demands other keys through ``demand`` with its own job as ``asker``."""

    def __init__(
        self, work: Callable[[Job[ValueT]], Awaitable[ValueT]], *, keep_going: bool, pools: Mapping[str, int]
    ) -> None:
        self._work = work
        self._jobs: dict[object, Job[ValueT]] = {}
        self._keep_going = keep_going
        self._pools = {name: asyncio.Semaphore(size) for name, size in pools.items()}
        self.stopping = False

    async def demand(self, key: object, asker: Job[ValueT] | None = None) -> ValueT:
        """The value of ``key``. CycleError when waiting for it would close a circle; DependencyFailed when it failed."""
        job = self._jobs.get(key)
        new = job is None
        if job is None:
            job = self._jobs[key] = Job(key)
            job.task = asyncio.create_task(self._run(job), name=str(key))
        assert job.task is not None
        if not job.task.done():
            if asker is not None:
                if not new:  # a new job waits for nothing yet
                    self._check_cycle(asker, job)
                asker.waits_for[job] = asker.waits_for.get(job, 0) + 1
            try:
                await asyncio.shield(job.task)
            finally:
                if asker is not None:
                    asker.waits_for[job] -= 1
                    if not asker.waits_for[job]:
                        del asker.waits_for[job]
        if job.error is not None:
            if asker is None:
                raise job.error
            root = job.error.root if isinstance(job.error, DependencyFailed) else key
            raise DependencyFailed(key, root)
        return job.value  # type: ignore[return-value]  # a job without an error has a value

    def would_cycle(self, asker: Job[ValueT], key: object) -> bool:
        """Whether ``asker`` waiting for ``key`` would close a circle."""
        job = self._jobs.get(key)
        return job is not None and _path(job, asker) is not None

    async def _run(self, job: Job[ValueT]) -> None:
        try:
            job.value = await self._work(job)
        except BuildStopped as error:
            job.error = error
        except Exception as error:  # noqa: BLE001  (a worker's edge: kept, and reported by whoever demanded it)
            job.error = error
            if not self._keep_going:
                self.stopping = True

    def _check_cycle(self, asker: Job[ValueT], job: Job[ValueT]) -> None:
        path = _path(job, asker)
        if path is not None:
            keys = [str(each.key) for each in path]
            start = keys.index(min(keys))
            ring = keys[start:] + keys[:start]
            raise CycleError([*ring, ring[0]])

    @asynccontextmanager
    async def slot(self, pool: str) -> AsyncIterator[None]:
        """Hold one place of a pool; pools without a limit are free. BuildStopped when the build is stopping."""
        if self.stopping:
            raise BuildStopped
        semaphore = self._pools.get(pool)
        if semaphore is None:
            yield
            return
        async with semaphore:
            if self.stopping:
                raise BuildStopped
            yield

    def job(self, key: object) -> Job[ValueT] | None:
        """The job of a key, if it was demanded."""
        return self._jobs.get(key)

    def jobs(self) -> list[Job[ValueT]]:
        """Every job so far."""
        return list(self._jobs.values())

    async def cancel(self) -> None:
        """Cancel everything and wait until it has ended."""
        self.stopping = True
        tasks = [job.task for job in self._jobs.values() if job.task is not None and not job.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _path(start: Job[ValueT], goal: Job[ValueT]) -> list[Job[ValueT]] | None:
    """A chain of waiting from ``start`` to ``goal``, or None. Iterative: chains may be long."""
    if start is goal:
        return [start]
    parents: dict[Job[ValueT], Job[ValueT] | None] = {start: None}
    stack = [start]
    while stack:
        job = stack.pop()
        for other in job.waits_for:
            if other in parents:
                continue
            parents[other] = job
            if other is goal:
                chain = [other]
                step: Job[ValueT] | None = job
                while step is not None:
                    chain.append(step)
                    step = parents[step]
                return chain[::-1]
            stack.append(other)
    return None
