"""Each section of the specification is traced to its features and code; what one of them lacks is reported."""

from __future__ import annotations

import json
from pathlib import Path

from zerorepo_rpg.lock import Lock
from zerorepo_rpg.spec_model import Requirement
from zerorepo_rpg.tracing import trace

from .commands import zerorepo
from .sample import FEATURES, plan, spec

SAMPLE = plan()
LOCK = Lock(requirements=spec().requirements, features=SAMPLE.features, interfaces=SAMPLE.interfaces)


def test_a_requirement_leads_to_its_feature_and_the_code_of_it() -> None:
    found = trace(spec(), LOCK)
    assert list(found.problems()) == []
    slug = next(each for each in found.requirements if each.id == "r-make-slug")
    assert slug.section == "what"
    assert [(f.id, f.nodes) for f in slug.features] == [("make-slug", (("slug/slugify", "textkit/slug/core.py"),))]


def test_a_requirement_without_a_feature_and_a_feature_without_a_requirement_are_reported() -> None:
    kept = tuple(each for each in spec().requirements if each.id != f"r-{FEATURES[0]}")
    new = Requirement(id="r-fold", text="It can fold.", section="more")
    found = trace(spec().model_copy(update={"requirements": (*kept, new)}), LOCK)
    (lacks, unasked) = map(str, found.problems())
    assert "`r-fold` of section `more`" in lacks and "[requirement_feature]" in lacks
    assert unasked.startswith("split-words: ") and "[feature_requirement]" in unasked


def test_a_requirement_is_known_by_its_words_whatever_its_id() -> None:
    other = tuple(
        each.model_copy(update={"id": f"x-{each.id}", "text": f" **{each.text}**"}) for each in spec().requirements
    )
    assert list(trace(spec().model_copy(update={"requirements": other}), LOCK).problems()) == []


def test_the_commands_report_what_a_changed_specification_lacks(workspace: Path) -> None:
    assert zerorepo(workspace, "plan").returncode == 0
    shown = zerorepo(workspace, "spec", "trace")
    assert shown.returncode == 0, shown.stdout
    assert "sort-rows: querying/sort_rows in plaintable/querying/selection.py" in shown.stdout
    assert zerorepo(workspace, "plan", "--check").returncode == 0
    old = (workspace / "zerorepo.lock").read_text()
    text = (workspace / "spec.md").read_text()
    (workspace / "spec.md").write_text(
        text.replace("missing values always come last", "missing values always come first")
    )
    assert zerorepo(workspace, "plan").returncode == 0
    (workspace / "zerorepo.lock").write_text(old)
    # The lock of before beside the specification of now, which is parsed.
    checked = zerorepo(workspace, "plan", "--check")
    assert checked.returncode == 1
    assert "[requirement_feature]" in checked.stdout and "sort-rows: no requirement" not in checked.stdout
    traced = zerorepo(workspace, "spec", "trace", "--output", "json")
    assert traced.returncode == 1
    sections = {each["section"] for each in json.loads(traced.stdout)["requirements"] if not each["features"]}
    assert sections == {"shaping"}
