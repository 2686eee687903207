"""Resident workers: as many as there are processors, asked in turn, replaced when they die, ended with the build.

Knows nothing of what is asked. A request whose worker died is asked again of another: each request has a world of its own, so
asking twice changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from zerorepo.errors import EnvironmentFailure, TransientFailure
from zerorepo_sandbox.limits import Limits
from zerorepo_sandbox.tier import Gone, Resident, Tier, World

RECYCLE_AFTER = 500
"""Requests that one worker serves: what a long-lived interpreter gathers is let go of now and then."""
_TRIES = 4
_START_S = 60.0
_PING_S = 5.0
_REST_S = 2.0
"""A worker that rested longer is asked for a sign of life before it is given work."""
_SMALL = 1 << 16


@dataclass(frozen=True)
class Kind:
    """What makes workers interchangeable."""

    tier: Tier
    world: World
    argv: tuple[str, ...]
    env: Mapping[str, str]
    most: Limits = field(default_factory=Limits)
    """The most that any request may use, for tiers whose workers are of a size."""

    @property
    def key(self) -> str:
        """Equal for equal kinds."""
        shows = sorted((inside, str(path)) for inside, path in self.world.shows.items())
        return json.dumps(
            [
                self.tier.name,
                shows,
                self.world.system,
                self.world.hides,
                self.argv,
                sorted(self.env.items()),
                self._size,
            ]
        )

    @property
    def _size(self) -> list[int]:
        """What is fixed when a worker starts; namespaces are made to measure for each request."""
        if self.tier.isolate == "namespaces":
            return []
        return [self.most.memory_mb, self.most.disk_mb, self.most.inodes, self.most.processes]


class _Worker:
    def __init__(self, key: str, resident: Resident) -> None:
        self.key = key
        self.resident = resident
        self.served = 0
        self.rests_since = time.monotonic()


class Pool:
    """See the head of this file. ``started`` counts workers, for whoever wants to see that they are shared."""

    def __init__(self, size: int | None = None) -> None:
        self.size = size or len(os.sched_getaffinity(0))
        self.started = 0
        # First come, first served: whoever waits longest for a slot is next.
        self._slots = asyncio.Semaphore(self.size)
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._closed = False

    async def ask(self, kind: Kind, request: bytes, *, longest_s: float, largest: int) -> bytes:
        """The answer of a worker. Cancelling ends the worker, and the request with it, at once.

        EnvironmentFailure when no worker starts; TransientFailure when several died one after another.
        """
        async with self._slots:
            why = ""
            for _ in range(_TRIES):
                worker = await self._take(kind)
                try:
                    await worker.resident.send(request)
                    answer = await worker.resident.receive(longest_s, largest)
                except Gone as gone:
                    await self._drop(worker)
                    why = worker.resident.last_words() or str(gone)
                    continue
                except BaseException:
                    await self._drop(worker)
                    raise
                await self._give_back(worker)
                return answer
        raise TransientFailure(
            f"{_TRIES} workers of the sandbox ended while they ran the same request: {why}",
            hint="something on this machine ends them; is it out of memory?",
        )

    def workers(self) -> list[Resident]:
        """All that are there now, busy or not."""
        return [worker.resident for worker in (*self._busy, *self._idle)]

    async def close(self) -> None:
        """End all workers."""
        self._closed = True
        while self._idle or self._busy:
            await self._drop((self._idle or list(self._busy))[0])

    async def _take(self, kind: Kind) -> _Worker:
        key = kind.key
        while worker := next((each for each in reversed(self._idle) if each.key == key), None):
            self._idle.remove(worker)
            self._busy.add(worker)
            try:
                if worker.resident.alive() and await self._is_well(worker):
                    return worker
            except BaseException:
                await self._drop(worker)
                raise
            await self._drop(worker)
        while self._idle and len(self._idle) + len(self._busy) >= self.size:
            await self._drop(self._idle[0])
        return await self._start(kind, key)

    async def _start(self, kind: Kind, key: str) -> _Worker:
        why = ""
        for _ in range(_TRIES):
            resident = await kind.tier.resident(kind.world, kind.argv, kind.env, kind.most)
            assert resident is not None, "a tier without resident workers has no pool"
            worker = _Worker(key, resident)
            self._busy.add(worker)
            try:
                greeting = json.loads(await resident.receive(_START_S, _SMALL))
            except (Gone, ValueError) as error:
                await self._drop(worker)
                why = resident.last_words() or str(error)
                continue
            except BaseException:
                await self._drop(worker)
                raise
            if greeting.get("ready"):
                self.started += 1
                return worker
            await self._drop(worker)
        raise EnvironmentFailure(
            f"The sandbox could not be entered: {why}",
            hint="`zerorepo info` shows which isolation works on this machine",
        )

    async def _is_well(self, worker: _Worker) -> bool:
        if time.monotonic() - worker.rests_since < _REST_S:
            return True
        with contextlib.suppress(Gone, ValueError):
            await worker.resident.send(b'{"ping": 1}\n')
            return bool(json.loads(await worker.resident.receive(_PING_S, _SMALL)) == {"pong": 1})
        return False

    async def _give_back(self, worker: _Worker) -> None:
        worker.served += 1
        worker.rests_since = time.monotonic()
        if self._closed or worker.served >= RECYCLE_AFTER or not worker.resident.alive():
            await self._drop(worker)
        else:
            self._busy.discard(worker)
            self._idle.append(worker)

    async def _drop(self, worker: _Worker) -> None:
        self._busy.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        await worker.resident.end()
