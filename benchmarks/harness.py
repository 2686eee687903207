"""Times commands and prints ratios. Knows nothing of what it times."""

from __future__ import annotations

import os
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

LIMIT_S = 900.0
ENOUGH_S = 15.0  # what has taken this long in three runs is not run again: its noise is small beside its time


def median_wall_s(
    commands: dict[str, Sequence[str]], cwd: Path, runs: int, before: Callable[[str], None] | None = None
) -> dict[str, float]:
    """Median wall time of each command, run in turn so that noise of the machine meets all alike. A failing command raises."""
    cases = [
        Case(name, command, cwd, before=(lambda name=name: before(name)) if before else None)
        for name, command in commands.items()
    ]
    return medians(cases, runs)


@dataclass(slots=True)
class Case:
    """One command to time in its folder; ``before`` puts the folder into the state that the command is timed from."""

    name: str
    command: Sequence[str]
    cwd: Path
    before: Callable[[], None] | None = None
    env: dict[str, str] = field(default_factory=dict)


def run(case: Case) -> float:
    """Wall time of one run in seconds. RuntimeError with the end of what it said when it fails or is ended at ``LIMIT_S``."""
    if case.before:
        case.before()
    with TemporaryDirectory() as folder, (Path(folder) / "said").open("w+b") as said:
        started = time.perf_counter()
        process = subprocess.Popen(case.command, cwd=case.cwd, stdout=said, stderr=said, env={**os.environ, **case.env})
        # Not ``wait(timeout=...)``: it polls, with sleeps of up to 50 ms.
        limit = threading.Timer(LIMIT_S, process.kill)
        limit.start()
        code = process.wait()
        took = time.perf_counter() - started
        limit.cancel()
        if code:
            said.seek(0)
            tail = said.read()[-2000:].decode(errors="replace")
            raise RuntimeError(f"{case.name} ended with {code} after {took:.0f} s (limit {LIMIT_S:.0f} s): {tail}")
    return took


def medians(cases: Sequence[Case], runs: int) -> dict[str, float]:
    """Median wall time of each case, run in turn so that noise of the machine meets all alike."""
    times: dict[str, list[float]] = {case.name: [] for case in cases}
    for _ in range(runs):
        for case in cases:
            if len(times[case.name]) < 3 or sum(times[case.name]) < ENOUGH_S:
                times[case.name].append(run(case))
    return {name: statistics.median(values) for name, values in times.items()}


def peak_kb(case: Case) -> int:
    """Peak resident memory of the command's own process (not its children's), in KB.

    Read from ``/proc`` while it runs: ``ru_maxrss`` of a child begins with what its parent had, which here can be more.
    """
    if case.before:
        case.before()
    process = subprocess.Popen(case.command, cwd=case.cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    status, peak = Path(f"/proc/{process.pid}/status"), 0
    while process.poll() is None:
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                peak = max(peak, int(line.split()[1]))
        time.sleep(0.002)
    if process.returncode:
        raise RuntimeError(f"{case.name} ended with {process.returncode}")
    return peak


@contextmanager
def work_folder() -> Iterator[Path]:
    """A folder for workspaces, gone afterwards."""
    with TemporaryDirectory(prefix="zerorepo-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def of(runs: int) -> str:
    """How often ``medians`` ran things, for a title."""
    return (
        "one run"
        if runs == 1
        else f"medians of {runs}" + (f" (3 of what is slow: {ENOUGH_S:.0f} s in all)" if runs > 3 else "")
    )


def seconds(value: float) -> str:
    """A time with three digits that mean something."""
    if value < 0.001:
        return f"{value * 1e6:.0f} µs"
    return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def ratio(value: float, base: float) -> str:
    """``value`` as a multiple of ``base``."""
    return f"{value / base:.3g}" if base else "-"


def table(title: str, rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows in aligned columns."""
    print(f"\n{title}")
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), flush=True)
