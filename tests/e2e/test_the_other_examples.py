"""What is below ``examples/`` builds from its recorded answers, passes all its tests, and builds twice to the same bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from shipped import ROOT

from e2e.example import Example

pytestmark = pytest.mark.sandbox

EXAMPLES = sorted(path.name for path in (ROOT / "examples").iterdir() if (path / "zerorepo.toml").is_file())


def test_there_is_a_tool_and_a_service() -> None:
    assert EXAMPLES == ["linkshelf", "tallylog"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_builds_from_its_answers_twice_to_the_same_bytes(name: str, tmp_path: Path) -> None:
    example = object.__new__(Example)
    example.root = tmp_path / name
    shutil.copytree(ROOT / "examples" / name, example.root, ignore=shutil.ignore_patterns(".zerorepo", "out"))
    lock = (example.root / "zerorepo.lock").read_bytes()

    first = example.build()
    assert first.code == 0, first.err
    assert first.json["targets"]["failed"] == first.json["targets"]["skipped"] == 0
    assert len(first.json["tests"]) > 15
    assert all(report["passed"] and report["sandbox"] == "bubblewrap" for report in first.json["tests"].values())
    assert (example.root / "zerorepo.lock").read_bytes() == lock, "the checked-in plan is that of the specification"
    files = example.outputs()

    again = example.build().json
    assert (again["actions"], again["model_calls"]) == ({"executed": 0, "cached": 0}, 0)

    # The second time without a cache, and without the plan: the recorded answers make the same one.
    for folder in (".zerorepo", "out"):
        shutil.rmtree(example.root / folder)
    (example.root / "zerorepo.lock").unlink()
    second = example.build()
    assert second.code == 0, second.err
    assert (example.root / "zerorepo.lock").read_bytes() == lock
    assert example.outputs() == files
