"""``zerorepo commit``: a built repository in a git of its own, by rule, without touching what its user has staged or edited."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.scripted_library import Tinytext
from zerorepo.errors import ExitCode
from zerorepo_rpg.commit_message import commit_message

IDENTITY = {f"GIT_{who}_{what}": "t@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tinytext]:
    """The library, built once from nothing; tests copy it before they change it."""
    made = Tinytext(tmp_path_factory.mktemp("first") / "ws")
    assert made.build().code is ExitCode.OK
    yield made


@pytest.fixture
def copy(first: Tinytext, tmp_path: Path) -> Tinytext:
    """The built library in a folder that a test may change."""
    return first.copy(tmp_path / "copy")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, env={**os.environ, **IDENTITY}
    )
    return done.stdout


def commit(tiny: Tinytext, *arguments: str, code: int = 0) -> str:
    """What the command says."""
    argv = [sys.executable, "-m", "zerorepo", "commit", *arguments]
    done = subprocess.run(
        argv, cwd=tiny.root, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **IDENTITY}
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.sandbox
def test_what_was_built_is_committed_once_and_nothing_else_is(copy: Tinytext) -> None:
    (copy.out / "notes.txt").write_text("mine")
    assert "feat: first version of tinytext" in commit(copy)
    tracked = set(git(copy.out, "ls-files").splitlines())
    assert {"README.md", "tinytext/words/core.py", "tests/words/test_initials.py", ".gitignore"} <= tracked
    assert "notes.txt" not in tracked
    assert git(copy.out, "status", "--short") == "?? notes.txt\n"
    assert commit(copy) == "nothing to commit\n"
    assert git(copy.out, "rev-list", "--count", "HEAD") == "1\n"


@pytest.mark.sandbox
def test_the_repository_around_is_left_alone(copy: Tinytext) -> None:
    git(copy.root, "init", "-q")
    commit(copy)
    assert (copy.out / ".git").is_dir()
    assert git(copy.root, "ls-files") == ""
    assert subprocess.run(["git", "rev-parse", "HEAD"], cwd=copy.root, capture_output=True, check=False).returncode != 0


@pytest.mark.sandbox
def test_the_next_commit_says_what_the_plan_says_and_keeps_what_is_staged(copy: Tinytext) -> None:
    commit(copy)
    (copy.out / "staged.txt").write_text("mine")
    (copy.out / "README.md").write_text("mine, too\n")
    git(copy.out, "add", "staged.txt")
    copy.edit_spec("- `initials(text)` returns the first letter of each word, joined.\n", "")
    assert copy.build().code is ExitCode.OK
    said = commit(copy)
    assert "feat(words)!: remove initials" in said
    assert "left out README.md, which is edited" in said and "left out staged.txt, which is staged already" in said
    assert git(copy.out, "status", "--short") == " M README.md\nA  staged.txt\n"
    changed = git(copy.out, "show", "--format=%B", "--name-status", "HEAD")
    assert "Removed: words/initials" in changed and "ZeroRepo-Target: //:tinytext" in changed
    assert "D\ttests/words/test_initials.py" in changed and "README.md" not in changed


@pytest.mark.sandbox
def test_a_file_of_ours_that_is_staged_otherwise_stays_so(copy: Tinytext) -> None:
    commit(copy)
    path = copy.out / "CHANGELOG.md"
    text = path.read_text()
    path.write_text("mine\n")
    git(copy.out, "add", "CHANGELOG.md")
    path.write_text(text)
    assert "left out CHANGELOG.md" in commit(copy)
    assert git(copy.out, "show", ":CHANGELOG.md") == "mine\n"


@pytest.mark.sandbox
def test_what_is_not_built_is_not_committed(copy: Tinytext) -> None:
    copy.edit_spec("a slash and the slug", "one slash and the slug")
    assert "is not up to date" in commit(copy, code=2)
    assert not (copy.out / ".git").exists()
    assert "is no `repository`" in commit(copy, "//:tinytex", code=2)


GRAPH = '{"nodes": [{"id": "a/x", "level": "FEATURE", "signature": "%s", "file_path": "p/a.py"}%s]}'
MORE = ', {"id": "b/y", "level": "FEATURE", "signature": "()", "file_path": "p/b.py"}'


@pytest.mark.parametrize(
    ("old", "new", "changed", "subject"),
    [
        (None, GRAPH % ("()", ""), ["p/a.py"], "feat: first version of p"),
        (GRAPH % ("()", ""), GRAPH % ("()", MORE), ["p/b.py"], "feat(b): add y"),
        (GRAPH % ("()", MORE), GRAPH % ("(z)", ""), ["p/a.py"], "feat!: remove y and change the interface of x"),
        (GRAPH % ("()", ""), GRAPH % ("()", ""), ["p/a.py", "tests/a/test_x.py"], "fix(a): rework x"),
        (GRAPH % ("()", ""), GRAPH % ("()", ""), ["tests/a/test_x.py"], "test: change tests"),
        (GRAPH % ("()", ""), GRAPH % ("()", ""), ["README.md"], "docs: change documents"),
        (
            GRAPH % ("()", ""),
            GRAPH % ("()", ""),
            ["README.md", "pyproject.toml"],
            "build: change the project's settings",
        ),
    ],
)
def test_messages_follow_from_the_difference(old: str | None, new: str, changed: list[str], subject: str) -> None:
    text = commit_message(old, new, changed, "p", "//:p")
    assert text.splitlines()[0] == subject
    assert text.endswith("ZeroRepo-Target: //:p\n")
