"""The graph: what it refuses, its operations against naive ones, its round trip, its size."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerorepo.errors import UsageError
from zerorepo_rpg import digraph
from zerorepo_rpg.graph import (
    EdgeType,
    InterfaceType,
    Level,
    NodeType,
    RPGEdge,
    RPGGraph,
    RPGNode,
    Source,
    graph_problems,
)
from zerorepo_rpg.graph_export import EXPORTERS, to_csv

from .sample import plan


def node(name: str, level: Level = Level.FEATURE, parent: str | None = None, **more: object) -> RPGNode:
    return RPGNode.model_validate({"id": name, "name": name, "level": level, "parent": parent, **more})


def edge(kind: str, source: str, target: str, **more: str) -> RPGEdge:
    return RPGEdge(type=EdgeType(kind), source=source, target=target, **more)


graphs = st.dictionaries(st.sampled_from("abcdefgh"), st.lists(st.sampled_from("abcdefgh"), max_size=4), max_size=8)


def naive_reachable(needs: dict[str, list[str]], start: str) -> set[str]:
    found: set[str] = set()
    for _ in range(10):
        for name in [start, *found]:
            found |= set(needs.get(name, ()))
    return found


@given(graphs)
def test_reachability_agrees_with_a_naive_one(needs: dict[str, list[str]]) -> None:
    for start in needs:
        assert digraph.reachable(needs, [start]) == naive_reachable(needs, start)


@given(graphs)
def test_layers_or_a_real_cycle(needs: dict[str, list[str]]) -> None:
    cyclic = any(name in naive_reachable(needs, name) for name in needs)
    found = digraph.cycles(needs)
    assert bool(found) == cyclic
    for cycle in found:
        assert all(b in needs[a] for a, b in zip(cycle, (*cycle[1:], cycle[0]), strict=True))
    if cyclic:
        with pytest.raises(ValueError, match="cycle: "):
            digraph.layers(needs)
        return
    depth = {name: number for number, layer in enumerate(digraph.layers(needs)) for name in layer}
    assert set(depth) == set(needs)
    for name, needed in needs.items():
        assert depth[name] == max((depth[other] + 1 for other in needed if other in needs), default=0)


@given(graphs)
def test_components_are_mutual_reachability(needs: dict[str, list[str]]) -> None:
    group = {name: members for members in digraph.components(needs) for name in members}
    for a in needs:
        for b in needs:
            together = a == b or (b in naive_reachable(needs, a) and a in naive_reachable(needs, b))
            assert (group[a] == group[b]) == together


def test_every_broken_rule_is_told_at_once() -> None:
    nodes = (
        node("m", Level.MODULE),
        node("m", Level.MODULE),
        node("f", Level.COMPONENT, "m"),
        node("x", Level.MODULE, "f"),
        node("p", parent="q"),
        node("q", parent="p"),
        node("up", folder_path="a/../b"),
        node("out", folder_path="src/a", file_path="src/ab/c.py"),
        node("bare", node_type=NodeType.FUNCTION_AUGMENTED),
        node("unsigned", interface_type=InterfaceType.FUNCTION),
    )
    edges = (
        edge("HIERARCHY", "m", "f"),
        edge("HIERARCHY", "m", "p"),
        edge("DATA_FLOW", "m", "nowhere"),
        edge("ORDERING", "f", "f"),
        edge("INVOCATION", "p", "q"),
        edge("INVOCATION", "q", "p"),
        edge("INVOCATION", "q", "p", data_name="d"),
        edge("ORDERING", "p", "q"),
        edge("ORDERING", "p", "q"),
    )
    text = "\n".join(graph_problems(nodes, edges))
    for expected in (
        "duplicate node id `m`",
        "duplicate edge ORDERING p -> q",
        "the target `nowhere` is no node",
        "from a node to itself",
        "a MODULE may not stand below the COMPONENT `f`",
        "a FEATURE may not stand below the FEATURE `q`",
        "node `x` says parent `f`, but no HIERARCHY edge",
        "HIERARCHY edge m -> p: node `p` has parent `q`",
        "the hierarchy is no tree: p -> q -> p",
        "`a/../b` is not a plain relative path",
        "`src/ab/c.py` is not inside folder `src/a`",
        "FUNCTION_AUGMENTED needs an interface_type",
        "a FUNCTION needs a signature",
        "only a DATA_FLOW edge has data_name",
        "cycle of INVOCATION edges (each needs the next): p -> q -> p",
    ):
        assert expected in text, expected


def test_mutual_recursion_in_code_of_people_is_no_problem() -> None:
    nodes = [node(name, source=Source.HUMAN) for name in "ab"]
    RPGGraph.build(nodes, [edge("INVOCATION", "a", "b"), edge("INVOCATION", "b", "a")])


def test_directions_are_those_of_the_design() -> None:
    nodes = [node(name) for name in "abc"]
    graph = RPGGraph.build(nodes, [edge("DATA_FLOW", "a", "b"), edge("INVOCATION", "c", "b")])
    assert graph.needs() == {"a": (), "b": ("a",), "c": ("b",)}
    assert graph.layers() == (("a",), ("b",), ("c",))
    assert graph.dependencies("c") == {"a", "b"} and graph.dependents("a") == {"b", "c"}
    assert graph.dependencies("c", [EdgeType.INVOCATION]) == {"b"}


def test_the_plans_graph_goes_round_to_the_byte() -> None:
    graph = plan().to_graph()
    text = graph.to_json()
    assert RPGGraph.from_json(text) == graph and RPGGraph.from_json(text).to_json() == text
    assert graph.ancestors("slug/slugify") == ("textkit/slug/core.py", "slug")
    assert graph.descendants("slug") >= {"textkit/slug/core.py", "slug/slugify", "slug/SlugTable"}
    assert graph.by_id["slug"].folder_path == "textkit/slug"
    drawn = {str(item) for item in graph.edges}
    assert "INVOCATION slug/unique_slug -> slug/slugify" in drawn
    assert "ORDERING textkit/slug/core.py -> textkit/slug/table.py" in drawn
    assert "DATA_FLOW words -> slug (words)" in drawn


def test_a_broken_graph_is_refused_on_load_with_its_place() -> None:
    graph = RPGGraph.build([node("a"), node("b")], [edge("ORDERING", "a", "b")])
    with pytest.raises(UsageError, match="the target `zz` is no node") as caught:
        RPGGraph.from_json(graph.to_json().replace('"target": "b"', '"target": "zz"'), "docs/rpg.json")
    assert caught.value.where == "docs/rpg.json"
    with pytest.raises(UsageError):
        RPGGraph.from_json('{"nodes": [{"id": "a"}]}')


def test_a_subgraph_hangs_orphans_on_the_nearest_ancestor() -> None:
    found = plan().to_graph().subgraph(lambda item: item.level is not Level.COMPONENT)
    assert found.by_id["slug/slugify"].parent == "slug"
    assert not any("core.py" in str(item) for item in found.edges)


def test_a_diff_is_by_content() -> None:
    old = RPGGraph.build([node("a"), node("b"), node("c")], [edge("ORDERING", "a", "b")])
    new = RPGGraph.build([node("a"), node("b", docstring="new"), node("d")], [edge("ORDERING", "b", "a")])
    diff = old.diff(new)
    assert (diff.added, diff.removed, diff.changed, diff.kept) == (("d",), ("c",), ("b",), ("a",))
    assert diff.edges_added == ("ORDERING b -> a",) and diff.edges_removed == ("ORDERING a -> b",)


def test_exports_are_well_formed_whatever_the_names() -> None:
    graph = RPGGraph.build(
        [node("m", Level.MODULE), node('a"<&\x00', parent="m"), node("b\nc", parent="m")],
        [edge("ORDERING", "b\nc", 'a"<&\x00')],
    )
    texts = {name: export(graph) for name, export in EXPORTERS.items()}
    root = ET.fromstring(texts["graphml"])
    assert len(root.findall(".//{*}node")) == 3 and len(root.findall(".//{*}edge")) == 3
    assert r"a\"<&" in texts["dot"]
    assert "subgraph" in texts["mermaid"] and "&quot;&lt;&amp;" in texts["mermaid"]
    assert to_csv(graph)["nodes.csv"].startswith("id,name,level")


def test_a_hundred_thousand_nodes() -> None:
    nodes = [node(f"n{number}") for number in range(100_000)]
    edges = [edge("INVOCATION", f"n{number}", f"n{number // 2}") for number in range(1, 100_000)]
    edges.append(edge("ORDERING", "n0", "n99999"))
    began = time.monotonic()
    graph = RPGGraph.build(nodes, edges)
    assert len(graph.layers()) > 15
    chain = {str(number): [str(number + 1)] for number in range(100_000)}
    assert len(digraph.layers(chain)) == 100_000 and not digraph.cycles(chain)
    assert time.monotonic() - began < 20
