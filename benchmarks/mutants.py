"""Planted bugs: every small change to a source by its syntax tree that a test ought to notice. Knows nothing of running tests.

Some change nothing that anyone could see (equivalent mutants). They are not taken out, so a rate of caught ones is a lower bound.
"""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

_SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.And: ast.Or, ast.Or: ast.And, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_DROPPED = (ast.Assign, ast.AugAssign, ast.Raise, ast.Expr, ast.Continue, ast.Break)


class Mutant(NamedTuple):
    """One planted bug: its kind, the line it is in, and the whole source with it."""

    kind: str
    line: int
    source: str


def mutants(source: str) -> list[Mutant]:
    """Every planted bug of a module, in the order of the text; none of the changed sources is the source itself."""
    tree = ast.parse(source)
    plain = ast.unparse(tree)
    found = []
    for number, (kind, _) in enumerate(_changes(tree)):
        # Trees are changed in place, so each bug is planted into a copy of its own.
        changed = copy.deepcopy(tree)
        line = list(_changes(changed))[number][1]()
        text = ast.unparse(ast.fix_missing_locations(changed))
        if text != plain:
            found.append(Mutant(kind, line, text + "\n"))
    return found


def sample(found: list[Mutant], count: int, seed: str) -> list[Mutant]:
    """``count`` of them, the kinds taken in turn; the same each time for one ``seed``."""
    choose = random.Random(seed)
    by_kind: dict[str, list[Mutant]] = {}
    for mutant in found:
        by_kind.setdefault(mutant.kind, []).append(mutant)
    piles = [choose.sample(pile, len(pile)) for _, pile in sorted(by_kind.items())]
    chosen: list[Mutant] = []
    while len(chosen) < count and any(piles):
        for pile in piles:
            if pile and len(chosen) < count:
                chosen.append(pile.pop())
    return chosen


_Change = tuple[str, Callable[[], int]]


def _changes(tree: ast.Module) -> Iterator[_Change]:
    for function in tree.body:
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from _of(function)


def _of(node: ast.AST) -> Iterator[_Change]:
    """Changes in a node and below, annotations and docstrings left alone."""
    yield from _here(node)
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        children = value if isinstance(value, list) else [value]
        for index, child in enumerate(children):
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                continue
            if field == "body" and isinstance(value, list) and isinstance(child, _DROPPED):
                yield "dropped statement", _setting(value, index, ast.Pass(), child)
            if isinstance(child, ast.AST):
                yield from _of(child)


def _here(node: ast.AST) -> Iterator[_Change]:
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        yield "negated condition", _assigning(node, "test", ast.UnaryOp(ast.Not(), node.test), node)
    if isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield "changed return", _assigning(node, "value", ast.Constant(None), node)
    if isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign)) and type(node.op) in _SWAPPED:
        yield "swapped operator", _assigning(node, "op", _SWAPPED[type(node.op)](), node)
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            if type(operator) in _SWAPPED:
                yield "swapped operator", _setting(node.ops, index, _SWAPPED[type(operator)](), node)
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield "changed constant", _assigning(node, "value", not node.value, node)
        elif isinstance(node.value, (int, float)):
            yield "off by one", _assigning(node, "value", node.value + 1, node)
        elif isinstance(node.value, str):
            yield "changed constant", _assigning(node, "value", f"{node.value}x", node)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _assigning(owner: ast.AST, field: str, value: object, at: ast.AST) -> Callable[[], int]:
    def change() -> int:
        setattr(owner, field, value)
        return int(getattr(at, "lineno", 0))

    return change


def _setting(items: list[object], index: int, value: object, at: ast.AST) -> Callable[[], int]:
    def change() -> int:
        items[index] = value
        return int(getattr(at, "lineno", 0))

    return change


__all__ = ["Mutant", "mutants", "sample"]
