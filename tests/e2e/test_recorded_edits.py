"""Each edit of ``edits.toml``, planned from its recorded answers: foreseen by a dry run, made, and nothing else changed by it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from rpg.commands import zerorepo
from shipped import ROOT, copy_example

from benchmarks.plan_edits import Built, build, counts, edits_of, untouched
from zerorepo_rpg.lock import Lock

EXPECTED = {
    ("plaintable", "reword"): (12, 1, 0, 0),
    ("plaintable", "add"): (13, 0, 1, 0),
    ("plaintable", "remove"): (12, 0, 0, 1),
    ("tallylog", "reword"): (21, 2, 0, 0),
    ("tallylog", "add"): (23, 0, 1, 0),
    ("tallylog", "remove"): (21, 1, 0, 1),
    ("linkshelf", "reword"): (21, 1, 0, 0),
    ("linkshelf", "add"): (22, 0, 1, 0),
    ("linkshelf", "remove"): (20, 1, 0, 1),
    ("cadence", "reword"): (22, 1, 0, 0),
    ("cadence", "add"): (23, 0, 1, 0),
    ("cadence", "remove"): (21, 1, 0, 1),
}
"""Nodes kept, changed, added and removed."""


def interfaces(lock: Lock) -> list[str]:
    plan = lock.plan()
    assert plan is not None
    return [f"//{node.id.replace('/', ':')}.interface" for node in plan.nodes()]


def planned(folder: Path, name: str) -> Built:
    """The workspace planned, with the digests of what each node's interface hands on, and the questions of planning."""
    first = build(folder, [f"//:{name}.plan"])
    assert not first.problem, first.problem
    second = build(folder, interfaces(first.lock))
    assert not second.asked and not second.problem, second.problem
    return Built(second.lock, second.nodes, first.asked)


@pytest.fixture(scope="module", params=["plaintable", "tallylog", "linkshelf", "cadence"])
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Built]:
    name, folder = request.param, tmp_path_factory.mktemp(request.param) / "base"
    if name == "plaintable":
        copy_example(folder)
        shutil.copy(ROOT / "edits.toml", folder)
    else:
        source = ROOT / "benchmarks" / "plans" / name if name == "cadence" else ROOT / "examples" / name
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".zerorepo", "out"))
    lock = (folder / "zerorepo.lock").read_bytes()
    built = planned(folder, name)
    assert (folder / "zerorepo.lock").read_bytes() == lock
    return name, folder, built


@pytest.mark.parametrize("kind", ["reword", "add", "remove"])
def test_an_edit_changes_the_nodes_that_it_concerns_and_asks_as_much_as_was_foreseen(
    example: tuple[str, Path, Built], kind: str, tmp_path: Path
) -> None:
    name, base, before = example
    (edit,) = [each for each in edits_of(base) if each.kind == kind]
    folder = tmp_path / "edited"
    shutil.copytree(base, folder, symlinks=True)
    spec, lock = folder / "spec.md", (folder / "zerorepo.lock").read_bytes()
    spec.write_text(spec.read_text("utf-8").replace(edit.old, edit.new), "utf-8")

    shown = zerorepo(folder, "plan", "--dry-run")
    assert shown.returncode == 0 and (folder / "zerorepo.lock").read_bytes() == lock
    mark = {"reword": ", 1 reworded,", "add": ", 1 added,", "remove": ", 1 removed"}[kind]
    assert mark in shown.stdout and "not parsed yet: " in shown.stdout
    bounds = re.search(r"model calls: at least (\d+), expected (\d+), at most (\d+) to plan", shown.stdout)
    assert bounds, shown.stdout
    low, likely, high = map(int, bounds.groups())

    after = planned(folder, name)
    assert low <= len(after.asked) <= high
    assert abs(likely - len(after.asked)) <= 4, (likely, after.asked)
    assert counts(before, after) == EXPECTED[name, kind]
    kept = untouched(before.lock, after.lock)
    assert kept and all(after.nodes[node] == before.nodes[node] for node in kept)


def test_a_plan_with_limits_and_references_is_made_from_its_answers_alone(tmp_path: Path) -> None:
    source, folder = ROOT / "benchmarks" / "plans" / "cadence", tmp_path / "cadence"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".zerorepo", "zerorepo.lock"))
    built = planned(folder, "cadence")
    assert (folder / "zerorepo.lock").read_bytes() == (source / "zerorepo.lock").read_bytes()
    assert 15 <= len(built.nodes) <= 60
    plan = built.lock.plan()
    assert plan is not None and any(limit.kind == "performance" and limit.features for limit in plan.limits.asked)
    assert all(limit.met for limit in plan.limits.asked)


def test_a_dry_run_foresees_nothing_of_a_specification_whose_references_are_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "cadence"
    shutil.copytree(ROOT / "benchmarks" / "plans" / "cadence", folder, ignore=shutil.ignore_patterns(".zerorepo"))
    spec = folder / "spec.md"
    spec.write_text(
        spec.read_text("utf-8").replace("less than a tenth of a second", "less than a fifth of a second"), "utf-8"
    )
    shown = zerorepo(folder, "plan", "--dry-run")
    assert shown.returncode == 0 and "not known before the references are read" in shown.stdout
    assert "0 reworded, 0 added, 0 removed" in shown.stdout and "~ limit: Finding the next" in shown.stdout
    assert "asks: ReadReference" not in shown.stdout
