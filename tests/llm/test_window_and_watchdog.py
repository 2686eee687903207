"""Prompts that do not fit, and calls that do not end: said with numbers, cancelled down to the socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.model_server import Mode, Server, running
from zerorepo.errors import ActionFailed, TransientFailure
from zerorepo_llm import faults, window
from zerorepo_llm.action import Answer, Message
from zerorepo_llm.faults import ModelFault
from zerorepo_llm.fence import fence
from zerorepo_llm.ledger import Ledger
from zerorepo_llm.providers.through_litellm import load_litellm
from zerorepo_llm.settings import LLMSettings
from zerorepo_llm.testing import ScriptedProvider, use_provider

from . import fake_openai as fake
from .fake_openai import FakeOpenAI, Reply
from .fakes import Build, ask_model, until

LONG = fence("word " * 3000, "specification")
SHORT = fence("word " * 20, "the plan")


def question(**fields: Any) -> Any:
    messages = (Message(role="system", content="Be brief."), Message(role="user", content=f"Read.\n{SHORT}\n{LONG}"))
    return ask_model(messages=messages, **{"model": "openai/m", **fields})


def ask(build: Build, action: Any) -> Any:
    async def go() -> Any:
        try:
            return await build.execute(action)
        finally:
            await build.close()

    return asyncio.run(go())


@pytest.fixture
def asking(server: FakeOpenAI, build: Build, monkeypatch: pytest.MonkeyPatch) -> Build:
    monkeypatch.setenv("TEST_MODEL_KEY", "sk-window-0123456789")
    build.settings = settings(server.base_url)
    return build


def settings(base_url: str, **fields: Any) -> LLMSettings:
    given = {"provider": "litellm", "api_base": base_url, "api_key": "env:TEST_MODEL_KEY", "retry_base_s": 0.01}
    return LLMSettings.model_validate({**given, **fields})


def test_a_prompt_that_does_not_fit_is_not_sent_and_says_by_how_much_and_why(server: FakeOpenAI, asking: Build) -> None:
    asking.settings = settings(server.base_url, models={"openai/m": {"context_window": 1000}})
    with pytest.raises(ActionFailed) as caught:
        ask(asking, question())
    assert server.seen == []
    text = caught.value.render()
    assert "prompt exceeds the context window" in text
    assert "more than the 1,000 of openai/m" in text
    assert text.index("`specification` (3,0") < text.index("`the plan` (2")


def test_what_litellm_knows_of_a_window_is_used(server: FakeOpenAI, asking: Build) -> None:
    with pytest.raises(ActionFailed, match=r"more than the 8,192 of openai/gpt-4"):
        ask(asking, ask_model("word " * 20_000, model="openai/gpt-4"))
    assert server.seen == []


def test_a_prompt_that_fits_is_sent_whole(server: FakeOpenAI, asking: Build) -> None:
    asking.settings = settings(server.base_url, models={"openai/m": {"context_window": 5000}})
    assert ask(asking, question()).text == "hello"
    assert server.seen[0]["messages"][1]["content"].endswith(LONG)


def test_a_providers_refusal_is_explained_with_its_own_numbers(server: FakeOpenAI, asking: Build) -> None:
    said = "This model's maximum context length is 2,048 tokens. However, your messages resulted in 3,100 tokens."
    server.plan = [Reply(400, error=said, code="context_length_exceeded")]
    with pytest.raises(ActionFailed, match=r"3,100 tokens, 1,052 more than the 2,048 .*`specification` \(3,0"):
        ask(asking, question())
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("said", "numbers"),
    [
        ("maximum context length is 10 tokens. However, your messages resulted in 20 tokens", (10, 20)),
        ("prompt is too long: 210,000 tokens > 200,000 maximum", (200_000, 210_000)),
        ("too long", None),
    ],
)
def test_numbers_are_read_from_what_providers_say(said: str, numbers: object) -> None:
    assert window.said(said) == numbers


def test_a_question_has_a_deadline_over_all_its_attempts(build: Build) -> None:
    build.settings = LLMSettings.model_validate({"deadline_s": 0.5, "retry_base_s": 0.0, "attempts": 20})
    slow = ScriptedProvider(lambda request: ModelFault(faults.SERVER_ERROR), limited=True, latency_s=0.2)
    began = time.monotonic()
    with use_provider(slow), pytest.raises(TransientFailure, match=r"deadline passed: no answer within 0\.5 s"):
        ask(build, question())
    assert time.monotonic() - began < 5
    (call,) = Ledger(build.state_dir).calls()
    assert (call.outcome, call.requests) == ("failed", slow.calls)


def test_no_pause_is_begun_that_would_outlast_the_deadline(build: Build) -> None:
    build.settings = LLMSettings.model_validate({"deadline_s": 20, "retry_cap_s": 60})
    told = ScriptedProvider(lambda request: ModelFault(faults.RATE_LIMIT, retry_after_s=50), limited=True)
    began = time.monotonic()
    with use_provider(told), pytest.raises(TransientFailure, match="1 request\n  last cause: rate limit"):
        ask(build, question())
    assert time.monotonic() - began < 10


def test_a_build_has_a_deadline_over_all_its_questions(build: Build) -> None:
    build.settings = LLMSettings.model_validate({"build_deadline_s": 0.6})

    async def go() -> list[Any]:
        first = await build.execute(question())
        rest = (build.execute(question(sample=n)) for n in (1, 2))
        return [first, *await asyncio.gather(*rest, return_exceptions=True)]

    answers = iter([0.1, 30.0, 30.0])

    class Slower(ScriptedProvider):
        async def ask(self, request: Any) -> Answer:
            await asyncio.sleep(next(answers))
            return Answer(text="hello")

    began = time.monotonic()
    with use_provider(Slower([], limited=True)):
        first, second, third = asyncio.run(go())
        asyncio.run(build.close())
    assert time.monotonic() - began < 10
    assert first.text == "hello"
    for error in (second, third):
        assert isinstance(error, TransientFailure)
        assert "within 0.6 s of the build's first question" in error.render()


def test_a_provider_that_never_returns_is_cancelled_and_asked_once_more(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zerorepo_llm.inquiry._GRACE_S", 0.1)
    build.settings = LLMSettings.model_validate({"timeout_s": 0.2, "retry_base_s": 0.0})
    cancelled = []

    class Hangs(ScriptedProvider):
        async def ask(self, request: Any) -> Answer:
            self.requests.append(request)
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.append(request)
                raise
            raise AssertionError

    provider = Hangs([], limited=True)
    with use_provider(provider), pytest.raises(TransientFailure, match="timeout"):
        ask(build, question())
    assert (provider.calls, len(cancelled)) == (2, 2)


def test_people_have_no_deadline(build: Build) -> None:
    build.settings = LLMSettings.model_validate({"deadline_s": 0.05, "timeout_s": 0.05, "build_deadline_s": 0.05})
    with use_provider(ScriptedProvider(["hello"], latency_s=0.3)):
        assert ask(build, question()).text == "hello"


@pytest.fixture
def slow_server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.mark.parametrize("ends", ["cancelled", "deadline", "timeout"])
def test_the_server_sees_that_nobody_waits_any_more(
    slow_server: Server, build: Build, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    monkeypatch.setenv("TEST_MODEL_KEY", "sk-watchdog-0123456789")
    slow_server.mode(Mode(hanging=1.0))
    limits: dict[str, Any] = {"deadline": {"deadline_s": 1.0}, "timeout": {"timeout_s": 1.0, "attempts": 1}}
    build.settings = settings(slow_server.base_url, **limits.get(ends, {}))

    async def go() -> None:
        task = asyncio.ensure_future(build.execute(question()))
        if ends == "cancelled":
            await until(lambda: slow_server.stats()["requests"])
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: slow_server.stats()["hung_up"] == 1)
        await build.close()

    async def warm() -> None:
        # So that the deadline is not spent on importing litellm.
        await asyncio.to_thread(load_litellm)

    asyncio.run(warm())
    asyncio.run(go())
    assert slow_server.stats()["in_flight"] == 0


def test_the_fake_is_not_asked_after_a_fatal_error(server: FakeOpenAI, asking: Build) -> None:
    server.plan = [fake.UNAUTHORIZED]
    with pytest.raises(ActionFailed, match="1 request"):
        ask(asking, question())
