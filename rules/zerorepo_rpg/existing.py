"""Code that exists, as planning is shown it and as a plan relies on it. Pure; knows nothing of files or of who plans."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

import xxhash

from zerorepo_rpg.delta import State, delta, head
from zerorepo_rpg.graph import EdgeType, RPGGraph, RPGNode
from zerorepo_rpg.plan_metrics import cosine, lexical_vectors
from zerorepo_rpg.plan_model import NodeInterface, Plan

SHOWN = 400
"""Definitions that planning is shown at most; of more, those that speak most of what the specification does."""


def public_definitions(graph: RPGGraph) -> list[RPGNode]:
    """Public functions and classes at the top level of files that are no tests, in the order of their files."""
    return [
        node
        for node in sorted(graph.nodes, key=lambda node: node.id)
        if node.interface_type
        and "." not in node.id.partition("::")[2]
        and not node.name.startswith("_")
        and not _is_test(node.file_path)
    ]


def _is_test(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return "tests" in parts[:-1] or "test" in parts[:-1] or parts[-1].startswith("test_") or parts[-1] == "conftest.py"


def listing(graph: RPGGraph, about: str, *, signatures: bool = False, limit: int = SHOWN) -> str:
    """Existing definitions, one a line under the path of their file; "" when there are none.

    ``about``: what the specification says, which decides between more than ``limit``. ``signatures``: with these in full.
    """
    chosen = _nearest(public_definitions(graph), about, limit)
    lines: list[str] = []
    file = ""
    for node in chosen:
        if node.file_path != file:
            file = node.file_path
            lines.append(file)
        first = node.docstring.strip().split("\n")[0]
        line = node.signature.strip() if signatures else f"{str(node.interface_type).lower()} {node.name}"
        lines.append(f"  {line}" + (f": {first}" if first and not signatures else ""))
    return "\n".join(lines)


def _nearest(nodes: list[RPGNode], about: str, limit: int) -> list[RPGNode]:
    if len(nodes) <= limit:
        return nodes
    texts = {node.id: f"{node.name} {node.docstring}".replace("_", " ") for node in nodes}
    vectors = lexical_vectors({**texts, "": about})
    near = sorted(nodes, key=lambda node: (-cosine(vectors[node.id], vectors[""]), node.id))[:limit]
    return sorted(near, key=lambda node: node.id)


def files_of(graph: RPGGraph) -> frozenset[str]:
    """Paths of files that exist: a plan may keep them, wherever they are and whatever they are called."""
    return frozenset(node.file_path for node in graph.nodes if node.file_path)


def existing_nodes(plan: Plan, graph: RPGGraph) -> dict[str, str]:
    """Planned nodes that exist as they are planned, by name, file and signature: node id to the id of the code."""
    if not graph.nodes:
        return {}
    return {each.id: each.found for each in delta(plan, graph) if each.state is State.EXISTING}


def code_digest(digests: Mapping[str, str], name: str) -> str:
    """The digest of a top-level definition of a file with all that is taken with it: its methods, and private helpers of the file.

    ``digests``: of all definitions of the file, by name, methods as ``Class.method``.
    """
    own = {each: digest for each, digest in digests.items() if each.partition(".")[0] == name}
    helpers = {each: digest for each, digest in digests.items() if each.startswith("_")}
    parts = [f"{each} {digest}" for each, digest in sorted({**helpers, **own}.items())]
    return xxhash.xxh3_128("\n".join(parts).encode()).hexdigest()


def digests_of(graph: RPGGraph, path: str) -> dict[str, str]:
    """Digests of the definitions of an existing file, by name."""
    return {
        each.id.partition("::")[2]: each.digest for each in graph.nodes if each.file_path == path and "::" in each.id
    }


def with_known_uses(
    nodes: Sequence[NodeInterface], others: Iterable[NodeInterface], graph: RPGGraph
) -> tuple[NodeInterface, ...]:
    """Interfaces in which those of existing code use what that code calls and inherits, among ``nodes`` and ``others``.

    What code does need not be guessed: the graph says it. A use that the code does not have is left out. Code that is to have
    another signature will be written, so what it is planned to use stands.
    """
    places = {(node.file, node.name): node.id for node in (*others, *nodes)}
    by_code = {f"{file}::{name}": node_id for (file, name), node_id in places.items()}
    needs = _needs(graph, by_code) if graph.nodes else {}
    heads = {node.id: head(node.signature) for node in graph.nodes if node.id in needs}
    return tuple(
        node.model_copy(update={"uses": needs[code]})
        if (code := f"{node.file}::{node.name}") in needs and heads.get(code) == head(node.signature)
        else node
        for node in nodes
    )


def _needs(graph: RPGGraph, by_code: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """Existing top-level code to the nodes that it needs, its methods and private helpers of its file included."""
    present = {node.id for node in graph.nodes}
    calls: dict[str, set[str]] = {}
    for edge in graph.edges:
        if edge.type in (EdgeType.INVOCATION, EdgeType.INHERITANCE):
            calls.setdefault(_top(edge.source), set()).add(_top(edge.target))
    found = {}
    for code in by_code:
        if code not in present:
            continue
        needed, work, seen = set[str](), [code], {code}
        while work:
            for other in sorted(calls.get(work.pop(), ())):
                if other in by_code:
                    needed.add(by_code[other])
                elif other not in seen:
                    seen.add(other)
                    work.append(other)
        found[code] = tuple(sorted(needed - {by_code[code]}))
    return found


def _top(name: str) -> str:
    path, colons, inner = name.partition("::")
    return f"{path}{colons}{inner.partition('.')[0]}"


def missing_code(source: str, package: str, known: Collection[str]) -> Iterator[str]:
    """Modules of the package that a source imports and no node is in."""
    import ast

    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == package:
            if node.module not in known:
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.partition(".")[0] == package and a.name not in known)


__all__ = [
    "SHOWN",
    "code_digest",
    "digests_of",
    "existing_nodes",
    "files_of",
    "listing",
    "missing_code",
    "public_definitions",
    "with_known_uses",
]
