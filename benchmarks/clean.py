"""A clean build of trivial actions, and what the engine costs an action: in its own process, and beside a process start."""

from __future__ import annotations

from pathlib import Path

from benchmarks.graphs import (
    DOIT,
    JOBS,
    MAKE,
    NINJA,
    SCONS,
    ZEROREPO,
    ZEROREPO_BY_PROCESS,
    Graph,
    Tool,
    layers,
    tools,
)
from benchmarks.harness import Case, medians, of, ratio, seconds, table, work_folder

TARGET_US = 300


def main(quick: bool = False, size: int = 10_000, runs: int = 3) -> None:
    """Measure and print both tables."""
    size, runs = (50, 1) if quick else (size, runs)
    graph = layers(size)
    with work_folder() as folder:
        start = _start_s(folder, runs)
        inside = medians([_case(tool, graph, folder) for tool in tools(size, DOIT, SCONS)], runs)
        cases = [_case(ZEROREPO_BY_PROCESS, graph, folder)]
        cases += [_case(tool, graph, folder) for tool in tools(size, NINJA, MAKE)[1:]]
        starts = f"seq {size} | xargs -P {JOBS} -I{{}} sh -c 'md5sum places >/dev/null'"
        bare = Case("xargs (process starts alone)", ["sh", "-c", starts], cases[0].cwd)
        outside = medians([*cases, bare], runs)
    ours = inside["zerorepo"]
    rows = [("tool", "clean build", "an action", "ours x faster")]
    for name, value in inside.items():
        rows.append(
            (name, seconds(value), _each(value - (start if name == "zerorepo" else 0), size), ratio(value, ours))
        )
    title = f"Clean build, {size:,} actions without a process; {of(runs)}"
    table(f"{title} (target: {TARGET_US} us an action, the start of {seconds(start)} taken off)", rows)
    floor = min(value for name, value in outside.items() if name != ZEROREPO_BY_PROCESS.name)
    rows = [("tool", "clean build", "an action", "x ninja", "beside the fastest")]
    for name, value in outside.items():
        beside = _each(value - floor, size)
        rows.append((name, seconds(value), _each(value, size), ratio(value, outside.get("ninja", 0)), beside))
    table(f"Clean build, {size:,} actions, a process each, {JOBS} at once; {of(runs)}", rows)


def _each(value: float, size: int) -> str:
    return f"{value / size * 1e6:.0f} us"


def _start_s(folder: Path, runs: int) -> float:
    """ZeroRepo with one target: what a build costs before its first action."""
    return medians([_case(ZEROREPO, layers(2, depth=1), folder / "one")], runs + 2)["zerorepo"]


def _case(tool: Tool, graph: Graph, folder: Path) -> Case:
    place = tool.set_up(graph, folder / tool.name)
    return Case(tool.name, tool.command(), place, before=lambda: tool.forget(place))


if __name__ == "__main__":
    main()
