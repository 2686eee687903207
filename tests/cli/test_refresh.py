"""``build --refresh``: what it names is run anew, and a pattern that names nothing is told."""

from __future__ import annotations

from pathlib import Path

from command import Command

TARGETS = '[[target]]\nname = "up"\nrule = "cat"\nsrcs = ["a.txt"]\n[[target]]\nname = "two"\nrule = "cat"\nsrcs = ["b.txt"]\n'


def test_what_matches_runs_anew_and_the_rest_does_not(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", TARGETS, {"a.txt": "a", "b.txt": "b"})
    assert command("build", "//...").code == 0
    assert command("build", "//...", "--json").json()["targets_run"] == []
    assert command("build", "//...", "--json", "--refresh", "//:up").json()["targets_run"] == ["//:up"]
    assert command("build", "//...", "--json", "--refresh", "//...", "--refresh=-//:up").json()["targets_run"] == [
        "//:two"
    ]
    assert command("build", "//...", "--json").json()["targets_run"] == []


def test_actions_that_would_give_the_same_again_are_not_run(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", TARGETS, {"a.txt": "a", "b.txt": "b"})
    command("build", "//...")
    assert command("build", "//...", "--json", "--refresh", "//...").json()["actions"]["executed"] == 0


def test_a_pattern_that_matches_nothing_is_told(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", TARGETS, {"a.txt": "a", "b.txt": "b"})
    answer = command("build", "//...", "--refresh", "//:upp")
    assert answer.code == 0
    assert "--refresh //:upp: no target of this build matches" in answer.err
