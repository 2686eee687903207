"""A lock that someone edited into nonsense is refused before anybody is asked, with everything that is wrong and where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from e2e.scripted_library import Tinytext
from shipped import ROOT

from zerorepo.errors import ExitCode, UsageError
from zerorepo_rpg.lock import Lock, parse_lock, render
from zerorepo_rpg.lock_checks import is_whole, located, lock_problems, told

from .sample import plan, spec

PLAN = "//:tinytext.plan"


def sample() -> Lock:
    old = plan()
    return Lock(
        stages={"base_classes": "d"}, requirements=spec().requirements, features=old.features, modules=old.modules,
        layout=old.layout, base_classes=old.base_classes, interfaces=old.interfaces,
    )  # fmt: skip


TEXT = render(sample())


def without(head: str) -> str:
    """The sample's lock without the table that begins so."""
    start = TEXT.index(head)
    end = TEXT.find("\n[[", start)
    return TEXT[:start] + (TEXT[end + 1 :] if end >= 0 else "")


@pytest.mark.parametrize("name", [".", "examples/tallylog", "examples/linkshelf", "benchmarks/plans/cadence"])
def test_the_locks_of_the_examples_are_sound_and_whole(name: str) -> None:
    lock = parse_lock((ROOT / name / "zerorepo.lock").read_text())
    assert lock_problems(lock) == [] and is_whole(lock)
    assert lock_problems(sample()) == [] and is_whole(sample())
    assert lock_problems(Lock()) == [] and not is_whole(Lock())


def test_a_name_written_wrong_in_what_meets_a_limit_is_told_with_its_line() -> None:
    text = (ROOT / "benchmarks/plans/cadence/zerorepo.lock").read_text()
    text = text.replace('"next-occurrence", "iter', '"next-ocurrence", "iter')
    ((line, problem),) = located(lock_problems(parse_lock(text)), text)
    assert problem.check == "limit_feature" and "did you mean `next-occurrence`" in problem.message
    assert "next-ocurrence" in text.splitlines()[line - 1]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('path = "textkit/words/splitting.py"', 'path = "../splitting.py"', "plain relative path"),
        ('path = "textkit/words/splitting.py"', 'path = "/etc/x.py"', "plain relative path"),
        ('path = "textkit/words/splitting.py"', 'path = "textkit/words/class.py"', "keyword"),
        ('file = "textkit/words/splitting.py"', 'file = "textkit/words/spliting.py"', "`textkit/words/splitting.py`"),
        ('uses = ["words/split_words"', 'uses = ["words/split_word"', "did you mean `words/split_words`"),
        ('features = ["split-words"', 'features = ["split-word"', "did you mean `split-words`"),
        ('requirements = ["r-clean-text"]', 'requirements = ["r-clean-texts"]', "did you mean `r-clean-text`"),
        ('target = "slug"', 'target = "slugg"', "did you mean `slug`"),
    ],
)
def test_what_is_written_wrong_is_told_with_its_line(old: str, new: str, said: str) -> None:
    assert old in TEXT
    text = TEXT.replace(old, new, 1)
    problems = lock_problems(parse_lock(text))
    found = [number for number, each in located(problems, text) if said in str(each)]
    assert text[: text.index(new)].count("\n") + 1 in found, told(problems, text, "zerorepo.lock")


@pytest.mark.parametrize(
    "head",
    [
        '[[feature]]\nid = "split-words"', '[[module]]\nid = "words"', '[[module]]\nid = "slug"', '[[base_class]]',
        '[[file]]\npath = "textkit/words/splitting.py"', '[[interface]]\nid = "words/clean"', '[[interface]]\nid = "slug/slugify"',
    ],
)  # fmt: skip
def test_a_part_that_was_deleted_is_no_mistake(head: str) -> None:
    if head == "[[base_class]]":  # of which its users still speak, so that nothing could put it right
        assert lock_problems(parse_lock(without(head)))
        return
    lock = parse_lock(without(head))
    assert lock_problems(lock) == [] and not is_whole(lock)


def test_a_circle_of_data_flow_is_refused() -> None:
    old = sample()
    assert old.modules is not None
    flow = old.modules.flows[0]
    back = flow.model_copy(update={"source": flow.target, "target": flow.source})
    modules = old.modules.model_copy(update={"flows": (*old.modules.flows, back)})
    assert [each.check for each in lock_problems(old.model_copy(update={"modules": modules}))] == ["flow_acyclic"]


def test_every_mistake_of_form_is_told_at_once() -> None:
    text = (
        'schema = 1\npackage = 3\n\n[[feature]]\nid = "a"\nnam = "A"\n\n[[modul]]\nid = "m"\n\n[[feature]]\nid = "b"\n\n'
        '[[feature]]\nid = "b"\nname = "B"\n'
    )
    with pytest.raises(UsageError) as caught:
        parse_lock(text)
    told_ = caught.value.message
    assert re.findall(r"zerorepo.lock:(\d+)", told_) == ["2", "6", "8", "11", "14"]
    assert "did you mean `name`" in told_ and "written twice (first at line 11)" in told_


@pytest.fixture
def tiny(tmp_path: Path) -> Tinytext:
    made = Tinytext(tmp_path / "ws")
    assert made.build(PLAN).code is ExitCode.OK
    return made.copy(tmp_path / "copy")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('path = "tinytext/words/core.py"', 'path = "tinytext/words/../core.py"', "file_paths"),
        ('uses = ["words/split_words"]', 'uses = ["words/split_word"]', "did you mean `words/split_words`"),
        ('signature = "def make_slug(text: str) -> str"', 'signature = "def make_slug(text: str = None) -> str"', "skeleton_types"),
        ('source = "words"', 'source = "wrds"', "did you mean `words`"),
    ],
)  # fmt: skip
def test_nobody_is_asked_while_the_lock_does_not_hold_together(tiny: Tinytext, old: str, new: str, said: str) -> None:
    # Something would be to ask: a sentence has changed, too.
    tiny.edit_spec("a slash and the slug of the title", "another slash and the slug of the title")
    tiny.edit_lock(old, new)
    text = tiny.lock_path.read_text()
    built = tiny.build(PLAN)
    assert built.code is ExitCode.BUILD_FAILED and said in built.failures, built.failures
    # mypy, which takes a second, does not hold up the parsing of the sentence, whose answer stands either way.
    assert built.asked == (["parse the section paths"] if said == "skeleton_types" else [])
    assert tiny.lock_path.read_text() == text
    tiny.edit_lock(new, old)
    mended = tiny.build(PLAN)
    assert mended.code is ExitCode.OK and "change the features" in mended.asked
