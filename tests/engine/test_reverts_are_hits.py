"""Going back to a state that was built once runs nothing: in time, across git branches, and across clones that share a cache."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import toy_rules

from zerorepo.testing import RuleRunner, Run

ONE = '[[target]]\nname = "x"\nrule = "cat"\nsrcs = ["a"]\n'
SEVERAL = 64  # states of one target that are remembered at least


def test_many_states_of_a_target_are_remembered(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(ONE)
    for number in range(SEVERAL):
        runner.write("a", str(number))
        assert runner.build_ok().ran == ["//:x"]
    for number in range(SEVERAL):
        runner.write("a", str(number))
        run = runner.build_ok()
        assert (run.ran, run.actions) == ([], []), number
        assert runner.outputs() == {"x": str(number).encode()}


def test_a_state_that_is_seen_again_and_again_is_never_forgotten(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(ONE, {"a": "home"})
    runner.build_ok()
    for number in range(3 * SEVERAL):
        runner.write("a", str(number))
        assert runner.build_ok().ran == ["//:x"]
        if number % 16 == 0:
            runner.write("a", "home")
            assert runner.build_ok().ran == [], number


def git(folder: Path, *args: str) -> None:
    """Real git, without the settings of whoever runs this."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    me = {
        f"GIT_{who}_{what}": f"t{'@t' * (what == 'EMAIL')}"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    none = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", *args], cwd=folder, env={**clean, **me, **none}, check=True, capture_output=True, timeout=60)


BRANCHED = """
[[target]]
name = "plan"
rule = "expand"
plan = "plan.txt"

[[target]]
name = "x"
rule = "cat"
srcs = ["a"]

[[target]]
name = "user"
rule = "cat"
deps = [":x"]
more = "more.txt"
"""
ON_MAIN = {"a": "A", "b": "B", "plan.txt": "p a\nn @inner.txt", "inner.txt": "q b", "more.txt": "//gen:p"}
ON_BRANCH = {"a": "A2", "plan.txt": "p a b\nn @inner.txt", "inner.txt": "q b\nr a", "more.txt": "//gen/n:r\n//gen:p"}
MADE_ON_MAIN = {"x": b"A", "user": b"AA", "gen/p": b"A", "gen/n/q": b"B"}
MADE_ON_BRANCH = {"x": b"A2", "user": b"A2A2A2B", "gen/p": b"A2B", "gen/n/q": b"B", "gen/n/r": b"A2", "extra": b"B"}


def branched(runner: RuleRunner) -> None:
    """A repository with ``main`` checked out and ``branch`` beside it: other sources, other plan, one target more."""
    for path, text in ON_MAIN.items():
        runner.write(path, text)
    runner.write(".gitignore", "out/\n.zerorepo/\n")
    git(runner.root, "init", "-q", "-b", "main")
    git(runner.root, "add", ".")
    git(runner.root, "commit", "-qm", "main")
    git(runner.root, "checkout", "-qb", "branch")
    for path, text in ON_BRANCH.items():
        runner.write(path, text)
    extra = '\n[[target]]\nname = "extra"\nrule = "cat"\nsrcs = ["b"]\n'
    runner.write("zerorepo.toml", runner.read("zerorepo.toml") + extra.encode())
    git(runner.root, "commit", "-qam", "branch")
    git(runner.root, "checkout", "-q", "main")


def nothing_ran(run: Run) -> bool:
    return run.result.ok and (run.ran, run.actions) == ([], [])


def test_checking_a_branch_out_and_going_back_runs_nothing(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(BRANCHED)
    branched(runner)
    assert runner.build_ok().ran
    assert runner.outputs() == MADE_ON_MAIN
    git(runner.root, "checkout", "-q", "branch")
    assert ("Cat", "//gen/n:q") not in runner.build_ok().actions  # the same on both
    assert runner.outputs() == MADE_ON_BRANCH
    for _ in range(3):
        for branch, made in (("main", MADE_ON_MAIN), ("branch", MADE_ON_BRANCH)):
            git(runner.root, "checkout", "-q", branch)
            assert nothing_ran(runner.build_ok())
            assert runner.outputs() == made


def test_a_revert_commit_runs_nothing(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(BRANCHED)
    branched(runner)
    runner.build_ok()
    runner.write("a", "changed")
    git(runner.root, "commit", "-qam", "change")
    assert runner.build_ok().ran
    git(runner.root, "revert", "--no-edit", "HEAD")
    assert nothing_ran(runner.build_ok())
    assert runner.outputs() == MADE_ON_MAIN


def test_a_clone_that_shares_the_cache_runs_nothing_on_any_branch(
    toys: Callable[..., RuleRunner], tmp_path: Path
) -> None:
    shared = [f"cache.dir={tmp_path}/cache"]
    first = toys(BRANCHED)
    branched(first)
    for branch in ("main", "branch"):
        git(first.root, "checkout", "-q", branch)
        assert first.build_ok(overrides=shared).ran
    git(tmp_path, "clone", "-q", "-b", "main", str(first.root), "clone")
    clone = RuleRunner(tmp_path / "clone", rule_sets=[toy_rules.RULE_SET])
    git(clone.root, "checkout", "-q", ".")  # the kit had begun an empty workspace
    for branch, made in (("main", MADE_ON_MAIN), ("branch", MADE_ON_BRANCH), ("main", MADE_ON_MAIN)):
        git(clone.root, "checkout", "-q", branch)
        assert nothing_ran(clone.build_ok(overrides=shared))
        assert clone.outputs() == made


def test_what_one_clone_built_the_other_pulls(toys: Callable[..., RuleRunner], tmp_path: Path) -> None:
    shared = [f"cache.dir={tmp_path}/cache"]
    first = toys(BRANCHED)
    branched(first)
    git(tmp_path, "clone", "-q", "-b", "main", str(first.root), "clone")
    clone = RuleRunner(tmp_path / "clone", rule_sets=[toy_rules.RULE_SET])
    git(clone.root, "checkout", "-q", ".")
    for text in ("one", "two"):
        clone.write("a", text)
        git(clone.root, "commit", "-qam", text)
        assert clone.build_ok(overrides=shared).ran
    git(first.root, "pull", "-q", str(clone.root), "main")
    assert nothing_ran(first.build_ok(overrides=shared))
    assert first.outputs()["x"] == b"two"
    git(first.root, "checkout", "-q", "HEAD~1")
    assert nothing_ran(first.build_ok(overrides=shared))
    assert first.outputs()["x"] == b"one"


def test_a_clone_without_the_cache_runs_everything(toys: Callable[..., RuleRunner], tmp_path: Path) -> None:
    first = toys(BRANCHED)
    branched(first)
    ran = first.build_ok().ran
    git(tmp_path, "clone", "-q", "-b", "main", str(first.root), "clone")
    clone = RuleRunner(tmp_path / "clone", rule_sets=[toy_rules.RULE_SET])
    git(clone.root, "checkout", "-q", ".")
    assert sorted(clone.build_ok().ran) == sorted(ran)
