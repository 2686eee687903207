"""A specification on top of code that exists: planning is shown it, only the delta is asked for, new nodes use what is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.scripted_library import Tinytext, fresh, shown
from zerorepo.cli.init_cmd import Telling
from zerorepo.errors import ExitCode
from zerorepo_rpg.existing import code_digest
from zerorepo_rpg.lock import parse_lock
from zerorepo_rpg.template import from_code

pytestmark = pytest.mark.sandbox

WORDS = '''\
"""Words of texts, as we have always split them."""

import re
import string

_SPACE = re.compile(r"\\s+")  # any white space


def split_words(text: str) -> list[str]:
    """The words of a text."""
    return [word for word in _SPACE.split(text) if word]


def initials(text: str) -> str:
    """First letters."""
    return "".join(word[0] for word in split_words(text))


def unrelated(text: str) -> str:
    """Nobody planned this."""
    return string.capwords(text)
'''
OURS = ("write split_words", "write the tests of split_words", "write initials", "write the tests of initials")


@pytest.fixture(scope="module")
def lender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder with a sandbox environment."""
    made = Tinytext(tmp_path_factory.mktemp("lender") / "ws")
    assert made.build("//words:split_words").code is ExitCode.OK
    yield made.root / ".zerorepo"


def on_top_of(root: Path, lender: Path, words: str = WORDS) -> Tinytext:
    """A workspace with code in ``src``, scanned."""
    tiny = fresh(root, lender)
    (root / "src/tinytext/words").mkdir(parents=True)
    (root / "src/tinytext/words/core.py").write_text(words)
    (root / "src/tinytext/__init__.py").write_text("")
    scan(tiny)
    return tiny


def scan(tiny: Tinytext) -> None:
    """As ``zerorepo init . --from src`` does."""
    for name, text in from_code(tiny.root / "src", tiny.root, Telling()).items():
        (tiny.root / name).write_text(text)


def test_only_the_delta_is_asked_for_and_it_uses_the_code_that_exists(tmp_path: Path, lender: Path) -> None:
    tiny = on_top_of(tmp_path / "ws", lender)
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    assert not set(OURS) & set(built.asked)
    assert {"write make_slug", "write page_path"} <= set(built.asked)
    assert "_SPACE" in built.node("words/split_words").source
    merged = (tiny.out / "tinytext/words/core.py").read_text()
    assert "_SPACE.split(text)" in merged and "any white space" in merged
    # What initials calls is known from the code, whatever the model guessed.
    assert tiny.interface("words/initials").uses == ("words/split_words",)
    assert {"//words:split_words.code", "//slugs:make_slug.code"} <= set(built.tested)
    again = tiny.build()
    assert (again.asked, again.run.actions) == ([], [])
    assert parse_lock(tiny.lock_path.read_text()).existing.nodes


def test_every_planning_question_shows_the_code_that_exists(tmp_path: Path, lender: Path) -> None:
    tiny = on_top_of(tmp_path / "ws", lender)
    assert tiny.build("//:tinytext.plan").code is ExitCode.OK
    for purpose in ("choose the features", "group the features into modules", "lay out the files of words"):
        (request,) = tiny.library.asked_for(purpose)
        assert "function split_words: The words of a text." in shown(request, "existing code"), purpose
    (request,) = tiny.library.asked_for("design the interfaces of words")
    assert "def split_words(text: str) -> list[str]" in shown(request, "existing code")
    (request,) = tiny.library.asked_for("design the interfaces of slugs")
    assert shown(request, "existing code") == "" and "Code exists already" not in request.action.messages[0].content


def test_without_such_code_no_question_speaks_of_it(tmp_path: Path) -> None:
    tiny = Tinytext(tmp_path / "ws")
    assert tiny.build("//:tinytext.plan").code is ExitCode.OK
    assert not any("xisting code" in m.content for request in tiny.library.requests for m in request.action.messages)


def test_code_that_differs_from_what_is_planned_is_asked_for(tmp_path: Path, lender: Path) -> None:
    tiny = on_top_of(
        tmp_path / "ws", lender, WORDS.replace("def initials(text: str)", "def initials(text: str, up: bool)")
    )
    built = tiny.build("//words:initials", "//words:split_words")
    assert built.code is ExitCode.OK, built.failures
    assert {purpose for purpose in built.asked if purpose in OURS} == {"write the tests of initials", "write initials"}
    (request,) = tiny.library.asked_for("write initials")
    assert shown(request, "imports of the file").splitlines() == ["import re", "import string"]


def test_code_that_changed_since_it_was_scanned_is_told_and_scanning_again_mends_it(
    tmp_path: Path, lender: Path
) -> None:
    tiny = on_top_of(tmp_path / "ws", lender)
    assert tiny.build("//words:split_words").code is ExitCode.OK
    file = tiny.root / "src/tinytext/words/core.py"
    file.write_text(file.read_text().replace("if word]", "if word != '']"))
    built = tiny.build("//words:split_words")
    assert built.code is ExitCode.BUILD_FAILED
    assert "scan the code again" in built.failures and "src/tinytext/words/core.py" in built.failures
    scan(tiny)
    built = tiny.build("//words:split_words")
    assert built.code is ExitCode.OK, built.failures
    assert built.asked == []
    assert "!= ''" in built.node("words/split_words").source.replace('"', "'")


def test_a_change_in_a_private_helper_is_a_change_of_the_code_that_it_helps(tmp_path: Path, lender: Path) -> None:
    helped = WORDS.replace("if word]", "if _kept(word)]") + "\n\ndef _kept(word: str) -> bool:\n    return bool(word)\n"
    tiny = on_top_of(tmp_path / "ws", lender, helped)
    assert tiny.build("//words:split_words").code is ExitCode.OK
    file = tiny.root / "src/tinytext/words/core.py"
    file.write_text(helped.replace("return bool(word)", "return word != ''"))
    built = tiny.build("//words:split_words")
    assert built.code is ExitCode.BUILD_FAILED and "scan the code again" in built.failures
    # What is neither taken with it nor private may change.
    file.write_text(helped.replace("string.capwords(text)", "text.title()"))
    assert tiny.build("//words:split_words").code is ExitCode.OK


def test_a_change_in_a_method_is_a_change_of_its_class() -> None:
    before = {"Table": "a", "Table.rows": "b", "Other.rows": "c", "_helper": "d"}
    digest = code_digest(before, "Table")
    assert code_digest({**before, "Table.rows": "x"}, "Table") != digest
    assert code_digest({**before, "Table.more": "x"}, "Table") != digest
    assert code_digest({**before, "_helper": "x"}, "Table") != digest
    assert code_digest({**before, "Other.rows": "x", "Tables": "y"}, "Table") == digest


def test_existing_code_that_needs_code_outside_the_plan_says_so(tmp_path: Path, lender: Path) -> None:
    tiny = fresh(tmp_path / "ws", lender)
    package = tiny.root / "src/tinytext"
    (package / "words").mkdir(parents=True)
    (package / "basics.py").write_text("def squeeze(text: str) -> str:\n    return text.strip()\n")
    (package / "words/core.py").write_text(
        "from tinytext.basics import squeeze\n\n\ndef split_words(text: str) -> list[str]:\n    return squeeze(text).split()\n"
    )
    scan(tiny)
    built = tiny.build("//words:split_words")
    assert built.code is ExitCode.BUILD_FAILED
    assert "needs tinytext.basics" in built.failures and not set(OURS) & set(built.asked)
