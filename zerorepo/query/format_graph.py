"""Results as pictures: Graphviz's DOT (as Bazel's, with factoring), Mermaid, and a tree for terminals.

Factoring draws nodes with the same dependencies and dependents as one. Knows nothing of expressions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from zerorepo.query.ordering import factored, implied, topological
from zerorepo.query.rendering import Rendering

# Room that Bazel keeps for the line that says how many labels were left out.
_RESERVED = len("\\n...and 9999999 more items")
_REPEATED = " (*)"
# Indentation of a long chain would take memory by the square of its length.
MAX_TREE_DEPTH = 60
_CONTINUED = " (…)"


# What a picture can show at all; beyond, looking for implied edges takes longer than the query.
_MOST_DIMMED = 3000
_LOOK = (
    "  rankdir=LR; nodesep=0.03; ranksep=0.5;",
    '  node [shape=box, style="rounded,filled", fillcolor="#f6f8fa", color="#57606a", fontname="Helvetica", fontsize=11, '
    "height=0.3];",
    '  edge [color="#57606a", arrowsize=0.6];',
)
_DIMMED = '  edge [color="#57606a22", arrowhead=none, constraint=false];'


def as_dot(result: Rendering) -> str:
    """The subgraph of the result in DOT: Bazel's text; ``dimmed`` adds a look, and draws what longer paths imply last and pale."""
    groups, edges = _grouped(result)
    names = [_dot_quote(_group_text(result, group, "\\n")) for group in groups]
    lines = ["digraph mygraph {", *(_LOOK if result.dimmed else ("  node [shape=box];",))]
    pale = implied(edges) if result.dimmed and len(edges) <= _MOST_DIMMED else set()
    order = topological(edges)
    for place in order:
        lines.append(f"  {names[place]}")
        lines += [f"  {names[place]} -> {names[target]}" for target in edges[place] if (place, target) not in pale]
    if pale:
        lines.append(_DIMMED)
        lines += [f"  {names[a]} -> {names[b]}" for a in order for b in edges[a] if (a, b) in pale]
    return "\n".join([*lines, "}", ""])


def as_mermaid(result: Rendering) -> str:
    """The subgraph of the result as a Mermaid flowchart."""
    groups, edges = _grouped(result)
    order = topological(edges)
    lines = ["flowchart LR"]
    for place in order:
        text = _group_text(result, groups[place], "<br/>").replace("#", "#35;").replace('"', "#quot;")
        lines.append(f'  n{place}["{text}"]')
    lines += [f"  n{place} --> n{target}" for place in order for target in edges[place]]
    return "\n".join([*lines, ""])


def _grouped(result: Rendering) -> tuple[list[tuple[int, ...]], Mapping[int, Sequence[int]]]:
    if result.factored:
        return factored(result.edges)
    place = {node: i for i, node in enumerate(result.edges)}
    edges = {place[node]: [place[target] for target in targets] for node, targets in result.edges.items()}
    return [(node,) for node in result.edges], edges


def _group_text(result: Rendering, group: Sequence[int], separator: str) -> str:
    limit = result.node_limit
    text = result.graph.labels[group[0]]
    for count, node in enumerate(group[1:], start=1):
        label = result.graph.labels[node]
        text += separator
        if limit != -1 and len(text) + len(label) > limit - _RESERVED:
            return f"{text}...and {len(group) - count} more items"
        text += label
    return text


def _dot_quote(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def as_tree(result: Rendering) -> str:
    """The result as an indented tree from its roots.

    What was drawn in full before ends in ``(*)``; what is too deep ends in ``(…)`` and goes on at the left margin.
    """
    edges = result.edges
    lines: list[str] = []
    drawn: set[int] = set()
    for root in _roots(edges):
        if root not in drawn:
            lines += _branch(result, root, drawn)
    return "".join(f"{line}\n" for line in lines)


def _branch(result: Rendering, root: int, drawn: set[int]) -> Iterator[str]:
    labels = result.graph.labels
    stack: list[tuple[int, str, str, int]] = [(root, "", "", 0)]
    while stack:
        node, branch, indent, depth = stack.pop()
        targets = result.edges[node]
        if node in drawn:
            yield f"{branch}{labels[node]}{_REPEATED if targets else ''}"
            continue
        if depth == MAX_TREE_DEPTH and targets:
            yield f"{branch}{labels[node]}{_CONTINUED}"
            continue
        drawn.add(node)
        yield f"{branch}{labels[node]}"
        last = len(targets) - 1
        for i in range(last, -1, -1):
            marks = ("└── ", "    ") if i == last else ("├── ", "│   ")
            stack.append((targets[i], indent + marks[0], indent + marks[1], depth + 1))


def _roots(edges: Mapping[int, Sequence[int]]) -> list[int]:
    targets = {target for node, found in edges.items() for target in found if target != node}
    roots = [node for node in edges if node not in targets]
    # Then the rest, for cycles that nothing else leads to, and for what is too deep.
    return roots + [node for node in edges if node in targets]
