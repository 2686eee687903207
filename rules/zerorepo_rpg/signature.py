"""Signatures as syntax trees: read one from an interface, compare one with code, make a stub of one.

Equality is of meaning, not of text: quotes around an annotation, line breaks and default spelling (``'a'`` and ``"a"``)
make no difference; names, kinds, order, defaults, annotations and the decorators that change how it is called do. Knows
nothing of files or of other nodes.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import NamedTuple

from zerorepo_rpg.plan_model import InterfaceKind, NodeInterface

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Definition = FunctionNode | ast.ClassDef

# Decorators that change how a thing is called or made; others (caches, ``override``) are the implementer's business.
CALLING = frozenset(
    {
        "abstractmethod", "asynccontextmanager", "cached_property", "classmethod", "contextmanager", "dataclass", "define",
        "deleter", "frozen", "overload", "property", "setter", "singledispatch", "staticmethod", "total_ordering", "unique",
    }
)  # fmt: skip
_TYPE_MAKERS = frozenset({"TypeVar", "ParamSpec", "TypeVarTuple", "NewType"})


class Signature(NamedTuple):
    """``prelude``: the ``T = TypeVar("T")`` lines before it, by name; ``definition``: the function or class."""

    prelude: dict[str, ast.Assign]
    definition: Definition


def parse_signature(interface: NodeInterface) -> Signature:
    """The interface's signature as a tree; ValueError that says what to write instead."""
    what = "class" if interface.kind is InterfaceKind.CLASS else "function"
    tree = _parse(interface.signature, what)
    prelude: dict[str, ast.Assign] = {}
    definitions: list[Definition] = []
    for statement in tree.body:
        made = type_maker(statement)
        if made:
            prelude[made] = statement  # type: ignore[assignment]
        elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            definitions.append(statement)
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            raise ValueError(f"the signature holds `{ast.unparse(statement)}`; put import statements into `imports`")
        else:
            raise ValueError(
                f"the signature holds `{ast.unparse(statement)}`; write only the {what} `{interface.name}`"
            )
    named = [item for item in definitions if item.name == interface.name]
    if len(definitions) != 1 or not named:
        found = ", ".join(f"`{item.name}`" for item in definitions) or "nothing"
        raise ValueError(f"the signature must define exactly `{interface.name}`, but defines {found}")
    if isinstance(named[0], ast.ClassDef) != (interface.kind is InterfaceKind.CLASS):
        other = "CLASS" if isinstance(named[0], ast.ClassDef) else "FUNCTION"
        raise ValueError(f"`kind` is {interface.kind}, but the signature is a {other}")
    return Signature(prelude, named[0])


def _parse(text: str, what: str) -> ast.Module:
    source = text.strip().removesuffix(":")
    error: SyntaxError | ValueError | None = None
    for candidate in (text.strip(), f"{source}: ...", f"{source}:\n    ..."):
        try:
            return ast.parse(candidate)
        except (SyntaxError, ValueError) as caught:
            error = error or caught
    example = "class Name: ..." if what == "class" else "def name(text: str) -> str"
    line = f" (line {error.lineno})" if isinstance(error, SyntaxError) and error.lineno else ""
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    raise ValueError(f"the signature is not Python{line}: {message}; write it like `{example}`")


def type_maker(statement: ast.stmt) -> str | None:
    """The name of ``T = TypeVar(...)`` and its like, else None."""
    if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call) and len(statement.targets) == 1:
        target, function = statement.targets[0], statement.value.func
        made_by = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
        if isinstance(target, ast.Name) and made_by in _TYPE_MAKERS:
            return target.id
    return None


class _Unquote(ast.NodeTransformer):
    """``"Node"`` in an annotation becomes ``Node``; the strings inside ``Literal[...]`` stay."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str):
            try:
                return self.visit(ast.parse(node.value.strip(), mode="eval").body)  # type: ignore[no-any-return]
            except SyntaxError:
                return node
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        name = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
        if name == "Literal":
            return node
        if name == "Annotated" and isinstance(node.slice, ast.Tuple) and node.slice.elts:
            node.slice.elts[0] = self.visit(node.slice.elts[0])
            return node
        return self.generic_visit(node)


def annotation_text(node: ast.expr | None) -> str:
    """An annotation in one canonical spelling; "" when there is none."""
    return "" if node is None else ast.unparse(_Unquote().visit(copy.deepcopy(node)))


def unquoted(node: ast.expr) -> ast.expr:
    """A copy of an annotation in which forward references in quotes are code."""
    return _Unquote().visit(copy.deepcopy(node))  # type: ignore[no-any-return]


class Parameter(NamedTuple):
    """One parameter; ``kind`` as in ``inspect``, ``default`` None when it has none."""

    name: str
    kind: str
    annotation: str
    default: str | None

    def __str__(self) -> str:
        star = {"*args": "*", "**kwargs": "**"}.get(self.kind, "")
        note = f": {self.annotation}" if self.annotation else ""
        return f"{star}{self.name}{note}" + (f" = {self.default}" if self.default is not None else "")


def parameters(function: FunctionNode, *, method: bool = False) -> list[Parameter]:
    """All parameters in order. Of a method the first one's annotation is left out: nobody needs ``self: Self``."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    missing: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    found = []
    for index, (arg, default) in enumerate(zip(positional, [*missing, *arguments.defaults], strict=True)):
        kind = "positional-only" if index < len(arguments.posonlyargs) else "positional or keyword"
        found.append(_parameter(arg, kind, default))
    if arguments.vararg:
        found.append(_parameter(arguments.vararg, "*args", None))
    for arg, keyword_default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append(_parameter(arg, "keyword-only", keyword_default))
    if arguments.kwarg:
        found.append(_parameter(arguments.kwarg, "**kwargs", None))
    if method and found and "staticmethod" not in decorator_names(function):
        found[0] = found[0]._replace(annotation="")
    return found


def _parameter(arg: ast.arg, kind: str, default: ast.expr | None) -> Parameter:
    return Parameter(arg.arg, kind, annotation_text(arg.annotation), None if default is None else ast.unparse(default))


def decorator_names(node: Definition) -> set[str]:
    """Last parts of the decorators' names: ``dataclass`` of ``@dataclasses.dataclass(frozen=True)``."""
    found = set()
    for decorator in node.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        found.add(target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", ""))
    return found


def calling_decorators(node: Definition) -> list[str]:
    """The decorators that belong to the signature, as text without their module: ``dataclass(frozen=True)``."""
    found = []
    for decorator in node.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
        if name in CALLING:
            arguments = ""
            if isinstance(decorator, ast.Call):
                words = [ast.unparse(arg) for arg in decorator.args]
                words += sorted(f"{word.arg}={ast.unparse(word.value)}" for word in decorator.keywords)
                arguments = f"({', '.join(words)})" if words else ""
            found.append(name + arguments)
    return sorted(found)


def function_differences(wanted: FunctionNode, found: FunctionNode, *, method: bool = False) -> Iterator[str]:
    """What differs between two signatures, one sentence each, without a subject; nothing when they are equal."""
    if isinstance(wanted, ast.AsyncFunctionDef) != isinstance(found, ast.AsyncFunctionDef):
        yield "must be `async def`" if isinstance(wanted, ast.AsyncFunctionDef) else "must be plain `def`, not async"
    if calling_decorators(wanted) != calling_decorators(found):
        yield _decorators_sentence(calling_decorators(wanted), calling_decorators(found))
    ours, theirs = parameters(wanted, method=method), parameters(found, method=method)
    if [p.name for p in ours] != [p.name for p in theirs]:
        yield f"must have the parameters ({', '.join(map(str, ours))}), not ({', '.join(map(str, theirs))})"
    else:
        for one, other in zip(ours, theirs, strict=True):
            yield from _parameter_differences(one, other)
    result, other_result = annotation_text(wanted.returns), annotation_text(found.returns)
    if result != other_result:
        yield f"must return `{result or 'nothing annotated'}`, not `{other_result or 'nothing annotated'}`"


def _parameter_differences(wanted: Parameter, found: Parameter) -> Iterator[str]:
    if wanted.kind != found.kind:
        yield f"parameter `{wanted.name}` must be {wanted.kind}, not {found.kind}"
    if wanted.annotation != found.annotation:
        has = f"`{found.annotation}`" if found.annotation else "nothing"
        yield f"parameter `{wanted.name}` must be annotated `{wanted.annotation or 'not at all'}`, not {has}"
    # A stub's ``= ...`` says that there is a default, not which.
    if wanted.default != found.default and not (wanted.default == "..." and found.default is not None):
        yield f"parameter `{wanted.name}` must {_default(wanted.default)}, but {_default_found(found.default)}"


def _default(text: str | None) -> str:
    return "have no default" if text is None else f"have the default `{text}`"


def _default_found(text: str | None) -> str:
    return "has none" if text is None else f"has `{text}`"


def _decorators_sentence(wanted: list[str], found: list[str]) -> str:
    def show(names: list[str]) -> str:
        return ", ".join(f"`@{name}`" for name in names) or "none"

    return f"must have the decorators {show(wanted)}, not {show(found)}"


__all__ = [
    "Definition",
    "FunctionNode",
    "Parameter",
    "Signature",
    "annotation_text",
    "calling_decorators",
    "decorator_names",
    "function_differences",
    "parameters",
    "parse_signature",
    "type_maker",
    "unquoted",
]
