"""What one Python file says, by its syntax tree: definitions with signatures, imports, bases, calls. Nothing is imported or run.

Names are kept as written (``self.send``, ``client.HTTPMessage``); what they mean in other files is for ``scan`` to find out. The
results are small and pickle fast, for they come from other processes.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import xxhash

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(slots=True)
class Imported:
    """``name`` stands for ``target`` of ``module``; an empty ``target`` is the module itself, ``*`` all of it.

    ``eager``: it happens when the file is loaded, not in a function or for type checking only.
    """

    name: str
    module: str
    target: str = ""
    eager: bool = True


@dataclass(slots=True)
class Call:
    """A call of what is written ``name``; ``used``: the result goes somewhere. ``of`` is the class that ``name`` begins in."""

    name: str
    used: bool
    of: str = ""


@dataclass(slots=True)
class Definition:
    """A function, class or method; ``name`` is qualified inside the file (``HTTPConnection.request``)."""

    name: str
    kind: str
    signature: str
    docstring: str = ""
    digest: str = ""
    returns: str = ""
    bases: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


@dataclass(slots=True)
class FileFacts:
    """One file. ``error`` says why there is no more, in a file that is not Python."""

    path: str
    docstring: str = ""
    digest: str = ""
    imports: list[Imported] = field(default_factory=list)
    definitions: list[Definition] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    error: str = ""


def read_facts(root: str, paths: Sequence[str]) -> list[FileFacts]:
    """The facts of several files below ``root``; of one that cannot be read, only why."""
    found = []
    for path in paths:
        try:
            found.append(facts_of(path, (Path(root) / path).read_bytes()))
        except OSError as error:
            found.append(FileFacts(path, error=error.strerror or str(error)))
    return found


def facts_of(path: str, source: bytes) -> FileFacts:
    """The facts of a file; ``path`` is relative, with ``/``."""
    facts = FileFacts(path, digest=xxhash.xxh3_128(source).hexdigest())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of literals in other people's code
            tree = ast.parse(source)
        _Reader(facts, source).read(tree)
    except (SyntaxError, ValueError) as error:
        line = f"line {error.lineno}: " if isinstance(error, SyntaxError) and error.lineno else ""
        facts.error = f"{line}{error.msg if isinstance(error, SyntaxError) else error}"
    except RecursionError:
        facts.error = "nested too deeply"
    return facts


class _Reader:
    def __init__(self, facts: FileFacts, source: bytes) -> None:
        self.facts = facts
        self.lines = source.split(b"\n")
        self.known: dict[str, Definition] = {}

    def read(self, tree: ast.Module) -> None:
        self.facts.docstring = first_paragraph(ast.get_docstring(tree))
        self.block(tree.body, "", eager=True)
        for node in ast.walk(tree):
            if isinstance(node, FUNCTIONS):
                for inner in ast.walk(node):
                    if isinstance(inner, (ast.Import, ast.ImportFrom)):
                        self.imported(inner, eager=False)
        seen: dict[tuple[str, str, str], Imported] = {}
        for item in self.facts.imports:
            key = (item.name, item.module, item.target)
            if key not in seen or item.eager:
                seen[key] = item
        self.facts.imports = list(seen.values())

    def block(self, body: Sequence[ast.stmt], owner: str, *, eager: bool) -> None:
        """Statements of a module or class; what stands below ``if`` and ``try`` stands there, too."""
        for statement in body:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                self.imported(statement, eager=eager)
            elif isinstance(statement, FUNCTIONS):
                self.function(statement, owner)
            elif isinstance(statement, ast.ClassDef):
                self.class_(statement, owner)
            elif isinstance(statement, (ast.If, ast.Try, ast.With, ast.For, ast.While)):
                checking = isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test)
                for part in _blocks(statement):
                    self.block(part, owner, eager=eager and not checking)
                self.loose(statement, owner)
            else:
                self.loose(statement, owner)

    def loose(self, statement: ast.stmt, owner: str) -> None:
        """Calls that happen when the module or class is made."""
        calls = list(_calls([statement], {}, nested=False))
        if owner:
            self.known[owner].calls += calls
        else:
            self.facts.calls += calls

    def imported(self, node: ast.Import | ast.ImportFrom, *, eager: bool) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                module = alias.name if alias.asname else top
                self.facts.imports.append(Imported(alias.asname or top, module, eager=eager))
                if module != alias.name:
                    self.facts.imports.append(Imported("", alias.name, eager=eager))
            return
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            self.facts.imports.append(Imported(alias.asname or alias.name, module, alias.name, eager))

    def add(self, definition: Definition) -> Definition:
        """Definitions of one name are one node: overloads, setters, the branches of an ``if``."""
        known = self.known.get(definition.name)
        if known is None:
            self.known[definition.name] = definition
            self.facts.definitions.append(definition)
            return definition
        known.signature += f"\n{definition.signature}"
        known.docstring = known.docstring or definition.docstring
        known.digest = xxhash.xxh3_128(f"{known.digest}{definition.digest}".encode()).hexdigest()
        known.bases += [base for base in definition.bases if base not in known.bases]
        known.returns = definition.returns or known.returns
        known.calls += definition.calls
        return known

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, owner: str) -> None:
        in_class = bool(owner)
        types = _local_types(node, owner)
        self.add(
            Definition(
                name=f"{owner}.{node.name}" if owner else node.name,
                kind="method" if in_class else "function",
                signature=signature_of(node),
                docstring=first_paragraph(ast.get_docstring(node)),
                digest=self.digest(node, node.body),
                returns=ast.unparse(node.returns) if node.returns else "",
                calls=[*_calls([*node.decorator_list, *_defaults(node)], {}), *_calls(node.body, types)],
            )
        )

    def class_(self, node: ast.ClassDef, owner: str) -> None:
        name = f"{owner}.{node.name}" if owner else node.name
        head = ast.ClassDef(name=node.name, bases=node.bases, keywords=node.keywords, body=[], decorator_list=[])
        lines = [f"@{ast.unparse(each)}" for each in node.decorator_list]
        lines.append(ast.unparse(ast.fix_missing_locations(head)).strip().removesuffix(":"))
        bases = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
        self.add(
            Definition(
                name=name,
                kind="class",
                signature="\n".join(lines),
                docstring=first_paragraph(ast.get_docstring(node)),
                digest=self.digest(node, [each for each in node.body if not isinstance(each, DEFINITIONS)]),
                bases=[text for base in bases if (text := dotted(base))],
                calls=list(_calls(node.decorator_list, {})),
            )
        )
        self.block(node.body, name, eager=True)

    def digest(self, node: ast.stmt, body: Sequence[ast.stmt]) -> str:
        """Of the text that makes it, wherever it stands in the file."""
        first = body[0].lineno if body else node.lineno
        parts = [b"\n".join(self.lines[node.lineno - 1 : max(first - 1, node.lineno)])]
        parts += [b"\n".join(self.lines[each.lineno - 1 : each.end_lineno or each.lineno]) for each in body]
        return xxhash.xxh3_128(b"\n".join(parts)).hexdigest()


def _blocks(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        yield getattr(node, name, [])
    for handler in getattr(node, "handlers", []):
        yield handler.body


def signature_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Decorators and the head with every parameter: positional only, with defaults, ``*args``, keyword only, ``**kwargs``."""
    lines = [f"@{ast.unparse(each)}" for each in node.decorator_list]
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return "\n".join([*lines, f"{word} {node.name}({ast.unparse(node.args)}){returns}"])


def _defaults(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.expr]:
    return [*node.args.defaults, *(each for each in node.args.kw_defaults if each)]


def first_paragraph(docstring: str | None) -> str:
    """A docstring up to its first empty line."""
    return (docstring or "").strip().partition("\n\n")[0].strip()


def dotted(node: ast.AST) -> str:
    """``a.b.c`` as it is written, ``super().x`` among it; "" for any other expression."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super" and parts:
        parts.append("super()")
    else:
        return ""
    return ".".join(reversed(parts))


def _local_types(node: ast.FunctionDef | ast.AsyncFunctionDef, owner: str) -> dict[str, str]:
    """Name to the class it holds, "" when that is not known: what is bound inside hides what the file binds."""
    found: dict[str, str] = {}
    arguments = node.args
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    for number, arg in enumerate([*listed, *(each for each in (arguments.vararg, arguments.kwarg) if each)]):
        annotation = arg.annotation
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            found[arg.arg] = annotation.value if annotation.value.replace(".", "").isidentifier() else ""
        else:
            found[arg.arg] = dotted(annotation) if annotation and number < len(listed) else ""
        if owner and number == 0 and arg.arg in ("self", "cls"):
            found[arg.arg] = f"={owner}"
    for each in ast.walk(ast.Module(body=node.body, type_ignores=[])):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            found.setdefault(each.id, "")
    for each in ast.walk(ast.Module(body=node.body, type_ignores=[])):
        if isinstance(each, ast.Assign) and len(each.targets) == 1 and isinstance(each.targets[0], ast.Name):
            name = each.targets[0].id
            if isinstance(each.value, ast.Call) and not found.get(name):
                found[name] = dotted(each.value.func)
    return found


def _calls(body: Sequence[ast.AST], types: dict[str, str], *, nested: bool = True) -> Iterator[Call]:
    """Calls below these nodes, in order; definitions inside a function are part of it, others have calls of their own."""
    work: list[tuple[ast.AST, bool]] = [(node, True) for node in reversed(body)]
    while work:
        node, used = work.pop()
        if isinstance(node, DEFINITIONS) and not nested:
            continue
        if isinstance(node, ast.Call) and (name := dotted(node.func)):
            root, dot, rest = name.partition(".")
            if root not in types:
                yield Call(name, used)
            elif types[root] and dot:
                yield Call(rest, used, of=types[root])
        discarded = isinstance(node, ast.Expr)
        if isinstance(node, ast.stmt) and not nested and not isinstance(node, (ast.Expr, ast.Assign, ast.AnnAssign)):
            # The statements inside were looked at by themselves; its own expressions were not.
            work.extend(
                (each, True)
                for each in ast.iter_child_nodes(node)
                if not isinstance(each, (ast.stmt, ast.excepthandler))
            )
            continue
        children = list(ast.iter_child_nodes(node))
        work.extend((child, not discarded) for child in reversed(children))


__all__ = ["Call", "Definition", "FileFacts", "Imported", "facts_of", "first_paragraph", "read_facts", "signature_of"]
