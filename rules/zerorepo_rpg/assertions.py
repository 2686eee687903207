"""Which assertions of a test module count: those that can fail, are reached to the eye, and whose failure nobody swallows.

By syntax tree alone; what only running shows (a test that passes without the code) is found by running.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence

from zerorepo_rpg.signature import FunctionNode

_SWALLOW = frozenset({"AssertionError", "Exception", "BaseException"})
_LEAVE = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_NESTED = (ast.FunctionDef, ast.AsyncFunctionDef)


def tests_of(tree: ast.Module) -> list[FunctionNode]:
    """Functions that pytest collects: at the top level, and in classes ``Test...``. Names may repeat between classes."""
    found: list[FunctionNode] = []
    for node in tree.body:
        listed = node.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test") else [node]
        found += [item for item in listed if isinstance(item, _NESTED) and item.name.startswith("test")]
    return found


def assertions(node: ast.stmt) -> list[ast.AST]:
    """Those of a function, or of any other statement."""
    loaded = {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)}
    return list(_block(node.body, loaded, 0) if isinstance(node, _NESTED) else _in(node, loaded, 0))


def asserts(node: ast.stmt) -> bool:
    """Whether there is one."""
    return bool(assertions(node))


def asserted(source: str) -> int:
    """How many assertions a test module makes, cases of ``parametrize`` counted; 0 when it is not Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return 0
    tests = tests_of(tree)
    total = sum(len(assertions(test)) * _cases(test) for test in tests)
    counted = {id(test) for test in tests}
    others = [
        item
        for node in tree.body
        for item in (node.body if isinstance(node, ast.ClassDef) else [node])
        if id(item) not in counted
    ]
    return total + sum(len(assertions(item)) for item in others)


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


# How much of what goes wrong is swallowed around a statement: nothing, an `AssertionError`, or what pytest itself raises, too.
_NOTHING, _ASSERT, _ALL = range(3)


def _block(body: Sequence[ast.stmt], loaded: Collection[str], lost: int) -> Iterator[ast.AST]:
    """Up to the statement that leaves it."""
    for statement in body:
        yield from _in(statement, loaded, lost)
        if isinstance(statement, _LEAVE):
            return


def _in(node: ast.AST, loaded: Collection[str], lost: int) -> Iterator[ast.AST]:
    if _is_assertion(node) and lost < (_ASSERT if isinstance(node, ast.Assert) else _ALL):
        yield node
    if isinstance(node, _NESTED) and node.name not in loaded:
        return  # nobody calls it
    never = _never_entered(node)
    if isinstance(node, (ast.With, ast.AsyncWith)):
        lost = max([lost, *(_suppressed(item.context_expr) for item in node.items)])
    for name, value in ast.iter_fields(node):
        if name == "body" and never:
            continue
        inside = max(lost, _caught(node.handlers)) if isinstance(node, ast.Try) and name == "body" else lost
        if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
            yield from _block(value, loaded, inside)
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, ast.AST):
                    yield from _in(item, loaded, inside)
        elif isinstance(value, ast.AST):
            yield from _in(value, loaded, inside)


def _never_entered(node: ast.AST) -> bool:
    if isinstance(node, (ast.If, ast.While)):
        return isinstance(node.test, ast.Constant) and not node.test.value
    return isinstance(node, ast.For) and isinstance(node.iter, (ast.List, ast.Tuple)) and not node.iter.elts


def _suppressed(call: ast.expr) -> int:
    """What ``contextlib.suppress(...)`` swallows."""
    if isinstance(call, ast.Call) and _last_name(call.func) == "suppress":
        return max([_NOTHING, *(_caught_by(kind) for kind in call.args)])
    return _NOTHING


def _caught(handlers: Sequence[ast.ExceptHandler]) -> int:
    """What handlers swallow; not one that raises or asserts in its turn."""
    found = _NOTHING
    for handler in handlers:
        if any(isinstance(each, ast.Raise) or _is_assertion(each) for each in ast.walk(handler)):
            continue
        if handler.name and any(isinstance(each, ast.Name) and each.id == handler.name for each in ast.walk(handler)):
            continue  # it keeps the error, to look at it later
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        found = max([found, *(_caught_by(kind) for kind in kinds)])
    return found


def _caught_by(kind: ast.expr | None) -> int:
    name = _last_name(kind) if kind is not None else "BaseException"
    return _ALL if name == "BaseException" else _ASSERT if name in _SWALLOW else _NOTHING


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _is_assertion(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return not _holds_anyhow(node.test)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
        known = node.func.value.id == "pytest" and node.func.attr in ("raises", "warns", "fail")
        return known and not _any_error_will_do(node)
    named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "raises"
    return named and not _any_error_will_do(node)


def _any_error_will_do(call: ast.AST) -> bool:
    """``pytest.raises(Exception)``: code that is not there yet raises one, too."""
    assert isinstance(call, ast.Call)
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    match = given.get("match")
    says_nothing = isinstance(match, ast.Constant) and match.value in (None, "", ".*")
    if "check" in given or (match is not None and not says_nothing):
        return False
    expected = call.args[0] if call.args else given.get("expected_exception")
    kinds = expected.elts if isinstance(expected, ast.Tuple) else [expected]
    return any(_is_any_error(kind) for kind in kinds)


def _is_any_error(kind: ast.expr | None) -> bool:
    if isinstance(kind, ast.Attribute):
        return ast.unparse(kind) in ("builtins.Exception", "builtins.BaseException")
    return isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException")


def _holds_anyhow(test: ast.expr) -> bool:
    """Whether it is true whatever was tested, to see at a glance: a constant, a list with something in it, a length that is
    not negative, a name beside itself. ``assert False`` is an assertion: it says that one does not get there.
    """
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, (ast.Tuple, ast.List, ast.Set)):
        return bool(test.elts)
    if isinstance(test, ast.Dict):
        return bool(test.keys)
    if isinstance(test, ast.Lambda):
        return True
    if isinstance(test, ast.JoinedStr):
        return any(isinstance(part, ast.Constant) and part.value for part in test.values)
    if isinstance(test, ast.BoolOp):
        each = [_holds_anyhow(value) for value in test.values]
        return any(each) if isinstance(test.op, ast.Or) else all(each)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return isinstance(test.operand, ast.Constant) and not test.operand.value
    if isinstance(test, ast.Call) and _last_name(test.func) == "isinstance" and len(test.args) == 2:
        return _last_name(test.args[1]) == "object"
    return isinstance(test, ast.Compare) and _compares_nothing(test)


def _compares_nothing(test: ast.Compare) -> bool:
    if isinstance(test.left, (ast.Name, ast.Constant)):
        same = {ast.dump(each) for each in (test.left, *test.comparators)}
        return len(same) == 1 and all(isinstance(op, (ast.Eq, ast.Is, ast.LtE, ast.GtE)) for op in test.ops)
    bound = test.comparators[0]
    return (
        isinstance(test.left, ast.Call)
        and _last_name(test.left.func) == "len"
        and isinstance(bound, (ast.Constant, ast.UnaryOp))
        and (ast.unparse(bound), type(test.ops[0])) in {("0", ast.GtE), ("-1", ast.Gt), ("-1", ast.NotEq)}
        and len(test.ops) == 1
    )


__all__ = ["asserted", "assertions", "asserts", "tests_of"]
