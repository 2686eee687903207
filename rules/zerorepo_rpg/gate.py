"""The gate before any run: whether an answer is the code, or the tests, that an interface asks for. Static, by syntax tree.

Each check returns sentences that go back to whoever answered; none means that it may be run. Knows nothing of running.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Collection, Iterator

from zerorepo_rpg.assertions import asserted, asserts, tests_of
from zerorepo_rpg.class_signature import class_differences
from zerorepo_rpg.forbidden import forbidden_in_code, forbidden_in_tests
from zerorepo_rpg.plan_model import NodeInterface
from zerorepo_rpg.python_source import parse, undefined_names
from zerorepo_rpg.signature import (
    Definition,
    FunctionNode,
    Signature,
    decorator_names,
    function_differences,
    parse_signature,
    type_maker,
)
from zerorepo_sandbox.screen import screen

_TODO = re.compile(r"\b(TODO|FIXME|XXX)\b")
_NOT_YET = re.compile(r"\bnot (yet )?implemented\b", re.IGNORECASE)


def check_code(
    source: str, interface: NodeInterface, dependencies: Collection[str] = (), permissions: Collection[str] = ()
) -> list[str]:
    """What keeps ``source`` from being the code of the node; empty when nothing does.

    ``dependencies`` are requirements of distributions that may be imported; ``permissions`` those of the specification
    (``network``, ``subprocess``, ``filesystem``, ``native``; ValueError for another word).
    """
    try:
        tree = parse(source)
    except ValueError as error:
        return [str(error)]
    try:
        signature = parse_signature(interface)
    except ValueError as error:
        return [f"the interface of `{interface.name}` itself is broken: {error}"]
    found = list(_definition(tree, signature, interface))
    found += _top_level(tree, interface, signature)
    found += _stubs(tree, source, signature)
    found += forbidden_in_code(tree, interface, dependencies, permissions)
    found += _not_run(source, found)
    found += undefined_names(source, deferred=True)
    return list(dict.fromkeys(found))


def check_definition(source: str, interface: NodeInterface) -> list[str]:
    """What keeps ``source`` from defining the node as its interface says: for code that a person answers for."""
    try:
        return list(_definition(parse(source), parse_signature(interface), interface))
    except ValueError as error:
        return [str(error)]


def _definition(tree: ast.Module, signature: Signature, interface: NodeInterface) -> Iterator[str]:
    name, wanted = interface.name, signature.definition
    kind = "class" if isinstance(wanted, ast.ClassDef) else "function"
    named = [
        node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name == name
    ]
    found = [node for node in named if "overload" not in decorator_names(node)]
    if not found:
        yield f"it does not define the {kind} `{name}` at the top level"
        return
    if len(found) > 1:
        yield f"it defines `{name}` {len(found)} times; define it once"
    if isinstance(wanted, ast.ClassDef) and isinstance(found[0], ast.ClassDef):
        yield from class_differences(wanted, found[0])
    elif not isinstance(wanted, ast.ClassDef) and not isinstance(found[0], ast.ClassDef):
        yield from (f"`{name}` {difference}" for difference in function_differences(wanted, found[0]))
    else:
        yield f"`{name}` must be a {kind}"


def _top_level(tree: ast.Module, interface: NodeInterface, signature: Signature) -> Iterator[str]:
    """Only imports, definitions and constants; and nothing public beside the node."""
    allowed = {interface.name, "__all__", *signature.prelude}
    for number, node in enumerate(tree.body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names = [node.name]
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
            if not all(isinstance(target, (ast.Name, ast.Tuple)) for target in targets):
                yield f"line {node.lineno}: code that runs at import; only definitions and constants may stand there"
                continue
        elif isinstance(node, (ast.Import, ast.ImportFrom)) or _is_docstring(node, number) or _is_type_checking(node):
            continue
        else:
            yield f"line {node.lineno}: code that runs at import; only definitions and constants may stand there"
            continue
        for name in names:
            if name not in allowed and not name.startswith("_") and type_maker(node) is None:
                yield f"line {node.lineno}: `{name}` is public; only `{interface.name}` may be, call it `_{name}`"


def _is_docstring(node: ast.stmt, number: int) -> bool:
    return (
        number == 0
        and isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _is_type_checking(node: ast.stmt) -> bool:
    if not isinstance(node, ast.If) or node.orelse:
        return False
    name = node.test.attr if isinstance(node.test, ast.Attribute) else getattr(node.test, "id", "")
    return name == "TYPE_CHECKING" and all(isinstance(item, (ast.Import, ast.ImportFrom)) for item in node.body)


def _stubs(tree: ast.Module, source: str, signature: Signature) -> Iterator[str]:
    exempt = _may_be_empty(tree) | _promised_stubs(signature)
    for owner, function in _functions(tree):
        name = f"{owner}.{function.name}" if owner else function.name
        if is_stub(function) and name not in exempt and not decorator_names(function) & {"abstractmethod", "overload"}:
            yield f"line {function.lineno}: `{name}` has no code; write it in full"
    for node in ast.walk(tree):
        # Also under another name.
        renamed = isinstance(node, (ast.Assign, ast.AnnAssign)) and _is_not_implemented(node.value)
        raised = isinstance(node, ast.Raise) and _raises_not_implemented(node) and not _inside_abstract(tree, node)
        if isinstance(node, ast.stmt) and (raised or renamed):
            yield f"line {node.lineno}: `NotImplementedError` instead of code; write it in full"
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    for token in tokens:
        if token.type == tokenize.COMMENT and (mark := _TODO.search(token.string)):
            yield f"line {token.start[0]}: `{mark[0]}` in a comment; finish the code and remove the comment"


def _functions(tree: ast.AST, owner: str = "") -> Iterator[tuple[str, FunctionNode]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield owner, node
            yield from _functions(node, owner)
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, node.name)
        elif not isinstance(node, ast.expr):
            yield from _functions(node, owner)


def is_stub(function: FunctionNode) -> bool:
    """Whether the body, its docstring aside, is only ``pass``, ``...``, ``assert False``, or raises that it is not implemented."""
    body = function.body
    if _is_docstring(body[0], 0):
        body = body[1:]
    return all(
        isinstance(node, ast.Pass)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is ...)
        or (isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant) and not node.test.value)
        or (isinstance(node, ast.Raise) and (_raises_not_implemented(node) or _says_not_yet(node)))
        for node in body
    )


def _says_not_yet(node: ast.Raise) -> bool:
    said = node.exc.args if isinstance(node.exc, ast.Call) else []
    return any(isinstance(each, ast.Constant) and _NOT_YET.search(str(each.value)) for each in said)


def _raises_not_implemented(node: ast.Raise) -> bool:
    return _is_not_implemented(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)


def _is_not_implemented(node: ast.expr | None) -> bool:
    return (node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")) == "NotImplementedError"


def _inside_abstract(tree: ast.Module, wanted: ast.Raise) -> bool:
    return any(
        "abstractmethod" in decorator_names(function) and any(node is wanted for node in ast.walk(function))
        for _, function in _functions(tree)
    )


def _may_be_empty(tree: ast.Module) -> set[str]:
    """Methods of Protocol classes have no code."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and _is_protocol(node):
            found |= {
                f"{node.name}.{item.name}"
                for item in node.body
                if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef))
            }
    return found


def _is_protocol(node: ast.ClassDef) -> bool:
    for base in node.bases:
        target = base.value if isinstance(base, ast.Subscript) else base
        if (target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")) == "Protocol":
            return True
    return False


def _promised_stubs(signature: Signature) -> set[str]:
    """A function whose interface says ``-> None`` with nothing to do has no business being a node: none is exempt, but
    a Protocol's methods in the interface are."""
    definition: Definition = signature.definition
    if isinstance(definition, ast.ClassDef) and _is_protocol(definition):
        return {f"{definition.name}.{item.name}" for item in definition.body if isinstance(item, ast.FunctionDef)}
    return set()


def check_tests(source: str, interface: NodeInterface, module_path: str = "") -> list[str]:
    """What keeps ``source`` from being tests of the node; ``module_path``: where to import it from, if not as planned."""
    try:
        tree = parse(source)
    except ValueError as error:
        return [str(error)]
    module = module_path or interface.import_path
    found = []
    tests = tests_of(tree)
    if not tests:
        found.append("there is no test: write functions `def test_...()`")
    asserting = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and asserts(node)
    }
    for test in tests:
        if test.name not in asserting and not _calls_one_of(test, asserting):
            found.append(
                f"line {test.lineno}: `{test.name}` asserts nothing; use `assert`, or `pytest.raises` with the error that is meant"
            )
        if isinstance(test, ast.AsyncFunctionDef):
            found.append(f"line {test.lineno}: `{test.name}` is async; make it plain and call `asyncio.run`")
    names = [test.name for test in tests]
    found += [
        f"`{name}` is defined twice, so only the last one runs; rename one"
        for name in sorted({n for n in names if names.count(n) > 1})
    ]
    names_here = _imported_as(tree, module, interface.name)
    if not names_here:
        found.append(f"it does not import the thing under test: write `from {module} import {interface.name}`")
    elif not any(isinstance(node, ast.Name) and node.id in names_here for node in ast.walk(tree)):
        found.append(f"it imports `{interface.name}` and never uses it; test it")
    found += _own_definition(tree, interface)
    found += forbidden_in_tests(tree, module.partition(".")[0])
    found += _not_run(source, found)
    found += undefined_names(source)
    return list(dict.fromkeys(found))


def _not_run(source: str, found: Collection[str]) -> Iterator[str]:
    """What the sandbox would not run, where nothing else has been found in the same line."""
    lines = {text.partition(":")[0] for text in found}
    for reason in screen(source):
        if reason.partition(":")[0] not in lines:
            yield f"{reason}; code that reaches for the test runner is not run, so do without it"


def _calls_one_of(node: ast.AST, names: Collection[str]) -> bool:
    for item in ast.walk(node):
        if isinstance(item, ast.Call):
            name = item.func.attr if isinstance(item.func, ast.Attribute) else getattr(item.func, "id", "")
            if name in names:
                return True
    return False


def _imported_as(tree: ast.Module, module: str, name: str) -> set[str]:
    """What the thing under test is called in these tests."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == module and not node.level
        for alias in node.names
        if alias.name == name
    }


def _own_definition(tree: ast.Module, interface: NodeInterface) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name == interface.name:
            yield f"line {node.lineno}: the tests define `{interface.name}` themselves; test the imported one"


def asserts_less(before: int, after: int) -> list[str]:
    """What is wrong with mended tests that assert less than they did; nothing when they do not."""
    if after >= before:
        return []
    return [f"The tests had {before} assertions and now have {after}; mend what is wrong without asserting less."]


__all__ = ["asserted", "asserts_less", "check_code", "check_definition", "check_tests", "is_stub"]
