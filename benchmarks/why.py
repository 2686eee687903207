"""Where ZeroRepo's time goes: cProfile of a clean build and of one with nothing to do. Named only: it is no measurement."""

from __future__ import annotations

import pstats
import subprocess
import sys
from collections import Counter
from pathlib import Path

from benchmarks.graphs import ZEROREPO, layers
from benchmarks.harness import table, work_folder


def main(quick: bool = False, size: int = 2_000) -> None:
    """Profile and print both."""
    with work_folder() as folder:
        place = ZEROREPO.set_up(layers(50 if quick else size), folder / "workspace")
        for name in ("clean build", "second build", "nothing to do"):
            file = folder / "profile"
            profiled = [sys.executable, "-m", "cProfile", "-o", str(file), "-m", "zerorepo", *ZEROREPO.arguments]
            subprocess.run(profiled, cwd=place, check=True)
            if name != "second build":  # in which it takes in what it wrote
                _show(name, size, pstats.Stats(str(file)))


def _show(name: str, size: int, stats: pstats.Stats, most: int = 18) -> None:
    calls = stats.stats  # type: ignore[attr-defined]
    total = sum(row[2] for row in calls.values())
    files: Counter[str] = Counter()
    for (file, _, function), row in calls.items():
        files[function.strip("{}") if file == "~" else _short(file)] += row[2]
    rows = [("file or built-in", "own time", "of all")]
    rows += [(file, f"{spent:.2f} s", f"{spent / total:.0%}") for file, spent in files.most_common(most)]
    table(f"{name}, {size:,} targets, own time, {total:.2f} s under cProfile", rows)
    ours = [
        (row[3], row[0], f"{_short(file)}:{line} {function}")
        for (file, line, function), row in calls.items()
        if "/zerorepo/" in file and not function.startswith("<")
    ]
    rows = [("function", "calls", "with what it calls", "of all")]
    for spent, count, function in sorted(ours, reverse=True):
        if spent < 0.9 * total and len(rows) <= most:
            rows.append((function, f"{count:,}", f"{spent:.2f} s", f"{spent / total:.0%}"))
    table(f"{name}: the engine's functions, cumulative", rows)


def _short(file: str) -> str:
    return "/".join(Path(file).parts[-2:])


if __name__ == "__main__":
    main()
