"""``zerorepo commit``: a built repository in a git of its own, by rule, without touching what its user has staged or edited."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.scripted_library import Built, Tinytext
from zerorepo.errors import ExitCode
from zerorepo_rpg.commit_message import commit_message
from zerorepo_rpg.commit_steps import commit_steps, names_so_far

IDENTITY = {f"GIT_{who}_{what}": "t@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


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


# --- a commit for each node


def subjects(folder: Path) -> list[str]:
    """Of all commits, oldest first."""
    return git(folder, "log", "--reverse", "--format=%s").splitlines()


def assert_each_commit_works(folder: Path, place: Path) -> None:
    """The package of each commit can be imported, and the tests that are there pass."""
    for commit_id in git(folder, "log", "--reverse", "--format=%H").split():
        git(folder, "worktree", "add", "--quiet", "--detach", str(place), commit_id)
        plain = {**os.environ, "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
        for words in (["-c", "import tinytext"], ["-m", "pytest", "-q", "-p", "no:cacheprovider"]):
            done = subprocess.run(
                [sys.executable, *words], cwd=place, capture_output=True, text=True, check=False, env=plain
            )
            assert done.returncode == 0, f"{words} at {commit_id}: {done.stdout}{done.stderr}"
        git(folder, "worktree", "remove", "--force", str(place))


@pytest.mark.sandbox
def test_nodes_are_committed_one_by_one_each_after_what_it_uses(
    copy: Tinytext, built_library: tuple[Tinytext, Built], tmp_path: Path
) -> None:
    said = commit(copy, "--per", "node")
    assert subjects(copy.out) == [
        "feat(words): add initials, split_words",  # they share a file
        "feat(slugs): add make_slug",
        "feat(paths): add page_path",
        "build: set up the project",
    ]
    assert len(said.splitlines()) == 4
    assert git(copy.out, "log", "--format=%B").count("ZeroRepo-Target: //:tinytext") == 4
    assert git(copy.out, "status", "--short") == ""
    whole = built_library[0].copy(tmp_path / "whole")
    commit(whole)
    assert git(copy.out, "rev-parse", "HEAD^{tree}") == git(whole.out, "rev-parse", "HEAD^{tree}")
    second = set(git(copy.out, "show", "--format=", "--name-only", "HEAD~2").splitlines())
    assert {"tinytext/slugs/core.py", "tests/slugs/test_make_slug.py", "tinytext/__init__.py"} <= second
    assert "README.md" not in second
    assert_each_commit_works(copy.out, tmp_path / "place")
    assert commit(copy, "--per", "node") == "nothing to commit\n"


@pytest.mark.sandbox
def test_a_changed_interface_is_committed_with_what_uses_it_and_other_nodes_apart(
    copy: Tinytext, tmp_path: Path
) -> None:
    commit(copy)
    signature = 'def make_slug(text: str, separator: str = "-") -> str'
    copy.library.sketch("make_slug", signature=signature, body="return separator.join(split_words(text)).lower()")
    copy.edit_interface("slugs/make_slug", signature=signature)
    copy.library.sketch("page_path", body='return "/" + section + "/" + make_slug(title)')
    copy.library.sketch("initials", body='return "".join([word[:1] for word in text.split()])')
    copy.edit_interface("words/initials", docstring="The first letters of all words.")
    built = copy.build()
    assert built.code is ExitCode.OK, built.failures
    commit(copy, "--per", "node")
    found = subjects(copy.out)[1:]
    assert found[:2] == ["fix(words): rework initials, split_words", "feat(slugs)!: change the interface of make_slug"]
    assert all(each.startswith(("docs:", "build:")) for each in found[2:])
    files = git(copy.out, "show", "--format=", "--name-only", f"HEAD~{len(found) - 2}").splitlines()
    assert {"tinytext/slugs/core.py", "tinytext/paths/core.py"} <= set(files)
    assert git(copy.out, "status", "--short") == ""
    assert_each_commit_works(copy.out, tmp_path / "place")


@pytest.mark.sandbox
def test_a_removed_node_goes_in_a_commit_of_its_own_and_edited_files_stay_out(copy: Tinytext, tmp_path: Path) -> None:
    commit(copy, "--per", "node")
    (copy.out / "README.md").write_text("mine\n")
    copy.edit_spec(
        "- `page_path(section, title)` returns a slash, the section, a slash and the slug of the title.\n", ""
    )
    copy.edit_spec("## Paths\n", "")
    assert copy.build().code is ExitCode.OK
    before = len(subjects(copy.out))
    said = commit(copy, "--per", "node")
    assert "left out README.md, which is edited" in said
    assert subjects(copy.out)[before] == "feat(paths)!: remove page_path"
    assert git(copy.out, "status", "--short") == " M README.md\n"
    assert "page_path" not in git(copy.out, "show", "HEAD:tinytext/__init__.py")
    assert_each_commit_works(copy.out, tmp_path / "place")


@pytest.mark.sandbox
def test_one_message_does_not_fit_several_commits(copy: Tinytext) -> None:
    assert "--message is for one commit" in commit(copy, "--per", "node", "-m", "mine", code=2)
    assert not (copy.out / ".git").exists()


def two_files(signature: str = "()", uses: str = "b/y") -> str:
    return json.dumps(
        {
            "nodes": [
                {"id": "a/x", "name": "x", "level": "FEATURE", "signature": "()", "file_path": "p/a.py"},
                {"id": "b/y", "name": "y", "level": "FEATURE", "signature": signature, "file_path": "p/b.py"},
                {"id": "b/z", "name": "z", "level": "FEATURE", "signature": "()", "file_path": "p/b.py"},
            ],
            "edges": [{"type": "INVOCATION", "source": "a/x", "target": uses}],
        }
    )


def test_files_go_after_what_they_need_and_together_where_a_promise_changed() -> None:
    changed = ["p/a.py", "p/b.py", "tests/a/test_x.py", "docs/rpg.json"]
    apart = commit_steps(two_files(), two_files(), changed, {})
    assert [step.paths for step in apart] == [("p/b.py",), ("p/a.py", "tests/a/test_x.py"), ("docs/rpg.json",)]
    together = commit_steps(two_files(), two_files("(n)"), changed, {})
    assert [step.paths for step in together] == [("p/a.py", "p/b.py", "tests/a/test_x.py"), ("docs/rpg.json",)]
    # Another interface in the file of what is used does not concern the user.
    other = commit_steps(two_files(uses="b/z"), two_files("(n)", uses="b/z"), changed, {})
    assert [step.paths for step in other] == [step.paths for step in apart]


def test_files_that_need_each_other_go_together() -> None:
    graph = json.loads(two_files())
    graph["edges"].append({"type": "INVOCATION", "source": "b/z", "target": "a/x"})
    steps = commit_steps(None, json.dumps(graph), ["p/a.py", "p/b.py"], {})
    assert [step.paths for step in steps] == [("p/a.py", "p/b.py")]


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


def test_a_file_of_names_that_somebody_broke_is_made_anew() -> None:
    made = names_so_far("def (", '"""Names."""\n\nfrom tiny.a import one, two\n', {("tiny.a", "one")})
    assert made == '"""Names."""\n\nfrom tiny.a import one\n\n__all__ = ["one"]\n'
