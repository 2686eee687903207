"""Random sound planning graphs, with names that every format finds hard."""

from __future__ import annotations

from hypothesis import strategies as st

from zerorepo_rpg.graph import EdgeType, InterfaceType, Level, NodeType, RPGEdge, RPGGraph, RPGNode, Source

NASTY = st.text(
    st.one_of(
        st.sampled_from("\"'\\\n\r\t#%<>&;,=[]{}|_x0\x00\x07\x1f\x7f\x85\u2028"),
        st.characters(codec="utf-8", exclude_characters="\ufeff"),
    ),
    max_size=12,
)
NAMES = st.lists(NASTY.filter(bool), min_size=1, max_size=7, unique=True)


@st.composite
def graphs(draw: st.DrawFn) -> RPGGraph:
    """A graph: a forest with edges of all types, each from an earlier node to a later one, so that no cycle is among them."""
    names = draw(NAMES)
    nodes: list[RPGNode] = []
    for name in names:
        modules = [node.id for node in nodes if node.level is Level.MODULE]
        level = draw(st.sampled_from(Level))
        interface = draw(st.none() | st.sampled_from(InterfaceType))
        nodes.append(
            RPGNode(
                id=name,
                name=draw(NASTY),
                level=level,
                node_type=draw(st.sampled_from([NodeType.FUNCTIONALITY, NodeType.FILE_AUGMENTED])),
                parent=draw(st.none() | st.sampled_from(modules)) if modules else None,
                folder_path=draw(st.sampled_from(["", "src/a"])),
                interface_type=interface,
                signature=draw(NASTY.filter(bool)) if interface else "",
                docstring=draw(NASTY),
                description=draw(NASTY),
                features=tuple(draw(st.lists(NASTY, max_size=2))),
                source=draw(st.sampled_from(Source)),
            )
        )
    edges: dict[tuple[str, ...], RPGEdge] = {}
    for kind in (EdgeType.DATA_FLOW, EdgeType.ORDERING, EdgeType.INHERITANCE, EdgeType.INVOCATION):
        for left in range(len(names)):
            for right in range(left + 1, len(names)):
                if draw(st.integers(0, 4)) == 0:
                    flow = kind is EdgeType.DATA_FLOW
                    edge = RPGEdge(
                        type=kind,
                        source=names[left],
                        target=names[right],
                        data_name=draw(NASTY) if flow else "",
                        data_type=draw(NASTY) if flow else "",
                        description=draw(NASTY),
                    )
                    edges[edge.key] = edge
    return RPGGraph.build(nodes, edges.values())
