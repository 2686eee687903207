"""Which names in a module are the module's own, scope by scope; and renaming them, in the text and not by unparsing.

Follows Python's rules: a name bound in a function is local to it unless declared ``global``; a class body's names are not
seen by its methods. Knows nothing of why a name is renamed.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_WORD = re.compile(r"[^\W\d]\w*")

Reference = ast.Name | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Global | ast.Constant


class _Scope(NamedTuple):
    is_class: bool
    bound: frozenset[str]
    outer: tuple[_Scope, ...]  # what its inner functions see: class scopes are left out


_MODULE = _Scope(False, frozenset(), ())
_NAMED = frozenset({"NamedTuple", "NewType", "ParamSpec", "TypeVar", "TypeVarTuple", "TypedDict", "namedtuple"})


def module_references(tree: ast.Module) -> list[Reference]:
    """Nodes that refer to, bind or declare names of the module: names, top-level definitions, ``global`` statements, and
    strings in annotations, or in ``TypeVar("T")``, that may."""
    return list(_statements(tree.body, _MODULE))


def names_of(reference: Reference) -> list[str]:
    """The names in a reference."""
    if isinstance(reference, ast.Name):
        return [reference.id]
    if isinstance(reference, ast.Global):
        return list(reference.names)
    if isinstance(reference, ast.Constant):
        return _WORD.findall(str(reference.value))
    return [reference.name]


def _is_local(name: str, scope: _Scope) -> bool:
    return name in scope.bound or any(name in outer.bound for outer in scope.outer)


def _statements(body: list[ast.stmt], scope: _Scope, *, top: bool = True) -> Iterator[Reference]:
    for statement in body:
        if top and isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield statement
        if scope == _MODULE and (text := _own_name(statement)):
            yield text
        yield from _visit(statement, scope)


def _own_name(statement: ast.stmt) -> ast.Constant | None:
    """The text in ``T = TypeVar("T")``, which type checkers want to be the name."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
    call = getattr(statement, "value", None)
    if not isinstance(target, ast.Name) or not isinstance(call, ast.Call) or not call.args:
        return None
    maker = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    text = call.args[0]
    return text if maker in _NAMED and isinstance(text, ast.Constant) and text.value == target.id else None


def _visit(node: ast.AST, scope: _Scope) -> Iterator[Reference]:
    if isinstance(node, ast.Name):
        if not _is_local(node.id, scope):
            yield node
    elif isinstance(node, ast.Global):
        yield node
    elif isinstance(node, _FUNCTIONS):
        yield from _visit_function(node, scope)
    elif isinstance(node, ast.ClassDef):
        for outside in [*node.decorator_list, *node.bases, *node.keywords]:
            yield from _visit(outside, scope)
        inner = _Scope(True, _bindings(node.body), _seen_from(scope))
        yield from _statements(node.body, inner, top=False)
    elif isinstance(node, _COMPREHENSIONS):
        yield from _visit_comprehension(node, scope)
    elif isinstance(node, ast.AnnAssign):
        yield from _visit(node.target, scope)
        yield from _annotation(node.annotation, scope)
        if node.value:
            yield from _visit(node.value, scope)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _visit(child, scope)


def _seen_from(scope: _Scope) -> tuple[_Scope, ...]:
    return scope.outer if scope.is_class else (*scope.outer, scope)


def _visit_function(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: _Scope) -> Iterator[Reference]:
    arguments = node.args
    for default in [*arguments.defaults, *(item for item in arguments.kw_defaults if item)]:
        yield from _visit(default, scope)
    args = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    args += [arg for arg in (arguments.vararg, arguments.kwarg) if arg]
    names = {arg.arg for arg in args}
    if isinstance(node, ast.Lambda):
        bound = frozenset(names | _bindings([ast.Expr(node.body)]))
        yield from _visit(node.body, _Scope(False, bound, _seen_from(scope)))
        return
    for decorator in node.decorator_list:
        yield from _visit(decorator, scope)
    for annotation in [*(arg.annotation for arg in args), node.returns]:
        if annotation:
            yield from _annotation(annotation, scope)
    inner = _Scope(False, frozenset((names | _bindings(node.body)) - _declared_global(node.body)), _seen_from(scope))
    yield from _statements(node.body, inner, top=False)


def _visit_comprehension(node: ast.AST, scope: _Scope) -> Iterator[Reference]:
    generators: list[ast.comprehension] = node.generators  # type: ignore[attr-defined]
    # The first iterable is evaluated outside.
    yield from _visit(generators[0].iter, scope)
    targets = {name.id for item in generators for name in ast.walk(item.target) if isinstance(name, ast.Name)}
    # A class's own names are not seen inside, except by that first iterable.
    inner = _Scope(False, frozenset(targets), _seen_from(scope))
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.comprehension):
            for part in [child.target, *([child.iter] if child is not generators[0] else []), *child.ifs]:
                yield from _visit(part, inner)
        else:
            yield from _visit(child, inner)


def _annotation(node: ast.expr, scope: _Scope) -> Iterator[Reference]:
    for item in ast.walk(node):
        text = item.value if isinstance(item, ast.Constant) else None
        if isinstance(text, str) and not any(_is_local(word, scope) for word in _WORD.findall(text)):
            assert isinstance(item, ast.Constant)
            yield item
    yield from _visit(node, scope)


def _own_nodes(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Everything in these statements that belongs to their own scope."""
    stack: list[ast.AST] = list(reversed(body))
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            stack.extend(node.decorator_list)
        elif isinstance(node, _COMPREHENSIONS):
            # Only ``:=`` binds outside a comprehension.
            stack.extend(item for item in ast.walk(node) if isinstance(item, ast.NamedExpr))
        elif not isinstance(node, ast.Lambda):
            stack.extend(ast.iter_child_nodes(node))


def _bindings(body: list[ast.stmt]) -> frozenset[str]:
    found: set[str] = set()
    for node in _own_nodes(body):
        if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
            found.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            found.add(node.rest)
    return frozenset(found)


def _declared_global(body: list[ast.stmt]) -> frozenset[str]:
    return frozenset(name for node in _own_nodes(body) if isinstance(node, ast.Global) for name in node.names)


def rename(source: str, tree: ast.Module, new_names: Mapping[str, str]) -> str:
    """The source with names of the module renamed, comments and layout kept. Import statements are left as they are.

    ``tree`` is the source's own. Where the text cannot be edited with certainty (Python 3.11 gives wrong places inside
    f-strings) the result is unparsed from the tree: right, but without comments.
    """
    expected = copy.deepcopy(tree)
    edits: list[tuple[int, int, int, str]] = []
    lines = [line.encode() for line in source.split("\n")]
    for reference, twin in zip(module_references(tree), module_references(expected), strict=True):
        if any(name in new_names for name in names_of(reference)):
            edits += _edits(reference, new_names, lines)
            _rename_node(twin, new_names)
    for line, start, end, text in sorted(set(edits), reverse=True):
        lines[line - 1] = lines[line - 1][:start] + text.encode() + lines[line - 1][end:]
    edited = b"\n".join(lines).decode()
    try:
        if ast.dump(ast.parse(edited)) == ast.dump(expected):
            return edited
    except SyntaxError:
        pass
    return ast.unparse(expected) + "\n"


def _rename_node(node: Reference, new_names: Mapping[str, str]) -> None:
    if isinstance(node, ast.Name):
        node.id = new_names[node.id]
    elif isinstance(node, ast.Global):
        node.names = [new_names.get(name, name) for name in node.names]
    elif isinstance(node, ast.Constant):
        node.value = _WORD.sub(lambda match: new_names.get(match[0], match[0]), str(node.value))
    else:
        node.name = new_names[node.name]


def _edits(node: Reference, new_names: Mapping[str, str], lines: list[bytes]) -> list[tuple[int, int, int, str]]:
    line = node.lineno
    if isinstance(node, ast.Name):
        end = node.end_col_offset or node.col_offset
        return [(line, node.col_offset, end, new_names[node.id])] if node.end_lineno == line else []
    if isinstance(node, (ast.Global, ast.Constant)):
        start, stop = node.col_offset, node.end_col_offset or node.col_offset
    else:
        start, stop = node.col_offset, len(lines[line - 1])
    wanted = {name for name in names_of(node) if name in new_names}
    text = lines[line - 1][start:stop]
    found = []
    for match in re.finditer(rb"[^\W\d]\w*", text):
        word = match[0].decode(errors="replace")
        if word in wanted:
            found.append((line, start + match.start(), start + match.end(), new_names[word]))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                break
    return found


__all__ = ["Reference", "module_references", "names_of", "rename"]
