"""What the whole plan's checks, or mypy on its skeleton, find goes back to the model; once mended, it is not asked for again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from e2e.scripted_library import SKETCHES, ScriptedLibrary, Tinytext, shown

from zerorepo.errors import ExitCode
from zerorepo_rpg.lock import parse_lock
from zerorepo_rpg.rules.module_plan import interfaces_inputs

PLAN = "//:tinytext.plan"
MEND = "mend the interfaces, round 1"


def interface(module: str, signature: str, feature: str, uses: tuple[str, ...] = ()) -> dict[str, Any]:
    """An interface as a model writes it."""
    name = signature.removeprefix("def ").partition("(")[0]
    file = f"tinytext/{module}/core.py"
    return {
        "id": f"{module}/{name}", "module": module, "file": file, "name": name, "kind": "FUNCTION",
        "signature": signature, "docstring": "As it says.", "features": [feature], "uses": uses,
    }  # fmt: skip


GOOD = interface("slugs", "def make_slug(text: str) -> str", "make-slug", ("words/split_words",))
WRONG_TYPE = interface("slugs", "def make_slug(text: str = None) -> str", "make-slug", ("words/split_words",))


@pytest.fixture
def tiny(tmp_path: Path) -> Tinytext:
    """Nothing is planned yet."""
    return Tinytext(tmp_path / "ws")


def designs(library: ScriptedLibrary, module: str, *nodes: dict[str, Any]) -> None:
    library.say(f"design the interfaces of {module}", json.dumps({"module": module, "interfaces": nodes}))


def mends(*nodes: dict[str, Any], **more: Any) -> str:
    return json.dumps({"interfaces": nodes, **more})


def test_what_mypy_finds_goes_back_to_the_model_and_the_lock_holds_the_mended_plan(tiny: Tinytext) -> None:
    designs(tiny.library, "slugs", WRONG_TYPE)
    tiny.library.say(MEND, mends(GOOD))
    built = tiny.build(PLAN)
    assert built.code is ExitCode.OK, built.failures
    assert built.asked.count(MEND) == 1
    (request,) = tiny.library.asked_for(MEND)
    assert "Incompatible default for" in shown(request, "problems found")
    assert "def make_slug(text: str" in shown(request, "problems found"), "the line itself"
    assert "paths" not in shown(request, "modules")
    assert tiny.interface("slugs/make_slug").signature == GOOD["signature"]
    # `paths` was designed for the signature that is gone; it stands, and nobody is asked again.
    again = tiny.build(PLAN)
    assert (again.asked, again.run.actions) == ([], [])
    text = tiny.lock_path.read_text()
    tiny.lock_path.unlink()
    assert tiny.build(PLAN).asked == []
    assert tiny.lock_path.read_text() == text
    (tiny.root / ".zerorepo").rename(tiny.root / "lost")
    assert all(purpose.startswith("parse the section") for purpose in tiny.build(PLAN).asked), "the lock alone does"
    assert tiny.lock_path.read_text() == text


def test_what_the_whole_plans_validator_finds_goes_back_to_the_model(tmp_path: Path) -> None:
    # Data reaches slugs and paths from words alone, so that neither sees the other's names.
    apart = [replace(each, uses=("words/split_words",)) if each.name == "page_path" else each for each in SKETCHES]
    tiny = Tinytext(tmp_path / "ws", ScriptedLibrary(apart))
    path = "def page_path(section: str, title: str) -> str"
    designs(tiny.library, "paths", interface("paths", path.replace("page_path", "make_slug"), "page-path"))
    still = interface("paths", path.replace("page_path", "make_slug").replace("title", "name"), "page-path")
    tiny.library.say(MEND, mends(), mends(still), mends(interface("paths", path, "page-path")))
    built = tiny.build(PLAN)
    assert built.code is ExitCode.OK, built.failures
    first, second, third = tiny.library.asked_for(MEND)
    assert "[exported_names]" in shown(first, "problems found")
    assert "Nothing is different" in second.action.messages[-1].content
    assert "[exported_names]" in third.action.messages[-1].content
    assert {node.id for node in parse_lock(tiny.lock_path.read_text()).interfaces[0].interfaces} == {"paths/page_path"}


def test_mending_is_bounded_and_then_the_target_fails(tiny: Tinytext) -> None:
    designs(tiny.library, "slugs", WRONG_TYPE)
    for round_, number in ((1, "1"), (2, "2"), (3, "3")):
        signature = f"def make_slug(text: str = {number}) -> str"
        tiny.library.say(f"mend the interfaces, round {round_}", mends({**WRONG_TYPE, "signature": signature}))
    built = tiny.build(PLAN)
    assert built.code is ExitCode.BUILD_FAILED
    assert [purpose for purpose in built.asked if "mend" in purpose] == [
        f"mend the interfaces, round {n}" for n in (1, 2, 3)
    ]
    assert "check skeleton_types" in built.failures and "Incompatible default" in built.failures
    assert not tiny.lock_path.exists()


def test_a_module_that_stands_in_the_lock_is_not_for_the_model_to_mend(tiny: Tinytext) -> None:
    assert tiny.build(PLAN).code is ExitCode.OK
    tiny.edit_spec("a slash and the slug of the title", "another slash and the slug of the title")
    words = interface("words", "def initials(text: str) -> list[str]", "initials")
    bad = interface("paths", "def page_path(section: str, title: str = None) -> str", "page-path", ("slugs/make_slug",))
    good = {**bad, "signature": "def page_path(section: str, title: str) -> str"}
    tiny.library.say("change the interfaces of paths", mends(bad))
    tiny.library.say(MEND, mends(good, words), mends(good))
    built = tiny.build(PLAN)
    assert built.code is ExitCode.OK, built.failures
    assert "only these may be changed: paths" in tiny.library.asked_for(MEND)[1].action.messages[-1].content
    assert tiny.interface("words/initials").signature == "def initials(text: str) -> str"


def test_under_locked_nobody_is_asked_to_mend(tiny: Tinytext) -> None:
    assert tiny.build(PLAN).code is ExitCode.OK
    tiny.edit_interface("slugs/make_slug", signature=WRONG_TYPE["signature"])
    built = tiny.build(PLAN, locked=True)
    assert built.code is ExitCode.BUILD_FAILED and built.asked == []


def test_the_digests_of_a_plan_are_those_that_its_stages_wrote(tiny: Tinytext) -> None:
    assert tiny.build(PLAN).code is ExitCode.OK
    lock = parse_lock(tiny.lock_path.read_text())
    plan = lock.plan()
    assert plan is not None
    found = interfaces_inputs(plan, lock.requirements)
    assert found == {name: value for name, value in lock.stages.items() if name.startswith("interfaces/")}
