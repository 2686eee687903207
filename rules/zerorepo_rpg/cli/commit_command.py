"""``zerorepo commit [TARGET]``: what was built, committed to the generated repository's own git. Never to one around it.

The commit is made beside the index: what its user has staged stays staged, and is in no commit of ours. A file that someone
edited, or staged otherwise, is left out and named.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from zerorepo.commands import output_folder, provided, targets_of
from zerorepo.digest import DigestFunction
from zerorepo.errors import EnvironmentFailure, UsageError, did_you_mean
from zerorepo.label import Label
from zerorepo.target import Outputs
from zerorepo_rpg.commit_message import commit_message
from zerorepo_rpg.commit_steps import Step, commit_steps
from zerorepo_rpg.providers import AssembledRepository

_GRAPH = "docs/rpg.json"
_TRAILER = "ZeroRepo-Target:"
_FIRST = "build: set up the project"


class Per(StrEnum):
    """How a build is divided into commits."""

    BUILD = "build"
    NODE = "node"


def commit(
    target: Annotated[str, typer.Argument(help="The `repository`; needless when there is one.")] = "",
    message: Annotated[str, typer.Option("--message", "-m", help="Say this, and not what the rule says.")] = "",
    per: Annotated[
        Per, typer.Option("--per", help="One commit of the whole build, or one for each node in it.")
    ] = Per.BUILD,
) -> None:
    """Commit a built repository to its own git, with a message from the difference of its plan."""
    if message and per is Per.NODE:
        raise UsageError("--message is for one commit", hint="leave out --per node, or --message")
    label, folder_name = _chosen(target)
    outputs = provided(label, Outputs)
    if outputs is None:
        raise UsageError(f"`{label}` is not up to date", hint=f"run `zerorepo build {label}` first")
    repository = provided(label, AssembledRepository)
    assert repository is not None  # it provides both
    git = Git(output_folder() / folder_name)
    git.begin()
    left_out = set(git.lines("diff", "--cached", "--name-only", "-z")) if git.head else set(git.lines("ls-files", "-z"))
    paths, edited = [], []
    for output, digest in outputs.files.items():
        path = output.removeprefix(f"{folder_name}/")
        function = DigestFunction.XXH3 if len(digest.hex) == 32 else DigestFunction.SHA256
        file = git.folder / path
        if not file.is_file() or function.of_bytes(file.read_bytes()) != digest:
            edited.append(path)
        elif path not in left_out:
            paths.append(path)
    for path in sorted({*edited, *left_out}):
        print(f"left out {path}, which is {'edited' if path in edited else 'staged already'}")
    change = git.change(paths, {*edited, *left_out})
    if change is None:
        print("nothing to commit")
        return
    said = Said(repository.package_name, str(label), message)
    for line in git.commit_steps(change, said) if per is Per.NODE else git.commit_whole(change, said):
        print(line)


def _chosen(text: str) -> tuple[Label, str]:
    """The target and its folder below the output folder."""
    found = {label: attrs.folder for label, attrs in targets_of("rpg_repository").items()}
    known = {str(label): label for label in found}
    if text and text not in known:
        hint = did_you_mean(text, known) or f"there are {', '.join(known) or 'none'}"
        raise UsageError(f"`{text}` is no `repository`", hint=hint)
    if not text and len(found) != 1:
        raise UsageError(f"There are {len(found)} targets `repository`", hint=f"name one: {', '.join(known)}")
    label = known[text] if text else next(iter(found))
    return label, found[label]


class Change(NamedTuple):
    """What there is to commit: two trees (no old one: never committed), and the paths that differ."""

    old: str
    new: str
    paths: tuple[str, ...]


class Said(NamedTuple):
    """What a message is made from; ``text`` when it is given."""

    package: str
    target: str
    text: str = ""


class Git:
    """The git of one folder, which must be the top of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.head = ""

    def begin(self) -> None:
        """Make the repository when there is none."""
        if not (self.folder / ".git").exists():
            self.run("init", "--quiet", "--initial-branch=main")
        self.head = self.run("rev-parse", "--verify", "--quiet", "HEAD", may_fail=True).strip()

    def change(self, paths: Sequence[str], kept: set[str]) -> Change | None:
        """To these files, with the removal of ours that are gone, none of ``kept``; None when that changes nothing."""
        head = self.run("ls-tree", "-r", "--name-only", "-z", "HEAD").split("\0") if self.head else []
        logged = ("log", "--format=", "--name-only", "-z", f"--grep=^{_TRAILER}")
        ours = set(self.lines(*logged)) if self.head else set()
        gone = [
            each for each in head if each in ours and each not in {*paths, *kept} and not (self.folder / each).exists()
        ]
        with tempfile.TemporaryDirectory(prefix="zerorepo-commit-") as temporary:
            index = {"GIT_INDEX_FILE": str(Path(temporary) / "index")}
            if self.head:
                self.run("read-tree", "HEAD", env=index)
            listed = "\0".join(paths)
            if paths:
                self.run("add", "--force", "--pathspec-from-file=-", "--pathspec-file-nul", env=index, stdin=listed)
            if gone:
                self.run("rm", "--quiet", "--cached", "--", *gone, env=index)
            tree = self.run("write-tree", env=index).strip()
        old_tree = self.run("rev-parse", "HEAD^{tree}").strip() if self.head else ""
        if tree == old_tree or (not self.head and not paths):
            return None
        changed = self.lines("diff", "--name-only", "-z", old_tree, tree) if old_tree else list(paths)
        return Change(old_tree, tree, tuple(changed))

    def commit_whole(self, change: Change, said: Said) -> list[str]:
        """One commit of all of it; a line that tells of it."""
        old = self._text(change.old, _GRAPH)
        new = self._text(change.new, _GRAPH) or '{"nodes": []}'
        text = said.text or commit_message(old or None, new, change.paths, said.package, said.target)
        made = self._committed(change.new, self.head, text, said.target)
        self._advance(made, change)
        return [_line(made, text)]

    def commit_steps(self, change: Change, said: Said) -> list[str]:
        """A commit for each node, or for what must go together; a line for each. All of them are there at once, or none."""
        new = self._text(change.new, _GRAPH)
        if not new:
            raise UsageError(f"`{_GRAPH}` is left out, so nodes cannot be told apart", hint="commit with --per build")
        package = f"{said.package}/"
        inits = [path for path in change.paths if path.startswith(package) and path.endswith("/__init__.py")]
        texts = {path: (self._text(change.old, path), self._text(change.new, path)) for path in inits}
        head, tree, lines = self.head, change.old, []
        for step in commit_steps(self._text(change.old, _GRAPH) or None, new, change.paths, texts):
            following = self._tree(tree, change.new, step)
            if following == tree:
                continue
            changed = self.lines("diff", "--name-only", "-z", tree, following) if tree else list(step.paths)
            is_first = not change.old and step.before == step.after
            text = _FIRST if is_first else commit_message(step.before, step.after, changed, said.package, said.target)
            head, tree = self._committed(following, head, text, said.target), following
            lines.append(_line(head, text))
        self._advance(head, change)
        return lines

    def _tree(self, base: str, new: str, step: Step) -> str:
        """``base`` with the files of one step as they are in ``new``."""
        entries = {}
        for line in self.lines("ls-tree", "-r", "-z", new):
            facts, _, path = line.partition("\t")
            entries[path] = f"{facts.split()[0]} {facts.split()[2]}\t{path}"
        listed = [entries.get(path, f"0 {'0' * len(new)}\t{path}") for path in step.paths]
        for path, text in step.made.items():
            blob = self.run("hash-object", "-w", "--stdin", stdin=text).strip()
            listed.append(f"100644 {blob}\t{path}")
        with tempfile.TemporaryDirectory(prefix="zerorepo-commit-") as temporary:
            index = {"GIT_INDEX_FILE": str(Path(temporary) / "index")}
            if base:
                self.run("read-tree", base, env=index)
            self.run("update-index", "-z", "--index-info", env=index, stdin="".join(f"{each}\0" for each in listed))
            return self.run("write-tree", env=index).strip()

    def _text(self, tree: str, path: str) -> str:
        return self.run("show", f"{tree}:{path}", may_fail=True) if tree else ""

    def _committed(self, tree: str, parent: str, text: str, target: str) -> str:
        """A commit that no branch has yet."""
        if _TRAILER not in text:
            text = f"{text}\n\n{_TRAILER} {target}\n"
        return self.run("commit-tree", tree, *(("-p", parent) if parent else ()), stdin=text).strip()

    def _advance(self, made: str, change: Change) -> None:
        self.run("update-ref", "-m", "zerorepo commit", "HEAD", made, self.head or "0" * len(made))
        # The index of its user takes the new state of what was committed, and keeps what was staged.
        listed = "\0".join(change.paths)
        self.run("reset", "--quiet", "--pathspec-from-file=-", "--pathspec-file-nul", stdin=listed)

    def lines(self, *arguments: str) -> list[str]:
        """What a command with ``-z`` lists."""
        return [each.strip("\n") for each in self.run(*arguments).split("\0") if each.strip("\n")]

    def run(
        self, *arguments: str, env: dict[str, str] | None = None, stdin: str | None = None, may_fail: bool = False
    ) -> str:
        """What git prints. EnvironmentFailure when it is missing or refuses."""
        # Set while a hook runs: it would lead to the repository around this one.
        plain = {
            key: value for key, value in os.environ.items() if key not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
        }
        try:
            done = subprocess.run(
                ["git", *arguments],
                cwd=self.folder,
                input=stdin,
                capture_output=True,
                text=True,
                check=False,
                env={**plain, **(env or {})},
            )
        except FileNotFoundError:
            raise EnvironmentFailure("git is not installed", hint="install git") from None
        if done.returncode and may_fail:
            return ""
        if done.returncode:
            said = done.stderr.strip()
            raise EnvironmentFailure(
                f"git {arguments[0]} failed in `{self.folder.name}`: {said}", hint="see `git help`"
            )
        return done.stdout


def _line(commit: str, text: str) -> str:
    return f"{commit[:10]} {text.partition(chr(10))[0]}"
