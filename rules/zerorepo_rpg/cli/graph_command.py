"""``zerorepo graph [FILE]``: a planning graph shown, selected from, and turned into another format. Changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zerorepo.commands import workspace_root
from zerorepo.errors import UsageError, did_you_mean
from zerorepo.redaction import mask
from zerorepo_rpg.graph import EdgeType, Level, NodeType, RPGGraph, RPGNode, Source
from zerorepo_rpg.graph_export import EXPORTERS, to_csv
from zerorepo_rpg.plan_files import graph_of, read_plan
from zerorepo_rpg.template import LOCK

_OUTPUTS = ("tree", "layers", "cycles", "csv", *EXPORTERS)


def graph(
    file: Annotated[
        Path | None,
        typer.Argument(help="A lock or a graph (JSON, GraphML, DOT, Mermaid, YAML, CSV folder); default: the lock."),
    ] = None,
    output: Annotated[str, typer.Option("--output", "-o", help=f"{', '.join(_OUTPUTS)}.")] = "tree",
    to: Annotated[Path | None, typer.Option("--to", metavar="PATH", help="Write it there; for csv a folder.")] = None,
    module: Annotated[list[str] | None, typer.Option("--module", help="Only what is in these; repeatable.")] = None,
    level: Annotated[list[Level] | None, typer.Option("--level", help="Only these levels.")] = None,
    type_: Annotated[list[NodeType] | None, typer.Option("--type", help="Only these types of nodes.")] = None,
    source: Annotated[list[Source] | None, typer.Option("--source", help="Only what these wrote.")] = None,
    edges: Annotated[list[EdgeType] | None, typer.Option("--edges", help="Only these types of edges.")] = None,
) -> None:
    """Show a planning graph, or turn it into another format."""
    if output not in _OUTPUTS:
        raise UsageError(f"Unknown output `{output}`", hint=did_you_mean(output, _OUTPUTS) or ", ".join(_OUTPUTS))
    found = graph_of(read_plan(file or workspace_root() / LOCK))
    unknown = [name for name in module or () if name not in found.by_id]
    if unknown:
        raise UsageError(f"The graph has no node `{unknown[0]}`", hint=did_you_mean(unknown[0], found.by_id))
    if module or level or type_ or source or edges:
        found = found.select(
            modules=module or (), levels=level or (), types=type_ or (), sources=source or (), edges=edges or ()
        )
    texts = _texts(found, output)
    if to is None:
        print(mask("\n".join(texts.values()).rstrip("\n")))
        return
    for name, text in texts.items():
        path = to / name if name else to
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8", newline="")
        print(f"wrote {path}")


def _texts(found: RPGGraph, output: str) -> dict[str, str]:
    if output == "csv":
        return to_csv(found)
    if output == "tree":
        return {"": "\n".join(_tree(found)) + "\n"}
    if output == "cycles":
        cycles = [" -> ".join((*cycle, cycle[0])) for cycle in found.cycles()]
        return {"": "\n".join(cycles or ["no cycle"]) + "\n"}
    if output == "layers":
        try:
            return {"": "\n".join(f"{n}: {' '.join(layer)}" for n, layer in enumerate(found.layers(), 1)) + "\n"}
        except ValueError as error:
            raise UsageError(f"There is no order: {error}", hint="`--output cycles` lists them") from None
    return {"": EXPORTERS[output](found)}


def _tree(found: RPGGraph) -> list[str]:
    children: dict[str | None, list[RPGNode]] = {}
    for node in found.nodes:
        children.setdefault(node.parent, []).append(node)
    lines = [f"{len(found.nodes):,} nodes, {len(found.edges):,} edges"]
    work = [(0, node) for node in reversed(children.get(None, []))]
    while work:
        depth, node = work.pop()
        signature = node.signature.strip().split("\n")
        head = next((line for line in signature if line.startswith(("def", "async def", "class"))), node.name)
        lines.append("  " * depth + (head.removesuffix(":") if node.interface_type else node.name))
        work += [(depth + 1, child) for child in reversed(children.get(node.id, []))]
    return lines


__all__ = ["graph"]
