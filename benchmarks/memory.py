"""Resident memory a target, of a build with nothing to do and of a clean one, beside what a workspace of two targets takes."""

from __future__ import annotations

from benchmarks.graphs import DOIT, MAKE, NINJA, SCONS, layers, tools
from benchmarks.harness import Case, peak_kb, ratio, table, work_folder

SIZE = 100_000


def main(quick: bool = False, size: int = SIZE) -> None:
    """Measure and print. Target: 1 KB a target."""
    size = 300 if quick else size
    small, graph = layers(2, depth=1), layers(size)
    kilobytes: dict[str, tuple[float, float]] = {}
    with work_folder() as folder:
        for tool in tools(size, NINJA, MAKE, DOIT, SCONS):
            little = Case(tool.name, tool.command(), tool.set_up(small, folder / f"{tool.name}-2"))
            large = Case(tool.name, tool.command(), tool.set_up(graph, folder / tool.name))
            base = peak_kb(little)
            clean = (peak_kb(large) - base) / size
            kilobytes[tool.name] = ((peak_kb(large) - peak_kb(little)) / size, clean)
    rows = [("tool", "nothing to do", "clean build", "x ninja")]
    for name, (null, clean) in kilobytes.items():
        against = ratio(null, kilobytes.get("ninja", (0.0, 0.0))[0])
        rows.append((name, f"{null:.2f} KB", f"{clean:.2f} KB", against))
    table(f"Peak resident memory a target at {size:,} targets, beside the interpreter (target: 1 KB)", rows)


if __name__ == "__main__":
    main()
