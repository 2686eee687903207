"""Order: one job per key, started at the first demand, suspended while it waits ("suspending", *Build Systems à la Carte*).

Whoever waits for a key that is already at work waits with everyone else, so two askers build it once. Waiting in a circle is found
at the moment the circle would close. Knows nothing of traces or caches.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from zerorepo.errors import BuildError, CycleError

ValueT = TypeVar("ValueT")

_IN_FLIGHT = 2000  # keys at work before more are begun that nobody waits for: many more than any pool has places
_BREATH = 256  # keys answered without suspending between two turns of the event loop


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
    """One key and the task that works on it, while one does."""

    __slots__ = ("error", "key", "task", "value", "waiters", "waits_for")

    def __init__(self, key: object) -> None:
        self.key = key
        self.task: asyncio.Task[None] | None = None
        self.value: ValueT | None = None
        self.error: BaseException | None = None
        self.waits_for: dict[Job[ValueT], int] | None = None
        self.waiters: list[asyncio.Future[None]] | None = None


class Scheduler(Generic[ValueT]):
    """``work`` builds one key; it demands other keys through ``demand`` with its own job as ``asker``.

    ``at_hand`` may know the value of a key, and of others, without any work: it enters them with ``enter`` and says whether it did.
    ``height`` is how long a chain of others waits for a key, as far as that is known: it is asked for where several want one place.
    A place of a pool that is ``within`` another one takes a place of that, too.
    """

    def __init__(
        self,
        work: Callable[[Job[ValueT]], Awaitable[ValueT]],
        *,
        keep_going: bool,
        pools: Mapping[str, int],
        at_hand: Callable[[object], bool] = lambda key: False,
        height: Callable[[object], int] = lambda key: 0,
        within: Mapping[str, str] | None = None,
    ) -> None:
        self._work = work
        self._at_hand = at_hand
        self._jobs: dict[object, Job[ValueT]] = {}
        self._keep_going = keep_going
        self._height = height
        self._pools = {name: _Pool(size) for name, size in pools.items()}
        self._within = dict(within or {})
        self._turns = _Pool(1)
        self.stopping = False
        self._at_work = 0
        self._room = asyncio.Event()

    async def demand(self, key: object, asker: Job[ValueT] | None = None) -> ValueT:
        """The value of ``key``. CycleError when waiting for it would close a circle; DependencyFailed when it failed."""
        job = self._jobs.get(key)
        new = job is None
        if job is None:
            job = self._start(key)
        if job.task is not None:
            await self._wait(job, asker, new)
        if job.error is not None:
            if asker is None or isinstance(job.error, asyncio.CancelledError):
                raise job.error
            root = job.error.root if isinstance(job.error, DependencyFailed) else key
            raise DependencyFailed(key, root)
        return job.value  # type: ignore[return-value]  # a job without an error has a value

    async def demand_all(self, keys: Iterable[object]) -> None:
        """Bring every key to its end, some thousands at a time. Errors stay with the jobs."""
        wanted = list(keys)
        for number, key in enumerate(wanted):
            if key not in self._jobs:
                self._start(key)
            if self._at_work >= _IN_FLIGHT:
                self._room.clear()
                await self._room.wait()
            elif number % _BREATH == 0:
                await asyncio.sleep(0)
        if left := [job.task for key in wanted if (job := self._jobs[key]).task is not None]:
            await asyncio.wait(left)

    def begin(self, key: object) -> None:
        """Start on a key that will be demanded in a moment, so that several can be at work at once."""
        if key not in self._jobs:
            self._start(key)

    def _start(self, key: object) -> Job[ValueT]:
        if self._at_hand(key):
            return self._jobs[key]
        job = self._jobs[key] = Job(key)
        job.task = asyncio.create_task(self._run(job))
        self._at_work += 1
        return job

    def enter(self, key: object, value: ValueT) -> None:
        """Note the value of a key that nobody has demanded yet."""
        job = self._jobs[key] = Job(key)
        job.value = value

    async def _wait(self, job: Job[ValueT], asker: Job[ValueT] | None, new: bool) -> None:
        if asker is None:
            await _end_of(job)
            return
        if not new:  # a new job waits for nothing yet
            self._check_cycle(asker, job)
        if asker.waits_for is None:
            asker.waits_for = {}
        asker.waits_for[job] = asker.waits_for.get(job, 0) + 1
        try:
            await _end_of(job)
        finally:
            asker.waits_for[job] -= 1
            if not asker.waits_for[job]:
                del asker.waits_for[job]

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
        except asyncio.CancelledError as error:
            job.error = error
            raise
        finally:
            self._ended(job)

    def _ended(self, job: Job[ValueT]) -> None:
        waiters, job.waiters = job.waiters, None
        job.task = job.waits_for = None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)
        self._at_work -= 1
        if self._at_work < _IN_FLIGHT // 2:
            self._room.set()

    def _check_cycle(self, asker: Job[ValueT], job: Job[ValueT]) -> None:
        path = _path(job, asker)
        if path is not None:
            keys = [str(each.key) for each in path]
            start = keys.index(min(keys))
            ring = keys[start:] + keys[:start]
            raise CycleError([*ring, ring[0]])

    def slot(self, pool: str, key: object = None) -> _Slot:
        """Hold one place of a pool for ``key`` (``async with``); pools without a limit are free.

        Of those who wait, whoever has the longest chain of others behind it is next. BuildStopped when the build is stopping.
        """
        around = self._within.get(pool, "")
        return _Slot(self, [self._pools[name] for name in (pool, around) if name in self._pools], key)

    async def turn(self, key: object) -> None:
        """Wait until it is the turn of ``key`` to go on: what many wait for goes first when much is to go on at once.

        One goes on in each turn of the event loop. BuildStopped when the build is stopping by then.
        """
        await self._turns.acquire(lambda: self._height(key))
        asyncio.get_running_loop().call_soon(self._turns.release)
        if self.stopping:
            raise BuildStopped

    def job(self, key: object) -> Job[ValueT] | None:
        """The job of a key, if it was demanded."""
        return self._jobs.get(key)

    def jobs(self) -> list[Job[ValueT]]:
        """Every job so far."""
        return list(self._jobs.values())

    async def cancel(self) -> None:
        """Cancel everything and wait until it has ended."""
        self.stopping = True
        tasks = [job.task for job in self._jobs.values() if job.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Pool:
    """Some places, and who waits for one: the highest first, and of the same height whoever came first."""

    __slots__ = ("_free", "_number", "_waiting")

    def __init__(self, size: int) -> None:
        self._free = size
        self._number = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    async def acquire(self, height: Callable[[], int]) -> None:
        """Take a place when there is one."""
        if self._free:
            self._free -= 1
            return
        place = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (-height(), next(self._number), place))
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():  # it was given us just now
                self.release()
            raise

    def release(self) -> None:
        """Give a place to whoever is next."""
        while self._waiting:
            place = heapq.heappop(self._waiting)[2]
            if not place.done():
                place.set_result(None)
                return
        self._free += 1


class _Slot:
    """One place of a pool, for as long as the block lasts."""

    __slots__ = ("_held", "_key", "_pools", "_scheduler")

    def __init__(self, scheduler: Scheduler[Any], pools: list[_Pool], key: object) -> None:
        self._scheduler = scheduler
        self._pools = pools
        self._key = key
        self._held: list[_Pool] = []

    async def __aenter__(self) -> None:
        try:
            for pool in self._pools:
                if self._scheduler.stopping:
                    raise BuildStopped
                await pool.acquire(lambda: self._scheduler._height(self._key))
                self._held.append(pool)
            if self._scheduler.stopping:
                raise BuildStopped
        except BaseException:
            self._release()
            raise

    async def __aexit__(self, *exc: object) -> None:
        self._release()

    def _release(self) -> None:
        while self._held:
            self._held.pop().release()


async def gather(*awaitables: Awaitable[Any]) -> list[Any]:
    """``asyncio.gather`` that lets every part end before the first error is raised, so that no request is left in the air."""
    if len(awaitables) == 1:
        return [await awaitables[0]]
    results = await asyncio.gather(*awaitables, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return list(results)


async def _end_of(job: Job[Any]) -> None:
    """Wait for the end of a job. A future of our own: to cancel one who waits must not cancel the job."""
    waiter = asyncio.get_running_loop().create_future()
    if job.waiters is None:
        job.waiters = []
    job.waiters.append(waiter)
    await waiter


def _path(start: Job[ValueT], goal: Job[ValueT]) -> list[Job[ValueT]] | None:
    """A chain of waiting from ``start`` to ``goal``, or None. Iterative: chains may be long."""
    if start is goal:
        return [start]
    parents: dict[Job[ValueT], Job[ValueT] | None] = {start: None}
    stack = [start]
    while stack:
        job = stack.pop()
        for other in job.waits_for or ():
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
