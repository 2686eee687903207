"""What a plan asks of code that exists: which of its nodes are there, which there are otherwise, which are new; in building order.

By content: name, place and signature. Pure; knows nothing of who will write the rest.
"""

from __future__ import annotations

import ast
from enum import StrEnum

from zerorepo.values import Value
from zerorepo_rpg.graph import RPGGraph, RPGNode
from zerorepo_rpg.plan_model import NodeInterface, Plan


class State(StrEnum):
    """How a planned node stands to the code that exists."""

    EXISTING = "existing"
    MODIFIED = "modified"
    NEW = "new"


class Planned(Value):
    """A planned node; ``found`` is the id of the existing code that it is compared with."""

    id: str
    state: State
    found: str = ""
    why: str = ""


def delta(plan: Plan, existing: RPGGraph) -> tuple[Planned, ...]:
    """Every planned node, what it needs before it. ValueError when the plan has a cycle."""
    by_name: dict[str, list[RPGNode]] = {}
    for node in existing.nodes:
        if node.interface_type and "." not in node.id.partition("::")[2]:
            by_name.setdefault(node.name, []).append(node)
    nodes = {node.id: node for node in plan.nodes()}
    return tuple(_planned(nodes[name], by_name.get(nodes[name].name, [])) for layer in plan.order() for name in layer)


def _planned(node: NodeInterface, candidates: list[RPGNode]) -> Planned:
    # In the planned file, else the only one of that name: an equal name in two places says nothing.
    same = [each for each in candidates if each.file_path == node.file] or (candidates if len(candidates) == 1 else [])
    if not same:
        why = f"{len(candidates)} of that name, none in {node.file}" if candidates else "nothing of that name"
        return Planned(id=node.id, state=State.NEW, why=why)
    found = same[0]
    if head(node.signature) != head(found.signature):
        return Planned(id=node.id, state=State.MODIFIED, found=found.id, why="another signature")
    if found.file_path != node.file:
        return Planned(id=node.id, state=State.MODIFIED, found=found.id, why=f"moves to {node.file}")
    return Planned(id=node.id, state=State.EXISTING, found=found.id, why="the same signature")


def head(signature: str) -> str:
    """A signature without layout: for a class its name and bases, for a function all parameters and types."""
    text = signature.strip()
    for each in (text, f"{text}: ..."):
        try:
            definition = ast.parse(each).body[-1]
        except (SyntaxError, IndexError):
            continue
        if isinstance(definition, ast.ClassDef):
            return f"class {definition.name}({', '.join(map(ast.unparse, definition.bases))})"
        if isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef)):
            returns = ast.unparse(definition.returns) if definition.returns else ""
            return f"{type(definition).__name__} {definition.name}({ast.unparse(definition.args)}) -> {returns}"
    return " ".join(text.split())


__all__ = ["Planned", "State", "delta"]
