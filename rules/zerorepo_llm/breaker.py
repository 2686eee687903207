"""The circuit breaker of one provider: closed, open, half open. Knows nothing of requests; whoever sends them tells it.

Closed: requests go. Open, after several failures in a row: none goes, so that a provider that is down is neither hammered
nor waited for. Half open, when the rest is over: one request probes; its end closes the circuit or opens it for longer.
Own code, since the libraries for it (purgatory, aiobreaker) are no longer maintained, and wrap the call where we need to
choose a fallback before it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from enum import StrEnum

_LONGEST = 20


class State(StrEnum):
    """Of the circuit."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half open"


class Breaker:
    """``failures`` in a row open the circuit for ``open_s`` seconds; each failed probe doubles that, up to 20 times it."""

    def __init__(
        self,
        failures: int,
        open_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = State.CLOSED
        self._limit = failures
        self._first_s = self._rest_s = open_s
        self._clock = clock
        self._failed = 0
        self._until = 0.0
        self._moved = asyncio.Event()

    def blocked_s(self) -> float | None:
        """None when a request may go now; else the seconds until asking again makes sense."""
        if self.state is State.CLOSED:
            return None
        if self.state is State.HALF_OPEN:
            return self._first_s  # or sooner: when the probe ends, ``wait`` returns
        left = self._until - self._clock()
        return left if left > 0 else None

    def enter(self) -> bool:
        """A request is about to be sent: whether it may. When the rest is over, the first one is the probe."""
        if self.blocked_s() is not None:
            return False
        if self.state is State.OPEN:
            self._move(State.HALF_OPEN)
        return True

    def succeeded(self) -> None:
        """A request reached the provider, and it works."""
        self._failed = 0
        if self.state is State.HALF_OPEN:
            self._rest_s = self._first_s
            self._move(State.CLOSED)

    def failed(self) -> None:
        """A request showed that the provider does not work."""
        self._failed += 1
        if self.state is State.HALF_OPEN:
            self._rest_s = min(self._rest_s * 2, self._first_s * _LONGEST)
            self._open()
        elif self.state is State.CLOSED and self._failed >= self._limit:
            self._open()

    def abandoned(self) -> None:
        """A request ended without showing anything (it was cancelled, or the provider asked to come back later)."""
        if self.state is State.HALF_OPEN:
            self._until = self._clock()
            self._move(State.OPEN)

    async def wait(self, seconds: float) -> None:
        """Until the state changes, at most ``seconds``."""
        moved = self._moved
        try:
            async with asyncio.timeout(seconds):
                await moved.wait()
        except TimeoutError:
            pass

    def _open(self) -> None:
        self._until = self._clock() + self._rest_s
        self._move(State.OPEN)

    def _move(self, state: State) -> None:
        self.state = state
        self._moved.set()
        self._moved = asyncio.Event()
