"""The circuit breaker's life, and the limits of a lane. Time is ours here, where it can be."""

from __future__ import annotations

import asyncio
import time

import pytest

from zerorepo_llm.breaker import Breaker, State
from zerorepo_llm.lanes import Bucket, Lane
from zerorepo_llm.settings import LLMSettings


class Clock:
    """Time that moves when it is slept."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(3, 10.0, clock)
    for _ in range(3):
        assert breaker.enter()
        breaker.failed()
    return breaker


def test_it_opens_after_failures_in_a_row_only(clock: Clock) -> None:
    breaker = Breaker(3, 10.0, clock)
    for ok in (False, False, True, False, False, True):
        assert breaker.enter()
        breaker.succeeded() if ok else breaker.failed()
    assert breaker.state is State.CLOSED
    assert opened(clock).state is State.OPEN


def test_while_open_nothing_goes_and_afterwards_one_probe(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now = 9.0
    assert (breaker.enter(), breaker.blocked_s()) == (False, 1.0)
    clock.now = 10.0
    assert breaker.blocked_s() is None
    assert breaker.enter()
    assert breaker.state is State.HALF_OPEN
    assert not breaker.enter()


def test_a_probe_that_works_closes_it(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now = 10.0
    assert breaker.enter()
    breaker.succeeded()
    assert breaker.state is State.CLOSED
    assert breaker.enter()
    assert breaker.enter()


def test_each_probe_that_fails_doubles_the_rest_up_to_a_bound(clock: Clock) -> None:
    breaker = opened(clock)
    rests = []
    for _ in range(7):
        clock.now += breaker.blocked_s() or 0.0
        assert breaker.enter()
        breaker.failed()
        rests.append(breaker.blocked_s())
    assert rests == [20, 40, 80, 160, 200, 200, 200]


def test_a_probe_that_shows_nothing_lets_the_next_one_probe(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now = 10.0
    assert breaker.enter()
    breaker.abandoned()
    assert breaker.state is State.OPEN
    assert breaker.enter()


def test_whoever_waits_is_woken_by_a_change(clock: Clock) -> None:
    async def go() -> float:
        breaker = opened(clock)
        began = time.monotonic()
        waiting = asyncio.ensure_future(breaker.wait(30))
        await asyncio.sleep(0)
        clock.now = 10.0
        breaker.enter()
        await waiting
        return time.monotonic() - began

    assert asyncio.run(go()) < 10


@pytest.mark.parametrize("per_minute", [1, 5, 60, 1000])
def test_no_minute_has_more_than_its_share(clock: Clock, per_minute: int) -> None:
    bucket = Bucket(per_minute, clock=clock, sleep=clock.sleep)
    times = []

    async def go() -> None:
        for _ in range(per_minute * 4):
            await bucket.take(1)
            times.append(clock.now)

    asyncio.run(go())
    for index, at in enumerate(times):
        within = sum(at <= other < at + 60 - 1e-6 for other in times[index:])
        assert within <= per_minute
    assert times[-1] < 60 * 4.5, "and not much less than its share is used"


def test_a_request_larger_than_the_bucket_waits_and_leaves_a_debt(clock: Clock) -> None:
    bucket = Bucket(120, clock=clock, sleep=clock.sleep)

    async def go() -> None:
        await bucket.take(100)
        await bucket.take(1)

    asyncio.run(go())
    assert 45 < clock.now < 60


def test_what_was_not_needed_is_given_back(clock: Clock) -> None:
    bucket = Bucket(120, clock=clock, sleep=clock.sleep)

    async def go() -> None:
        await bucket.take(10)
        bucket.give_back(9)
        await bucket.take(9)

    asyncio.run(go())
    assert clock.now == 0


def test_a_lane_keeps_to_its_own_concurrency() -> None:
    settings = LLMSettings.model_validate({"providers": {"openai": {"concurrency": 2}}})
    lanes = {name: Lane(name, settings) for name in ("openai", "anthropic")}
    running = dict.fromkeys(lanes, 0)
    most = dict.fromkeys(lanes, 0)

    async def one(name: str) -> None:
        async with lanes[name].slot(10):
            running[name] += 1
            most[name] = max(most[name], running[name])
            await asyncio.sleep(0.01)
            running[name] -= 1

    async def go() -> None:
        await asyncio.gather(*(one(name) for name in lanes for _ in range(6)))

    asyncio.run(go())
    assert most == {"openai": 2, "anthropic": 6}


def test_requests_per_minute_space_requests_out() -> None:
    settings = LLMSettings.model_validate({"providers": {"openai": {"requests_per_minute": 600}}})
    lane = Lane("openai", settings)

    async def go() -> float:
        began = time.monotonic()
        for _ in range(55):
            async with lane.slot(1):
                pass
        return time.monotonic() - began

    assert asyncio.run(go()) >= 0.4  # 50 at once, 5 at about nine a second
