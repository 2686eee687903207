"""Starting requests a few at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from zerorepo_llm.pace import Pace
from zerorepo_llm.settings import LLMSettings
from zerorepo_llm.testing import ScriptedProvider, use_provider

from .fakes import Build, ask_model


def starts(pace: Pace, count: int, after_s: float = 0.0) -> list[float]:
    """When each of ``count`` that ask at once may start, in seconds since they asked; asked ``after_s`` after a first lot."""

    async def go() -> list[float]:
        loop = asyncio.get_running_loop()
        if after_s:
            await asyncio.gather(*(pace.turn() for _ in range(count)))
            await asyncio.sleep(after_s)
        began = loop.time()

        async def one() -> float:
            await pace.turn()
            return loop.time() - began

        return list(await asyncio.gather(*(one() for _ in range(count))))

    return asyncio.run(go())


def test_a_few_start_at_one_moment_and_the_next_later() -> None:
    found = starts(Pace(group=2, every_s=0.05), 6)
    for number, at in enumerate(found):
        assert at >= number // 2 * 0.05 - 0.001
    assert max(found) < 2.0


def test_who_comes_alone_does_not_wait() -> None:
    assert starts(Pace(group=2, every_s=5.0), 2) == pytest.approx([0.0, 0.0], abs=1.0)


def test_turns_that_nobody_wanted_are_not_made_up_for() -> None:
    found = starts(Pace(group=2, every_s=0.05), 4, after_s=0.4)
    assert found[3] >= 0.05 - 0.001


def test_nobody_waits_behind_those_who_left() -> None:
    async def go() -> float:
        pace = Pace(group=1, every_s=0.05)
        await pace.turn()
        waiting = [asyncio.ensure_future(pace.turn()) for _ in range(3)]
        await asyncio.sleep(0)
        for each in waiting:
            each.cancel()
        began = asyncio.get_running_loop().time()
        await asyncio.wait_for(pace.turn(), 5)
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(go()) < 2.0


@pytest.mark.parametrize(("latency_s", "paced"), [(0.25, 6), (0.0, 0)])
def test_requests_are_paced_unless_answers_come_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, latency_s: float, paced: int
) -> None:
    turns: list[None] = []
    turn = Pace.turn

    async def counted(self: Pace) -> None:
        turns.append(None)
        await turn(self)

    async def go() -> None:
        await build.execute(ask_model("first"))
        turns.clear()
        await asyncio.gather(*(build.execute(ask_model(f"question {number}")) for number in range(6)))
        await build.close()

    monkeypatch.setattr(Pace, "turn", counted)
    build = Build(tmp_path, LLMSettings())
    with use_provider(ScriptedProvider(["hello"] * 7, latency_s=latency_s, limited=True)):
        asyncio.run(go())
    assert len(turns) == paced
