"""Asking through the real engine: what is cached, what is replayed, what is parked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from zerorepo.engine import BuildOptions, BuildResult, Engine
from zerorepo.errors import UsageError
from zerorepo.label import parse_pattern
from zerorepo.plugins import Registry
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.values import Value
from zerorepo.workspace import Workspace
from zerorepo_llm.ask import ask_json
from zerorepo_llm.desk import Desk
from zerorepo_llm.register import RULE_SET
from zerorepo_llm.testing import ScriptedProvider, use_provider

PROMPT = ("tests_llm_prompts", "name.md")
TARGETS = (
    '[[target]]\nname = "a"\nrule = "named"\ntext = "first"\n[[target]]\nname = "b"\nrule = "named"\ntext = "second"\n'
)


class NamedAttrs(Attrs):
    """What to find a name for."""

    text: str


class Name(Value):
    """The answer."""

    name: str


@rule("named", attrs=NamedAttrs)
async def named(ctx: RuleContext[NamedAttrs]) -> None:
    """Ask for a name and write it."""
    answer = await ask_json(ctx, PROMPT, {"text": ctx.attrs.text}, Name, purpose=f"name {ctx.attrs.text}")
    ctx.output(f"{ctx.label.name}.txt", answer.name.encode())


@pytest.fixture
def place(workspace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    package = tmp_path_factory.mktemp("packages") / PROMPT[0]
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / PROMPT[1]).write_text("[system]\nFind a name.\n[user]\n{{ text | data('thing') }}\n")
    monkeypatch.syspath_prepend(str(package.parent))
    (workspace / "zerorepo.toml").write_text(TARGETS)
    return workspace


def build(place: Path, llm: str = "", **options: object) -> tuple[BuildResult, Engine]:
    (place / "zerorepo.toml").write_text(llm + TARGETS)
    registry = Registry([RULE_SET])
    registry.add_rule(named)

    async def go() -> tuple[BuildResult, Engine]:
        workspace = Workspace.load(place, registry)
        async with Engine(workspace, BuildOptions(keep_going=True, extra=options)) as engine:
            return await engine.build([parse_pattern("//...")]), engine

    return asyncio.run(go())


def scripted() -> ScriptedProvider:
    return ScriptedProvider(lambda request: json.dumps({"name": request.action.purpose.upper()}))


def test_answers_are_asked_for_once_and_then_cached(place: Path) -> None:
    provider = scripted()
    with use_provider(provider):
        assert build(place)[0].ok
        assert build(place)[0].ok
    assert provider.calls == 2
    assert provider.closed
    assert (place / "out" / "a.txt").read_text() == "NAME FIRST"


def test_a_lost_cache_is_refilled_from_the_journal(place: Path) -> None:
    provider = scripted()
    with use_provider(provider):
        build(place)
        for path in sorted((place / ".zerorepo").rglob("*"), reverse=True):
            if path.is_file() and path.parent.name != "answers":
                path.unlink()
        assert build(place)[0].ok
    assert provider.calls == 2


def test_another_provider_finds_the_answers_of_the_first_and_another_model_does_not(place: Path) -> None:
    with use_provider(scripted()):
        build(place, '[llm]\nprovider = "desk"\n')
    assert build(place, '[llm]\nprovider = "replay"\n')[0].ok
    result, _ = build(place, '[llm]\nprovider = "replay"\n[llm.tiers]\nmedium = "openai/other"\n')
    assert len(result.failed) == 2


def test_with_no_wait_every_prompt_is_parked(place: Path) -> None:
    result, _ = build(place, '[llm]\nprovider = "desk"\n', no_wait=True)
    assert len(result.failed) == 2
    desk = Desk(place / ".zerorepo")
    assert [parked.question.target for parked in desk.open()] == ["//:a", "//:b"]
    for parked in desk.open():
        desk.answer(parked.question, '{"name": "x"}')
    assert build(place, '[llm]\nprovider = "desk"\n', no_wait=True)[0].ok


def test_without_an_llm_section_the_three_choices_are_named(place: Path) -> None:
    result, _ = build(place)
    for error in result.failed.values():
        assert isinstance(error, UsageError)
        assert len(error.render().splitlines()) == 3
