"""What a module reaches, by whatever name: imports under other names, built-ins handed on, ``getattr`` with the name in it.

Follows imports, plain assignments (``run = os``) and texts given to ``getattr``; knows nothing of what may be reached.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from zerorepo_rpg.python_names import BUILTINS
from zerorepo_rpg.scopes import module_references

BUILTIN = "builtins."


def reached(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Full name and line of each use: ``os.system``, ``builtins.open``, ``pathlib.Path.home``. Imports themselves are no uses."""
    stands_for = _names(tree)
    own = {*stands_for, *_bound_at_top(tree)}
    for reference in module_references(tree):
        if isinstance(reference, ast.Name) and reference.id in BUILTINS and reference.id not in own:
            yield BUILTIN + reference.id, reference.lineno
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and "." in stands_for.get(node.id, ""):
            yield stands_for[node.id], node.lineno
        elif isinstance(node, (ast.Attribute, ast.Call)) and (found := _full_name(node, stands_for)):
            yield found, node.lineno


def _names(tree: ast.Module) -> dict[str, str]:
    """What names stand for, wherever in the module they are bound."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name) and isinstance(node, ast.Assign) and (known := _full_name(node.value, found)):
            found.setdefault(target.id, known)
    return found


def _full_name(node: ast.expr, stands_for: Mapping[str, str]) -> str:
    """``os.path.join`` of a chain that begins with a name that is known; "" of anything else."""
    if isinstance(node, ast.Name):
        return stands_for.get(node.id, "")
    if isinstance(node, ast.Attribute):
        base = _full_name(node.value, stands_for)
        return base and f"{base}.{node.attr}"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
        wanted = node.args[1] if len(node.args) > 1 else None
        if isinstance(wanted, ast.Constant) and isinstance(wanted.value, str):
            base = _full_name(node.args[0], stands_for)
            return base and f"{base}.{wanted.value}"
    return ""


def _bound_at_top(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                yield from (each.id for each in ast.walk(target) if isinstance(each, ast.Name))


__all__ = ["BUILTIN", "reached"]
