"""Modules that import each other in a circle: an import that only annotations need moves below ``if TYPE_CHECKING:``.

What is left is a circle that Python really goes round when it loads them; it is reported, not broken. Knows nothing of plans.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from zerorepo_rpg.merge import detect_import_cycles
from zerorepo_rpg.plan_model import module_of
from zerorepo_rpg.python_source import parse

_GUARD = "from typing import TYPE_CHECKING"


def break_cycles(files: Mapping[str, str]) -> tuple[dict[str, str], tuple[tuple[str, ...], ...]]:
    """The files without the circles that annotations alone make, and the circles that are left (dotted modules).

    Only files with ``from __future__ import annotations`` are changed: elsewhere annotations are evaluated.
    """
    done = dict(files)
    for cycle in detect_import_cycles(files):
        for path, text in files.items():
            if module_of(path) in cycle and path.endswith(".py") and not path.endswith("__init__.py"):
                done[path] = _guarded(text, set(cycle))
    return done, tuple(detect_import_cycles(done))


def _guarded(text: str, cycle: set[str]) -> str:
    tree = parse(text)
    if not any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body):
        return text
    needed = set(_names_at_run_time(tree))
    lines = text.split("\n")
    moved: list[str] = []
    last = 0
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            last = node.end_lineno or node.lineno
        if not isinstance(node, ast.ImportFrom) or node.level or node.module not in cycle:
            continue
        later = [alias for alias in node.names if (alias.asname or alias.name) not in needed]
        if not later:
            continue
        kept = [alias for alias in node.names if alias not in later]
        for number in range(node.lineno - 1, node.end_lineno or node.lineno):
            lines[number] = ""
        if kept:
            lines[node.lineno - 1] = ast.unparse(ast.ImportFrom(module=node.module, names=kept, level=0))
        moved.append(ast.unparse(ast.ImportFrom(module=node.module, names=later, level=0)))
    if not moved:
        return text
    block = [_GUARD, "", "if TYPE_CHECKING:", *(f"    {line}" for line in sorted(moved))]
    return "\n".join([*lines[:last], *block, *lines[last:]])


def _names_at_run_time(node: ast.AST) -> Iterator[str]:
    """Names that are looked up when the code runs: all but those in annotations."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load):
                yield child.id
            if isinstance(child, ast.Constant) and field == "elts" and isinstance(child.value, str):
                yield child.value  # in ``__all__``: it must be there
            if isinstance(child, ast.AST):
                yield from _names_at_run_time(child)


__all__ = ["break_cycles"]
