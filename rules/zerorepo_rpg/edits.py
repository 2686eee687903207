"""Edits of a Python source by its syntax tree: what is named changes, the rest stays byte for byte.

Says where an edit goes and why it does not apply. Knows nothing of who asked for it, or of whether the result is any good.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from enum import StrEnum

from pydantic import Field

from zerorepo.errors import did_you_mean
from zerorepo.values import Value
from zerorepo_rpg.python_names import bound_names
from zerorepo_rpg.python_source import parse

_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_Definition = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_Function = (ast.FunctionDef, ast.AsyncFunctionDef)


class Do(StrEnum):
    """What an edit does."""

    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"


class What(StrEnum):
    """What kind of statement an edit is about."""

    FUNCTION = "function"
    CLASS = "class"
    METHOD = "method"
    MEMBER = "member"
    CONSTANT = "constant"
    IMPORT = "import"


class Edit(Value):
    """One change. ``name`` of a method or member is dotted: ``Table.rows``; that of an import the name it binds."""

    do: Do
    what: What
    name: str = ""
    code: str = ""
    """The new statement in full, with its decorators; empty for ``remove``."""


class Repair(Value):
    """A model's answer: what to change. Applied in order."""

    edits: tuple[Edit, ...] = Field(min_length=1, max_length=40)


def apply_edits(source: str, edits: Sequence[Edit]) -> str:
    """The source after all edits. ValueError names the first edit that does not apply, and why."""
    for number, edit in enumerate(edits, 1):
        try:
            source = _apply(source, edit)
        except ValueError as error:
            raise ValueError(f"edit {number} ({edit.do} {edit.what} `{edit.name}`) does not apply: {error}") from None
    return source


def _apply(source: str, edit: Edit) -> str:
    tree = parse(source)
    lines = _LINES.findall(source)
    if edit.do is Do.REMOVE:
        new: list[ast.stmt] = []
        if edit.code.strip():
            raise ValueError("`remove` takes no code; use `replace`")
    else:
        new = _new_statements(edit)
    if edit.what is What.IMPORT:
        first, last, text = _import_edit(tree, lines, edit, new)
    elif edit.what in (What.METHOD, What.MEMBER):
        first, last, text = _inner_edit(tree, lines, edit, new)
    else:
        first, last, text = _outer_edit(tree, lines, edit, new)
    changed = "".join([*lines[:first], text, *lines[last:]])
    parse(changed)
    return changed


def _new_statements(edit: Edit) -> list[ast.stmt]:
    """The statements of ``edit.code``, which must be what it says they are."""
    body = _parsed_anywhere(edit.code)[0]
    if edit.what is What.IMPORT:
        if not body or not all(isinstance(node, (ast.Import, ast.ImportFrom)) for node in body):
            raise ValueError("its code must be import statements")
        return body
    if len(body) != 1:
        raise ValueError(f"its code must be exactly one statement, and is {len(body)}; make an edit of each")
    name = edit.name.rpartition(".")[2]
    node = body[0]
    fits = {
        What.FUNCTION: isinstance(node, _Function),
        What.METHOD: isinstance(node, _Function),
        What.CLASS: isinstance(node, ast.ClassDef),
        What.CONSTANT: isinstance(node, (ast.Assign, ast.AnnAssign)),
        What.MEMBER: isinstance(node, (ast.Assign, ast.AnnAssign)),
    }[edit.what]
    if not fits:
        raise ValueError(f"its code is no {edit.what}")
    if name not in _names(node):
        raise ValueError(f"its code defines {_listed(_names(node))}, not `{name}`")
    return body


def _names(node: ast.stmt) -> list[str]:
    """Names that a statement binds."""
    if isinstance(node, _Definition):
        return [node.name]
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
    return bound_names(node)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nothing"


def _parsed_anywhere(code: str) -> tuple[list[ast.stmt], int, int]:
    """The statements of a piece of code however far it is indented, its indentation, and the lines in front of it."""
    first = next((line for line in code.split("\n") if line.strip()), "")
    indent = len(first) - len(first.lstrip(" \t"))
    if not indent:
        return parse(code).body, 0, 0
    wrapped = parse(f"class _:\n{code}").body
    holder = wrapped[0]
    assert isinstance(holder, ast.ClassDef)
    if len(wrapped) > 1:
        raise ValueError("its code is indented unevenly")
    return holder.body, indent, 1


def _placed(code: str, indent: int, ending: str) -> str:
    """Code moved to ``indent`` spaces, its lines ended as the file's are; lines inside a text literal keep their content."""
    body, had, before = _parsed_anywhere(code)
    inside = {
        number - before
        for statement in body
        for node in ast.walk(statement)
        if isinstance(node, (ast.Constant, ast.JoinedStr)) and _is_text(node)
        for number in range(node.lineno + 1, (node.end_lineno or node.lineno) + 1)
    }
    moved = []
    for number, line in enumerate(code.replace("\r\n", "\n").strip("\n").split("\n"), 1 + _leading(code)):
        if number in inside or not line.strip():
            moved.append(line)
        elif indent >= had:
            moved.append(" " * (indent - had) + line)
        else:
            moved.append(line[min(had - indent, len(line) - len(line.lstrip())) :])
    return ending.join(moved) + ending


def _is_text(node: ast.Constant | ast.JoinedStr) -> bool:
    return isinstance(node, ast.JoinedStr) or isinstance(node.value, (str, bytes))


def _leading(code: str) -> int:
    text = code.replace("\r\n", "\n")
    return len(text) - len(text.lstrip("\n"))


def _span(node: ast.stmt, lines: Sequence[str]) -> tuple[int, int]:
    """First and past-the-last line (from 0) of a statement, decorators included. ValueError when it shares a line."""
    decorators = node.decorator_list if isinstance(node, _Definition) else []
    first = min([node.lineno, *(each.lineno for each in decorators)]) - 1
    last = node.end_lineno or node.lineno
    before = lines[node.lineno - 1].encode()[: node.col_offset]
    after = lines[last - 1].encode()[node.end_col_offset :].strip()
    if before.strip() or (after and not after.startswith(b"#")):
        raise ValueError(f"it shares line {node.lineno} with other code; replace what is around it")
    return first, last


def _ending(lines: Sequence[str]) -> str:
    return "\r\n" if lines and lines[0].endswith("\r\n") else "\n"


def _found(
    body: Sequence[ast.stmt], edit: Edit, kinds: tuple[type[ast.stmt], ...], where: str, new: Sequence[ast.stmt]
) -> ast.stmt:
    """What is replaced or removed. Of several definitions of one name, the one with the part of ``new``: see ``_part``."""
    name = edit.name.rpartition(".")[2]
    named = [node for node in body if isinstance(node, kinds) and name in _names(node)]
    if not named:
        there = [each for node in body if isinstance(node, kinds) for each in _names(node)]
        near = did_you_mean(name, there) or (f"there is: {_listed(there)}" if there else "there is none")
        raise ValueError(f"{where} has no such {edit.what}; {near}")
    if len(named) > 1 and new:
        named = [node for node in named if _part(node) == _part(new[0])] or named
    if len(named) > 1:
        raise ValueError(f"{where} has {len(named)} of that name; replace what is around them")
    return named[0]


def _part(node: ast.stmt) -> str:
    """Which of several definitions of one name it is: ``overload``; ``setter`` and the like of a property; "" for the one with
    the code, or the property itself."""
    for decorator in node.decorator_list if isinstance(node, _Definition) else []:
        name = decorator.attr if isinstance(decorator, ast.Attribute) else getattr(decorator, "id", "")
        if name == "overload" or (isinstance(decorator, ast.Attribute) and name in _ACCESSORS):
            return name
    return ""


_ACCESSORS = frozenset({"getter", "setter", "deleter"})
_KINDS: dict[What, tuple[type[ast.stmt], ...]] = {
    What.FUNCTION: _Function,
    What.METHOD: _Function,
    What.CLASS: (ast.ClassDef,),
    What.CONSTANT: (ast.Assign, ast.AnnAssign),
    What.MEMBER: (ast.Assign, ast.AnnAssign),
}


def _outer_edit(tree: ast.Module, lines: list[str], edit: Edit, new: list[ast.stmt]) -> tuple[int, int, str]:
    """What is at the top level: lines from, to, and the text that takes their place."""
    ending = _ending(lines)
    if edit.do is not Do.ADD:
        first, last = _span(_found(tree.body, edit, _KINDS[edit.what], "the module", new), lines)
        return first, last, _placed(edit.code, 0, ending) if new else ""
    _require_absent(tree.body, edit, "the module")
    text = _placed(edit.code, 0, ending)
    if edit.what is What.CONSTANT:
        at = _after_imports(tree, lines)
        return at, at, (ending if at else "") + text
    return len(lines), len(lines), _gap(lines, ending, 2) + text


def _require_absent(body: Sequence[ast.stmt], edit: Edit, where: str) -> None:
    name = edit.name.rpartition(".")[2]
    if any(name in _names(node) for node in body if isinstance(node, (*_Definition, ast.Assign, ast.AnnAssign))):
        raise ValueError(f"{where} has `{name}` already; use `replace`")


def _require_property(body: Sequence[ast.stmt], edit: Edit, where: str, part: str) -> None:
    """For a new setter: the property is there, and has none."""
    name = edit.name.rpartition(".")[2]
    there = [_part(node) for node in body if isinstance(node, _Function) and node.name == name]
    if "" not in there:
        raise ValueError(f"{where} has no property `{name}`; add that first")
    if part in there:
        raise ValueError(f"{where} has a {part} of `{name}` already; use `replace`")


def _gap(lines: Sequence[str], ending: str, blank: int) -> str:
    if not lines:
        return ""
    return ("" if lines[-1].endswith(("\n", "\r")) else ending) + ending * blank


def _inner_edit(tree: ast.Module, lines: list[str], edit: Edit, new: list[ast.stmt]) -> tuple[int, int, str]:
    """The same inside a class."""
    path, _, name = edit.name.rpartition(".")
    if not path or not name:
        raise ValueError("a method or member is named with its class, as `Table.rows`")
    owner = _class(tree, path)
    if owner.body[0].lineno == owner.lineno:
        raise ValueError(f"the class `{path}` stands on one line; replace the class")
    indent = owner.body[0].col_offset
    ending = _ending(lines)
    where = f"the class `{path}`"
    if edit.do is not Do.ADD:
        first, last = _span(_found(owner.body, edit, _KINDS[edit.what], where, new), lines)
        return first, last, _placed(edit.code, indent, ending) if new else ""
    if (part := _part(new[0])) in _ACCESSORS:
        _require_property(owner.body, edit, where, part)
    else:
        _require_absent(owner.body, edit, where)
    text = _placed(edit.code, indent, ending)
    if edit.what is What.METHOD:
        at = _span(owner.body[-1], lines)[1]
        return at, at, _gap(lines[:at], ending, 1) + text
    leading = [node for node in owner.body if not isinstance(node, _Definition)]
    after = [
        node
        for node in leading
        if all(node.lineno < each.lineno for each in owner.body if isinstance(each, _Definition))
    ]
    at = _span(after[-1], lines)[1] if after else _span(owner.body[0], lines)[0]
    return at, at, (_gap(lines[:at], ending, 0) if after else "") + text


def _class(tree: ast.Module, path: str) -> ast.ClassDef:
    body: Sequence[ast.stmt] = tree.body
    found: ast.ClassDef | None = None
    for part in path.split("."):
        found = next((node for node in body if isinstance(node, ast.ClassDef) and node.name == part), None)
        if found is None:
            there = [node.name for node in body if isinstance(node, ast.ClassDef)]
            raise ValueError(
                f"there is no class `{path}`; {did_you_mean(part, there) or f'there is: {_listed(there)}'}"
            )
        body = found.body
    assert found is not None
    return found


def _after_imports(tree: ast.Module, lines: Sequence[str]) -> int:
    """The line after the last import at the top, or after the docstring."""
    at = 0
    for number, node in enumerate(tree.body):
        docstring = number == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not docstring and not isinstance(node, (ast.Import, ast.ImportFrom)):
            break
        at = _span(node, lines)[1]
    return at


def _import_edit(tree: ast.Module, lines: list[str], edit: Edit, new: Sequence[ast.stmt]) -> tuple[int, int, str]:
    """Imports: ``add`` puts the statements after the others, ``replace`` and ``remove`` find the one that binds the name."""
    ending = _ending(lines)
    if edit.do is Do.ADD:
        text = _placed(edit.code, 0, ending)
        future = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in new)
        at = _after_future(tree, lines) if future else _after_imports(tree, lines)
        return at, at, _gap(lines[:at], ending, 0) + text
    imports = list(_imports(tree))
    found = [node for node in imports if edit.name in _names(node)]
    if not found:
        there = [name for node in imports for name in _names(node)]
        near = did_you_mean(edit.name, there) or f"it imports: {_listed(there)}"
        raise ValueError(f"the module imports no `{edit.name}`; {near}")
    node = found[0]
    first, last = _span(node, lines)
    code = _placed(edit.code, node.col_offset, ending) if edit.code.strip() else ""
    others = [alias for alias in node.names if (alias.asname or alias.name.partition(".")[0]) != edit.name]
    if others:
        # The statement binds other names, too: they stay.
        rest = type(node)(**{**dict(ast.iter_fields(node)), "names": others})
        code = " " * node.col_offset + ast.unparse(rest) + ending + code
    return first, last, code


def _after_future(tree: ast.Module, lines: Sequence[str]) -> int:
    at = 0
    if tree.body and isinstance(tree.body[0], ast.Expr) and isinstance(tree.body[0].value, ast.Constant):
        at = _span(tree.body[0], lines)[1]
    return at


def _imports(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """At the top, and below ``if TYPE_CHECKING``."""
    for node in tree.body:
        for each in node.body if isinstance(node, ast.If) else [node]:
            if isinstance(each, (ast.Import, ast.ImportFrom)):
                yield each


__all__ = ["Do", "Edit", "Repair", "What", "apply_edits"]
