"""Nothing to do: a cold process finds that everything is up to date. Layers of targets, a source and two dependencies each."""

from __future__ import annotations

from benchmarks.graphs import layers, tools
from benchmarks.harness import Case, medians, of, ratio, run, seconds, table, work_folder

SIZES = (1_000, 10_000, 100_000)


def main(quick: bool = False, sizes: tuple[int, ...] = ()) -> None:
    """Measure and print a table a size. Targets: 2 x ninja at 10,000; every Python peer at least 10 x slower."""
    for size in sizes or ((20,) if quick else SIZES):
        runs = 1 if quick else 7 if size <= 10_000 else 3
        measure(size, runs)


def measure(size: int, runs: int) -> None:
    """One size, all tools that can stand it."""
    graph = layers(size)
    with work_folder() as folder:
        cases, fresh = [], {}
        for tool in tools(size):
            place = tool.set_up(graph, folder / tool.name)
            # Bytecode may be kept, as it is where tools are installed.
            case = Case(tool.name, tool.command(), place, env={"PYTHONDONTWRITEBYTECODE": ""})
            fresh[tool.name] = run(case)  # the build that leaves nothing to do
            run(case)  # the first look after it, at which some tools take in what that build wrote
            cases.append(case)
        found = medians(cases, runs)
    ours = found["zerorepo"]
    rows = [("tool", "nothing to do", "x ninja", "ours x faster", "the build before")]
    for name, value in found.items():
        rows.append(
            (name, seconds(value), ratio(value, found.get("ninja", 0)), ratio(value, ours), seconds(fresh[name]))
        )
    table(f"Nothing to do, {size:,} targets, cold process; {of(runs)}", rows)


if __name__ == "__main__":
    main()
