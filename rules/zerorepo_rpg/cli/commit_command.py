"""``zerorepo commit [TARGET]``: what was built, committed to the generated repository's own git. Never to one around it.

The commit is made beside the index: what its user has staged stays staged, and is in no commit of ours. A file that someone
edited, or staged otherwise, is left out and named.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from zerorepo.commands import output_folder, provided, targets_of
from zerorepo.digest import DigestFunction
from zerorepo.errors import EnvironmentFailure, UsageError, did_you_mean
from zerorepo.label import Label
from zerorepo.target import Outputs
from zerorepo_rpg.commit_message import commit_message
from zerorepo_rpg.providers import AssembledRepository

_GRAPH = "docs/rpg.json"
_TRAILER = "ZeroRepo-Target:"


def commit(
    target: Annotated[str, typer.Argument(help="The `repository`; needless when there is one.")] = "",
    message: Annotated[str, typer.Option("--message", "-m", help="Say this, and not what the rule says.")] = "",
) -> None:
    """Commit a built repository to its own git, with a message from the difference of its plan."""
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
    made = git.commit(paths, {*edited, *left_out}, repository.package_name, str(label), message)
    print(made or "nothing to commit")


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

    def commit(self, paths: Sequence[str], kept: set[str], name: str, target: str, message: str) -> str:
        """Commit these files, and the removal of ours that are gone, none of ``kept``; "" when that changes nothing."""
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
            return ""
        changed = self.lines("diff", "--name-only", "-z", old_tree, tree) if old_tree else list(paths)
        text = message or self._message(tree, changed, name, target)
        if _TRAILER not in text:
            text = f"{text}\n\n{_TRAILER} {target}\n"
        parent = ("-p", self.head) if self.head else ()
        made = self.run("commit-tree", tree, *parent, stdin=text).strip()
        self.run("update-ref", "-m", "zerorepo commit", "HEAD", made, self.head or "0" * len(made))
        # The index of its user takes the new state of what was committed, and keeps what was staged.
        self.run("reset", "--quiet", "--pathspec-from-file=-", "--pathspec-file-nul", stdin="\0".join(changed))
        return f"{made[:10]} {text.partition(chr(10))[0]}"

    def _message(self, tree: str, changed: Sequence[str], name: str, target: str) -> str:
        old = self.run("show", f"HEAD:{_GRAPH}", may_fail=True) if self.head else ""
        new = self.run("show", f"{tree}:{_GRAPH}", may_fail=True)
        return commit_message(old or None, new or '{"nodes": []}', changed, name, target)

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
