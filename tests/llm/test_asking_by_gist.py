"""Texts that are shown and do not count: a change of them alone asks nobody; everything else about the question is as ever."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from zerorepo.label import parse_pattern
from zerorepo.plugins import RuleSet
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.testing import RuleRunner, Run
from zerorepo.values import Value
from zerorepo_llm.action import AskModel
from zerorepo_llm.ask import ask_json
from zerorepo_llm.journal import Journal
from zerorepo_llm.ledger import Ledger
from zerorepo_llm.prompt import CountsAs
from zerorepo_llm.register import RULE_SET
from zerorepo_llm.testing import ScriptedProvider, use_provider

PACKAGE = "tests_llm_gist"
PROMPT = (PACKAGE, "name.md")
TARGET = '[[target]]\nname = "it"\nrule = "told"\nthing = "{thing}"\nnote = "{note}"\n'


class ToldAttrs(Attrs):
    """What to find a name for, and what is said about it that does not count."""

    thing: str
    note: str


class Name(Value):
    """The answer."""

    name: str


@rule("told", attrs=ToldAttrs)
async def told(ctx: RuleContext[ToldAttrs]) -> None:
    """Ask for a name and write it."""
    given = {"thing": ctx.attrs.thing, "note": CountsAs(ctx.attrs.note, "")}
    answer = await ask_json(ctx, PROMPT, given, Name, purpose="name it")
    ctx.output("it.txt", answer.name.encode())


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "packages" / PACKAGE
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    text = "[system]\nFind a name.\n[user]\n{{ thing | data('thing') }}{{ note | data('note') }}\n"
    (package / PROMPT[1]).write_text(text)
    monkeypatch.syspath_prepend(str(package.parent))
    return tmp_path / "ws"


def build(
    root: Path, provider: ScriptedProvider | None, *, note: str, thing: str = "a bird", llm: str = "", **how: Any
) -> Run:
    runner = RuleRunner(root, {}, rule_sets=[RULE_SET, RuleSet(name="told", rules={"told": f"{__name__}:told"})])
    runner.write("zerorepo.toml", llm + TARGET.format(thing=thing, note=note))
    if provider is None:
        return runner.build(**how)
    with use_provider(provider):
        return runner.build(**how)


def numbered() -> ScriptedProvider:
    """Each answer is another one."""
    made: ScriptedProvider = ScriptedProvider(lambda request: json.dumps({"name": f"answer {len(made.requests)}"}))
    return made


def out(root: Path) -> str:
    return (root / "out" / "it.txt").read_text()


def test_a_change_of_what_does_not_count_asks_nobody_and_of_what_counts_does(root: Path) -> None:
    provider = numbered()
    build(root, provider, note="it sings")
    build(root, provider, note="it sings at night")
    assert (provider.calls, out(root)) == (1, "answer 1")
    build(root, provider, note="it sings at night", thing="a nightingale")
    assert (provider.calls, out(root)) == (2, "answer 2")
    assert "it sings at night" in provider.requests[-1].action.messages[1].content


def test_the_question_is_journaled_and_recorded_as_it_was_asked(root: Path) -> None:
    provider = numbered()
    build(root, provider, note="it sings")
    (entry,) = Journal(root / ".zerorepo").entries()
    (request,) = provider.requests
    assert type(request.action) is AskModel
    assert entry.messages == request.action.messages
    assert entry.true_key() == entry.key == request.key.hex
    assert "it sings" in entry.messages[1].content


def test_a_recorded_answer_is_found_by_what_it_was_shown(root: Path) -> None:
    build(root, numbered(), note="it sings")
    (entry,) = Journal(root / ".zerorepo").entries()
    fresh = root.parent / "fresh"
    fresh.mkdir()
    (fresh / "recorded.jsonl").write_text(entry.to_json() + "\n")
    llm = '[llm]\nprovider = "replay"\ntranscripts = ["recorded.jsonl"]\n'
    failed = build(fresh, None, llm=llm, note="it is silent", keep_going=True)
    assert failed.result.failed
    assert build(fresh, None, llm=llm, note="it sings").result.ok
    # The cache has it now, whatever is said beside it.
    assert build(fresh, None, llm=llm, note="it is silent").result.ok
    assert out(fresh) == "answer 1"


def test_an_answer_that_does_not_fit_is_asked_again_and_the_conversation_goes_by_its_gist_too(root: Path) -> None:
    answers: Sequence[str] = ["no json", '{"name": "finch"}']
    first = ScriptedProvider(answers)
    build(root, first, note="it sings")
    assert [len(request.action.messages) for request in first.requests] == [2, 4]
    second = ScriptedProvider([])
    build(root, second, note="it is silent")
    assert (second.calls, out(root)) == (0, "finch")


def test_refreshing_asks_with_the_present_text(root: Path) -> None:
    provider = numbered()
    build(root, provider, note="it sings")
    build(root, provider, note="it is silent", refresh=[parse_pattern("//:it")])
    assert (provider.calls, out(root)) == (2, "answer 2")
    assert "it is silent" in provider.requests[-1].action.messages[1].content
    build(root, provider, note="it sings a little")
    assert (provider.calls, out(root)) == (2, "answer 2")


def test_an_answer_used_again_counts_to_the_question_that_was_paid_for(root: Path) -> None:
    build(root, numbered(), note="it sings")
    build(root, numbered(), note="it is silent")
    ledger = Ledger(root / ".zerorepo")
    (entry,) = Journal(root / ".zerorepo").entries()
    assert [(each.key, each.times) for each in ledger.reuses()] == [(entry.key, 1)]
