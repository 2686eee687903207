"""Fallbacks: who is asked when a model cannot be had, what that does to identity, and what the circuit breaker does."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from zerorepo.action_key import key_of
from zerorepo.digest import DigestFunction
from zerorepo.errors import ActionFailed, TransientFailure
from zerorepo_llm import faults
from zerorepo_llm.action import Answer, AskModel
from zerorepo_llm.faults import Fault, ModelFault
from zerorepo_llm.journal import Journal
from zerorepo_llm.ledger import Ledger
from zerorepo_llm.providers import Request
from zerorepo_llm.settings import LLMSettings, fallbacks_of, model_of
from zerorepo_llm.testing import ScriptedProvider, use_provider

from .fakes import Build, ask_model

DOWN = {"retry_base_s": 0.0, "attempts": 2}


def question(text: str = "Say hello.") -> AskModel:
    return ask_model(text, model="one/a", fallbacks=("two/b", "three/c"))


def key(action: AskModel) -> str:
    return key_of(action, DigestFunction.XXH3).hex


def by_model(**said: str | Fault) -> ScriptedProvider:
    def script(request: Request) -> str | Exception:
        answer = said[request.action.model.partition("/")[0]]
        return ModelFault(answer, "so it is") if isinstance(answer, Fault) else answer

    return ScriptedProvider(script, limited=True)


def ask(build: Build, *actions: AskModel) -> list[Any]:
    async def go() -> list[Any]:
        return [(await asyncio.gather(build.execute(each), return_exceptions=True))[0] for each in actions]

    found = asyncio.run(go())
    asyncio.run(build.close())
    return found


@pytest.fixture
def asking(build: Build) -> Build:
    build.settings = LLMSettings.model_validate(DOWN)
    return build


def asked(provider: ScriptedProvider) -> list[str]:
    return [request.action.model for request in provider.requests]


@pytest.mark.parametrize(
    "fault", [faults.SERVER_ERROR, faults.RATE_LIMIT, faults.TIMEOUT, faults.CONNECTION, faults.OVERLOADED]
)
def test_when_attempts_are_used_up_the_next_model_is_asked(asking: Build, fault: Fault) -> None:
    provider = by_model(one=fault, two=fault, three="hello")
    with use_provider(provider):
        (answer,) = ask(asking, question())
    assert (answer.text, answer.asked) == ("hello", "three/c")
    assert asked(provider) == ["one/a", "one/a", "two/b", "two/b", "three/c"]
    assert asking.meters["fallbacks"] == 2
    assert any(f"one/a: {fault.name}; asks two/b" in line for line in asking.progress)


@pytest.mark.parametrize("fault", [faults.QUOTA, faults.PAYMENT])
def test_an_account_without_credit_falls_back_at_once(asking: Build, fault: Fault) -> None:
    provider = by_model(one=fault, two="hello")
    with use_provider(provider):
        assert ask(asking, question())[0].text == "hello"
    assert asked(provider) == ["one/a", "two/b"]


@pytest.mark.parametrize(
    "fault",
    [
        faults.AUTHENTICATION,
        faults.PERMISSION,
        faults.NOT_FOUND,
        faults.BAD_REQUEST,
        faults.CONTENT_POLICY,
        faults.REFUSAL,
        faults.CONTEXT_WINDOW,
    ],
)
def test_what_settings_or_the_question_are_to_blame_for_is_not_hidden_by_a_fallback(
    asking: Build, fault: Fault
) -> None:
    provider = by_model(one=fault, two="hello")
    with use_provider(provider):
        (error,) = ask(asking, question())
    assert isinstance(error, ActionFailed)
    assert asked(provider) == ["one/a"]


def test_when_nobody_answers_the_error_names_every_model_its_requests_and_its_cause(asking: Build) -> None:
    with use_provider(by_model(one=faults.OVERLOADED, two=faults.SERVER_ERROR, three=faults.TIMEOUT)):
        (error,) = ask(asking, question())
    assert isinstance(error, TransientFailure)
    text = error.render()
    for model, cause in (("one/a", "overloaded"), ("two/b", "server error"), ("three/c", "timeout")):
        assert f"provider scripted, model {model}, 2 requests\n  last cause: {cause}: so it is" in text


def test_fallbacks_are_not_identity_and_the_answer_belongs_to_the_question(asking: Build) -> None:
    assert key(question()) == key(ask_model(model="one/a"))
    with use_provider(by_model(one=faults.SERVER_ERROR, two="hello")):
        ask(asking, question())
    entry = Journal(asking.state_dir).get(key(question()))
    assert entry is not None
    assert (entry.model, entry.asked, entry.answered_by) == ("one/a", "two/b", "scripted")
    again = Build(asking.workspace, asking.settings)
    with use_provider(by_model(one="now I can")) as provider:
        assert ask(again, question())[0].text == "hello"
    assert isinstance(provider, ScriptedProvider)
    assert provider.calls == 0


def test_the_answer_of_a_fallback_is_also_its_own_and_paid_for_once(asking: Build) -> None:
    with use_provider(by_model(one=faults.SERVER_ERROR, two="hello")):
        ask(asking, question())
    with use_provider(by_model()) as provider:
        (answer,) = ask(asking, ask_model(model="two/b"))
    assert (answer.text, answer.asked) == ("hello", "")
    # And the other way round: what the fallback was asked before is not asked of it again.
    with use_provider(by_model(two="first")):
        ask(asking, ask_model("Another.", model="two/b"))
    with use_provider(by_model(one=faults.SERVER_ERROR)) as provider:
        assert ask(asking, question("Another."))[0].text == "first"
    assert isinstance(provider, ScriptedProvider)
    assert asked(provider) == ["one/a", "one/a"]


def test_the_ledger_knows_who_failed_and_who_answered(asking: Build) -> None:
    with use_provider(by_model(one=faults.SERVER_ERROR, two="hello")):
        ask(asking, question())
    rows = [(call.outcome, call.model, call.asked, call.requests) for call in Ledger(asking.state_dir).calls()]
    assert rows == [("failed", "one/a", "one/a", 2), ("answered", "one/a", "two/b", 1)]


def test_an_open_circuit_goes_to_the_fallback_at_once(asking: Build) -> None:
    asking.settings = LLMSettings.model_validate({**DOWN, "breaker": {"failures": 2, "open_s": 60}})
    provider = by_model(one=faults.SERVER_ERROR, two="hello")
    with use_provider(provider):
        for text in ("first", "second", "third"):
            assert asyncio.run(asking.execute(question(text))).text == "hello"
        asyncio.run(asking.close())
    assert asked(provider) == ["one/a", "one/a", "two/b", "two/b", "two/b"]
    assert asking.meters["circuit_open"] == 1
    assert "one: circuit open" in asking.progress


def test_without_a_fallback_an_open_circuit_is_waited_for_and_a_probe_closes_it(asking: Build) -> None:
    asking.settings = LLMSettings.model_validate(
        {"retry_base_s": 0.0, "attempts": 3, "breaker": {"failures": 2, "open_s": 0.3}}
    )
    script = [ModelFault(faults.SERVER_ERROR)] * 2 + ["hello"] * 2
    provider = ScriptedProvider(script, limited=True)
    began = time.monotonic()
    with use_provider(provider):
        found = ask(asking, ask_model(model="one/a"), ask_model("More.", model="one/a"))
    assert [answer.text for answer in found] == ["hello", "hello"]
    assert time.monotonic() - began >= 0.3
    assert [line for line in asking.progress if "circuit" in line] == [
        "one: circuit open", "one: circuit open, tries again within 0 s", "one: circuit half open", "one: circuit closed",
    ]  # fmt: skip
    assert (asking.meters["circuit_open"], asking.meters["circuit_closed"]) == (1, 1)


def test_while_the_probe_runs_nobody_else_is_sent(asking: Build) -> None:
    asking.settings = LLMSettings.model_validate(
        {"retry_base_s": 0.0, "attempts": 3, "breaker": {"failures": 2, "open_s": 0.2}}
    )
    running, most, calls = 0, 0, 0

    class Recovering(ScriptedProvider):
        async def ask(self, request: Request) -> Answer:
            nonlocal running, most, calls
            calls += 1
            if calls <= 2:
                raise ModelFault(faults.SERVER_ERROR)
            running += 1
            if calls == 3:
                most = 0
            most = max(most, running) if calls == 3 or running == 1 else most
            await asyncio.sleep(0.1)
            if calls == 3:
                assert running == 1, "the probe is alone"
            running -= 1
            return Answer(text="hello")

    async def go() -> list[Answer]:
        first = await build_first()
        return [first, *await asyncio.gather(*(asking.execute(ask_model(str(n), model="one/a")) for n in range(5)))]

    async def build_first() -> Answer:
        answer: Answer = await asking.execute(ask_model("first", model="one/a"))
        return answer

    with use_provider(Recovering([], limited=True)):
        assert len(asyncio.run(go())) == 6
    asyncio.run(asking.close())


CONFIGURED = {
    "tiers": {"strong": ["one/a", "two/b"], "cheap": "three/c"},
    "rules": {"implement": {"strong": ["four/d", "five/e"]}, "tests": {"fallbacks": {"strong": ["six/f"]}}},
}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("plan", ("one/a", ("two/b",))),
        ("implement", ("four/d", ("five/e",))),
        ("tests", ("one/a", ("six/f",))),
    ],
)
def test_tiers_and_fallbacks_are_those_of_the_rule_else_of_the_workspace(rule: str, expected: object) -> None:
    settings = LLMSettings.model_validate(CONFIGURED)
    assert (model_of(settings, "strong", rule), fallbacks_of(settings, "strong", rule)) == expected
    assert (model_of(settings, "cheap", rule), fallbacks_of(settings, "cheap", rule)) == ("three/c", ())


def test_models_of_tiers_are_identity_of_the_settings_and_fallbacks_are_not() -> None:
    def digest(tiers: object) -> str:
        return key_of(LLMSettings.model_validate({"tiers": tiers}), DigestFunction.XXH3).hex

    assert digest({"strong": ["a/x", "b/y"]}) == digest({"strong": "a/x"}) == digest({"strong": ["a/x"]})
    assert digest({"strong": ["b/y", "a/x"]}) != digest({"strong": "a/x"})


def test_an_empty_list_of_models_is_refused() -> None:
    with pytest.raises(ValueError, match="needs at least one model"):
        LLMSettings.model_validate({"tiers": {"strong": []}})


def test_settings_survive_a_round_trip() -> None:
    settings = LLMSettings.model_validate(CONFIGURED)
    assert LLMSettings.model_validate(json.loads(settings.model_dump_json())) == settings


def test_the_table_of_faults_says_for_each_what_follows() -> None:
    rows: list[Fault] = [value for value in vars(faults).values() if isinstance(value, Fault)]
    check: Callable[[Fault], bool] = lambda row: row.kind is faults.Kind.RETRYABLE or not row.down  # noqa: E731
    assert all(check(row) for row in rows)
    assert len({row.name for row in rows}) == len(rows)
