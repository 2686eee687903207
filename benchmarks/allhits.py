"""Outputs deleted, cache kept: everything comes back from the cache. SCons with its ``CacheDir``; ninja builds anew."""

from __future__ import annotations

import shutil

from benchmarks.graphs import NINJA, SCONS, clear, layers, tools
from benchmarks.harness import Case, medians, of, ratio, run, seconds, table, work_folder


def main(quick: bool = False, size: int = 10_000, runs: int = 3) -> None:
    """Measure and print."""
    size, runs = (50, 1) if quick else (size, runs)
    graph = layers(size)
    with work_folder() as folder:
        cases, idle = [], []
        for tool in tools(size, NINJA, SCONS):
            place = tool.set_up(graph, folder / tool.name)
            extra = [f"CACHE={folder / 'scons-cache'}"] if tool is SCONS else []
            case = Case(tool.name, [*tool.command(), *extra], place)
            run(case)
            idle.append(Case(tool.name, case.command, place))
            # SCons asks its cache only for what its own signatures do not call up to date: outputs gone is enough.
            case.before = lambda place=place: clear(place)
            cases.append(case)
        found = medians(cases, runs)
        for case in idle:
            run(case)
        nothing = medians(idle, runs)
        shutil.rmtree(folder / "scons-cache", ignore_errors=True)
    names = {"ninja": "ninja (no cache: builds)", "scons": "scons (CacheDir)"}
    rows = [("tool", "outputs deleted", "x ninja", "ours x faster", "a target beside nothing to do")]
    for name, value in found.items():
        each = f"{(value - nothing[name]) / size * 1e6:.0f} us"
        against = ratio(value, found.get("ninja", 0))
        rows.append((names.get(name, name), seconds(value), against, ratio(value, found["zerorepo"]), each))
    table(f"Outputs deleted, all in the cache, {size:,} targets; {of(runs)}", rows)


if __name__ == "__main__":
    main()
