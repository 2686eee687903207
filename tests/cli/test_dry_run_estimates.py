"""``build --dry-run`` says what a build will take: never less than it does, learned from past runs, and by any meter's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command import PLUGINS, Command

TARGETS = """
[[target]]
name = "one"
rule = "metered"
srcs = ["a", "b"]

[[target]]
name = "two"
rule = "metered"
deps = [":one"]

[[target]]
name = "three"
rule = "metered"
deps = [":two", ":other"]

[[target]]
name = "as-two"
rule = "metered"
deps = [":one"]

[[target]]
name = "other"
rule = "metered"
srcs = ["c"]
"""


@pytest.fixture
def ws(tmp_path: Path) -> Command:
    command = Command(tmp_path / "ws", TARGETS, {"a": "aa bb", "b": "cc", "c": "dd ee ff"})
    assert command("build").code == 0
    return command


def estimate(ws: Command) -> Any:
    return ws("build", "--dry-run", "--json").json()["estimate"]


def bounds(ws: Command, meter: str) -> tuple[float, float, float]:
    found = estimate(ws)["meters"][meter]
    return found["at_least"], found["expected"], found["at_most"]


def test_nothing_to_do_takes_nothing(ws: Command) -> None:
    assert estimate(ws) == {"meters": {}, "unknown": [], "learned_from": 0}


def test_what_surely_runs_and_what_may_run_are_told_apart(ws: Command) -> None:
    ws.write("b", "zz")
    # One action surely, of a kind that took one call at least; then what two (AA BBCC) and three (AA BBCC DD EE FF) took. What
    # as-two asks for is what two does.
    assert bounds(ws, "model_calls") == (1, 1 + 2 + 5, 1 + 2 + 5)
    assert bounds(ws, "cost_usd") == (0.5, 1.5, 1.5)
    text = ws("build", "--dry-run").out
    assert "model calls: at least 1, expected 8, at most 8\n" in text
    assert "cost usd: at least 0.5, expected 1.5, at most 1.5\n" in text
    built = ws("build", "--json").json()
    assert (built["model_calls"], built["cost_usd"]) == (8, 1.5)


def test_a_target_that_was_never_built_counts_as_the_mean_of_its_rule(ws: Command) -> None:
    ws.write("d", "x")
    ws.write("zerorepo.toml", PLUGINS + TARGETS + '[[target]]\nname = "new"\nrule = "metered"\nsrcs = ["d"]\n')
    least, expected, most = bounds(ws, "model_calls")
    # In the past one took 3, two and as-two 2, three 5, other 3; but only one action is known to be asked for.
    assert (least, expected, most) == (1, 3, 3)


def test_a_target_of_an_unknown_kind_is_said_to_be_unknown(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", TARGETS, {"a": "aa bb", "b": "cc", "c": "dd ee ff"})
    found = estimate(command)
    assert found["unknown"] == ["//:as-two", "//:three", "//:two"]
    assert "nothing is known of what 3 targets may take" in command("build", "--dry-run").out
    assert not (command.root / ".zerorepo").exists()


def test_builds_with_edits_teach_how_much_a_change_calls_for(ws: Command) -> None:
    ws.write("zerorepo.toml", PLUGINS + TARGETS.replace('srcs = ["a", "b"]', 'srcs = ["a", "b"]\ncost = 0.25'))
    # The same words in upper case: one runs, and what depends on it rests.
    for text in ("CC", "cC", "Cc"):
        ws.write("b", text)
        assert ws("build", "--json").json()["model_calls"] == 1
    ws.write("b", "cc dd")
    found = estimate(ws)
    assert found["learned_from"] > 0
    assert found["meters"]["model_calls"]["at_least"] == 1
    assert 1 <= found["meters"]["model_calls"]["expected"] < 3
    assert found["meters"]["model_calls"]["at_most"] == 8
    assert "weighted by what ran after" in ws("build", "--dry-run").out


def test_an_action_that_two_targets_ask_for_counts_once(ws: Command) -> None:
    more = '[[target]]\nname = "p"\nrule = "metered"\nsrcs = ["new"]\n[[target]]\nname = "q"\nrule = "metered"\nsrcs = ["new"]\n'
    ws.write("new", "x y")
    ws.write("zerorepo.toml", PLUGINS + TARGETS + more)
    assert bounds(ws, "model_calls")[0] == 1
