"""``--profile`` writes a Chrome trace: actions in lanes that do not overlap, and the chain that the build took its time for."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

from command import Command

from zerorepo.cli.profile import critical_path

TARGETS = """
[[target]]
name = "one"
rule = "slow"
seconds = 0.3

[[target]]
name = "two"
rule = "slow"
seconds = 0.1
"""


def test_lanes_hold_one_action_at_a_time(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", TARGETS)
    answer = command("build", "//...", "--jobs", "2", "--profile", "p.json")
    assert answer.code == 0, answer.err
    spans = [each for each in json.loads((command.root / "p.json").read_text())["traceEvents"] if each["ph"] == "X"]
    actions = [each for each in spans if each["pid"] == 1]
    assert {each["args"]["label"] for each in actions} == {"//:one", "//:two"}
    for lane in {each["tid"] for each in actions}:
        mine = sorted((each["ts"], each["ts"] + each["dur"]) for each in actions if each["tid"] == lane)
        assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(mine))
    assert [each["name"] for each in spans if each["cat"] == "critical path"] == ["//:one"]


def test_a_profile_that_cannot_be_written_is_bad_usage(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", TARGETS)
    assert command("build", "//...", "--profile", "no/such/folder/p.json").code == 2


def test_the_critical_path_is_the_heaviest_chain() -> None:
    times = {"a": 1.0, "b": 2.0, "c": 5.0, "d": 1.0}
    needs = {"b": ["a"], "d": ["b", "c"], "c": []}
    assert critical_path(times, needs) == ["c", "d"]
    assert critical_path({**times, "a": 4.0}, needs) == ["a", "b", "d"]
    assert critical_path({}, needs) == []
