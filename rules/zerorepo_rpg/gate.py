"""The gate before any run: whether an answer is the code, or the tests, that an interface asks for. Static, by syntax tree.

Each check returns sentences that go back to whoever answered; none means that it may be run. Knows nothing of running.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Collection, Iterator

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

_TODO = re.compile(r"\b(TODO|FIXME|XXX)\b")


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
    found += undefined_names(source, deferred=True)
    return list(dict.fromkeys(found))


def check_definition(source: str, interface: NodeInterface) -> list[str]:
    """What keeps ``source`` from defining the node as its interface says: for code that a person answers for."""
    try:
        return list(_definition(parse(source), parse_signature(interface), interface))
    except ValueError as error:
        return [str(error)]


"""Another name of ``check_code``."""


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
        if isinstance(node, ast.Raise) and _raises_not_implemented(node) and not _inside_abstract(tree, node):
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
    """Whether the body, its docstring aside, is only ``pass``, ``...`` or ``raise NotImplementedError``."""
    body = function.body
    if _is_docstring(body[0], 0):
        body = body[1:]
    return all(
        isinstance(node, ast.Pass)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is ...)
        or (isinstance(node, ast.Raise) and _raises_not_implemented(node))
        for node in body
    )


def _raises_not_implemented(node: ast.Raise) -> bool:
    error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return isinstance(error, ast.Name) and error.id == "NotImplementedError"


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
    tests = _tests(tree)
    if not tests:
        found.append("there is no test: write functions `def test_...()`")
    asserting = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and _asserts(node)
    }
    for test in tests:
        if test.name not in asserting and not _calls_one_of(test, asserting):
            found.append(f"line {test.lineno}: `{test.name}` asserts nothing; use `assert` or `pytest.raises`")
        if isinstance(test, ast.AsyncFunctionDef):
            found.append(f"line {test.lineno}: `{test.name}` is async; make it plain and call `asyncio.run`")
    names = [test.name for test in tests]
    found += [
        f"`{name}` is defined twice, so only the last one runs; rename one"
        for name in sorted({n for n in names if names.count(n) > 1})
    ]
    if not _imports_node(tree, module, interface.name):
        found.append(f"it does not import the thing under test: write `from {module} import {interface.name}`")
    found += _own_definition(tree, interface)
    found += forbidden_in_tests(tree)
    found += undefined_names(source)
    return list(dict.fromkeys(found))


def _tests(tree: ast.Module) -> list[FunctionNode]:
    """Functions that pytest collects: at the top level, and in classes ``Test...``. Names may repeat between classes."""
    found: list[FunctionNode] = []
    for node in tree.body:
        listed = node.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test") else [node]
        found += [
            item
            for item in listed
            if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)) and item.name.startswith("test")
        ]
    return found


def _is_assertion(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return not _holds_anyhow(node.test)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
        return node.func.value.id == "pytest" and node.func.attr in ("raises", "warns", "fail")
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "raises"


def _holds_anyhow(test: ast.expr) -> bool:
    """Whether it is true whatever was tested, to see at a glance: a constant, a tuple (with a message inside), a name or a
    constant beside itself. ``assert False`` is an assertion: it says that one does not get there.
    """
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.Tuple):
        return bool(test.elts)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return isinstance(test.operand, ast.Constant) and not test.operand.value
    if isinstance(test, ast.Compare) and isinstance(test.left, (ast.Name, ast.Constant)):
        same = {ast.dump(each) for each in (test.left, *test.comparators)}
        return len(same) == 1 and all(isinstance(op, (ast.Eq, ast.Is, ast.LtE, ast.GtE)) for op in test.ops)
    return False


def _asserts(node: ast.AST) -> bool:
    return any(_is_assertion(item) for item in ast.walk(node))


def _calls_one_of(node: ast.AST, names: Collection[str]) -> bool:
    for item in ast.walk(node):
        if isinstance(item, ast.Call):
            name = item.func.attr if isinstance(item.func, ast.Attribute) else getattr(item.func, "id", "")
            if name in names:
                return True
    return False


def _imports_node(tree: ast.Module, module: str, name: str) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == module
        and not node.level
        and any(alias.name == name for alias in node.names)
        for node in ast.walk(tree)
    )


def _own_definition(tree: ast.Module, interface: NodeInterface) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name == interface.name:
            yield f"line {node.lineno}: the tests define `{interface.name}` themselves; test the imported one"


def asserted(source: str) -> int:
    """How many assertions a test module makes, cases of ``parametrize`` counted; 0 when it is not Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return 0
    total = 0
    inside: set[int] = set()
    for test in _tests(tree):
        count = sum(_is_assertion(node) for node in ast.walk(test))
        total += count * _cases(test)
        inside |= {id(node) for node in ast.walk(test)}
    return total + sum(_is_assertion(node) for node in ast.walk(tree) if id(node) not in inside)


def _cases(test: FunctionNode) -> int:
    cases = 1
    for decorator in test.decorator_list:
        if (
            isinstance(decorator, ast.Call)
            and isinstance(decorator.func, ast.Attribute)
            and decorator.func.attr == "parametrize"
        ):
            values = decorator.args[1] if len(decorator.args) > 1 else None
            if isinstance(values, (ast.List, ast.Tuple)):
                cases *= max(1, len(values.elts))
    return cases


def asserts_less(before: int, after: int) -> list[str]:
    """What is wrong with mended tests that assert less than they did; nothing when they do not."""
    if after >= before:
        return []
    return [f"The tests had {before} assertions and now have {after}; mend what is wrong without asserting less."]


__all__ = ["asserted", "asserts_less", "check_code", "check_definition", "check_tests", "is_stub"]
