"""The edits that the benchmark ``plan_edits`` makes: listed soundly, and judged by what they touch."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from shipped import ROOT, copy_example

from benchmarks.plan_edits import Built, counts, edits_of, measure, untouched, workspaces
from rpg.sample import plan, spec
from zerorepo.errors import UsageError
from zerorepo_rpg.lock import Lock

OLD = plan()


def lock(**changes: object) -> Lock:
    """The sample's lock."""
    values = {
        "requirements": spec().requirements,
        "features": OLD.features,
        "modules": OLD.modules,
        "layout": OLD.layout,
        "base_classes": OLD.base_classes,
        "interfaces": OLD.interfaces,
    }
    return Lock.model_validate({**values, **changes})


def test_every_workspace_lists_an_edit_of_each_kind_that_fits_its_specification(tmp_path: Path) -> None:
    # Whoever has followed the README has one of these edits in the first example's specification.
    copy_example(tmp_path)
    shutil.copy(ROOT / "edits.toml", tmp_path)
    assert len(workspaces()) == 4 and ROOT in workspaces()
    for workspace in [tmp_path, *(each for each in workspaces() if each != ROOT)]:
        assert [edit.kind for edit in edits_of(workspace)] == ["reword", "add", "remove"], workspace


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('name = "x"\nkind = "reword"\nold = "nowhere"\nnew = ""', "stands 0 times"),
        ('name = "x"\nkind = "rework"\nold = "Words"\nnew = ""', "no kind of edit"),
        ('name = "x"\nold = "Words"\nnew = ""', "name, kind, old and new"),
    ],
)
def test_an_edit_that_does_not_fit_is_an_error(tmp_path: Path, entry: str, said: str) -> None:
    (tmp_path / "spec.md").write_text("# Words\n")
    (tmp_path / "edits.toml").write_text(f"[[edit]]\n{entry}\n")
    with pytest.raises(UsageError, match=said):
        edits_of(tmp_path)


def test_a_workspace_whose_answers_are_not_recorded_is_told_as_that(tmp_path: Path) -> None:
    source = ROOT / "benchmarks" / "plans" / "cadence"
    plain = tmp_path / "cadence"
    shutil.copytree(source, plain, ignore=shutil.ignore_patterns(".zerorepo", "*.jsonl", "zerorepo.lock"))
    subprocess.run(("git", "init", "-q"), cwd=plain, check=True)
    ((row, problem),) = measure(plain, edits_of(plain), tmp_path / "work")
    assert row[:2] == ("cadence", "(as it is)") and row[3].startswith("not recorded: //:cadence.spec")
    assert problem == f"cadence: {row[3]}"


def test_what_uses_a_touched_node_is_touched_too() -> None:
    reworded = tuple(
        each.model_copy(update={"text": "It can split."}) if each.id == "r-split-words" else each
        for each in spec().requirements
    )
    assert untouched(lock(), lock(requirements=reworded)) == ["shared/TextError", "words/clean"]
    assert len(untouched(lock(), lock())) == len(OLD.nodes())


def test_nodes_are_counted_by_what_their_targets_hand_on() -> None:
    before = Built(lock(), {"a/x": "1", "a/y": "1", "a/z": "1"})
    assert counts(before, Built(lock(), {"a/x": "1", "a/y": "2", "a/n": "1"})) == (1, 1, 1, 1)
