"""Each prompt file of each rule set is rendered by a test; one that nobody thought of fails here."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from jinja2 import Environment, meta
from prompt_examples import EXAMPLES, FILES, FRAGMENTS, RULES, template

from zerorepo.errors import InternalError
from zerorepo_llm.ask import ask_code, ask_json
from zerorepo_llm.fence import outline, skeleton
from zerorepo_llm.prompt import Prompt, render, split
from zerorepo_llm.settings import LLMSettings
from zerorepo_llm.testing import ScriptedProvider, use_provider
from zerorepo_rpg.providers import Diagnosis

from .fakes import Build, RuleContextFake

PROMPTS = sorted(EXAMPLES)


def source(name: str) -> str:
    return (RULES / name).read_text()


def rendered(build: Build, name: str, variables: dict[str, object]) -> Prompt:
    return asyncio.run(render(RuleContextFake(build).resource, template(name), variables))


def optional(name: str) -> set[str]:
    """Variables that a file leaves out when they are empty."""
    return set(re.findall(r"{% if (\w+) %}", source(name)))


def test_every_prompt_file_has_an_example_and_every_example_a_file() -> None:
    assert set(FILES) == set(EXAMPLES) | FRAGMENTS
    assert len(FILES) >= 14


@pytest.mark.parametrize("name", PROMPTS)
def test_an_example_gives_each_variable_that_the_file_uses(name: str) -> None:
    used: set[str] = set()
    parser = Environment()
    parser.filters["data"] = str
    for text in split(source(name), name).values():
        used |= meta.find_undeclared_variables(parser.parse(text))
    given = set(EXAMPLES[name])
    assert used <= given
    # Those that a prompt shares with its siblings, and may leave out.
    assert given - used <= {"tests", "code", "available"}


@pytest.mark.parametrize("name", PROMPTS)
@pytest.mark.parametrize("full", [True, False], ids=["full", "least"])
def test_it_renders_with_instructions_apart_from_data(build: Build, name: str, full: bool) -> None:
    variables = EXAMPLES[name] if full else {**EXAMPLES[name], **dict.fromkeys(optional(name), "")}
    prompt = rendered(build, name, variables)
    assert outline(prompt.system) == []
    assert outline(prompt.user)
    assert "{{" not in prompt.system + prompt.user
    assert "{%" not in prompt.system + prompt.user
    told = skeleton(prompt.user)
    for variable in re.findall(r"{{ (\w+) \| data", source(name)):
        value = str(variables[variable])
        if full:
            assert value in prompt.user
        assert len(value) < 8 or value not in told


@pytest.mark.parametrize("name", PROMPTS)
def test_a_variable_that_is_missing_is_an_error_and_not_an_empty_place(build: Build, name: str) -> None:
    needed = set(re.findall(r"{{ (\w+)", source(name)))
    for variable in needed:
        less = {key: value for key, value in EXAMPLES[name].items() if key != variable}
        with pytest.raises(InternalError, match=f"'{variable}' is undefined"):
            rendered(build, name, less)


@pytest.mark.parametrize("name", PROMPTS)
def test_data_stands_only_in_the_part_for_the_user(name: str) -> None:
    parts = split(source(name), name)
    assert "| data" not in parts["system"]
    assert "| trusted" not in parts["system"] + parts["user"]


@pytest.mark.parametrize("name", PROMPTS)
def test_reading_it_is_recorded_as_an_input(build: Build, name: str) -> None:
    ctx = RuleContextFake(build)
    asyncio.run(render(ctx.resource, template(name), EXAMPLES[name]))
    assert ctx.resources == [template(name), ("zerorepo_llm", "prompts/preamble.md")]


def test_the_fragments_stand_in_every_question(build: Build) -> None:
    build.settings = LLMSettings(retry_base_s=0)
    ctx = RuleContextFake(build)
    name = "zerorepo_rpg/prompts/diagnose.md"
    variables = EXAMPLES[name]

    async def go() -> None:
        await ask_json(ctx, template(name), variables, Diagnosis, purpose="p")
        await ask_code(ctx, template(name), variables, tier="strong", purpose="q", check=lambda code: [])

    with use_provider(ScriptedProvider([json.dumps({"cause": "tests", "explanation": "x"}), "```python\nx = 1\n```"])):
        asyncio.run(go())
    as_json, as_python = (action.messages[0].content for action in ctx.actions)
    for fragment, system in (("answer_json", as_json), ("answer_python", as_python), ("preamble", as_json)):
        assert source(f"zerorepo_llm/prompts/{fragment}.md").strip() in system
