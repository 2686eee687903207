"""Doing together what many tasks ask for at one moment."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest

from zerorepo_llm.together import Together


class Doubling:
    """Doubles numbers and remembers in which batches; ``gate`` holds a batch back, ``fault`` breaks it."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.fault: Exception | None = None

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.gate.wait(10)
        self.batches.append(list(items))
        if self.fault is not None:
            raise self.fault
        return [2 * item for item in items]


@pytest.mark.parametrize("in_thread", [False, True])
def test_what_is_asked_in_one_turn_is_done_by_one_call(in_thread: bool) -> None:
    doubling = Doubling()

    async def go() -> list[int]:
        together = Together(doubling, in_thread=in_thread)
        return list(await asyncio.gather(*(together.ask(number) for number in range(5))))

    assert asyncio.run(go()) == [0, 2, 4, 6, 8]
    assert doubling.batches == [[0, 1, 2, 3, 4]]


def test_what_comes_while_a_batch_is_in_its_thread_is_the_next_batch() -> None:
    doubling = Doubling()
    doubling.gate.clear()

    async def go() -> list[int]:
        together = Together(doubling, in_thread=True)
        first = asyncio.ensure_future(together.ask(1))
        await asyncio.sleep(0.02)
        rest = [asyncio.ensure_future(together.ask(number)) for number in (2, 3)]
        await asyncio.sleep(0.02)
        doubling.gate.set()
        return list(await asyncio.gather(first, *rest))

    assert asyncio.run(go()) == [2, 4, 6]
    assert doubling.batches == [[1], [2, 3]]


@pytest.mark.parametrize("in_thread", [False, True])
def test_an_error_reaches_everyone_of_its_batch_and_nobody_else(in_thread: bool) -> None:
    doubling = Doubling()

    async def go() -> None:
        together = Together(doubling, in_thread=in_thread)
        doubling.fault = OSError("no room")
        found = await asyncio.gather(together.ask(1), together.ask(2), return_exceptions=True)
        assert [str(each) for each in found] == ["no room", "no room"]
        doubling.fault = None
        assert await together.ask(3) == 6

    asyncio.run(go())


def test_what_a_cancelled_task_asked_for_is_done_all_the_same() -> None:
    doubling = Doubling()

    async def go() -> None:
        together = Together(doubling)
        task = asyncio.ensure_future(together.ask(1))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)

    asyncio.run(go())
    assert doubling.batches == [[1]]


def test_what_can_be_undone_is_not_done_for_a_task_that_left_or_is_undone() -> None:
    doubling, undone = Doubling(), []

    async def go() -> None:
        together = Together(doubling)
        before = asyncio.ensure_future(together.ask(1, undo=undone.append))
        await asyncio.sleep(0)
        before.cancel()
        await asyncio.sleep(0.01)
        after = asyncio.ensure_future(together.ask(2, undo=undone.append))
        await asyncio.sleep(0)
        together.flush()
        after.cancel()  # done, but the task has not seen it yet
        with pytest.raises(asyncio.CancelledError):
            await after

    asyncio.run(go())
    assert doubling.batches == [[2]]
    assert undone == [4]


def test_what_nobody_waits_for_is_done_within_its_patience_or_with_the_next_that_is_waited_for() -> None:
    doubling, told = Doubling(), []

    async def go() -> None:
        together = Together(doubling, patience_s=0.05)
        for number in (1, 2):
            together.post(number, lambda value, error: told.append((value, error)))
        await asyncio.sleep(0.01)
        assert doubling.batches == []
        assert await together.ask(3) == 6
        together.post(4, lambda value, error: told.append((value, error)))
        await asyncio.sleep(0.2)

    asyncio.run(go())
    assert doubling.batches == [[1, 2, 3], [4]]
    assert told == [(2, None), (4, None), (8, None)]


def test_flush_does_what_waits_also_when_the_event_loop_has_ended() -> None:
    doubling, told = Doubling(), []
    together = Together(doubling, patience_s=60)

    async def go(number: int) -> None:
        together.post(number, lambda value, error: told.append(value or str(error)))

    asyncio.run(go(1))
    together.flush()
    together.flush()
    doubling.fault = OSError("no room")
    asyncio.run(go(2))
    together.flush()
    assert doubling.batches == [[1], [2]]
    assert told == [2, "no room"]


def test_the_event_loop_goes_on_while_a_thread_blocks() -> None:
    async def go() -> float:
        together = Together(lambda items: [time.sleep(0.2) for _ in items], in_thread=True)
        asked = asyncio.ensure_future(together.ask(1))
        began = time.monotonic()
        await asyncio.sleep(0.01)
        passed = time.monotonic() - began
        await asked
        return passed

    assert asyncio.run(go()) < 0.15
