"""Writing code in parallel: 60 nodes in layers, a scripted model of 200 ms a call; beside critical path and processors.

Two plans of work: every answer is right at once, as the plain case, and every first code is wrong and mended once, as the hard
one. Each with checks and runs of tests that take no time, which shows the order of work alone, and for real, in the sandbox.
Four shapes of 60 nodes, from wide to deep.

The critical path is measured, not guessed: one column of the same layers, a node in each, built by itself. It holds the model's
time of the longest chain and the checks, runs and the engine's work of that chain, with the whole machine for it. Since tests and
code of all layers are asked for at once, the answers of a chain are waited for together: the path *asked in turn* is the same with
them one after the other, tests first, layer by layer. The floor is what the build took of processor time, its children's
included, shared by all processors: no order of work ends before that.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from benchmarks.harness import table, work_folder

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from e2e.scripted_library import ScriptedLibrary, Sketch, Tinytext, diagnosis, replaced

from zerorepo.action import ActionContext
from zerorepo.cli.build_cmd import collect_less
from zerorepo.errors import ExitCode
from zerorepo.target import Outcome, TestCase, TestReport
from zerorepo_llm.providers import Request
from zerorepo_rpg.rules.skeleton_types import CheckTypes, TypeProblems
from zerorepo_sandbox import environment
from zerorepo_sandbox.run_tests import RunTests, TestRun

_LATENCY_S = 0.2
_NAMES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_JOBS = 16
_MODULES = 6


class Shape(NamedTuple):
    """Layers of nodes, and how many nodes are in each. A node uses the one of the same name in the layer before."""

    layers: int
    wide: int

    def module(self, layer: int) -> str:
        """The module of a layer: a plan has at most ten."""
        return f"part{layer * _MODULES // self.layers}"


_SHAPES = (Shape(6, 10), Shape(12, 5), Shape(20, 3), Shape(30, 2))


def _sketches(shape: Shape) -> list[Sketch]:
    found = []
    for layer in range(shape.layers):
        for name in _NAMES[: shape.wide]:
            own, below = f"l{layer}_{name}", f"l{layer - 1}_{name}"
            body = f"return {below}(text) + {layer}" if layer else "return len(text)"
            value = 1 + layer * (layer + 1) // 2
            uses = (f"{shape.module(layer - 1)}/{below}",) if layer else ()
            check = f'assert {own}("a") == {value}'
            found.append(Sketch(shape.module(layer), f"def {own}(text: str) -> int", body, check, uses))
    return found


class _Mending(ScriptedLibrary):
    """Each first code is wrong, and mended after one look and one vote."""

    def _answer(self, request: Request, purpose: str) -> str:
        name = purpose.partition(",")[0].rpartition(" ")[2]
        if purpose == f"write {name}":
            return self.code_of(name).replace("return ", "return -1 + ")
        if purpose.startswith("diagnose"):
            return diagnosis("implementation")
        if purpose.startswith("mend"):
            return replaced(self.code_of(name), name)
        return super()._answer(request, purpose)


_PLANS: dict[str, type[ScriptedLibrary]] = {"right at once": ScriptedLibrary, "each mended once": _Mending}


@contextmanager
def _instant_runs() -> Iterator[None]:
    """Runs of tests and type checks that take no time, with the verdicts that the real ones give."""

    async def run(self: RunTests, context: ActionContext) -> TestRun:
        path = self.tests[0]
        node = path.rpartition("/test_")[2].removesuffix(".py")
        text = "".join(context.read(digest).decode() for name, digest in self.files.items() if name != path)
        own = text.partition(f"def {node}(")[2].partition("\ndef ")[0]
        good = path == "tests" or not ("-1 + " in own or "NotImplementedError" in own)
        case = TestCase(
            name=node, outcome=Outcome.PASSED if good else Outcome.FAILED, message="" if good else "off by one"
        )
        return TestRun(report=TestReport(passed=good, status="ok", cases=(case,)))

    async def check(self: CheckTypes, context: ActionContext) -> TypeProblems:
        return TypeProblems()

    before = RunTests.execute, CheckTypes.execute
    RunTests.execute, CheckTypes.execute = run, check  # type: ignore[method-assign]
    try:
        yield
    finally:
        RunTests.execute, CheckTypes.execute = before  # type: ignore[method-assign]


class _Taken(NamedTuple):
    """One build of the plan: questions, seconds by the clock, and of processor time."""

    asked: int
    wall_s: float
    cpu_s: float


def main(quick: bool = False, scale: float = 1.0) -> None:
    """Measure and print a table."""
    del scale
    rows = [
        (
            "layers",
            "plan of work",
            "checks and runs",
            "questions",
            "wall",
            "critical path",
            "ratio",
            "path asked in turn",
            "ratio",
            "processors' floor",
            "wall / larger",
        )
    ]
    for shape in _SHAPES[:1] if quick else _SHAPES:
        for name in _PLANS:
            rows.append(_row(shape, name, "no time", 1 if quick else 3))
            if not quick:
                rows.append(_row(shape, name, "for real", 1))
    title = f"60 nodes, {_LATENCY_S:g} s a call, --jobs {_JOBS}, {_processors()} processors"
    table(title, rows)


def _row(shape: Shape, name: str, runs: str, rounds: int) -> tuple[str, ...]:
    column = shape._replace(wide=1)
    chain = _median([_apart(name, runs, column) for _ in range(rounds)]).wall_s
    asked, wall, cpu = _median([_apart(name, runs, shape) for _ in range(rounds)])
    floor = cpu / _processors()
    # Each layer waits for its tests and then its code; of all these one answer was waited for in the chain.
    in_turn = chain + (2 * shape.layers - 1) * _LATENCY_S
    numbers = (
        f"{wall:.2f} s",
        f"{chain:.2f} s",
        f"{wall / chain:.2f}",
        f"{in_turn:.2f} s",
        f"{wall / in_turn:.2f}",
        f"{floor:.2f} s",
        f"{wall / max(chain, floor):.2f}",
    )
    return f"{shape.layers} of {shape.wide}", name, runs, str(asked), *numbers


def _apart(name: str, runs: str, shape: Shape) -> _Taken:
    """One build in a process of its own, which remembers nothing of another one."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_measure, name, runs, shape).result()


def _median(found: list[_Taken]) -> _Taken:
    return sorted(found, key=lambda each: each.wall_s)[len(found) // 2]


def _processors() -> int:
    return len(os.sched_getaffinity(0))


def _cpu_s() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def _measure(name: str, runs: str, shape: Shape) -> _Taken:
    library = _PLANS[name]
    with work_folder() as folder, _instant_runs() if runs == "no time" else nullcontext():
        sketches = _sketches(shape)
        lines = [f"- `{sketch.name}(text)` returns a number." for sketch in sketches]
        spec = "\n".join(["# Tinytext", "", "The package is called `tinytext`.", "", "## Numbers", "", *lines, ""])
        tiny = Tinytext(folder / "ws", library(sketches), spec=spec)
        environment.prepare(folder / "ws" / ".zerorepo")
        planned = tiny.build("//:tinytext.plan", jobs=_JOBS)
        assert planned.code is ExitCode.OK, planned.failures
        tiny.latency_s = _LATENCY_S
        collect_less()  # as the command does
        began, cpu = time.perf_counter(), _cpu_s()
        built = asyncio.run(tiny.build_async("//:tinytext.assembled", jobs=_JOBS))
        taken = _Taken(len(built.asked), time.perf_counter() - began, _cpu_s() - cpu)
        assert built.code is ExitCode.OK, built.failures
        assert json.dumps(built.asked).count("mend ") == (shape.layers * shape.wide if library is _Mending else 0)
        return taken


if __name__ == "__main__":
    main("--quick" in sys.argv)
