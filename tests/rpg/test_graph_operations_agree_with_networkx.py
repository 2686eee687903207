"""Operations of the planning graph, each against networkx on the same random graph."""

from __future__ import annotations

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerorepo.errors import UsageError
from zerorepo_rpg.graph import NEEDS, EdgeType, Level, RPGEdge, RPGGraph, RPGNode, Source

NAMES = [f"n{number}" for number in range(9)]
PAIRS = st.tuples(st.sampled_from(EdgeType), st.sampled_from(NAMES), st.sampled_from(NAMES))


@st.composite
def human_graphs(draw: st.DrawFn) -> RPGGraph:
    """A graph as of a person's code: calls and imports may go round."""
    kinds = (EdgeType.INVOCATION, EdgeType.ORDERING, EdgeType.DATA_FLOW)
    drawn = {pair for pair in draw(st.sets(PAIRS, max_size=25)) if pair[0] in kinds and pair[1] != pair[2]}
    nodes = [RPGNode(id=name, name=name, level=Level.FEATURE, source=Source.HUMAN) for name in NAMES]
    return RPGGraph.build(nodes, [RPGEdge(type=kind, source=a, target=b) for kind, a, b in drawn])


def peer(graph: RPGGraph, types: tuple[EdgeType, ...]) -> networkx.DiGraph:
    """The same edges for networkx, from the user to what it needs."""
    found = networkx.DiGraph()
    found.add_nodes_from(node.id for node in graph.nodes)
    for edge in graph.edges:
        if edge.type in types:
            ends = (edge.target, edge.source) if edge.type.needed_is_source else (edge.source, edge.target)
            found.add_edge(*ends)
    return found


CHOICES = st.sets(st.sampled_from(NEEDS), min_size=1).map(tuple)


@settings(max_examples=150, deadline=None)
@given(graph=human_graphs(), types=CHOICES)
def test_layers_and_reach(graph: RPGGraph, types: tuple[EdgeType, ...]) -> None:
    theirs = peer(graph, types)
    if networkx.is_directed_acyclic_graph(theirs):
        generations = networkx.topological_generations(theirs.reverse())
        assert graph.layers(types) == tuple(tuple(sorted(layer)) for layer in generations)
        assert not graph.cycles(types) and not graph.every_cycle(types)
    else:
        with pytest.raises(ValueError, match="cycle: "):
            graph.layers(types)
    for name in NAMES:
        on_cycle = any(name in networkx.descendants(theirs, other) for other in theirs.successors(name))
        own = {name} if on_cycle else set()
        assert graph.dependencies(name, types) == networkx.descendants(theirs, name) | own
        assert graph.dependents(name, types) == networkx.ancestors(theirs, name) | own


@settings(max_examples=100, deadline=None)
@given(graph=human_graphs(), types=CHOICES)
def test_cycles(graph: RPGGraph, types: tuple[EdgeType, ...]) -> None:
    def turned(cycle: list[str]) -> tuple[str, ...]:
        first = cycle.index(min(cycle))
        return (*cycle[first:], *cycle[:first])

    theirs = peer(graph, types)
    every = sorted(turned(cycle) for cycle in networkx.simple_cycles(theirs))
    assert graph.every_cycle(types, limit=100_000) == every
    assert set(graph.cycles(types)) <= set(every)
    groups = [group for group in networkx.strongly_connected_components(theirs) if len(group) > 1]
    assert len(graph.cycles(types)) == len(groups)


@settings(max_examples=60, deadline=None)
@given(graph=human_graphs(), keep=st.sets(st.sampled_from(NAMES)))
def test_subgraphs(graph: RPGGraph, keep: set[str]) -> None:
    found = graph.subgraph(lambda node: node.id in keep)
    assert peer(found, NEEDS).edges == peer(graph, NEEDS).subgraph(keep).edges
    diff = graph.diff(found)
    assert set(diff.removed) == set(NAMES) - keep and set(diff.kept) == keep and not diff.added


def test_filters_and_what_is_below_a_module() -> None:
    nodes = [
        RPGNode(id="a", name="a", level=Level.MODULE),
        RPGNode(id="a.b", name="b", level=Level.MODULE, parent="a"),
        RPGNode(id="a.b/f", name="f", level=Level.FEATURE, parent="a.b", source=Source.HUMAN),
        RPGNode(id="z", name="z", level=Level.MODULE),
    ]
    graph = RPGGraph.build(
        nodes,
        [
            RPGEdge(type=EdgeType.ORDERING, source="a", target="z"),
            RPGEdge(type=EdgeType.DATA_FLOW, source="a", target="a.b", data_name="d"),
        ],
    )
    assert set(graph.select(modules=["a"]).by_id) == {"a", "a.b", "a.b/f"}
    assert set(graph.select(levels=[Level.MODULE]).by_id) == {"a", "a.b", "z"}
    assert graph.select(sources=[Source.HUMAN]).by_id["a.b/f"].parent is None
    shown = {str(edge) for edge in graph.select(edges=[EdgeType.ORDERING]).edges}
    assert shown == {"HIERARCHY a -> a.b", "HIERARCHY a.b -> a.b/f", "ORDERING a -> z"}
    with pytest.raises(KeyError):
        graph.select(modules=["nowhere"])


def test_an_edit_is_refused_with_everything_that_it_would_break() -> None:
    nodes = [RPGNode(id=name, name=name, level=Level.MODULE) for name in "abc"]
    graph = RPGGraph.build(nodes, [RPGEdge(type=EdgeType.ORDERING, source="a", target="b")])
    more = graph.edited([RPGNode(id="d", name="d", level=Level.FEATURE, parent="a")], removed=["c"])
    assert set(more.by_id) == {"a", "b", "d"} and len(more.edges) == 2
    assert graph.edited([RPGNode(id="a", name="new", level=Level.MODULE)]).by_id["a"].name == "new"
    with pytest.raises(UsageError) as caught:
        graph.edited(
            [RPGNode(id="e", name="e", level=Level.FEATURE, parent="nowhere")],
            [
                RPGEdge(type=EdgeType.ORDERING, source="b", target="a"),
                RPGEdge(type=EdgeType.DATA_FLOW, source="a", target="c"),
            ],
            removed=["c"],
        )
    for expected in ("its parent `nowhere`", "cycle of ORDERING", "the target `c` is no node"):
        assert expected in str(caught.value)
    with pytest.raises(UsageError, match="No node of the graph: x"):
        graph.edited(removed=["x"])
