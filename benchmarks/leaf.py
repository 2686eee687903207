"""One leaf changed: its source has other bytes; what depends on it is built, nothing else. Chain, fan, random layers."""

from __future__ import annotations

import itertools
from pathlib import Path

from benchmarks.graphs import DOIT, MAKE, NINJA, SCONS, Graph, Tool, chain, dependents, fan, layers, tools
from benchmarks.harness import Case, medians, of, ratio, run, seconds, table, work_folder

PEERS = (NINJA, MAKE, DOIT, SCONS)
SHAPES = {"deep chain": (chain, 1_000), "wide fan": (fan, 1_000), "random layers": (layers, 10_000)}
_EDIT = itertools.count(1)


def main(quick: bool = False, scale: float = 1.0) -> None:
    """Measure and print a table a shape."""
    for name, (shape, size) in SHAPES.items():
        measure(name, shape(50 if quick else int(size * scale)), 1 if quick else 5)


def measure(shape: str, graph: Graph, runs: int) -> None:
    """One shape: the source of an early target, of those the one with most dependents, changes before each run."""
    leaf = max((node for node in graph[:20] if node.source), key=lambda node: dependents(graph, node.place))

    def case(tool: Tool, folder: Path) -> Case:
        place = tool.set_up(graph, folder / tool.name)
        source = place / str(leaf.source)
        made = Case(tool.name, tool.command(), place)
        run(made)
        made.before = lambda: _change(source)
        return made

    with work_folder() as folder:
        found = medians([case(tool, folder) for tool in tools(len(graph), *PEERS)], runs)
    rows = [("tool", "one leaf changed", "x ninja", "ours x faster")]
    rows += [(n, seconds(v), ratio(v, found.get("ninja", 0)), ratio(v, found["zerorepo"])) for n, v in found.items()]
    concerned = dependents(graph, leaf.place)
    table(f"One leaf changed, {shape} of {len(graph):,}, {concerned:,} targets to build; {of(runs)}", rows)


def _change(source: Path) -> None:
    source.write_text(f"edit {next(_EDIT)}\n")


if __name__ == "__main__":
    main()
