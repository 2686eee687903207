"""Queries on a layered random graph, 5 dependencies a target, beside networkx and rustworkx on the same graph.

*In process*: the graph is in memory, the answer is a set of numbers, for theirs as for ours. Theirs are given numbers; ours is
timed from the text of an expression, and alone: parsed, and its patterns resolved. Both are of a graph that has been asked before;
*first* is the whole of a query on a graph that has not, which walks where later ones look into an index.
*Cold*: a new process that begins with nothing and prints labels: `zerorepo query` in a workspace, theirs from a JSON file of edges.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.graphs import PACKAGE, ZEROREPO, Graph, Node, find
from benchmarks.harness import Case, medians, of, ratio, run, seconds, table, work_folder
from zerorepo.query import BUILTINS, GraphBuilder, QueryContext, QueryGraph, evaluate_query, parse
from zerorepo.query.evaluator import evaluate
from zerorepo.query.patterns import PatternResolver
from zerorepo.query.reach import WALKED_QUERIES

NEEDS, LAYERS = 5, 10
SIZES = (1_000, 10_000, 100_000)
_THEIRS = """
import json, sys
edges = json.load(open("edges.json"))
names, wanted = edges["names"], edges["wanted"]
"""
_COLD = {
    "networkx": _THEIRS
    + "import networkx as nx\ngraph = nx.DiGraph()\ngraph.add_nodes_from(range(len(names)))\ngraph.add_edges_from(edges['pairs'])\n"
    "print('\\n'.join(names[each] for each in sorted(nx.ancestors(graph, wanted) | {wanted})))\n",
    "rustworkx": _THEIRS + "import rustworkx as rx\ngraph = rx.PyDiGraph()\ngraph.add_nodes_from(names)\n"
    "graph.add_edges_from_no_data([tuple(pair) for pair in edges['pairs']])\n"
    "print('\\n'.join(names[each] for each in sorted(rx.ancestors(graph, wanted) | {wanted})))\n",
}


def layered(size: int) -> list[list[int]]:
    """For each target those that it depends on, all of the layer before; a fixed seed."""
    width, choose = size // LAYERS, random.Random(3)
    return [
        [] if i < width else choose.sample(range(i // width * width - width, i // width * width), NEEDS)
        for i in range(size)
    ]


def _name(index: int) -> str:
    return f"//p{index // PACKAGE}:t{index % PACKAGE}"


def _in_memory(deps: list[list[int]]) -> QueryGraph:
    builder = GraphBuilder()
    for i, needed in enumerate(deps):
        builder.add_target(_name(i), "bin" if i % 3 else "lib", [_name(each) for each in needed])
    return builder.freeze()


def _median(ask: Callable[[], Any], runs: int) -> float:
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        ask()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _peers(deps: list[list[int]]) -> dict[str, dict[str, Callable[[], Any]]]:
    """What each library answers the same questions with; one that is not installed is left out."""
    last, first = len(deps) - 1, 0
    pairs = [(i, each) for i, needed in enumerate(deps) for each in needed]
    kinds = ["bin" if i % 3 else "lib" for i in range(len(deps))]
    found: dict[str, dict[str, Callable[[], Any]]] = {}
    try:
        nx: Any = importlib.import_module("networkx")
    except ImportError:
        print("networkx is not installed: pip install 'zerorepo[bench]'")
    else:
        g = nx.DiGraph()
        g.add_nodes_from((i, {"kind": kind}) for i, kind in enumerate(kinds))
        g.add_edges_from(pairs)
        found["networkx"] = {
            "deps": lambda: nx.descendants(g, last),
            "rdeps": lambda: nx.ancestors(g, first),
            "somepath": lambda: nx.shortest_path(g, last, first),
            "allpaths": lambda: nx.descendants(g, last) & nx.ancestors(g, first),
            "kind": lambda: {node for node, kind in g.nodes(data="kind") if kind == "lib"},
        }
    try:
        rx: Any = importlib.import_module("rustworkx")
    except ImportError:
        print("rustworkx is not installed: pip install 'zerorepo[bench]'")
    else:
        r = rx.PyDiGraph()
        r.add_nodes_from(kinds)
        r.add_edges_from_no_data(pairs)
        found["rustworkx"] = {
            "deps": lambda: rx.descendants(r, last),
            "rdeps": lambda: rx.ancestors(r, first),
            "somepath": lambda: rx.dijkstra_shortest_paths(r, last, target=first, default_weight=1.0),
            "allpaths": lambda: rx.descendants(r, last) & rx.ancestors(r, first),
            "kind": lambda: set(r.filter_nodes(lambda kind: kind == "lib")),
        }
    return found


def _in_process(size: int, runs: int) -> None:
    deps = layered(size)
    graph, peers = _in_memory(deps), _peers(deps)
    last, first = _name(size - 1), _name(0)
    questions = {
        "deps": f"deps({last})",
        "rdeps": f"rdeps(//..., {first})",
        "somepath": f"somepath({last}, {first})",
        "allpaths": f"allpaths({last}, {first})",
        "kind": "kind('lib rule', //...)",
    }
    index = _indexed(questions["rdeps"], graph)
    rows = [("", "zerorepo", "alone", "first", *(c for name in peers for c in (name, "ours ×", "alone ×")), "members")]
    for name, expression in questions.items():
        first = _first(expression, graph, runs)
        ours = _median(lambda text=expression: evaluate_query(text, graph), runs)  # type: ignore[misc]
        alone = _median(_alone(expression, graph), runs)
        cells = [name, seconds(ours), seconds(alone), seconds(first)]
        for answers in peers.values():
            theirs = _median(answers[name], runs)
            cells += [seconds(theirs), ratio(ours, theirs), ratio(alone, theirs)]
        rows.append((*cells, str(len(evaluate_query(expression, graph).nodes))))
    table(f"Queries in process, {size:,} targets, {of(runs)}; index made in {seconds(index)}", rows)


def _indexed(question: str, graph: QueryGraph) -> float:
    """Ask until the graph has its index; the time of the query that made it."""
    longest = 0.0
    for _ in range(WALKED_QUERIES + 1):
        began = time.perf_counter()
        evaluate_query(question, graph)
        longest = time.perf_counter() - began
    return longest


def _alone(expression: str, graph: QueryGraph) -> Callable[[], Any]:
    """Evaluation without parsing the expression and without finding what its patterns name."""
    parsed = parse(expression, BUILTINS)
    context = QueryContext(graph, BUILTINS, PatternResolver(graph), expression)
    evaluate(parsed, context)
    return lambda: evaluate(parsed, context)


def _first(expression: str, graph: QueryGraph, runs: int) -> float:
    """The time of a query on a graph like this one that nobody has asked; its edges are in memory."""
    forward, reverse, kinds = graph.forward, graph.reverse, graph.by_kind
    times = []
    for _ in range(runs):
        fresh = QueryGraph(
            graph.labels, graph.infos, forward, graph.packages, reverse=lambda: reverse, by_kind=lambda: kinds
        )
        fresh.find(""), fresh.rules, fresh.broken  # as after a first pattern
        began = time.perf_counter()
        evaluate_query(expression, fresh)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _cold(size: int, folder: Path, runs: int) -> None:
    deps = layered(size)
    places = [_name(i)[2:].replace(":", "/") for i in range(size)]
    nodes: Graph = [
        Node(place, None, tuple(places[each] for each in needed)) for place, needed in zip(places, deps, strict=True)
    ]
    ZEROREPO.set_up(nodes, folder)
    pairs = [(i, each) for i, needed in enumerate(deps) for each in needed]
    (folder / "edges.json").write_text(
        json.dumps({"names": [_name(i) for i in range(size)], "pairs": pairs, "wanted": 0})
    )
    time.sleep(0.2)  # until the state of what was just written can be trusted
    command = [find("zerorepo") or "zerorepo", "query"]
    first = run(Case("first", [*command, f"rdeps(//..., {_name(0)})"], folder))
    cases = [
        Case("rdeps", [*command, f"rdeps(//..., {_name(0)})"], folder),
        Case("deps", [*command, f"deps({_name(size - 1)})"], folder),
        Case("somepath", [*command, f"somepath({_name(size - 1)}, {_name(0)})"], folder),
        Case("allpaths", [*command, f"allpaths({_name(size - 1)}, {_name(0)})"], folder),
        Case("kind", [*command, "kind('digests rule', //...)", "--order", "no"], folder),
    ]
    for name, script in _COLD.items():
        if importlib.util.find_spec(name):
            cases.append(Case(f"rdeps, {name}", [sys.executable, "-c", script], folder))
    found = medians(cases, runs)
    changed: list[float] = []
    built: list[float] = []
    rows = [("", "time", "× rdeps of zerorepo")]
    rows += [(name, seconds(took), ratio(took, found["rdeps"])) for name, took in found.items()]
    rows.append(("rdeps, the very first", seconds(first), ratio(first, found["rdeps"])))
    build = [find("zerorepo") or "zerorepo", "build", "--quiet"]
    for number in range(min(runs, 3)):
        with (folder / "p0" / "BUILD.toml").open("a") as file:
            file.write(f"# {number}\n")
        time.sleep(0.2)
        changed.append(run(cases[0]))
        run(Case("build", [*build, _name(number)], folder))
        time.sleep(0.2)
        built.append(run(cases[0]))
    for name, times in (("one build file changed", changed), ("one target built", built)):
        rows.append(
            (f"rdeps, {name}", seconds(statistics.median(times)), ratio(statistics.median(times), found["rdeps"]))
        )
    table(f"Queries in a cold process, {size:,} targets, {of(runs)} (the very first: one run)", rows)


def main(*, quick: bool) -> None:
    """All sizes; quick: the smallest, once."""
    sizes, runs = (SIZES[:1], 1) if quick else (SIZES, 9)
    for size in sizes:
        _in_process(size, runs)
    with work_folder() as folder:
        for size in sizes:
            _cold(size, folder / str(size), 1 if quick else 5)
