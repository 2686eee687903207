"""Whether a class in code is the class that an interface promises: bases, decorators, fields, methods.

Private members are free. Knows nothing of functions at module level (``signature``) or of what code may do (``gate``).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from zerorepo_rpg.signature import (
    FunctionNode,
    annotation_text,
    calling_decorators,
    decorator_names,
    function_differences,
)

_FIELD_MAKERS = frozenset({"dataclass", "define", "frozen"})
_FIELD_BASES = frozenset({"NamedTuple", "TypedDict", "BaseModel"})


def class_differences(wanted: ast.ClassDef, found: ast.ClassDef) -> Iterator[str]:
    """What differs, one sentence each, starting with the member it concerns; nothing when the promise is kept."""
    bases, other = _bases(wanted), _bases(found)
    if bases != other:
        yield f"class `{wanted.name}` must have the bases ({', '.join(bases)}), not ({', '.join(other)})"
    if calling_decorators(wanted) != calling_decorators(found):
        ours = ", ".join(f"`@{name}`" for name in calling_decorators(wanted)) or "none"
        theirs = ", ".join(f"`@{name}`" for name in calling_decorators(found)) or "none"
        yield f"class `{wanted.name}` must have the decorators {ours}, not {theirs}"
    yield from _field_differences(wanted, found)
    yield from _method_differences(wanted, found)


def _bases(node: ast.ClassDef) -> list[str]:
    words = [annotation_text(base) for base in node.bases if ast.unparse(base) != "object"]
    return words + sorted(f"{word.arg}={ast.unparse(word.value)}" for word in node.keywords)


def makes_fields(node: ast.ClassDef) -> bool:
    """Whether its annotated names are parameters of its constructor (dataclass, NamedTuple and the like)."""
    bases = {base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases}
    return bool(decorator_names(node) & _FIELD_MAKERS or bases & _FIELD_BASES)


def _fields(node: ast.ClassDef) -> dict[str, tuple[str, str | None]]:
    """Name to (annotation, default) of the class's own variables, in order."""
    found: dict[str, tuple[str, str | None]] = {}
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            default = None if item.value is None else ast.unparse(item.value)
            found[item.target.id] = (annotation_text(item.annotation), default)
        elif isinstance(item, ast.Assign):
            for target in item.targets:
                if isinstance(target, ast.Name):
                    found[target.id] = ("", ast.unparse(item.value))
    return found


def _field_differences(wanted: ast.ClassDef, found: ast.ClassDef) -> Iterator[str]:
    ours, theirs = _fields(wanted), _fields(found)
    strict = makes_fields(wanted)
    elsewhere = set() if strict else _instance_names(found)
    for name, (annotation, default) in ours.items():
        if name not in theirs:
            if name not in elsewhere:
                yield f"class `{wanted.name}` lacks the field `{name}{': ' + annotation if annotation else ''}`"
            continue
        other, other_default = theirs[name]
        if annotation and annotation != other:
            yield f"field `{wanted.name}.{name}` must be annotated `{annotation}`, not `{other or 'not at all'}`"
        same = default == other_default or (default == "..." and other_default is not None)
        if not same and (strict or default is not None):
            wants = f"the default `{default}`" if default is not None else "no default"
            yield f"field `{wanted.name}.{name}` must have {wants}, not `{other_default or 'none'}`"
    extra = [
        name
        for name in theirs
        if name not in ours
        and not name.startswith("_")
        and not theirs[name][0].startswith(("ClassVar", "typing.ClassVar"))
    ]
    if strict and extra:
        yield f"class `{wanted.name}` has fields that the interface does not have: {', '.join(extra)}; remove them"
    public = [name for name in theirs if name in ours]
    if strict and public != [name for name in ours if name in theirs]:
        yield f"the fields of `{wanted.name}` must stand in the order {', '.join(ours)}"


def _instance_names(node: ast.ClassDef) -> set[str]:
    """Names set on ``self`` or ``cls`` anywhere in the class, slots, and its properties."""
    found = {item.name for item in _methods(node) if decorator_names(item) & {"property", "cached_property"}}
    for item in ast.walk(node):
        if isinstance(item, ast.Attribute) and isinstance(item.ctx, ast.Store) and isinstance(item.value, ast.Name):
            found.add(item.attr)
    return found


def _methods(node: ast.ClassDef) -> list[FunctionNode]:
    return [item for item in node.body if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef))]


def _key(method: FunctionNode, earlier: dict[tuple[str, str, int], FunctionNode]) -> tuple[str, str, int]:
    """Name, role (a property's setter is another thing than its getter), and number among its overloads."""
    roles = decorator_names(method) & {"setter", "deleter", "overload"}
    role = min(roles, default="")
    number = 0
    while (method.name, role, number) in earlier:
        number += 1
    return (method.name, role, number)


def _by_key(node: ast.ClassDef) -> dict[tuple[str, str, int], FunctionNode]:
    found: dict[tuple[str, str, int], FunctionNode] = {}
    for method in _methods(node):
        found[_key(method, found)] = method
    return found


def _method_differences(wanted: ast.ClassDef, found: ast.ClassDef) -> Iterator[str]:
    ours, theirs = _by_key(wanted), _by_key(found)
    for key, method in ours.items():
        name = f"{wanted.name}.{method.name}" + (f" ({key[1]})" if key[1] else "")
        if key not in theirs:
            yield f"class `{wanted.name}` lacks the method `{method.name}`" + (f" ({key[1]})" if key[1] else "")
            continue
        for difference in function_differences(method, theirs[key], method=True):
            yield f"method `{name}`: {difference}"
    promised = {method.name for method in ours.values()} | set(_fields(wanted))
    extra = sorted({m.name for m in theirs.values() if not m.name.startswith("_")} - promised)
    # A subclass may override what its base promises.
    if extra and not _bases(wanted):
        yield (
            f"class `{wanted.name}` has public methods that the interface does not have: {', '.join(extra)}; "
            "make them private (leading underscore) or remove them"
        )


__all__ = ["class_differences", "makes_fields"]
