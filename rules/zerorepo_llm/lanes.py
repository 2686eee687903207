"""A lane for each provider: how many requests at once, how many requests and tokens a minute, and its circuit breaker.

Knows nothing of what is asked. The buckets are our own since a rate limiter for tokens must take back what an answer did
not need and must let a request through that is larger than its capacity; aiolimiter does neither.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from zerorepo_llm.breaker import Breaker
from zerorepo_llm.settings import LLMSettings, ProviderSettings

_MINUTE_S = 60.0
_BURST = 12


class Bucket:
    """At most ``per_minute`` units in any minute; a twelfth of them may go at once. First come, first served."""

    def __init__(
        self,
        per_minute: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._size = max(1.0, per_minute / _BURST)
        # What is there at once counts in the minute that it is taken in.
        self._rate = (per_minute - self._size + 1.0) / _MINUTE_S
        self._level = self._size
        self._at = clock()
        self._clock = clock
        self._sleep = sleep
        self._turn = asyncio.Lock()

    async def take(self, amount: float) -> None:
        """Wait until ``amount`` is there. More than the bucket holds waits for a full one and leaves it in debt."""
        async with self._turn:
            while True:
                self._flow()
                missing = min(amount, self._size) - self._level
                if missing <= 1e-9:
                    self._level -= amount
                    return
                await self._sleep(missing / self._rate)

    def give_back(self, amount: float) -> None:
        """``amount`` was not needed after all; when negative, more was."""
        self._flow()
        self._level = min(self._size, self._level + amount)

    def _flow(self) -> None:
        now = self._clock()
        self._level = min(self._size, self._level + (now - self._at) * self._rate)
        self._at = now


class Lane:
    """One provider's."""

    def __init__(self, name: str, settings: LLMSettings) -> None:
        own = settings.providers.get(name, ProviderSettings())
        self.name = name
        self.batch = own.batch
        self.breaker = Breaker(settings.breaker.failures, settings.breaker.open_s)
        self._slots = asyncio.Semaphore(own.concurrency) if own.concurrency else None
        self._requests = Bucket(own.requests_per_minute) if own.requests_per_minute else None
        self._tokens = Bucket(own.tokens_per_minute) if own.tokens_per_minute else None

    @asynccontextmanager
    async def slot(self, tokens: int) -> AsyncIterator[None]:
        """Room for one request of about ``tokens`` tokens, prompt and answer."""
        if self._slots is None:
            await self._rate(tokens)
            yield
            return
        async with self._slots:
            await self._rate(tokens)
            yield

    async def _rate(self, tokens: int) -> None:
        if self._requests is not None:
            await self._requests.take(1)
        if self._tokens is not None:
            await self._tokens.take(tokens)

    def used(self, expected: int, tokens: int) -> None:
        """A request that was expected to need ``expected`` tokens needed ``tokens``."""
        if self._tokens is not None:
            self._tokens.give_back(expected - tokens)
