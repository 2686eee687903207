"""Asking through the real engine: what is cached, what is replayed, what is parked."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from zerorepo.engine import BuildOptions, BuildResult, Engine
from zerorepo.errors import UsageError
from zerorepo.label import parse_pattern
from zerorepo.plugins import Registry
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.values import Value
from zerorepo.workspace import Workspace
from zerorepo_llm import faults
from zerorepo_llm.ask import ask_json
from zerorepo_llm.desk import Desk
from zerorepo_llm.faults import ModelFault
from zerorepo_llm.journal import Journal
from zerorepo_llm.ledger import Ledger
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


def build(
    place: Path, llm: str = "", *, refresh: Sequence[str] = (), dry_run: bool = False, **options: object
) -> tuple[BuildResult, Engine]:
    (place / "zerorepo.toml").write_text(llm + TARGETS)
    registry = Registry([RULE_SET])
    registry.add_rule(named)

    async def go() -> tuple[BuildResult, Engine]:
        workspace = Workspace.load(place, registry)
        given = BuildOptions(
            keep_going=True, dry_run=dry_run, refresh=[parse_pattern(text) for text in refresh], extra=options
        )
        async with Engine(workspace, given) as engine:
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


def numbered() -> ScriptedProvider:
    return ScriptedProvider(lambda request: json.dumps({"name": f"answer {len(provider.requests)}"}))


provider: ScriptedProvider


def test_refresh_asks_again_for_what_matches_and_for_nothing_else(place: Path) -> None:
    global provider
    provider = numbered()
    with use_provider(provider):
        build(place)
        before = (place / "out" / "b.txt").read_text()
        result, _ = build(place, refresh=["//:a"])
        assert result.ok
        assert provider.calls == 3
        assert (place / "out" / "a.txt").read_text() == "answer 3"
        assert (place / "out" / "b.txt").read_text() == before
        assert [str(each.label) for each in result.built.values() if each.ran] == ["//:a"]
        assert list(result.built[parse_pattern("//:a").label].reasons) == ["--refresh asks for it"]
        build(place)
        assert provider.calls == 3, "the new answer is the one that is kept"
        assert (place / "out" / "a.txt").read_text() == "answer 3"
        build(place, refresh=["//...", "-//:a"])
    assert provider.calls == 4
    assert provider.requests[-1].label.name == "b"
    assert provider.requests[-1].refresh


def test_a_refresh_that_fails_keeps_the_answer_that_was_there(place: Path) -> None:
    with use_provider(scripted()):
        build(place)
    keys = Journal(place / ".zerorepo").keys()
    with use_provider(ScriptedProvider(lambda request: ModelFault(faults.AUTHENTICATION))):
        result, _ = build(place, refresh=["//..."])
    assert len(result.failed) == 2
    assert Journal(place / ".zerorepo").keys() == keys
    with use_provider(scripted()) as again:
        assert build(place)[0].ok
    assert isinstance(again, ScriptedProvider)
    assert again.calls == 0
    assert (place / "out" / "a.txt").read_text() == "NAME FIRST"


def test_a_dry_run_says_what_a_refresh_would_ask(place: Path) -> None:
    with use_provider(scripted()) as asked:
        build(place)
        result, _ = build(place, refresh=["//:a"], dry_run=True)
    assert isinstance(asked, ScriptedProvider)
    assert asked.calls == 2
    assert {str(label): reasons for label, reasons in result.would_run.items()} == {
        "//:a": ["--refresh asks for it", "would run name first"]
    }


def test_a_refresh_at_the_desk_parks_the_prompt_again_and_takes_the_new_answer(place: Path) -> None:
    with use_provider(scripted()):
        build(place)
    desk = Desk(place / ".zerorepo")
    answered = threading.Event()

    def person() -> None:
        while not desk.open():
            time.sleep(0.05)
        desk.answer(desk.open()[0].question, '{"name": "better"}')
        answered.set()

    threading.Thread(target=person, daemon=True).start()
    result, _ = build(place, '[llm]\nprovider = "desk"\n', refresh=["//:a"])
    assert result.ok
    assert answered.is_set()
    assert (place / "out" / "a.txt").read_text() == "better"
    result, _ = build(place, '[llm]\nprovider = "desk"\n', refresh=["//:a"], no_wait=True)
    (error,) = result.failed.values()
    assert "leave out --no-wait" in str(error)


def test_the_ledger_knows_what_was_asked_and_what_the_cache_saved(place: Path) -> None:
    llm = "[llm.models.medium]\ninput_usd = 1\noutput_usd = 1000\n"
    priced = ScriptedProvider(lambda request: json.dumps({"name": "x"}), limited=True)
    with use_provider(priced):
        build(place, llm)
        build(place, llm)  # nothing to ask: no rule runs
        (place / "unused").mkdir()
        # The rules run again, and the action cache answers.
        build(place, llm + "[llm.tiers]\ncheap = 'another/model'\n")
        # The cache is lost, and the journal answers.
        for path in (place / ".zerorepo" / "cache").rglob("*"):
            if path.is_file():
                path.unlink()
        build(place, llm)
    assert priced.calls == 2
    ledger = Ledger(place / ".zerorepo")
    assert [(call.outcome, call.target, call.stage, call.module, call.model, call.tier) for call in ledger.calls()] == [
        ("answered", "//:a", "named", "", "medium", "medium"),
        ("answered", "//:b", "named", "", "medium", "medium"),
    ]
    (total,) = ledger.sums("stage")
    assert total.group == ("named",)
    assert total.spent_nusd > 0
    assert (total.reuses, total.saved_nusd) == (4, 2 * total.spent_nusd)
    (row,) = {call.build for call in ledger.calls()}
    assert row
