"""A specification becomes a tested package; building again does nothing; an edited sentence rebuilds what it touches."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from e2e.example import Example
from zerorepo.engine import BuildOptions, Engine
from zerorepo.label import Label, parse_patterns
from zerorepo.plugins import installed
from zerorepo.trace import Trace
from zerorepo.workspace import Workspace

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Example:
    """The example, built once from its recorded answers; tests copy it before they change it."""
    example = Example(tmp_path_factory.mktemp("example") / "plaintable")
    ran = example.build()
    assert ran.code == 0, ran.err
    (example.root / "first.json").write_text(ran.out)
    return example


@pytest.fixture
def copy(built: Example, tmp_path: Path) -> Example:
    """The built example in a folder that a test may change."""
    shutil.copytree(built.root, tmp_path / "copy", dirs_exist_ok=False)
    example = object.__new__(Example)
    example.root = tmp_path / "copy"
    return example


def test_the_build_ends_with_the_documented_object(built: Example) -> None:
    body = json.loads((built.root / "first.json").read_text())
    assert body["targets"]["failed"] == body["targets"]["skipped"] == 0
    assert body["targets"]["built"] > 50
    assert body["actions"]["executed"] > 20
    assert body["model_calls"] == 40  # as the README says
    assert body["cost_usd"] == 0
    assert body["wall_s"] > 0
    assert all(report["passed"] and report["sandbox"] == "bubblewrap" for report in body["tests"].values())


def test_a_second_build_runs_nothing_and_changes_no_byte(copy: Example) -> None:
    copy.build()
    before = copy.outputs()
    ran = copy.build()
    assert ran.code == 0
    assert ran.json["actions"] == {"executed": 0, "cached": 0}
    assert ran.json["model_calls"] == 0
    assert ran.json["targets_run"] == []
    assert copy.outputs() == before


def test_a_build_without_cache_makes_the_same_bytes(built: Example, copy: Example) -> None:
    shutil.rmtree(copy.root / ".zerorepo")
    shutil.rmtree(copy.root / "out")
    assert copy.build().code == 0
    assert copy.outputs() == built.outputs()
    assert (copy.root / "zerorepo.lock").read_bytes() == (built.root / "zerorepo.lock").read_bytes()


def test_planning_from_nothing_makes_the_checked_in_lock(built: Example, tmp_path: Path) -> None:
    example = Example(tmp_path / "fresh")
    (example.root / "zerorepo.lock").unlink()
    ran = example.build()
    assert ran.code == 0, ran.err
    assert (example.root / "zerorepo.lock").read_text() == (built.root / "zerorepo.lock").read_text()
    assert example.outputs() == built.outputs()


def test_a_deleted_output_is_restored_without_a_model_call(copy: Example) -> None:
    victim = copy.root / "out/plaintable/README.md"
    text = victim.read_bytes()
    victim.unlink()
    ran = copy.build()
    assert ran.code == 0
    assert ran.json["model_calls"] == 0
    assert ran.json["actions"]["executed"] == 0
    assert victim.read_bytes() == text


def test_an_edited_output_is_left_alone_and_reported(copy: Example) -> None:
    victim = copy.root / "out/plaintable/README.md"
    victim.write_text("mine\n")
    ran = copy.build()
    assert victim.read_text() == "mine\n"
    assert ran.json["edited_outputs"] == ["out/plaintable/README.md"]


def traces(root: Path) -> dict[Label, tuple[str, Trace]]:
    """Identity and trace of every target, as a build finds them."""

    async def look() -> dict[Label, tuple[str, Trace]]:
        async with Engine(Workspace.load(root, installed()), BuildOptions()) as engine:
            result = await engine.build(parse_patterns(["//..."]))
            assert result.ok, result.failed
            found = {}
            for label, each in result.built.items():
                target = engine.table.get(label)
                assert target is not None
                found[label] = (str(engine.identity(target)), each.trace)
            return found

    return asyncio.run(look())


def test_an_edited_sentence_runs_exactly_what_rdeps_and_early_cutoff_predict(copy: Example) -> None:
    copy.build()
    before = traces(copy.root)
    downstream = set(copy.run("query", "rdeps(//..., //:spec.md) union rdeps(//..., //:zerorepo.lock)").out.split())
    copy.edit_one_sentence()
    ran = copy.build()
    assert ran.code == 0, ran.err
    ran_labels = set(ran.json["targets_run"])
    assert ran_labels <= downstream
    after = traces(copy.root)

    # From the definition: a target must run when it is another one than before, or when an answer it built on has changed.
    digests = {
        f"{label} {record.type}": record.digest for label, (_, trace) in after.items() for record in trace.providers
    }

    def changed(label: Label) -> bool:
        if label not in before or before[label][0] != after[label][0]:
            return True
        for request in (request for group in before[label][1].groups for request in group):
            if request.kind == "provider" and digests.get(request.name) != request.answer:
                return True
            if request.kind == "source" and request.name == "spec.md":
                return True
        return False

    assert ran_labels == {str(label) for label in after if changed(label)}
    untouched = [label for label in before if label.package in ("tables", "reading", "rendering")]
    assert len(untouched) > 30
    for label in untouched:
        assert before[label][1].providers == after[label][1].providers, label
    # The stages of those modules looked at the new features and found theirs unchanged; none of their nodes ran.
    elsewhere = {label for label in ran_labels if label.startswith(("//tables:", "//reading:", "//rendering:"))}
    assert all(label.endswith((":files", ":interfaces")) for label in elsewhere)
    assert not any(each["label"] in elsewhere for each in ran.json["actions_run"])


def test_an_edited_sentence_asks_a_handful_of_questions(copy: Example) -> None:
    copy.edit_one_sentence()
    ran = copy.build()
    assert ran.code == 0, ran.err
    assert ran.json["model_calls"] == 10  # as the README says
    again = copy.build().json
    assert again["actions"]["executed"] == 0
    assert again["model_calls"] == 0


def test_a_dry_run_names_what_would_and_may_run_and_changes_nothing(copy: Example) -> None:
    copy.build()
    copy.edit_one_sentence()
    before = {path: path.read_bytes() for path in copy.root.rglob("*") if path.is_file()}
    body = copy.build("--dry-run").json
    assert list(body["would_run"]) == ["//:plaintable.spec"]
    assert any("spec.md" in reason for reason in body["would_run"]["//:plaintable.spec"])
    assert "//:plaintable.suite" in body["may_run"]
    assert "//querying:sort_rows.code" in body["unknown_expansions"]["//:plaintable.plan"]
    assert before == {path: path.read_bytes() for path in copy.root.rglob("*") if path.is_file()}


def test_an_upgrade_of_what_runs_the_tests_tests_again(copy: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zerorepo_sandbox.environment.environment_id", lambda: "py3.99 pytest 99")

    async def look() -> set[str]:
        async with Engine(Workspace.load(copy.root, installed()), BuildOptions(dry_run=True)) as engine:
            result = await engine.build(parse_patterns(["//..."]))
            return {str(label) for label in result.would_run}

    would_run = asyncio.run(look())
    assert "//tables:TableError.code" in would_run  # what everything else uses; the others may run because of it
    assert "//reading:read_table.tests" in would_run  # they must fail without code under what runs them now, too
    assert not any(label.endswith((".interface", ".spec")) for label in would_run)


def test_going_back_with_the_plan_is_all_hits(copy: Example) -> None:
    lock, spec = (copy.root / "zerorepo.lock").read_bytes(), (copy.root / "spec.md").read_bytes()
    before = copy.outputs()
    copy.edit_one_sentence()
    assert copy.build().code == 0
    (copy.root / "zerorepo.lock").write_bytes(lock)
    (copy.root / "spec.md").write_bytes(spec)
    ran = copy.build()
    assert ran.code == 0, ran.err
    assert ran.json["actions"]["executed"] == 0
    assert ran.json["model_calls"] == 0
    assert copy.outputs() == before


def test_changing_the_sentence_back_asks_for_a_change_of_the_plan(copy: Example) -> None:
    spec = (copy.root / "spec.md").read_bytes()
    copy.edit_one_sentence()
    assert copy.build().code == 0
    (copy.root / "spec.md").write_bytes(spec)
    ran = copy.build()
    assert ran.code == 0, ran.err
    assert 0 < ran.json["model_calls"] <= 10


def test_locked_refuses_to_change_the_plan(copy: Example) -> None:
    assert copy.build("--locked").code == 0
    before = (copy.root / "zerorepo.lock").read_bytes()
    copy.edit_one_sentence()
    ran = copy.build("--locked")
    assert ran.code == 1
    assert "--locked" in ran.err
    assert (copy.root / "zerorepo.lock").read_bytes() == before


def test_a_missing_recording_names_target_and_prompt(copy: Example) -> None:
    spec = copy.root / "spec.md"
    spec.write_text(spec.read_text().replace("two spaces apart", "three spaces apart"))
    ran = copy.build()
    assert ran.code == 1
    assert "//:plaintable.spec" in ran.err
    assert "parse the section rendering" in ran.err


def test_a_killed_build_goes_on_without_repeating_a_finished_action(tmp_path: Path) -> None:
    example = Example(tmp_path / "plaintable")
    events = tmp_path / "events"
    command = [sys.executable, "-m", "zerorepo", "build", "//...", "--jobs", "1", "--events", str(events)]
    process = subprocess.Popen(command, cwd=example.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(finished(events)) < 30:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = finished(events)
    assert len(first) >= 30
    ran = example.build("--events", str(tmp_path / "second"))
    assert ran.code == 0, ran.err
    assert not first & finished(tmp_path / "second")


def finished(events: Path) -> set[str]:
    """Keys of actions that an event log says were executed."""
    if not events.exists():
        return set()
    found = set()
    for line in events.read_text().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # the line that the kill cut off
        if event["kind"] == "action" and event.get("new") == "done":
            found.add(event["id"])
    return found


def test_a_key_in_the_environment_appears_in_no_file(tmp_path: Path) -> None:
    example = Example(tmp_path / "plaintable")
    canary = "sk-canary-5e1f0c2b9d"
    ran = example.build(env={"OPENAI_API_KEY": canary, "ANTHROPIC_API_KEY": canary})
    assert ran.code == 0, ran.err
    assert canary not in ran.out + ran.err
    for path in example.root.rglob("*"):
        if path.is_file():
            assert canary.encode() not in path.read_bytes(), path
