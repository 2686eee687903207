"""Times commands and prints ratios. Knows nothing of what it times."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path


def median_wall_s(
    commands: dict[str, Sequence[str]], cwd: Path, runs: int, before: Callable[[str], None] | None = None
) -> dict[str, float]:
    """Median wall time of each command, run in turn so that noise of the machine meets all alike. A failing command raises."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            if before:
                before(name)
            started = time.perf_counter()
            subprocess.run(
                command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ
            )
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


def table(title: str, rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows in aligned columns."""
    print(f"\n{title}")
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
