"""Writing code in parallel: 60 nodes in six layers, each mended once, a scripted model of 200 ms a call; beside the critical path.

Twice: with runs of tests that take no time, which shows the order of work alone, and with the sandbox, which two processors bound.
The peer is arithmetic: the longest chain of questions and runs that wait for each other.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import table, work_folder

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from e2e.scripted_library import ScriptedLibrary, Sketch, Tinytext, diagnosis, replaced

from zerorepo.action import ActionContext
from zerorepo.errors import ExitCode
from zerorepo.target import Outcome, TestCase, TestReport
from zerorepo_llm.providers import Request
from zerorepo_rpg.rules.skeleton_types import CheckTypes, TypeProblems
from zerorepo_sandbox.run_tests import RunTests, TestRun

_LATENCY_S = 0.2
_LAYERS, _WIDE = 6, 10
_NAMES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_JOBS = 16


def _sketches() -> list[Sketch]:
    """A node of a layer uses the one of the same name in the layer before."""
    found = []
    for layer in range(_LAYERS):
        for name in _NAMES[:_WIDE]:
            own, below = f"l{layer}_{name}", f"l{layer - 1}_{name}"
            body = f"return {below}(text) + {layer}" if layer else "return len(text)"
            value = 1 + layer * (layer + 1) // 2
            uses = (f"layer{layer - 1}/{below}",) if layer else ()
            check = f'assert {own}("a") == {value}'
            found.append(Sketch(f"layer{layer}", f"def {own}(text: str) -> int", body, check, uses))
    return found


class _Library(ScriptedLibrary):
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


def main(quick: bool = False, scale: float = 1.0) -> None:
    """Measure and print a table."""
    del scale
    rows = [("runs of tests", "questions", "wall", "critical path", "wall / critical path")]
    rounds = 1 if quick else 3
    with _instant_runs():
        rows.append(_row("none", [_measure() for _ in range(rounds)]))
    if not quick:
        rows.append(_row("in the sandbox", [_measure()]))
    table(
        f"{_LAYERS * _WIDE} nodes in {_LAYERS} layers, each mended once, {_LATENCY_S:g} s a call, --jobs {_JOBS}", rows
    )


def _row(name: str, found: list[tuple[int, float]]) -> tuple[str, ...]:
    asked, wall = sorted(found, key=lambda pair: pair[1])[len(found) // 2]
    # Tests and code at once; then, layer by layer, one look, one vote, one edit.
    path = _LATENCY_S * (1 + 3 * _LAYERS)
    return name, str(asked), f"{wall:.2f} s", f"{path:.2f} s", f"{wall / path:.2f}"


def _measure() -> tuple[int, float]:
    with work_folder() as folder:
        sketches = _sketches()
        lines = [f"- `{sketch.name}(text)` returns a number." for sketch in sketches]
        spec = "\n".join(["# Tinytext", "", "The package is called `tinytext`.", "", "## Numbers", "", *lines, ""])
        tiny = Tinytext(folder / "ws", _Library(sketches), spec=spec)
        planned = tiny.build("//:tinytext.plan", jobs=_JOBS)
        assert planned.code is ExitCode.OK, planned.failures
        tiny.latency_s = _LATENCY_S
        began = time.perf_counter()
        built = asyncio.run(tiny.build_async("//:tinytext.assembled", jobs=_JOBS))
        wall = time.perf_counter() - began
        assert built.code is ExitCode.OK, built.failures
        assert json.dumps(built.asked).count("mend ") == _LAYERS * _WIDE
        return len(built.asked), wall


if __name__ == "__main__":
    main("--quick" in sys.argv)
