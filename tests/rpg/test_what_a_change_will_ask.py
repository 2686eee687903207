"""Before anyone is asked: what a changed text means for the plan, how many questions that takes, and what they cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from zerorepo_llm.ledger import Call, Ledger
from zerorepo_llm.settings import LLMSettings
from zerorepo_rpg.cli.dry_run import tree
from zerorepo_rpg.cli.expected_cost import money_lines
from zerorepo_rpg.expected_questions import Asked, planning, writing
from zerorepo_rpg.foresight import Foreseen, compared, read_by_rule
from zerorepo_rpg.limits import LimitPlan
from zerorepo_rpg.lock import Lock
from zerorepo_rpg.spec_model import Requirement

from .commands import zerorepo
from .sample import plan, spec

PROSE = """\
# Textkit

Slugs and words.

## Words

It splits a text into words at white space. It cleans a text of all marks first.

## Slugs

- It makes a slug of a text.
- It makes slugs that are unique.
"""
SENTENCES = {
    "split-words": ("It splits a text into words at white space.", "words"),
    "clean-text": ("It cleans a text of all marks first.", "words"),
    "make-slug": ("It makes a slug of a text.", "slugs"),
    "unique-slug": ("It makes slugs that are unique.", "slugs"),
}


def lock() -> Lock:
    """The sample's plan for ``PROSE``; each feature serves the requirement of its name."""
    old = plan()
    features = tuple(
        each.model_copy(update={"requirements": (each.id,) if each.id in SENTENCES else ("make-slug",)})
        for each in old.features.features
    )
    return Lock(
        requirements=tuple(Requirement(id=name, text=text, section=where) for name, (text, where) in SENTENCES.items()),
        features=old.features.model_copy(update={"features": features}),
        modules=old.modules,
        layout=old.layout,
        base_classes=old.base_classes,
        interfaces=old.interfaces,
    )


def test_requirements_in_prose_whose_sentences_stand_are_kept() -> None:
    found = read_by_rule(lock(), PROSE.replace("Slugs and words.", "Slugs, and words too."), {"textkit"})
    assert (found.kept, found.touched, found.added) == (4, (), ())
    assert found.unparsed == ("textkit",)
    assert read_by_rule(lock(), PROSE).kept == 4, "also when nothing is parsed"


def test_a_sentence_worded_anew_is_paired_with_the_one_that_it_was() -> None:
    found = read_by_rule(lock(), PROSE.replace("at white space", "at commas and dots"), {"words"})
    assert [(each.old.id, each.text) for each in found.reworded] == [
        ("split-words", "It splits a text into words at commas and dots.")
    ]
    assert (found.kept, found.added, found.removed, found.unclear) == (3, (), (), ())


def test_what_rules_cannot_decide_is_not_called_a_removal() -> None:
    found = read_by_rule(
        lock(), PROSE.replace("It splits a text into words at white space.", "Tokens come one by one.")
    )
    assert [each.id for each in found.unclear] == ["split-words"] and not found.removed
    shown = "\n".join(tree(lock(), found, "zerorepo.lock"))
    assert "1 not parsed yet" in shown and "(section `words` is not parsed yet: worded anew, or gone)" in shown
    assert "\n- " not in shown and "goes with it" not in shown


def test_limits_are_no_new_requirements() -> None:
    limit = LimitPlan(
        id="quick", text="Making a slug should take less than a tenth of a second.", features=("make-slug",)
    )
    text = (
        PROSE
        + "\n## Limits\n\n- Making a slug should take less than a fifth of a second.\n- All public functions are typed.\n"
    )
    found = read_by_rule(lock().model_copy(update={"limits": (limit,)}), text)
    assert (found.added, found.reworded, found.removed, found.limits) == ((), (), (), (limit.text,))
    assert any("quick" in line or "a tenth" in line for line in tree(lock(), found, "zerorepo.lock"))
    assert read_by_rule(lock(), text.replace("Making a slug should take", "It counts words in")).added


def test_list_items_come_and_go() -> None:
    less = read_by_rule(lock(), PROSE.replace("- It makes slugs that are unique.\n", ""), {"slugs"})
    assert [each.id for each in less.removed] == ["unique-slug"] and not less.added
    more = read_by_rule(lock(), PROSE + "- `shout(text)` is louder.\n", {"slugs"})
    assert [each.text for each in more.added] == ["`shout(text)` is louder."] and more.kept == 4
    # In a section that is parsed nothing is new: what is no requirement there was not one before.
    assert not read_by_rule(lock(), PROSE + "- `shout(text)` is louder.\n", {"words"}).added


def bounds(asked: tuple[Asked, ...]) -> dict[str, tuple[int, int, int]]:
    return {each.stage: (each.low, each.likely, each.high) for each in asked}


def test_a_rewording_asks_for_features_and_the_interfaces_behind_them() -> None:
    change = read_by_rule(lock(), PROSE.replace("at white space", "at commas"), {"words"})
    found = bounds(planning(lock(), change, {"rpg_spec": 1}))
    assert found["rpg_spec"] == (1, 1, 1) and found["rpg_features"] == (0, 1, 1)
    assert found["rpg_modules"] == (0, 0, 1) and found["rpg_interfaces"] == (0, 1, 3)
    # Once it is parsed, the next two are sure.
    found = bounds(planning(lock(), change, {"rpg_features": 1}))
    assert "rpg_spec" not in found and found["rpg_features"] == (1, 1, 1) and found["rpg_interfaces"][0] == 1


def test_a_new_requirement_asks_further_down_the_data_flow() -> None:
    change = read_by_rule(
        lock(), PROSE.replace("- It makes a slug", "- It splits words at dots, too.\n- It makes a slug")
    )
    found = bounds(planning(lock(), change, {"rpg_spec": 2}))
    assert found["rpg_spec"] == (2, 2, 2) and found["rpg_modules"][1] == found["rpg_base_classes"][1] == 1
    assert found["rpg_files"][1] == 1 and found["rpg_files"][2] == len(plan().modules.modules) + 1
    assert found["rpg_interfaces"][1] > 1, "modules that take the data of `words` see what it has new"
    assert bounds(writing(lock(), change))["node_code"][1] == 1


def test_nothing_pending_is_nothing_asked_and_a_first_plan_has_bounds() -> None:
    assert planning(lock(), Foreseen(), {}) == ()
    change = compared(Lock(), spec())
    found = bounds(planning(Lock(), change, {"rpg_features": 1}))
    assert found["rpg_modules"] == (1, 1, 1) and found["rpg_files"] == (1, 3, 10)
    assert bounds(writing(Lock(), change))["node_tests"] == (1, 6, 12)


def call(**given: object) -> Call:
    return Call(
        at=1.0,
        day="2026-01-01",
        build="b",
        outcome="answered",
        key="k",
        target="//:x",
        module="",
        **given,  # type: ignore[arg-type]
    )


ASKED = {"to plan": (Asked(stage="rpg_features", what="features", low=1, likely=2, high=3),)}


def test_money_comes_from_what_like_questions_have_cost(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / ".zerorepo")
    for cost in (10_000_000, 30_000_000):
        ledger.write([call(stage="rpg_features", model="m/strong", cost_nusd=cost)])
    ledger.write([call(stage="rpg_spec", model="m/strong", cost_nusd=9_000_000_000)])
    ledger.close()
    settings = LLMSettings.model_validate({"provider": "litellm", "tiers": {"strong": "m/strong"}})
    line, basis = money_lines(ASKED, settings, tmp_path, 10_000)
    assert line == "cost: at least $0.0100, expected $0.0400, at most $0.0900 to plan"
    assert basis == "(by what like questions have cost here)"


@pytest.mark.parametrize("seen", [False, True])
def test_money_of_a_model_that_was_never_asked_comes_from_its_price(tmp_path: Path, seen: bool) -> None:
    if seen:
        ledger = Ledger(tmp_path / ".zerorepo")
        ledger.write(
            [call(stage="rpg_features", model="m/old", prompt_tokens=1000, completion_tokens=100, cost_nusd=1)]
        )
        ledger.close()
    models = {"m/strong": {"input_usd": 1.0, "output_usd": 10.0}}
    given = {"provider": "litellm", "tiers": {"strong": "m/strong"}, "models": models, "max_tokens": 8000}
    line, basis = money_lines(ASKED, LLMSettings.model_validate(given), tmp_path, 9_000)
    if seen:
        assert line == "cost: at least $0.0020, expected $0.0040, at most $0.0060 to plan"
        assert "the size of like questions" in basis
    else:
        # 1,500 tokens of instructions and 0 to 3,000 of what is shown; answers of 300, 2,000 and 8,000 tokens.
        assert line == "cost: at least $0.0045, expected $0.0460, at most $0.2535 to plan"
        assert "the size of specification and plan" in basis


def test_a_price_that_nobody_knows_is_said(tmp_path: Path) -> None:
    settings = LLMSettings.model_validate({"provider": "litellm", "tiers": {"strong": "nobody/knows"}})
    assert list(money_lines(ASKED, settings, tmp_path, 1)) == [
        "(the price of nobody/knows is not known: [llm.models] can give it)"
    ]


def test_a_dry_run_of_a_paid_provider_shows_money(workspace: Path) -> None:
    assert zerorepo(workspace, "plan").returncode == 0
    path = workspace / "zerorepo.toml"
    prices = '[llm.tiers]\nmedium = "m/a"\nstrong = "m/b"\n[llm.models."m/a"]\ninput_usd = 1.0\noutput_usd = 2.0\n'
    path.write_text(path.read_text().replace('provider = "replay"', 'provider = "litellm"') + prices)
    shown = zerorepo(workspace, "plan", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    # Other models mean that every section is asked about again.
    assert "  6  parse the sections" in shown.stdout
    assert "cost: at least $" in shown.stdout and "the price of m/b is not known" in shown.stdout
