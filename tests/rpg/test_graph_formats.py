"""Every format gives back the graph that was written; graphs that others wrote are read as far as they say something."""

from __future__ import annotations

import io

import networkx
import pytest
from hypothesis import given, settings

from zerorepo.errors import UsageError
from zerorepo_rpg.graph import EdgeType, Level, RPGGraph
from zerorepo_rpg.graph_export import EXPORTERS, to_csv
from zerorepo_rpg.graph_import import IMPORTERS, format_of, from_csv, from_dot, from_graphml, from_mermaid, from_yaml

from .drawn_graphs import graphs
from .sample import plan


@pytest.mark.parametrize("name", sorted(EXPORTERS))
@settings(max_examples=60, deadline=None)
@given(graph=graphs())
def test_a_graph_survives_the_format(name: str, graph: RPGGraph) -> None:
    text = EXPORTERS[name](graph)
    back = IMPORTERS[name](text, "graph")
    assert back == graph
    assert EXPORTERS[name](back) == text


@settings(max_examples=60, deadline=None)
@given(graph=graphs())
def test_a_graph_survives_csv(graph: RPGGraph) -> None:
    assert from_csv(to_csv(graph)) == graph


@pytest.mark.parametrize("name", sorted(EXPORTERS))
def test_the_beginning_of_a_text_tells_its_format(name: str) -> None:
    assert format_of(EXPORTERS[name](plan().to_graph())) == name


def test_networkx_reads_our_graphml_and_we_read_its() -> None:
    graph = plan().to_graph()
    read = networkx.read_graphml(io.BytesIO(EXPORTERS["graphml"](graph).encode()), force_multigraph=True)
    assert set(read.nodes) == set(graph.by_id) and read.number_of_edges() == len(graph.edges)
    assert read.nodes["slug/slugify"]["signature"] == graph.by_id["slug/slugify"].signature
    theirs = networkx.MultiDiGraph()
    theirs.add_node("a", level="MODULE", colour="red")
    theirs.add_edge("a", "b", type="ORDERING")
    out = io.BytesIO()
    networkx.write_graphml(theirs, out)
    found = from_graphml(out.getvalue().decode())
    assert found.by_id["a"].level is Level.MODULE and [str(edge) for edge in found.edges] == ["ORDERING a -> b"]


def test_dot_that_others_wrote() -> None:
    found = from_dot(
        """
        strict digraph "g" { // a comment
          rankdir = LR; node [shape=box]
          a [label="The " + "first", rpg_level=MODULE]
          subgraph cluster_x { b; c:port -> d }
          a -> { e f } -> g [rpg_type=ORDERING, weight=2] /* more */
        }"""
    )
    assert found.by_id["a"].name == "The first"
    assert {str(edge) for edge in found.edges} == {
        "INVOCATION c -> d",
        *(f"ORDERING {pair}" for pair in ("a -> e", "a -> f", "e -> g", "f -> g")),
    }


def test_a_flowchart_drawn_by_hand() -> None:
    found = from_mermaid(
        'flowchart TD\n  subgraph one["Module one"]\n    a(Read) -->|x| b["Parse <it>"]\n  end\n  b ==>|"rows"| c\n'
    )
    assert found.by_id["a"].parent == "one" and found.by_id["one"].level is Level.MODULE
    assert found.by_id["b"].name == "Parse <it>"
    flows = [edge for edge in found.edges if edge.type is EdgeType.DATA_FLOW]
    assert [(edge.source, edge.target, edge.data_name) for edge in flows] == [("b", "c", "rows")]


@pytest.mark.parametrize(
    ("read", "text", "message", "where"),
    [
        (from_dot, "digraph {\n a -> ;\n}", "where a name is due", "graph.dot:2"),
        (from_dot, "digraph {\n a", "the end", "graph.dot:2"),
        (from_dot, "digraph { a ?", "Not DOT: '?'", "graph.dot:1"),
        (from_graphml, "<graphml>\n<", "Not XML", "graph.graphml:2"),
        (from_graphml, '<!DOCTYPE x [<!ENTITY e "x">]><graphml/>', "DOCTYPE", "graph.graphml"),
        (from_yaml, "nodes: [a\nb: c", "Not YAML", "graph.yaml:2"),
        (from_yaml, "!!python/object/apply:os.system ['true']", "Not YAML", "graph.yaml:1"),
        (from_yaml, "- a", "mapping", "graph.yaml"),
        (from_mermaid, "flowchart LR\nend", "without a `subgraph`", "graph.mmd:2"),
        (from_mermaid, "flowchart LR\n%% node n0 {nonsense", "comment", "graph.mmd:2"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(read, text, message, where) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match="(?s)" + message.replace("?", "\\?")) as caught:
        read(text)
    assert caught.value.where == where


@pytest.mark.parametrize("name", sorted(EXPORTERS))
def test_an_unsound_graph_is_refused_in_every_format(name: str) -> None:
    text = EXPORTERS[name](plan().to_graph()).replace("slug/unique_slug", "slug/slugify")
    with pytest.raises(UsageError, match=r"duplicate node id|from a node to itself"):
        IMPORTERS[name](text, "broken")


def test_csv_without_its_columns_is_told() -> None:
    with pytest.raises(UsageError, match=r"no nodes\.csv"):
        from_csv({})
    with pytest.raises(UsageError, match="no column `id`"):
        from_csv({"nodes.csv": "name\nx\n"})
