"""Minimality: exactly what an edit requires runs, and the reason given is the difference that there is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import toy_rules

from zerorepo.errors import TargetFailed
from zerorepo.label import parse_label
from zerorepo.rule import Attrs, rule
from zerorepo.target import Outputs
from zerorepo.testing import RuleRunner

CHAIN = """
[[target]]
name = "x"
rule = "cat"
srcs = ["a"]

[[target]]
name = "y"
rule = "cat"
deps = [":x"]

[[target]]
name = "cut"
rule = "cat"
srcs = ["a"]
first = true

[[target]]
name = "z"
rule = "cat"
deps = [":cut"]
"""


def test_nothing_changed_nothing_runs(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(CHAIN, {"a": "A"})
    assert len(runner.build_ok().ran) == 4
    run = runner.build_ok()
    assert (run.ran, run.actions, run.actions_cached) == ([], [], [])
    assert len(run.cached) == 4


def test_an_unchanged_result_lets_dependents_rest(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(CHAIN, {"a": "A1"})
    runner.build_ok()
    runner.write("a", "A2")
    run = runner.build_ok()
    assert sorted(run.ran) == ["//:cut", "//:x", "//:y"]
    assert "//:z" in run.cached
    assert run.reasons("//:x")[0].startswith("source a: ")
    assert run.reasons("//:y")[0].startswith("provider //:x Outputs: ")


def test_going_back_is_a_hit(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(CHAIN, {"a": "A"})
    runner.build_ok()
    for text in ("B", "C"):
        runner.write("a", text)
        runner.build_ok()
    runner.write("a", "A")
    assert runner.build_ok().ran == []
    assert runner.outputs()["y"] == b"A"


def test_another_clone_with_the_same_cache_runs_nothing(toys: Callable[..., RuleRunner], tmp_path: Path) -> None:
    shared = f'[cache]\ndir = "{tmp_path}/cache"\n'
    runner = toys(shared + CHAIN, {"a": "A"})
    runner.build_ok()
    other = RuleRunner(tmp_path / "clone", {"zerorepo.toml": shared + CHAIN, "a": "A"}, rule_sets=[toy_rules.RULE_SET])
    run = other.build_ok()
    assert (run.ran, run.actions) == ([], [])
    assert other.outputs() == runner.outputs()


def test_without_the_state_folder_the_outputs_are_the_same_again(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(CHAIN, {"a": "A"})
    runner.build_ok()
    before = runner.outputs()
    shutil.rmtree(runner.root / ".zerorepo")
    assert len(runner.build_ok().ran) == 4
    assert runner.outputs() == before


def test_an_edit_of_an_unused_file_runs_nothing(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(CHAIN, {"a": "A", "unused": "U"})
    runner.build_ok()
    runner.write("unused", "V")
    runner.write("zerorepo.toml", CHAIN + "\n# a comment\n")
    assert runner.build_ok().ran == []


def test_a_changed_attribute_runs_the_rule_and_is_named(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(CHAIN, {"a": "A", "b": "B"})
    runner.build_ok()
    runner.write(
        "zerorepo.toml",
        CHAIN.replace('name = "x"\nrule = "cat"\nsrcs = ["a"]', 'name = "x"\nrule = "cat"\nsrcs = ["b"]'),
    )
    run = runner.build_ok()
    assert sorted(run.ran) == ["//:x", "//:y"]
    assert run.reasons("//:x") == ['attribute attrs.srcs[0]: "a" -> "b"']


def test_a_cosmetic_attribute_runs_nothing(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(CHAIN, {"a": "A"})
    runner.build_ok()
    runner.write("zerorepo.toml", CHAIN.replace('name = "x"', 'name = "x"\nnote = "for people"'))
    assert runner.build_ok().ran == []


def test_a_new_version_of_a_rule_runs_its_targets(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(CHAIN, {"a": "A"})
    runner.build_ok()
    runner.registry.add_rule(replace(toy_rules.cat, version=2))
    run = runner.build_ok()
    assert len(run.ran) == 4
    assert run.actions == []  # the actions are the same as before
    assert run.reasons("//:x") == ["attribute version: 1 -> 2"]


def test_only_what_was_asked_for_is_built(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(CHAIN, {"a": "A"})
    assert runner.build_ok("//:y").ran == ["//:x", "//:y"]
    assert set(runner.outputs()) == {"x", "y"}
    assert sorted(runner.build_ok("//:all", "-//:z").ran) == ["//:cut"]


def test_manual_targets_are_built_by_name_only(toys: Callable[..., RuleRunner]) -> None:
    runner = toys('[[target]]\nname = "m"\nrule = "cat"\ntags = ["manual"]\n')
    assert runner.build_ok().ran == []
    assert runner.build_ok("//:m").ran == ["//:m"]


def test_a_dependency_that_is_no_longer_wanted_is_not_demanded(toys: Callable[..., RuleRunner]) -> None:
    targets = (
        '[[target]]\nname = "t"\nrule = "cat"\nmore = "list"\n[[target]]\nname = "p"\nrule = "cat"\nsrcs = ["a"]\n'
        '[[target]]\nname = "q"\nrule = "cat"\nsrcs = ["b"]\n'
    )
    runner = toys(targets, {"list": "//:p //:q", "a": "A", "b": "B"})
    runner.build_ok("//:t")
    runner.write("list", "//:p")
    runner.write("b", "!fail")  # building it would fail
    assert runner.build_ok("//:t").ran == ["//:t"]
    assert runner.outputs()["t"] == b"A"


def test_options_are_recorded(toys: Callable[..., RuleRunner]) -> None:
    runner = toys('[[target]]\nname = "x"\nrule = "ask"\noption = "unsafe"\n')
    runner.build_ok()
    run = runner.build_ok(extra={"unsafe": True, "other": 1})
    assert run.reasons("//:x") == ["option unsafe: null -> true"]
    assert runner.outputs() == {"x": b"True"}
    assert runner.build_ok(extra={"unsafe": True}).ran == []
    assert runner.build_ok().ran == []


def test_settings_are_recorded_but_cosmetic_ones_are_not(toys: Callable[..., RuleRunner]) -> None:
    runner = toys('[[target]]\nname = "x"\nrule = "ask"\nsection = true\n')
    runner.build_ok()
    assert runner.build_ok(overrides=["toy.note=hm"]).ran == []
    run = runner.build_ok(overrides=["toy.greeting=hi"])
    assert run.ran == ["//:x"]
    assert "hi" in run.reasons("//:x")[0]
    assert runner.outputs() == {"x": b"hi"}


def test_a_volatile_action_runs_in_every_build_once(toys: Callable[..., RuleRunner]) -> None:
    targets = '[[target]]\nname = "t"\nrule = "tick"\n[[target]]\nname = "s"\nrule = "tick"\n'
    targets += '[[target]]\nname = "u"\nrule = "cat"\ndeps = [":t"]\n'
    runner = toys(targets)
    runner.build_ok()
    before = runner.outputs()
    run = runner.build_ok()
    assert [mnemonic for mnemonic, _ in run.actions] == ["Tick", "Cat"]
    assert sorted(run.ran) == ["//:s", "//:t", "//:u"]
    assert runner.outputs()["t"] == runner.outputs()["s"] != before["t"]


def test_behind_an_unchanged_volatile_result_nothing_runs(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(
        '[[target]]\nname = "t"\nrule = "tick"\ncoarse = true\n[[target]]\nname = "u"\nrule = "cat"\ndeps = [":t"]\n'
    )
    runner.build_ok()
    assert runner.build_ok().ran == ["//:t"]


def tree(root: Path) -> dict[str, tuple[bytes, int]]:
    return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(root.rglob("*")) if p.is_file()}


def test_a_dry_run_changes_nothing_and_names_reasons(toys: Callable[..., RuleRunner]) -> None:
    expand = '[[target]]\nname = "plan"\nrule = "expand"\nplan = "plan.txt"\n'
    lock = '[[target]]\nname = "l"\nrule = "lock"\nsrc = "a"\n'
    runner = toys(CHAIN + expand + lock, {"a": "A", "plan.txt": "p a", "big": "b" * 100_000})
    before = tree(runner.root)
    run = runner.build(dry_run=True)
    assert tree(runner.root) == before
    assert not (runner.root / ".zerorepo").exists()
    assert run.result.would_run[parse_label("//:x")] == ["it has not been built before", "would run Cat"]
    runner.build_ok()
    runner.write("a", "B")
    runner.remove("out/z")
    before = tree(runner.root)
    run = runner.build(dry_run=True)
    assert tree(runner.root) == before
    assert {str(label) for label in run.result.would_run} == {"//:x", "//:cut", "//gen:p"}
    assert run.result.would_run[parse_label("//:x")][0].startswith("source a: ")
    assert {str(label) for label in run.result.skipped} == {"//:y", "//:z"}


def test_a_checked_in_file_is_kept_up_to_date(toys: Callable[..., RuleRunner]) -> None:
    runner = toys('[[target]]\nname = "l"\nrule = "lock"\nsrc = "a"\n', {"a": "one"})
    run = runner.build_ok()
    assert [event.detail["path"] for event in run.notes("updated")] == ["toy.lock"]
    assert runner.read("toy.lock") == b"ONE"
    assert runner.build_ok(locked=True).ran == []
    runner.write("toy.lock", "edited")
    assert runner.build_ok().ran == []
    assert runner.read("toy.lock") == b"ONE"


def test_locked_refuses_to_change_a_checked_in_file(toys: Callable[..., RuleRunner]) -> None:
    runner = toys('[[target]]\nname = "l"\nrule = "lock"\nsrc = "a"\n', {"a": "one"})
    runner.build_ok()
    runner.write("a", "two")
    error = runner.build(locked=True).error("//:l")
    assert isinstance(error, TargetFailed)
    assert "`toy.lock` is out of date and --locked forbids" in error.message
    assert runner.read("toy.lock") == b"ONE"
    runner.build_ok()
    assert runner.read("toy.lock") == b"TWO"


def test_a_rule_that_swallows_a_failed_dependency_does_not_succeed(toys: Callable[..., RuleRunner]) -> None:
    class NeedAttrs(Attrs):
        dep: str

    @rule("careless", attrs=NeedAttrs)
    async def careless(ctx: Any) -> None:
        try:
            await ctx.provider(parse_label(ctx.attrs.dep), Outputs)
        except Exception:  # noqa: BLE001
            ctx.output("x", b"fine")

    runner = toys(
        '[[target]]\nname = "x"\nrule = "careless"\ndep = "//:r"\n[[target]]\nname = "r"\nrule = "refuse"\n',
        rules=[careless],
    )
    run = runner.build("//:x", keep_going=True)
    assert run.skipped == ["//:x"]
    assert run.failed == ["//:r"]


def test_asking_for_a_provider_that_is_not_there_is_an_error(toys: Callable[..., RuleRunner]) -> None:
    class NeedAttrs(Attrs):
        dep: str

    @rule("needy", attrs=NeedAttrs)
    async def needy(ctx: Any) -> None:
        await ctx.provider(parse_label(ctx.attrs.dep), toy_rules.Text)

    error = (
        toys(
            '[[target]]\nname = "x"\nrule = "needy"\ndep = "//:c"\n[[target]]\nname = "c"\nrule = "cat"\n',
            rules=[needy],
        )
        .build()
        .error("//:x")
    )
    assert "`//:c` provides no Text" in str(error)
    assert "it provides Outputs" in str(error)


def test_first_run_and_hit_hand_on_the_same_value(toys: Callable[..., RuleRunner]) -> None:
    runner = toys('[[target]]\nname = "x"\nrule = "ask"\nsection = true\n')
    first = runner.build_ok().provider("//:x", toy_rules.Text)
    again = runner.build_ok().provider("//:x", toy_rules.Text)
    assert first == again == toy_rules.Text(text="hello")


@pytest.mark.parametrize("pattern", ["//:x", "//:y"])
def test_tests_only_selects_test_targets(toys: Callable[..., RuleRunner], pattern: str) -> None:
    runner = toys(CHAIN + '[[target]]\nname = "j"\nrule = "judge_test"\nsrc = "a"\n', {"a": "good"})
    assert runner.build_ok(pattern, tests_only=True).ran == []
    assert runner.build_ok(tests_only=True).ran == ["//:j"]
