"""Cycles that only show while building: found, shown as a path, never a hang; what is not part of one is built."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from zerorepo.errors import CycleError, ExitCode
from zerorepo.testing import RuleRunner, Run

TESTS = Path(__file__).parents[1]


def target(name: str, rule: str = "cat", **attrs: object) -> str:
    return f'[[target]]\nname = "{name}"\nrule = "{rule}"\n' + "".join(f"{k} = {v!r}\n" for k, v in attrs.items())


BESIDE = target("beside", srcs=["s"])
PLAN = target("plan", "expand", plan="plan.txt")
WORLDS: dict[str, tuple[str, dict[str, str], tuple[str, ...]]] = {
    "two targets": (
        target("a", more="a.txt") + target("b", more="b.txt"),
        {"a.txt": "//:b", "b.txt": "//:a"},
        ("//:a", "//:b", "//:a"),
    ),
    "a target and itself": (target("a", more="a.txt"), {"a.txt": "//:a"}, ("//:a", "//:a")),
    "a ring of five through expansions": (
        PLAN + target("a", more="a.txt") + target("b", more="b.txt"),
        {
            "plan.txt": "n @inner.txt\np //gen/n:q",
            "inner.txt": "q +q.txt\nr //:a",
            "a.txt": "//gen:p",
            "q.txt": "//:b",
            "b.txt": "//gen/n:r",
        },
        ("//:a", "//gen:p", "//gen/n:q", "//:b", "//gen/n:r", "//:a"),
    ),
    "declared targets of one expansion": (
        PLAN,
        {"plan.txt": "p +p.txt\nq //gen:r\nr //gen:p", "p.txt": "//gen:q"},
        ("//gen:p", "//gen:q", "//gen:r", "//gen:p"),
    ),
    "an expansion and what it declares": (
        target("plan", "expand", plan="plan.txt", deps=["//gen:p"]),
        {"plan.txt": "p s"},
        ("//:plan", "//:plan"),
    ),
    "an expansion and who needs what it declares": (
        target("plan", "expand", plan="plan.txt", deps=["//:a"])
        + target("a", deps=["//:b"])
        + target("b", more="b.txt"),
        {"plan.txt": "p s", "b.txt": "//gen:p"},
        ("//:a", "//:b", "//:plan", "//:a"),
    ),
    "an inner expansion and who needs what it declares": (
        PLAN + target("a", more="a.txt"),
        {"plan.txt": "n @inner.txt\np //:a", "inner.txt": "q //gen:p", "a.txt": "//gen/n:q"},
        ("//:a", "//gen/n:q", "//gen:p", "//:a"),
    ),
}


def build(runner: RuleRunner, *patterns: str, **options: object) -> Run:
    """Build, but never wait for more than a minute."""

    async def main() -> Run:
        return await asyncio.wait_for(runner.build_async(*patterns, **options), 60)

    return asyncio.run(main())


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("jobs", [1, 4])
def test_a_cycle_is_found_and_its_path_shown(toys: Callable[..., RuleRunner], name: str, jobs: int) -> None:
    targets, files, path = WORLDS[name]
    runner = toys(BESIDE + targets, {"s": "S", **files})
    for _ in range(2):
        run = build(runner, jobs=jobs, keep_going=True)
        (cycle,) = run.result.failed.values()
        assert isinstance(cycle, CycleError)
        assert cycle.exit_code == ExitCode.BUILD_FAILED
        assert cycle.path == path
        for label, after in pairwise(path):
            assert f"-> {after}" in cycle.render()
            assert label in cycle.render()
        ring = set(path)
        assert ring <= {*run.failed, *run.skipped}
        assert "//:beside" in map(str, run.result.built)
        assert runner.outputs()["beside"] == b"S"
        assert not {label[2:].lstrip(":").replace(":", "/") for label in ring} & runner.outputs().keys()


@pytest.mark.parametrize("name", WORLDS)
def test_a_build_of_something_else_does_not_see_the_cycle(toys: Callable[..., RuleRunner], name: str) -> None:
    targets, files, _ = WORLDS[name]
    runner = toys(BESIDE + targets, {"s": "S", **files})
    assert build(runner, "//:beside").ran == ["//:beside"]


@pytest.mark.parametrize("name", WORLDS)
def test_without_keep_going_the_cycle_ends_the_build(toys: Callable[..., RuleRunner], name: str) -> None:
    targets, files, path = WORLDS[name]
    run = build(toys(targets, {"s": "S", **files}))
    (cycle,) = run.result.failed.values()
    assert isinstance(cycle, CycleError)
    assert cycle.path == path


def test_a_cycle_that_an_edit_closes_and_another_opens(toys: Callable[..., RuleRunner]) -> None:
    targets, files, path = WORLDS["a ring of five through expansions"]
    runner = toys(targets, {"s": "S", **files, "b.txt": ""})
    assert len(build(runner).ran) == 7
    runner.write("b.txt", files["b.txt"])
    (cycle,) = build(runner, keep_going=True).result.failed.values()
    assert isinstance(cycle, CycleError)
    assert cycle.path == path
    runner.write("b.txt", "")
    assert build(runner).ran == []  # back where it was


def test_who_may_have_been_meant_is_said_beside_the_cycle(toys: Callable[..., RuleRunner]) -> None:
    targets = target("plan", "expand", plan="plan.txt", deps=["//:alpha"]) + target("alpha", deps=["//:betta"])
    run = build(toys(targets + target("beta", srcs=["s"]), {"s": "S", "plan.txt": ""}), keep_going=True)
    (cycle,) = run.result.failed.values()
    text = str(cycle)
    assert "`//:alpha` needs `//:betta`, which no build file declares; `//:plan` may, but waits for it" in text
    assert "did you mean `//:beta`" in text


def test_the_command_line_shows_the_path_and_exits_with_1(toys: Callable[..., RuleRunner]) -> None:
    targets, files, path = WORLDS["a ring of five through expansions"]
    runner = toys('[workspace]\nplugins = ["toy_rules"]\n' + BESIDE + targets, {"s": "S", **files})
    done = subprocess.run(
        [sys.executable, "-m", "zerorepo", "build", "//...", "--keep-going"],
        cwd=runner.root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "Dependency cycle:" in done.stderr
    shown = [
        line.strip().removeprefix("-> ") for line in done.stderr.partition("Dependency cycle:")[2].splitlines()[1:]
    ]
    assert tuple(shown[: len(path)]) == path
    assert (runner.root / "out/beside").read_text() == "S"
