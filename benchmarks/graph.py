"""Planning graphs of 100,000 nodes: loaded from JSON and put into topological layers, beside networkx on the same file.

networkx only reads what the text says; we also refuse an unsound graph. Targets: loaded in 2 s, sorted in 0.5 s.
"""

from __future__ import annotations

import gc
import json
import random
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from benchmarks.harness import ratio, table
from zerorepo_rpg.graph import EdgeType, InterfaceType, Level, NodeType, RPGEdge, RPGGraph, RPGNode

MODULES, FILES = 100, 20  # files a module


def made(size: int) -> RPGGraph:
    """``size`` nodes: modules over files over functions; each function calls two earlier ones, files and modules in order."""
    choose = random.Random(5)
    modules = max(1, min(MODULES, size // 50))
    nodes = [RPGNode(id=f"m{number:03}", name=f"m{number}", level=Level.MODULE) for number in range(modules)]
    files = [(f"pkg/m{number:03}/f{each:02}.py", f"m{number:03}") for number in range(modules) for each in range(FILES)]
    nodes += [
        RPGNode(id=path, name=path, level=Level.COMPONENT, node_type=NodeType.FILE_AUGMENTED, parent=m, file_path=path)
        for path, m in files
    ]
    edges = [
        RPGEdge(type=EdgeType.DATA_FLOW, source=nodes[number].id, target=nodes[number + 1].id, data_name="rows")
        for number in range(modules - 1)
    ]
    edges += [RPGEdge(type=EdgeType.ORDERING, source=a[0], target=b[0]) for a, b in pairwise(files)]
    functions = [f"{files[number * len(files) // size][1]}/f{number:06}" for number in range(size - len(nodes))]
    for number, name in enumerate(functions):
        path = files[number * len(files) // size][0]
        nodes.append(
            RPGNode(
                id=name,
                name=name.partition("/")[2],
                level=Level.FEATURE,
                node_type=NodeType.FUNCTION_AUGMENTED,
                parent=path,
                file_path=path,
                interface_type=InterfaceType.FUNCTION,
                signature=f"def f{number}(rows: list[str], limit: int = 10) -> list[str]",
                docstring="The rows that count, at most as many as the limit.",
            )
        )
        for used in {choose.randrange(max(0, number - 1000), number) for _ in range(2)} if number else ():
            edges.append(RPGEdge(type=EdgeType.INVOCATION, source=name, target=functions[used]))
    return RPGGraph.build(nodes, edges)


def _networkx(text: str) -> Any:
    import networkx

    body = json.loads(text)
    graph = networkx.MultiDiGraph()
    graph.add_nodes_from((node["id"], node) for node in body["nodes"])
    graph.add_edges_from((edge["source"], edge["target"], edge) for edge in body["edges"])
    return graph


def _sorted_by_networkx(graph: Any) -> list[list[str]]:
    import networkx

    needs = networkx.DiGraph()
    needs.add_nodes_from(graph)
    for source, target, edge in graph.edges(data=True):
        if (kind := EdgeType(edge["type"])) is not EdgeType.HIERARCHY:
            needs.add_edge(*((source, target) if kind.needed_is_source else (target, source)))
    return [sorted(layer) for layer in networkx.topological_generations(needs)]


def _median_s(case: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        gc.collect()
        started = time.perf_counter()
        case()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main(quick: bool = False) -> None:
    """Measure and print; a result that differs from networkx's is an error."""
    size, runs = (5_000, 3) if quick else (100_000, 7)
    text = made(size).to_json()
    ours, theirs = RPGGraph.from_json(text), _networkx(text)
    if [list(layer) for layer in ours.layers()] != _sorted_by_networkx(theirs):
        raise SystemExit("the layers differ from those of networkx")
    load = _median_s(lambda: RPGGraph.from_json(text), runs), _median_s(lambda: _networkx(text), runs)
    # Graphs that were loaded but never asked: their own look-up tables are part of what sorting takes.
    fresh = iter([RPGGraph.from_json(text) for _ in range(runs)])
    layers = _median_s(lambda: next(fresh).layers(), runs), _median_s(lambda: _sorted_by_networkx(theirs), runs)
    rows = [("what", "zerorepo", "networkx", "networkx takes")]
    for name, (mine, other) in (("load from JSON", load), ("topological layers", layers)):
        rows.append((name, f"{mine:.2f} s", f"{other:.2f} s", ratio(other, mine)))
    title = f"{len(ours.nodes):,} nodes, {len(ours.edges):,} edges, {len(text) / 1e6:.0f} MB of JSON; medians of {runs}"
    table(title, rows)


if __name__ == "__main__":
    main()
