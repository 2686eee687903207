"""The documented exit codes, and JSON on stdout with everything else on stderr."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import PLUGINS, Command, actions, events

GOOD = '[[target]]\nname = "x"\nrule = "cat"\nsrcs = ["a"]\n'
BAD = '[[target]]\nname = "bad"\nrule = "cat"\nsrcs = ["f"]\n'
JUDGE = '[[target]]\nname = "j"\nrule = "judge_test"\nsrc = "verdict"\n'
FILES = {"a": "A", "f": "!fail", "verdict": "good"}


@pytest.fixture
def ws(tmp_path: Path) -> Command:
    return Command(tmp_path / "ws", GOOD, FILES)


def test_0_when_everything_is_built_and_then_nothing_is_left_to_do(ws: Command) -> None:
    first = ws("build", "//...")
    assert (first.code, first.out) == (0, "")
    assert "1 action run" in first.err
    assert "nothing to do" in ws("build").err
    assert (ws.root / "out/x").read_text() == "A"


def test_1_when_a_build_fails(ws: Command) -> None:
    ws.write("zerorepo.toml", PLUGINS + GOOD + BAD)
    answer = ws("build", "--keep-going")
    assert answer.code == 1
    assert "ERROR: //:bad\n  told to fail\n    at zerorepo.toml:8 (input error)" in answer.err
    assert (ws.root / "out/x").exists()


def test_what_a_failed_program_printed_does_not_steer_the_terminal(tmp_path: Path) -> None:
    shout = (
        '[[target]]\nname = "loud"\nrule = "command"\nouts = ["o"]\n'
        + "cmd = \"printf '\\\\033[31mred\\\\000\\\\tend' >&2; exit 3\"\n"
    )
    answer = Command(tmp_path / "loud", shout, {})("build", "//...")
    assert answer.code == 1 and "\\x1b[31mred\\x00\tend" in answer.err
    assert not {"\x1b", "\x00"} & set(answer.err)


@pytest.mark.parametrize(
    "args",
    [["build", "//:nothing"], ["build", "--no-such-flag"], ["build", "-j", "0"], ["nonsense"], ["build", "@x//y"],
     ["explain", "deps("],
     ["completion", "tcsh"], ["--set", "a=b", "build"], ["build", "--jobs", "many"], ["-C", "/no/such/folder", "build"],
     ["build", "--events", "/no/such/folder/events"]],
)  # fmt: skip
def test_2_when_the_request_is_wrong(ws: Command, args: list[str]) -> None:
    answer = ws(*args)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.strip()
    assert not (ws.root / "out").exists()


def test_2_outside_of_a_workspace(tmp_path: Path) -> None:
    answer = Command(tmp_path / "ws")("-C", str(tmp_path), "build")
    assert answer.code == 2
    assert "zerorepo init" in answer.err


def test_2_when_a_build_file_is_wrong(ws: Command) -> None:
    ws.write("zerorepo.toml", PLUGINS + GOOD + "srsc = []\n")
    answer = ws("build")
    assert answer.code == 2
    assert answer.err.splitlines()[:3] == [
        "ERROR: Unknown key `srsc` in target `//:x` (rule `cat`)",
        "  at zerorepo.toml:8 (input error)",
        "  did you mean `srcs`?",
    ]


def test_3_when_tests_fail_and_4_when_there_are_none(ws: Command) -> None:
    assert ws("test").code == 4
    ws.write("zerorepo.toml", PLUGINS + GOOD + JUDGE)
    passed = ws("test")
    assert passed.code == 0
    assert "PASSED //:j (1 test)" in passed.out
    ws.write("verdict", "evil")
    assert ws("test").code == 3
    failed = ws("test", "--json", "//:j").json()
    assert failed["exit_code"] == 3
    assert failed["tests"]["//:j"]["cases"]["failed"] == 1
    assert ws("test", "//:x").code == 4


def test_5_when_a_budget_refuses(ws: Command) -> None:
    ws.write("a", "!budget")
    assert ws("build").code == 5


def test_7_when_a_query_fails(ws: Command) -> None:
    assert ws("query", "deps(//:nothing)").code == 7
    assert ws("query", "//:x").out == "//:x\n"


def test_json_is_one_object_with_what_was_promised(ws: Command) -> None:
    body = ws("build", "--json").json()
    assert body["targets"] == {"built": 1, "failed": 0, "skipped": 0}
    assert body["actions"] == {"executed": 1, "cached": 0}
    assert (body["model_calls"], body["cost_usd"]) == (0, 0)
    assert 0 < body["wall_s"] < 60
    assert body["targets_run"] == ["//:x"]
    again = ws("build", "--json").json()
    assert (again["actions"], again["targets_run"]) == ({"executed": 0, "cached": 0}, [])


def test_json_holds_what_failed(ws: Command) -> None:
    ws.write("zerorepo.toml", PLUGINS + BAD + '[[target]]\nname = "user"\nrule = "cat"\ndeps = [":bad"]\n')
    body = ws("build", "--json").json()
    assert body["targets"] == {"built": 0, "failed": 1, "skipped": 1}
    assert body["failures"][0].items() >= {"label": "//:bad", "error": "told to fail", "origin": "input"}.items()


@pytest.mark.parametrize("command", ["build", "test"])
def test_json_is_there_even_when_the_request_is_wrong(ws: Command, command: str) -> None:
    ws.write("zerorepo.toml", PLUGINS + GOOD + "srsc = []\n")
    body = ws(command, "--json").json()
    assert body["exit_code"] == 2
    assert body["error"]["where"] == "zerorepo.toml:8"
    assert body["targets"] == {"built": 0, "failed": 0, "skipped": 0}


def test_a_dry_run_says_what_would_run_and_why(ws: Command) -> None:
    ws("build")
    ws.write("a", "B")
    answer = ws("build", "--dry-run")
    assert answer.code == 0
    assert answer.out.startswith("would run //:x\n    source a: ")
    assert ws("build", "--dry-run", "--json").json()["would_run"].keys() == {"//:x"}
    assert (ws.root / "out/x").read_text() == "A"


def test_patterns_are_relative_to_where_one_stands(ws: Command) -> None:
    ws.write("app/BUILD.toml", GOOD)
    ws.write("app/a", "C")
    assert ws("build", ":x", cwd="app").code == 0
    assert not (ws.root / "out/x").exists()
    assert (ws.root / "out/app/x").read_text() == "C"


def test_events_are_one_json_object_a_line(ws: Command, tmp_path: Path) -> None:
    ws("build", "--events", str(tmp_path / "e"))
    assert actions(tmp_path / "e", "done") == ["//:x"]
    assert all(event["time"] > 0 and event["kind"] in ("target", "action", "note") for event in events(tmp_path / "e"))


def test_an_edited_output_is_told_and_kept(ws: Command) -> None:
    ws("build")
    ws.write("out/x", "mine")
    answer = ws("build", "--json")
    assert answer.json()["edited_outputs"] == ["out/x"]
    assert "kept your edit of out/x (--overwrite replaces it)" in answer.err
    ws("build", "--overwrite")
    assert (ws.root / "out/x").read_text() == "A"


def test_version_is_told_in_every_way_that_people_try(ws: Command) -> None:
    assert ws("version").out == ws("--version").out == ws("--debug", "version").out
    assert ws("version").out.startswith("zerorepo 0.")
