"""What an answer consumed, through the real litellm: tokens of every kind, money, prompt-cache markers, two endpoints."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from zerorepo.errors import ActionFailed
from zerorepo_llm.ledger import Ledger
from zerorepo_llm.settings import LLMSettings

from . import fake_openai as fake
from .fake_openai import FakeOpenAI, Reply
from .fakes import Build, ask_model

USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 200,
    "total_tokens": 1200,
    "prompt_tokens_details": {"cached_tokens": 600},
    "completion_tokens_details": {"reasoning_tokens": 150},
}


@pytest.fixture
def asking(server: FakeOpenAI, build: Build, monkeypatch: pytest.MonkeyPatch) -> Build:
    monkeypatch.setenv("TEST_MODEL_KEY", "sk-accounts-0123456789")
    build.settings = settings(server)
    return build


def settings(server: FakeOpenAI, **fields: Any) -> LLMSettings:
    given = {"provider": "litellm", "api_base": server.base_url, "api_key": "env:TEST_MODEL_KEY", "retry_base_s": 0.01}
    return LLMSettings.model_validate({**given, **fields})


def ask(build: Build, *actions: Any) -> list[Any]:
    async def go() -> list[Any]:
        try:
            return [await build.execute(action) for action in actions]
        finally:
            await build.close()

    return asyncio.run(go())


def test_tokens_of_every_kind_and_money_are_counted_exactly(server: FakeOpenAI, asking: Build) -> None:
    price = {"openai/m": {"input_usd": 2, "cached_input_usd": 0.5, "output_usd": 8}}
    asking.settings = settings(server, models=price)
    server.plan = [Reply(usage=USAGE)]
    (answer,) = ask(asking, ask_model(model="openai/m"))
    cost = (400 * 2 + 600 * 0.5 + 200 * 8) / 1e6
    assert answer.cost_usd == pytest.approx(cost, abs=1e-12)
    assert asking.meters == {
        "model_calls": 1,
        "cost_usd": answer.cost_usd,
        "prompt_tokens": 1000,
        "cached_tokens": 600,
        "completion_tokens": 200,
        "reasoning_tokens": 150,
    }
    (call,) = Ledger(asking.state_dir).calls()
    assert call.cost_nusd == round(cost * 1e9)
    assert (call.cached_tokens, call.reasoning_tokens, call.provider, call.answered_by) == (
        600,
        150,
        "openai",
        "m-2026",
    )


def test_a_known_models_price_comes_with_litellm_and_an_unknown_ones_is_unknown(
    server: FakeOpenAI, asking: Build
) -> None:
    known, unknown = ask(asking, ask_model(model="openai/gpt-4o"), ask_model(model="openai/no-such-model"))
    assert known.cost_usd == pytest.approx((11 * 2.5 + 3 * 10) / 1e6)
    assert unknown.cost_usd is None
    (total,) = Ledger(asking.state_dir).sums()
    assert (total.answered, total.unpriced, total.spent_nusd) == (2, 1, round((11 * 2.5 + 3 * 10) * 1000))


def test_a_refused_answer_that_was_generated_is_counted_as_wasted(server: FakeOpenAI, asking: Build) -> None:
    asking.settings = settings(server, models={"openai/m": {"input_usd": 1, "output_usd": 1}})
    server.plan = [fake.REFUSED]
    with pytest.raises(ActionFailed):
        ask(asking, ask_model(model="openai/m"))
    (call,) = Ledger(asking.state_dir).calls()
    assert (call.outcome, call.wasted_nusd, call.uncertain_nusd) == ("failed", 14_000, 0)


def test_each_provider_has_its_own_endpoint_and_key(
    server: FakeOpenAI, asking: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_KEY", "sk-other-0123456789")
    with FakeOpenAI() as other:
        mine = {"kind": "openai", "api_base": other.base_url, "api_key": "env:OTHER_KEY"}
        asking.settings = settings(server, providers={"mine": mine})
        server.plan = [fake.OVERLOADED]
        other.plan = [Reply(text="from the other")]
        action = ask_model(model="openai/m", fallbacks=("mine/big/model",))
        (answer,) = ask(asking, action)
    assert (answer.text, answer.asked) == ("from the other", "mine/big/model")
    assert len(server.seen) == 4
    assert other.seen[0]["model"] == "big/model"
    assert other.headers_seen[0]["authorization"] == "Bearer sk-other-0123456789"
    assert [call.provider for call in Ledger(asking.state_dir).calls()] == ["openai", "mine"]


def test_what_several_questions_share_is_marked_where_the_provider_must_be_told(
    server: FakeOpenAI, asking: Build
) -> None:
    asking.settings = settings(server, api_base=server.base_url.removesuffix("/v1"))
    claude = "anthropic/claude-sonnet-4-5"
    answers = ask(asking, *(ask_model(f"number {n}", model=claude) for n in range(3)))
    systems = [body["system"] for body in server.seen]
    marked = ["cache_control" in str(system) for system in systems]
    assert marked == [False, True, True], "one that is alone would only cost more"
    assert all("Be brief." in str(system) for system in systems)
    assert answers[1].cached_tokens == 1900


def test_others_are_sent_the_same_bytes_whether_shared_or_not(server: FakeOpenAI, asking: Build) -> None:
    ask(asking, *(ask_model(f"number {n}", model="openai/m") for n in range(2)))
    assert [body["messages"][0] for body in server.seen] == [{"role": "system", "content": "Be brief."}] * 2


def test_markers_can_be_turned_off(server: FakeOpenAI, asking: Build) -> None:
    asking.settings = settings(server, api_base=server.base_url.removesuffix("/v1"), prompt_cache=False)
    ask(asking, *(ask_model(f"number {n}", model="anthropic/claude-sonnet-4-5") for n in range(2)))
    assert not any("cache_control" in str(body) for body in server.seen)


def test_a_storm_is_survived_without_paying_twice_and_without_passing_the_budget_by_a_cent(
    server: FakeOpenAI, asking: Build
) -> None:
    limits = {"attempts": 20, "careful_attempts": 20, "timeout_s": 2.0, "retry_cap_s": 0.3, "breaker": {"failures": 50}}
    price = {"openai/m": {"input_usd": 10_000, "output_usd": 10_000}}  # a cent a token: 14 an answer
    questions = 30
    worst = 1.5 * 700  # a bound of one request, in dollars: its bytes and 100 tokens of answer
    asking.settings = settings(server, models=price, budget={"build_usd": 0.14 * questions + 20 * worst}, **limits)
    kinds = [fake.RATE_LIMITED, fake.SERVER_ERROR, fake.MALFORMED, fake.OK, fake.OK]
    server.plan = [kinds[number % len(kinds)] for number in range(40)] + [fake.OK]

    async def go() -> list[Any]:
        asked = (asking.execute(ask_model(f"number {n}", model="openai/m")) for n in range(questions))
        found = await asyncio.gather(*asked, return_exceptions=True)
        await asking.close()
        return found

    found = asyncio.run(go())
    assert [each for each in found if isinstance(each, BaseException)] == []
    (total,) = Ledger(asking.state_dir).sums()
    assert (total.answered, total.requests) == (questions, len(server.seen))
    assert total.spent_nusd == questions * 140_000_000
    malformed = 40 // len(kinds)
    assert total.uncertain_nusd / malformed / 1e9 <= worst
    assert total.spent_nusd + total.uncertain_nusd <= asking.settings.budget.build_usd * 1e9  # type: ignore[operator]
