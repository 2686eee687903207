"""Several nodes' sources become one module: one docstring, imports once, helpers once, no name that means two things.

Text is kept as it was written, comments included; only what must be renamed is. Formatting is left to ``python_source``.
Knows nothing of packages or of where the file is written.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from zerorepo_rpg import digraph
from zerorepo_rpg.interface_checks import snake
from zerorepo_rpg.plan_model import module_of
from zerorepo_rpg.python_names import BUILTINS, bound_names
from zerorepo_rpg.python_source import format_python, parse
from zerorepo_rpg.scopes import module_references, names_of, rename


class Part(NamedTuple):
    """One node's code. ``uses`` are the ids of nodes it uses; those in other files do not matter."""

    node_id: str
    name: str
    source: str
    uses: tuple[str, ...] = ()


class _Statement(NamedTuple):
    names: tuple[str, ...]
    text: str


# What a name means: two parts may share a name only when the meanings are equal.
_Meaning = tuple[str, ...]


class _Prepared(NamedTuple):
    imports: list[str]
    guarded: list[str]
    """Imports below ``if TYPE_CHECKING:``."""
    statements: list[_Statement]
    meanings: dict[str, _Meaning]


def merge_file(path: str, parts: Sequence[Part], *, docstring: str = "", format_result: bool = True) -> str:
    """One module of these parts, in the order of their uses. ValueError when a part is not Python or uses are cyclic.

    Private helpers, constants and imports that are equal in two parts appear once. Where one name means two things, the
    later part's is renamed after its node (``_clean`` becomes ``_clean_slugify``).
    """
    text = _merged(path, tuple(parts), docstring)
    return format_python(text, (module_of(path).partition(".")[0],)) if format_result else text


@lru_cache(maxsize=512)  # a module stands in the world of everything that uses it
def _merged(path: str, parts: tuple[Part, ...], docstring: str) -> str:
    module = module_of(path)
    ordered = _ordered(parts)
    trees = {part.node_id: _tree(part) for part in ordered}
    taken: dict[str, _Meaning] = {part.name: ("node", part.name) for part in ordered}
    for tree in trees.values():
        taken.update(_builtins_used(tree, taken))
    emitted: set[str] = set()
    bodies: list[str] = []
    imports: set[str] = set()
    guarded: set[str] = set()
    for part in ordered:
        prepared = _prepare(part, trees[part.node_id], module, taken)
        imports.update(prepared.imports)
        guarded.update(prepared.guarded)
        for statement in prepared.statements:
            if statement.names and all(name in emitted for name in statement.names):
                continue
            bodies.append(statement.text)
        emitted |= {name for statement in prepared.statements for name in statement.names}
        taken.update(prepared.meanings)
    return _module_text(docstring, imports, guarded - imports, sorted({part.name for part in parts}), bodies)


def _ordered(parts: Sequence[Part]) -> list[Part]:
    # Python itself takes the three kinds of line ends for one.
    by_id = {p.node_id: p._replace(source=p.source.replace("\r\n", "\n").replace("\r", "\n")) for p in parts}
    needs = {part.node_id: [used for used in part.uses if used != part.node_id] for part in parts}
    return [by_id[node_id] for layer in digraph.layers(needs) for node_id in layer]


def _tree(part: Part) -> ast.Module:
    try:
        return parse(part.source)
    except ValueError as error:
        raise ValueError(f"the source of `{part.node_id}`: {error}") from None


def _builtins_used(tree: ast.Module, taken: Mapping[str, _Meaning]) -> dict[str, _Meaning]:
    """Built-in names that a part relies on, so that no other part's import may hide them."""
    bound = {name for statement in tree.body for name in _bound(statement)}
    used = {name for reference in module_references(tree) for name in names_of(reference)}
    return {name: ("builtin", name) for name in (used & BUILTINS) - bound - set(taken)}


def _bound(statement: ast.stmt) -> list[str]:
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return bound_names(statement)
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, ast.If):
        return [name for item in statement.body for name in _bound(item)]
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return [name.id for target in targets if target for name in ast.walk(target) if isinstance(name, ast.Name)]


def _prepare(part: Part, tree: ast.Module, module: str, taken: Mapping[str, _Meaning]) -> _Prepared:
    """The part with everything renamed that means something else in ``taken``."""
    meanings, self_named = _meanings(tree, part, module)
    conflicting = {name for name, meaning in meanings.items() if name in taken and taken[name] != meaning}
    conflicting = _with_users(tree, conflicting, taken, part)
    words = {word for node in ast.walk(tree) for word in _words(node)} | set(taken) | set(meanings)
    new_names = dict(self_named)
    for name in sorted(conflicting):
        new_names[name] = _fresh(name, part, words)
        words.add(new_names[name])
    source = part.source
    if new_names:
        source = rename(source, tree, new_names)
        tree = parse(source)
    renamed = {new_names.get(name, name): meaning for name, meaning in meanings.items() if name not in self_named}
    imports, guarded, rest = split_statements(tree)
    return _Prepared(
        [line for node in imports for line in _import_lines(node, module, new_names)],
        [line for node in guarded for line in _import_lines(node, module, new_names)],
        segments_of(source, rest, tree),
        renamed,
    )


def _meanings(tree: ast.Module, part: Part, module: str) -> tuple[dict[str, _Meaning], dict[str, str]]:
    """What each top-level name means; and names under which the part imports nodes of this very file, with their own."""
    found: dict[str, _Meaning] = {}
    self_named: dict[str, str] = {}
    imports, guarded, rest = split_statements(tree)
    for node in [*imports, *guarded]:
        for alias in getattr(node, "names", ()):
            name = alias.asname or alias.name
            if isinstance(node, ast.Import):
                top = alias.name.partition(".")[0]
                found[alias.asname or top] = ("import", alias.name) if alias.asname else ("import", top)
            elif isinstance(node, ast.ImportFrom) and node.module == module:
                found[name] = ("node", alias.name)
                if name != alias.name:
                    self_named[name] = alias.name
            elif isinstance(node, ast.ImportFrom):
                found[name] = ("from", node.module or "", alias.name)
    for statement in rest:
        for name in _bound(statement):
            found[name] = (*found.get(name, ("code",)), ast.dump(statement))
    found[part.name] = ("node", part.name)
    return found, self_named


def _with_users(tree: ast.Module, conflicting: set[str], taken: Mapping[str, _Meaning], part: Part) -> set[str]:
    """Names that only look the same: their code refers to a name that will be renamed, so they must be kept apart too."""
    definitions = [(set(_bound(node)), node) for node in split_statements(tree)[2]]
    uses: dict[str, set[str]] = {}
    for names, node in definitions:
        inner = ast.Module(body=[node], type_ignores=[])
        used = {name for reference in module_references(inner) for name in names_of(reference)}
        for name in names - {part.name}:
            uses[name] = uses.get(name, set()) | used
    found = set(conflicting)
    while True:
        more = {name for name, used in uses.items() if name in taken and name not in found and used & found}
        if not more:
            return found
        found |= more


def _words(node: ast.AST) -> list[str]:
    words = [getattr(node, field, None) for field in ("id", "arg", "name", "attr", "asname")]
    return [word for word in words if isinstance(word, str)]


def _fresh(name: str, part: Part, words: set[str]) -> str:
    suffix = snake(part.name).upper() if name.isupper() else snake(part.name)
    base = f"{name}_{suffix}" if name.startswith("_") else f"_{name}_{suffix}"
    fresh, number = base, 2
    while fresh in words:
        fresh, number = f"{base}_{number}", number + 1
    return fresh


def split_statements(tree: ast.Module) -> tuple[list[ast.stmt], list[ast.stmt], list[ast.stmt]]:
    """Imports, imports for type checking only, and the rest without docstring, ``__all__`` and ``__future__``."""
    imports: list[ast.stmt] = []
    guarded: list[ast.stmt] = []
    rest: list[ast.stmt] = []
    for number, node in enumerate(tree.body):
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            imports.append(node)
        elif _is_guard(node):
            guarded += node.body  # type: ignore[attr-defined]
        elif number == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        elif "__all__" not in _bound(node):
            rest.append(node)
    return imports, guarded, rest


def _is_guard(node: ast.stmt) -> bool:
    if not isinstance(node, ast.If) or node.orelse:
        return False
    name = node.test.attr if isinstance(node.test, ast.Attribute) else getattr(node.test, "id", "")
    return name == "TYPE_CHECKING" and all(isinstance(item, (ast.Import, ast.ImportFrom)) for item in node.body)


def _import_lines(node: ast.stmt, module: str, new_names: Mapping[str, str]) -> list[str]:
    """One import statement for each name, under its new name; none for what this module has itself."""
    lines = []
    if isinstance(node, ast.ImportFrom) and (node.module != module or node.level):
        for alias in node.names:
            bound = new_names.get(alias.asname or alias.name, alias.asname)
            names = [ast.alias(name=alias.name, asname=None if bound == alias.name else bound)]
            lines.append(ast.unparse(ast.ImportFrom(module=node.module, names=names, level=node.level)))
    elif isinstance(node, ast.Import):
        for alias in node.names:
            top, dot, _ = alias.name.partition(".")
            new = new_names.get(alias.asname or top)
            if new and dot and not alias.asname:
                # It is used as ``a.b``: bind ``a`` under the new name, and load ``a.b`` beside it.
                lines += [f"import {top} as {new}", f"import {alias.name} as {new}_loaded  # noqa: F401"]
            else:
                lines.append(ast.unparse(ast.Import(names=[ast.alias(name=alias.name, asname=new or alias.asname)])))
    return lines


def segments_of(source: str, rest: Sequence[ast.stmt], tree: ast.Module) -> list[_Statement]:
    """The statements as they are written, each with the comments above it."""
    lines = source.split("\n")
    starts = {id(node): _first_line(node) for node in tree.body}
    found = []
    kept = {id(node) for node in rest}
    for index, node in enumerate(tree.body):
        if id(node) not in kept:
            continue
        before = (tree.body[index - 1].end_lineno or 0) if index else 0
        after = starts[id(tree.body[index + 1])] if index + 1 < len(tree.body) else len(lines) + 1
        first, last = starts[id(node)], node.end_lineno or node.lineno
        if first <= before or after <= last or node.col_offset:
            text = ast.unparse(node)  # several statements on one line
        else:
            while first - 1 > before and (not lines[first - 2].strip() or lines[first - 2].startswith("#")):
                first -= 1
            text = "\n".join(lines[first - 1 : last]).strip("\n")
        found.append(_Statement(tuple(dict.fromkeys(_bound(node))), text))
    return found


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(item.lineno for item in decorators)])


def _module_text(
    docstring: str, imports: set[str], guarded: set[str], public: Sequence[str], bodies: Sequence[str]
) -> str:
    parts = [docstring_literal(docstring)] if docstring.strip() else []
    parts.append("from __future__ import annotations")
    if guarded:
        imports = imports | {"from typing import TYPE_CHECKING"}
    if imports:
        parts.append("\n".join(sorted(imports)))
    if guarded:
        parts.append("if TYPE_CHECKING:\n" + "\n".join(f"    {line}" for line in sorted(guarded)))
    parts.append(f"__all__ = [{', '.join(repr(name) for name in public)}]")
    return "\n\n".join([*parts, *bodies]) + "\n"


def docstring_literal(text: str) -> str:
    """``text`` as a docstring."""
    escaped = text.strip().replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    if escaped.endswith('"'):
        escaped = escaped[:-1] + '\\"'
    return f'"""{escaped}"""' if "\n" not in escaped else f'"""{escaped}\n"""'


def detect_import_cycles(files: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Cycles among the modules of ``files`` (path to source) by imports that run when a module is loaded.

    Imports inside functions and for type checking only do not count. ``__init__.py`` files that only pass names on make
    no cycle with what they import, since nothing of the package imports from them.
    """
    modules = {module_of(path): path for path in files if path.endswith(".py")}
    return digraph.cycles({name: loaded_modules(files[path], modules) for name, path in modules.items()})


def loaded_modules(source: str, known: Mapping[str, str]) -> list[str]:
    """The modules among ``known`` that a source imports from when it is loaded, in order."""
    found = []
    for node in parse(source).body:
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.append(inner if inner in known else node.module)
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return [name for name in dict.fromkeys(found) if name in known]


__all__ = [
    "Part",
    "detect_import_cycles",
    "docstring_literal",
    "loaded_modules",
    "merge_file",
    "segments_of",
    "split_statements",
]
