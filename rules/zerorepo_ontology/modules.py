"""One Python module's syntax tree, reduced to what can be seen from outside: definitions, imports, ``__all__``, docstring.

Knows nothing of other modules.
"""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

_MAX_SIGNATURE = 160
_SKIPPED_DECORATORS = frozenset(
    ("property", "cached_property", "overload", "setter", "deleter", "deprecated", "classproperty", "lazyproperty")
)


@dataclass(slots=True)
class Symbol:
    """A function, class or method as defined."""

    name: str
    kind: str
    doc: str
    signature: str
    methods: list[Symbol] = field(default_factory=list)


@dataclass(slots=True)
class Module:
    """``imports``: local name to (module, name in it; "" for the module itself). ``exported``: ``__all__``, None without one."""

    doc: str = ""
    symbols: dict[str, Symbol] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    exported: set[str] | None = None


def read(source: str, name: str, *, is_package: bool) -> Module | None:
    """None when it is no Python that this interpreter can parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    module = Module(doc=ast.get_docstring(tree) or "")
    for node in _top_level(tree.body):
        _take(module, node, name, is_package)
    return module


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of the module, those in ``if`` and ``try`` included."""
    for node in body:
        if isinstance(node, ast.If):
            yield from _top_level(node.body)
            yield from _top_level(node.orelse)
        elif isinstance(node, ast.Try):
            yield from _top_level(node.body)
            for handler in node.handlers:
                yield from _top_level(handler.body)
        elif isinstance(node, ast.With):
            yield from _top_level(node.body)
        else:
            yield node


def _take(module: Module, node: ast.stmt, name: str, is_package: bool) -> None:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        if not _is_skipped(node):
            module.symbols.setdefault(node.name, _function(node, "function"))
    elif isinstance(node, ast.ClassDef):
        module.symbols.setdefault(node.name, _class(node))
    elif isinstance(node, ast.ImportFrom):
        base = _absolute(node, name, is_package)
        for alias in node.names:
            if alias.name == "*":
                module.stars.append(base)
            else:
                module.imports[alias.asname or alias.name] = (base, alias.name)
    elif isinstance(node, ast.Assign):
        targets = [each.id for each in node.targets if isinstance(each, ast.Name)]
        if "__all__" in targets:
            module.exported = _exported(node.value)
        elif len(targets) == 1 and isinstance(node.value, ast.Name):
            module.imports.setdefault(targets[0], (name, node.value.id))
    elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id == "__all__":
        more = _exported(node.value)
        module.exported = module.exported | more if module.exported is not None and more is not None else None


def _exported(node: ast.expr) -> set[str] | None:
    """The names in a literal list; None for what is computed, such as ``[s for s in dir() ...]`` or ``other.__all__ + [...]``."""
    if not isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return None
    constants = [each.value for each in node.elts if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return set(constants) if len(constants) == len(node.elts) else None


def _absolute(node: ast.ImportFrom, name: str, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = name.split(".")
    up = node.level - 1 if is_package else node.level
    base = parts[: len(parts) - up] if up else parts
    return ".".join([*base, *([node.module] if node.module else [])])


def _is_skipped(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    for each in node.decorator_list:
        inner = each.func if isinstance(each, ast.Call) else each
        last = inner.attr if isinstance(inner, ast.Attribute) else inner.id if isinstance(inner, ast.Name) else ""
        if last in _SKIPPED_DECORATORS:
            return True
    return False


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, kind: str) -> Symbol:
    return Symbol(node.name, kind, ast.get_docstring(node) or "", _signature(node.args))


def _class(node: ast.ClassDef) -> Symbol:
    made = Symbol(node.name, "class", ast.get_docstring(node) or _assigned_doc(node), "")
    for each in node.body:
        if not isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if each.name == "__init__":
            made.signature = _signature(each.args)
        elif not each.name.startswith("_") and not _is_skipped(each):
            made.methods.append(_function(each, "method"))
    return made


def _assigned_doc(node: ast.ClassDef) -> str:
    """What a class says of itself by ``__doc__ = "..." % {...}``: as written, with the marks of what is filled in."""
    for each in node.body:
        if isinstance(each, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__doc__" for t in each.targets):
            return inspect.cleandoc(_leading_text(each.value))
    return ""


def _leading_text(value: ast.expr) -> str:
    """The string that an expression begins with; "" when it begins with something else."""
    if isinstance(value, ast.Constant):
        return value.value if isinstance(value.value, str) else ""
    if isinstance(value, ast.BinOp):
        return _leading_text(value.left)
    if isinstance(value, ast.JoinedStr):
        return _leading_text(value.values[0]) if value.values else ""
    if isinstance(value, ast.Call):
        inner = value.func.value if isinstance(value.func, ast.Attribute) else (value.args or [ast.Constant("")])[0]
        return _leading_text(inner)
    return ""


def _signature(arguments: ast.arguments) -> str:
    """Names only, with ``=`` for those that may be left out: defaults and annotations can be as long as one likes."""
    plain = [*arguments.posonlyargs, *arguments.args]
    needed = len(plain) - len(arguments.defaults)
    parts = [f"{each.arg}{'' if index < needed else '='}" for index, each in enumerate(plain)]
    if parts and parts[0] in ("self", "cls"):
        parts = parts[1:]
    if arguments.vararg:
        parts.append(f"*{arguments.vararg.arg}")
    elif arguments.kwonlyargs:
        parts.append("*")
    parts += [
        f"{each.arg}{'=' if default else ''}"
        for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    if arguments.kwarg:
        parts.append(f"**{arguments.kwarg.arg}")
    text = f"({', '.join(parts)})"
    return text if len(text) <= _MAX_SIGNATURE else f"{text[: _MAX_SIGNATURE - 3]}..."
