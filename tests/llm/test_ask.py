"""Asking from rules: typed answers, and bounded re-asking with what was wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest
from pydantic import BaseModel

from zerorepo.action_key import key_of
from zerorepo.digest import DigestFunction
from zerorepo.errors import TargetFailed
from zerorepo_llm.action import Answer
from zerorepo_llm.ask import ask_code, ask_json, tidy_schema
from zerorepo_llm.settings import LLMSettings
from zerorepo_llm.testing import ScriptedProvider, use_provider

from .fakes import Build, RuleContextFake

TEMPLATES = {"p.md": "[system]\nName things.\n[user]\n{{ text | data('spec section') }}"}


class Named(BaseModel):
    """A thing with a name."""

    name: str
    count: int = 0


def context(build: Build) -> RuleContextFake:
    return RuleContextFake(build, templates=TEMPLATES)


def ask_named(ctx: RuleContextFake, script: Sequence[str | Answer | Exception], **options: object) -> Named:
    async def go() -> Named:
        return await ask_json(ctx, ("test", "p.md"), {"text": "make slugs"}, Named, purpose="name it", **options)  # type: ignore[arg-type]

    with use_provider(ScriptedProvider(script)):
        named = asyncio.run(go())
    ctx.build.services.clear()
    return named


def test_a_schema_in_a_prompt_has_no_titles_but_may_have_a_property_of_that_name() -> None:
    class Titled(BaseModel):
        title: str = "none"

    shown = tidy_schema(Titled.model_json_schema())
    assert shown == {"type": "object", "properties": {"title": {"type": "string", "default": "none"}}}


def test_an_answer_is_a_typed_value(build: Build) -> None:
    ctx = context(build)
    assert ask_named(ctx, ['{"name": "slugify", "count": 2}']) == Named(name="slugify", count=2)
    (action,) = ctx.actions
    assert [message.role for message in action.messages] == ["system", "user"]
    assert action.answer_schema == tidy_schema(Named.model_json_schema())
    assert json.dumps("name") in action.messages[0].content
    assert "make slugs" not in action.messages[0].content
    assert (action.model, action.tier, action.purpose) == ("medium", "medium", "name it")


def test_the_tier_decides_the_model_and_the_sample_the_key(build: Build) -> None:
    build.settings = LLMSettings.model_validate({"tiers": {"strong": "openai/big"}, "temperature": 0.5})
    ctx = context(build)
    ask_named(ctx, ['{"name": "a"}'], tier="strong")
    ask_named(ctx, ['{"name": "b"}'], tier="strong", sample=1)
    first, second = ctx.actions
    assert (first.model, first.temperature) == ("openai/big", 0.5)
    assert first.messages == second.messages
    assert key_of(first, DigestFunction.XXH3) != key_of(second, DigestFunction.XXH3)


def test_an_answer_that_does_not_fit_is_asked_again_with_what_was_wrong(build: Build) -> None:
    ctx = context(build)
    assert ask_named(ctx, ["{", '{"count": "many"}', '{"name": "ok"}']).name == "ok"
    first, second, third = ctx.actions
    assert second.messages[:2] == first.messages
    assert second.messages[2].role == "assistant"
    assert second.messages[2].content == "{"
    assert "not a JSON document" in second.messages[3].content
    assert third.messages[:4] == second.messages
    assert "At /name: Field required." in third.messages[5].content
    assert "At /count: Input should be a valid integer" in third.messages[5].content
    assert third.purpose == "name it (attempt 3 of 3)"


def test_the_same_wrong_answer_twice_is_not_the_same_question_twice(build: Build) -> None:
    ctx = context(build)
    assert ask_named(ctx, ["no", "no", '{"name": "ok"}']).name == "ok"
    assert len({key_of(action, DigestFunction.XXH3) for action in ctx.actions}) == 3


def test_a_check_has_a_say(build: Build) -> None:
    ctx = context(build)
    named = ask_named(
        ctx,
        ['{"name": "Bad Name"}', '{"name": "good"}'],
        check=lambda n: () if n.name.islower() else ["The name is not lower case."],
    )
    assert named.name == "good"
    assert "The name is not lower case." in ctx.actions[1].messages[-1].content


def test_what_checks_quote_is_fenced_and_cleaned(build: Build) -> None:
    ctx = context(build)
    ask_named(ctx, ['{"name": "a"}', '{"name": "b"}'], check=lambda n: ["saw \x1b[31m"] if n.name == "a" else [])
    assert "<data-" in ctx.actions[1].messages[-1].content
    assert "\x1b" not in ctx.actions[1].messages[-1].content


def test_a_truncated_answer_is_not_used_even_if_it_parses(build: Build) -> None:
    ctx = context(build)
    cut = Answer(text='{"name": "cut"}', finish_reason="length")
    assert ask_named(ctx, [cut, '{"name": "whole"}']).name == "whole"
    assert "cut off after 16,000 tokens" in ctx.actions[1].messages[-1].content


def test_attempts_are_bounded_and_the_last_problems_are_told(build: Build) -> None:
    ctx = context(build)
    with pytest.raises(TargetFailed) as caught:
        ask_named(ctx, ["{}", "{}"], attempts=2)
    text = caught.value.render()
    assert "//app:thing (name it): 2 answers of medium did not fit" in text
    assert "At /name: Field required." in text
    assert len(ctx.actions) == 2


def test_a_second_build_replays_all_attempts_from_the_journal(build: Build) -> None:
    ask_named(context(build), ["{", '{"name": "ok"}'])
    assert ask_named(context(build), []).name == "ok"


def ask_slug(ctx: RuleContextFake, script: Sequence[str | Exception]) -> str:
    async def go() -> str:
        return await ask_code(
            ctx,  # type: ignore[arg-type]
            ("test", "p.md"),
            {"text": "make slugs"},
            tier="strong",
            purpose="implement slugify",
            check=lambda code: [] if "def slugify" in code else ["There is no function slugify."],
        )

    with use_provider(ScriptedProvider(script)):
        return asyncio.run(go())


def test_code_is_asked_for_until_it_is_one_good_block(build: Build) -> None:
    ctx = context(build)
    good = "```python\ndef slugify(text):\n    return text\n```"
    assert (
        ask_slug(ctx, ["def slugify(): ...", "```python\nx = 1\n```", f"Here:\n{good}"])
        == "def slugify(text):\n    return text\n"
    )
    assert "no fenced ```python block" in ctx.actions[1].messages[-1].content
    assert "There is no function slugify." in ctx.actions[2].messages[-1].content
    assert ctx.actions[0].answer_schema is None
    assert ctx.actions[0].expects == "python"


def test_every_file_of_a_prompt_is_read_through_the_context(build: Build) -> None:
    ctx = context(build)
    ask_named(ctx, ['{"name": "a"}'])
    assert set(ctx.resources) == {
        ("test", "p.md"),
        ("zerorepo_llm", "prompts/preamble.md"),
        ("zerorepo_llm", "prompts/answer_json.md"),
    }
