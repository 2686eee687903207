"""How many nodes use a class or inherit from it, and which classes are therefore candidates for shared base classes.

Counted on the graph of uses, by rule. Knows nothing of models.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from zerorepo.values import Value
from zerorepo_rpg import digraph
from zerorepo_rpg.graph import EdgeType
from zerorepo_rpg.plan_model import SHARED, InterfaceKind, NodeInterface, Plan, use_edges

MANY_MODULES = 3
"""From so many other modules on that use it a class is shared data."""
HEIRS = 2


class Degree(Value):
    """``users`` name the class in ``uses``; ``heirs``, among them, inherit from it. Both are concrete, no base classes."""

    id: str
    users: tuple[str, ...] = ()
    heirs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    """Other modules that the users are in."""


def degrees(plan: Plan) -> dict[str, Degree]:
    """Each class of the plan with its degrees."""
    nodes = plan.nodes()
    bases = {base.id for base in plan.base_classes.classes}
    users = digraph.reverse(plan.uses())
    inherits = {(edge.source, edge.target) for edge in use_edges(nodes) if edge.type is EdgeType.INHERITANCE}
    module_of = {node.id: node.module for node in nodes}
    found = {}
    for node in nodes:
        if node.kind is InterfaceKind.CLASS:
            concrete = tuple(name for name in users.get(node.id, ()) if name not in bases)
            found[node.id] = Degree(
                id=node.id,
                users=concrete,
                heirs=tuple(name for name in concrete if (name, node.id) in inherits),
                modules=tuple(sorted({module_of[name] for name in concrete} - {node.module})),
            )
    return found


def candidates(plan: Plan) -> list[str]:
    """Classes that are no base classes and have the degree of one, each as a sentence; the most used first."""
    bases = {base.id for base in plan.base_classes.classes}
    found = [
        each
        for each in degrees(plan).values()
        if each.id not in bases and (len(each.modules) >= MANY_MODULES or len(each.heirs) >= HEIRS)
    ]
    said = []
    for each in sorted(found, key=lambda one: (-len(one.users), one.id)):
        why = f"{len(each.users)} nodes of {len(each.modules)} other modules use it"
        if len(each.heirs) >= HEIRS:
            why = f"{', '.join(f'`{name}`' for name in each.heirs)} inherit from it"
        said.append(f"`{each.id}` is a candidate for a base class in `{SHARED}`: {why}")
    return said


def is_abstract(node: NodeInterface) -> bool:
    """Whether a class says of itself that it is for others to inherit from."""
    try:
        body = ast.parse(node.signature).body
    except (SyntaxError, ValueError):
        return False  # told by another check
    classes = [each for each in body if isinstance(each, ast.ClassDef)]
    named = [
        name.id for each in classes for part in each.bases for name in ast.walk(part) if isinstance(name, ast.Name)
    ]
    return "ABC" in named or any(_is_abstract_method(item) for each in classes for item in each.body)


def _is_abstract_method(item: ast.stmt) -> bool:
    decorators: Sequence[ast.expr] = (
        item.decorator_list if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)) else ()
    )
    return any(ast.unparse(each).rpartition(".")[2] == "abstractmethod" for each in decorators)


__all__ = ["Degree", "candidates", "degrees", "is_abstract"]
