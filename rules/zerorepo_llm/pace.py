"""Starting requests a few at a time. Knows nothing of what is started.

Fifty requests that start at one moment are all sent when the last of them is ready, are answered at one moment, and so on: the
processor works, then waits, then works. A few at a time, it works while others wait for their answers: 200 calls of 0.5 s, 50 at
once, take 2.3 s so, and 2.7 s all at once (docs/performance.md).
"""

from __future__ import annotations

import asyncio
import math

_GROUP = 2
_EVERY_S = 0.006


class Pace:
    """At most ``group`` turns at one moment, the next ``every_s`` seconds later. First come, first served; a turn that nobody
    wanted is not made up for.
    """

    def __init__(self, group: int = _GROUP, every_s: float = _EVERY_S) -> None:
        self._group = group
        self._every_s = every_s
        self._moment = -math.inf
        self._taken = 0

    async def turn(self) -> None:
        """Return when the next request may start."""
        now = asyncio.get_running_loop().time()
        if now >= self._moment + self._every_s:
            self._moment, self._taken = now, 0
        elif self._taken == self._group:
            self._moment, self._taken = self._moment + self._every_s, 0
        self._taken += 1
        if self._moment > now:
            await asyncio.sleep(self._moment - now)
