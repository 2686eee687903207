"""A module of several nodes back into one source for each: the inverse of ``merge``, for files that a person edited.

What a split is worth, merging it again shows; whoever uses it must do that. Knows nothing of plans.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from zerorepo_rpg.merge import segments_of, split_statements
from zerorepo_rpg.python_names import bound_names
from zerorepo_rpg.python_source import format_python, parse
from zerorepo_rpg.scopes import module_references, names_of


def split_module(source: str, module: str, nodes: Sequence[str]) -> dict[str, str]:
    """The part of each of ``nodes`` (names): its definition, the private code that it needs, its imports.

    A node that the module does not define is left out. ValueError when the source is not Python.
    """
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    tree = parse(source)
    imports, guarded, rest = split_statements(tree)
    statements = segments_of(source, rest, tree)
    uses = [_used(node) for node in rest]
    found = {}
    for name in nodes:
        if not any(name in statement.names for statement in statements):
            continue
        wanted, chosen = {name}, set[int]()
        while True:
            more = {
                number
                for number, statement in enumerate(statements)
                if number not in chosen and wanted & (set(statement.names) - (set(nodes) - {name}))
            }
            if not more:
                break
            chosen |= more
            wanted |= {used for number in more for used in uses[number]}
        siblings = sorted((wanted & set(nodes)) - {name})
        lines = [ast.unparse(node) for node in imports]
        lines += [f"from {module} import {sibling}" for sibling in siblings]
        if needed := [f"    {ast.unparse(node)}" for node in guarded if wanted & set(bound_names(node))]:
            lines += ["from typing import TYPE_CHECKING", "if TYPE_CHECKING:", *needed]
        body = [statements[number].text for number in sorted(chosen)]
        text = "\n".join(["from __future__ import annotations", *lines]) + "\n\n" + "\n\n".join(body) + "\n"
        found[name] = format_python(text, (module.partition(".")[0],))
    return found


def _used(statement: ast.stmt) -> set[str]:
    tree = ast.Module(body=[statement], type_ignores=[])
    return {name for reference in module_references(tree) for name in names_of(reference)}


__all__ = ["split_module"]
