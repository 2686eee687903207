"""What makes two questions the same one: messages, model, schema, sampling, sample index; and nothing about how they are asked.

Each field of the settings and of the action is in one of the two tables below; a new one fails until somebody has decided.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from zerorepo.action_key import key_of
from zerorepo.digest import DigestFunction
from zerorepo_llm.action import AskModel, Message
from zerorepo_llm.ask import ask_json
from zerorepo_llm.settings import LLMSettings
from zerorepo_llm.testing import ScriptedProvider, use_provider
from zerorepo_rpg.providers import Diagnosis

from .fakes import Build, RuleContextFake, ask_model

HOW: dict[str, Any] = {
    "provider": "litellm",
    "transcripts": ["said.jsonl"],
    "api_base": "http://localhost:1/v1",
    "api_key": "env:ANOTHER_KEY",
    "timeout_s": 1,
    "deadline_s": 2,
    "build_deadline_s": 3,
    "attempts": 1,
    "careful_attempts": 1,
    "retry_base_s": 0,
    "retry_cap_s": 5,
    "concurrency": 1,
    "prompt_cache": False,
    "providers": {"openai": {"api_base": "http://localhost:2", "api_key": "file:/k", "requests_per_minute": 1}},
    "models": {"medium": {"input_usd": 1, "output_usd": 2, "context_window": 100_000}},
    "breaker": {"failures": 1},
    "budget": {"build_usd": 1000},
    "quota": {"day_usd": 1000, "token": "env:TEAM"},
    "batch": {"gather_s": 1},
}
WHAT: dict[str, Any] = {
    "tiers": {"medium": "openai/other"},
    "rules": {"": {"medium": "openai/other"}},
    "temperature": 0.5,
    "max_tokens": 99,
}
OF_ACTION: dict[str, Any] = {
    "model": "other",
    "messages": (Message(role="user", content="Say hello."),),
    "answer_schema": {"type": "object"},
    "temperature": 0.5,
    "max_tokens": 101,
    "sample": 1,
}
NOT_OF_ACTION: dict[str, Any] = {
    "purpose": "other",
    "tier": "cheap",
    "expects": "python",
    "stage": "other",
    "fallbacks": ("openai/x",),
}
TEMPLATE = {"p.md": "[system]\nJudge.\n[user]\n{{ text | data('text') }}\n"}


def asked(build: Build, **settings: Any) -> str:
    """The key of the question that a rule asks under these settings."""
    build.settings = LLMSettings.model_validate(settings)
    ctx = RuleContextFake(build, templates=TEMPLATE)
    answer = json.dumps({"cause": "tests", "explanation": "x"})

    async def go() -> None:
        try:
            await ask_json(ctx, ("test", "p.md"), {"text": "t"}, Diagnosis, purpose="judge")
        finally:
            await build.close()

    with use_provider(ScriptedProvider(lambda request: answer)):
        asyncio.run(go())
    return key_of(ctx.actions[0], DigestFunction.XXH3).hex


def key(action: AskModel) -> str:
    return key_of(action, DigestFunction.XXH3).hex


def test_every_field_is_decided_about() -> None:
    assert set(HOW) | set(WHAT) == set(LLMSettings.model_fields)
    assert set(OF_ACTION) | set(NOT_OF_ACTION) == set(AskModel.model_fields)


@pytest.mark.parametrize("name", HOW)
def test_how_it_is_asked_is_not_in_the_key(build: Build, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM", "team-token-1234")
    (build.workspace / "said.jsonl").write_text("")
    assert asked(build, **{name: HOW[name]}) == asked(build)
    identity = key_of(LLMSettings.model_validate({name: HOW[name]}), DigestFunction.XXH3)
    assert identity == key_of(LLMSettings(), DigestFunction.XXH3)


@pytest.mark.parametrize("name", WHAT)
def test_what_shapes_the_answer_is_a_recorded_setting(build: Build, name: str) -> None:
    identity = key_of(LLMSettings.model_validate({name: WHAT[name]}), DigestFunction.XXH3)
    assert identity != key_of(LLMSettings(), DigestFunction.XXH3)
    if name != "rules":  # they count for targets of their rule only
        assert asked(build, **{name: WHAT[name]}) != asked(build)


@pytest.mark.parametrize("name", OF_ACTION)
def test_each_part_of_the_question_is_in_the_key(name: str) -> None:
    assert key(ask_model(**{name: OF_ACTION[name]})) != key(ask_model())


@pytest.mark.parametrize("name", NOT_OF_ACTION)
def test_what_is_only_told_to_people_is_not(name: str) -> None:
    assert key(ask_model(**{name: NOT_OF_ACTION[name]})) == key(ask_model())


def test_roles_and_their_order_count() -> None:
    system, user = Message(role="system", content="a"), Message(role="user", content="b")
    turned = [Message(role="user", content="a"), Message(role="system", content="b")]
    keys = {key(ask_model(messages=tuple(each))) for each in ([system, user], [user, system], turned)}
    assert len(keys) == 3


def test_a_change_of_key_or_endpoint_between_builds_asks_nothing_again(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = ScriptedProvider(lambda request: "hello")

    def go(**settings: Any) -> None:
        build.settings = LLMSettings.model_validate(settings)

        async def once() -> None:
            await build.execute(ask_model())
            await build.close()

        with use_provider(provider):
            asyncio.run(once())

    for value in ("first-key-1234", "second-key-5678"):
        monkeypatch.setenv("A_KEY", value)
        go(api_key="env:A_KEY", api_base=f"http://localhost/{value}", attempts=len(value) % 7 + 1)
    assert provider.calls == 1
