"""``--events`` and ``--profile`` of builds that fail, skip, are edited or interrupted: valid by the schema that is shipped."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from command import PLUGINS, Command, events

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs/events.schema.json").read_text())
TARGETS = """
[[target]]
name = "x"
rule = "cat"
srcs = ["a"]

[[target]]
name = "y"
rule = "cat"
deps = [":x"]

[[target]]
name = "bad"
rule = "cat"
srcs = ["f"]

[[target]]
name = "user"
rule = "cat"
deps = [":bad"]

[[target]]
name = "no"
rule = "refuse"

[[target]]
name = "meter"
rule = "metered"

[[target]]
name = "lock"
rule = "lock"
src = "a"
"""


def check(lines: list[dict[str, Any]]) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for line in lines:
        validator.validate(line)
    assert (lines[0]["id"], lines[0]["detail"]) == ("log", {"schema": 1})
    ended = [line["id"] for line in lines if line.get("new") in ("cached", "done", "failed", "skipped")]
    assert len(ended) == len(set(ended))


@pytest.fixture
def ws(tmp_path: Path) -> Command:
    return Command(tmp_path / "ws", TARGETS, {"a": "A", "f": "!fail"})


def test_the_schema_itself_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_line_of_a_build_with_failures_skips_and_notes_is_valid(ws: Command) -> None:
    log = ws.root / "e"
    assert ws("build", "-k", "--events", "e").code == 1
    first = events(log)
    check(first)
    ws.write("out/x", "edit")
    ws.write("zerorepo.adopted.toml", '[[adopted]]\nlabel = "//:old"\nfiles = { old = "a" }\n')
    ws("build", "-k", "--events", "e", "--jobs", "1")
    second = events(log)
    check(second)
    ws("build", "-k", "--events", "e", "--overwrite")
    third = events(log)
    check(third)
    ws("build", "-k", "--events", "e", "--dry-run")
    check(events(log))
    lines = [*first, *second, *third]
    seen = {(line["kind"], line.get("new")) for line in lines}
    states = ("running", "done", "cached", "failed", "skipped")
    assert seen >= {("target", state) for state in ("checking", *states)} | {
        ("action", "running"),
        ("action", "failed"),
    }
    notes = {line["id"] for line in lines if line["kind"] == "note"}
    assert notes == {
        "log", "meter", "progress", "updated", "edited output left alone", "edited output replaced", "stale adoption",
    }  # fmt: skip


def test_every_note_of_the_engine_is_documented() -> None:
    said = set[str]()
    for path in (ROOT / "zerorepo").rglob("*.py"):
        said |= set(re.findall(r'\.note\(\s*"([^"]+)"', path.read_text()))
    assert len(said) >= 9
    text = (ROOT / "docs/events.md").read_text()
    known = json.dumps(SCHEMA)
    for note in said:
        assert f"`{note}`" in text
        assert f'"{note}"' in known


@pytest.mark.parametrize(
    "line",
    [
        {"time": 1.0, "kind": "target", "id": "//:x", "label": "//:x", "old": "done", "new": "running"},
        {"time": 1.0, "kind": "target", "id": "//:x", "label": "//:x", "old": "checking", "new": "failed"},
        {"time": 1.0, "kind": "note", "id": "updated", "label": "//:x"},
        {"time": 1.0, "kind": "note", "id": "other", "label": "", "more": 1},
        {"time": "now", "kind": "note", "id": "other", "label": ""},
    ],
)
def test_the_schema_refuses_what_is_wrong(line: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(line)


def spans(path: Path) -> list[dict[str, Any]]:
    return [each for each in json.loads(path.read_text())["traceEvents"] if each["ph"] == "X"]


def test_a_profile_of_a_failing_build_is_written(ws: Command) -> None:
    assert ws("build", "-k", "--profile", "p.json").code == 1
    found = spans(ws.root / "p.json")
    assert {each["args"]["state"] for each in found if each["pid"] == 1} == {"done", "failed"}
    assert any(each["cat"] == "critical path" for each in found)
    named = [each for each in json.loads((ws.root / "p.json").read_text())["traceEvents"] if each["ph"] == "M"]
    assert {each["args"]["name"] for each in named} >= {"actions", "critical path", "worker 1"}


def test_log_and_profile_of_an_interrupted_build_are_whole(tmp_path: Path) -> None:
    slow = '[[target]]\nname = "s"\nrule = "slow"\nseconds = 60\n[[target]]\nname = "x"\nrule = "cat"\nsrcs = ["a"]\n'
    command = Command(tmp_path / "ws", slow, {"a": "A"})
    process = command.start("build", "--events", "e", "--profile", "p.json", "--jobs", "2")
    until = time.time() + 30
    while time.time() < until and not any(
        each.get("mnemonic") == "Slow" and each.get("new") == "running" for each in events(command.root / "e")
    ):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    check(events(command.root / "e"))
    states = {each["cat"]: each["args"]["state"] for each in spans(command.root / "p.json")}
    assert states["Slow"] == "skipped"


def test_a_profile_that_cannot_be_written_stops_the_build_before_it_begins(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", files={"a": "A"})
    command.write("zerorepo.toml", PLUGINS + '[[target]]\nname = "x"\nrule = "cat"\nsrcs = ["a"]\n')
    assert command("build", "--profile", "no/such/folder/p.json").code == 2
    assert not (command.root / "out").exists()


@pytest.mark.parametrize("option", ["--events", "--profile"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_under_the_log_stops_no_build_and_is_told_once(ws: Command, option: str) -> None:
    run = ws("build", "//:y", option, "/dev/full")
    assert (ws.root / "out/y").exists()
    assert run.code == 1, "a record that is not complete must not be taken for one"
    assert run.err.count("is not complete: No space left on device") == 1
    assert "Traceback" not in run.err
    assert ws("build", "//:y").code == 0
