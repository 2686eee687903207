"""Asking again: exponential backoff with full jitter, bounded in attempts and time. Knows ``ModelFault``, and no provider.

Own code, since stamina and tenacity only add jitter to the backoff, while the bounds here differ by fault. Full jitter after
Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): the pause is uniform in
[0, min(cap, base * 2**n)]. A Retry-After of the server is the least that is waited, up to the cap.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from zerorepo_llm.faults import Kind, ModelFault

T = TypeVar("T")


class GaveUp(Exception):
    """No answer: the last fault, and how many requests were made."""

    def __init__(self, last: ModelFault, requests: int) -> None:
        super().__init__(str(last))
        self.last = last
        self.requests = requests


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often and how patiently. Times in seconds."""

    attempts: int = 4
    base_s: float = 1.0
    cap_s: float = 60.0
    random: Callable[[float, float], float] = random.uniform
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep)
    clock: Callable[[], float] = time.monotonic
    careful: int = 2
    """Requests that may end in one and the same fault that may have been paid for."""

    def pause_s(self, request: int, fault: ModelFault) -> float:
        """How long to wait after request number ``request`` (from 1) failed."""
        jittered = self.random(0.0, min(self.cap_s, self.base_s * 2.0 ** (request - 1)))
        if fault.retry_after_s is None:
            return jittered
        # Jitter on top as well, so that all who were told "2 seconds" do not come back at once.
        return min(self.cap_s, fault.retry_after_s + min(jittered, self.base_s))

    async def run(
        self,
        once: Callable[[], Awaitable[T]],
        on_retry: Callable[[int, ModelFault, float], None],
        until: float = math.inf,
    ) -> T:
        """The result of ``once``; GaveUp after a fatal fault, the last attempt, or when a pause would end after ``until``
        (of ``clock``).
        """
        request = 0
        met: Counter[str] = Counter()
        while True:
            request += 1
            try:
                return await once()
            except ModelFault as fault:
                met[fault.fault.name] += 1
                enough = request >= self.attempts or (fault.fault.careful and met[fault.fault.name] >= self.careful)
                if enough or fault.fault.kind is not Kind.RETRYABLE:
                    raise GaveUp(fault, request) from fault
                pause = self.pause_s(request, fault)
                if self.clock() + pause >= until:
                    raise GaveUp(fault, request) from fault
                on_retry(request, fault, pause)
            await self.sleep(pause)
