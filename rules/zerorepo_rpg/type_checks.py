"""Checks on the types that data flows and ``raises`` name. What may be meant otherwise is a note, which stops nothing.

Knows nothing of signatures, whose names ``interface_checks`` looks up.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from zerorepo_rpg.naming import STDLIB_MODULES
from zerorepo_rpg.plan_model import DataFlow, InterfaceKind, NodeInterface, Plan
from zerorepo_rpg.problem import Problem, near
from zerorepo_rpg.python_names import BUILTINS, bound_names, well_known_import
from zerorepo_rpg.signature import unquoted

_RAISED = re.compile(r"\s*`?([A-Za-z_][\w.]*)`?\s*(?=[:,(]|$|\bif\b|\bwhen\b|\bfor\b|-\s|—|–)")
_BUILT_IN = {
    name
    for name in dir(builtins)
    if isinstance(found := getattr(builtins, name), type) and issubclass(found, BaseException)
}


def flow_type_problems(flow: DataFlow) -> Iterator[Problem]:
    """That ``data_type`` is an annotation. Whose names are not looked at: nodes are not designed when flows are."""
    if flow.data_type.strip() and _annotation(flow.data_type) is None:
        message = f"`data_type` of `{flow.data_name}` is `{flow.data_type}`, which is no annotation; write it like `list[str]`"
        yield Problem(check="flow_data", message=message, where=f"{flow.source} -> {flow.target}")


def _annotation(text: str) -> ast.expr | None:
    """A type as an expression of names, attributes, subscripts, ``|`` and literals; None for anything else."""
    try:
        found = unquoted(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError):
        return None
    allowed = (
        ast.Name, ast.Attribute, ast.Subscript, ast.BinOp, ast.BitOr, ast.Tuple, ast.List, ast.Constant, ast.Load, ast.UnaryOp,
        ast.USub,
    )  # fmt: skip
    return found if all(isinstance(each, allowed) for each in ast.walk(found)) else None


def flow_type_notes(plan: Plan) -> Iterator[Problem]:
    """Names in the types of data flows that are neither built in, well known, nor classes of the plan."""
    classes = {node.name for node in plan.nodes() if node.kind is InterfaceKind.CLASS}
    for flow in plan.modules.flows:
        found = _annotation(flow.data_type)
        owners = {id(each.value) for each in ast.walk(found) if isinstance(each, ast.Attribute)} if found else set()
        for each in ast.walk(found) if found else ():
            if isinstance(each, ast.Name) and not _known(each.id, classes, as_module=id(each) in owners):
                message = f"`data_type` of `{flow.data_name}` names `{each.id}`, which is neither built in nor a class of the plan"
                message += (
                    near(each.id, classes) if len(classes) <= 8 or near(each.id, classes).startswith("; did") else ""
                )
                yield Problem(
                    check="flow_type", message=message, where=f"{flow.source} -> {flow.target}", unknown=each.id
                )


def _known(name: str, classes: Collection[str], *, as_module: bool) -> bool:
    return name in BUILTINS or name in classes or well_known_import(name, as_module=as_module) is not None


def raises_problems(
    node: NodeInterface, others: Iterable[NodeInterface], imports: Sequence[ast.stmt]
) -> Iterator[Problem]:
    """That each of ``raises`` begins with an exception: built in, imported, or a class of the plan that is one."""
    classes = {each.name: each for each in (*others, node)}
    bound = {name for statement in imports for name in bound_names(statement)}
    for text in node.raises:
        found = _RAISED.match(text)
        if found is None:
            continue  # prose; a note
        name = found[1]
        top = name.partition(".")[0]
        if "." in name:
            if top not in STDLIB_MODULES and top not in bound:
                message = (
                    f"`raises` names `{name}`, and `{top}` is neither standard library nor in `imports`; add its import"
                )
                yield Problem(check="raises", message=message, where=node.id, unknown=name)
        elif name in _BUILT_IN or name in bound:
            continue
        elif name in classes:
            if not is_exception(classes[name], classes):
                message = f"`raises` names `{name}`, which is no exception; it must inherit from one"
                yield Problem(check="raises", message=message, where=node.id)
        elif name in BUILTINS:
            yield Problem(check="raises", message=f"`raises` names `{name}`, which is no exception", where=node.id)
        else:
            candidates = {*_BUILT_IN, *(each for each in classes if is_exception(classes[each], classes))}
            message = (
                f"`raises` names `{name}`, which is neither a built-in exception, imported, nor a class that it knows"
            )
            yield Problem(check="raises", message=message + near(name, candidates), where=node.id, unknown=name)


def raises_notes(node: NodeInterface) -> Iterator[Problem]:
    """Entries of ``raises`` that do not begin with a name."""
    for text in node.raises:
        if _RAISED.match(text) is None:
            message = (
                f"`raises` says `{text[:60]}`, which does not begin with an exception; write `ValueError: when it is`"
            )
            yield Problem(check="raises", message=message, where=node.id)


def is_exception(node: NodeInterface, classes: Mapping[str, NodeInterface], seen: frozenset[str] = frozenset()) -> bool:
    """Whether a class inherits, by classes of the plan or directly, from an exception; also from one that is imported."""
    if node.kind is not InterfaceKind.CLASS or node.name in seen:
        return False
    try:
        body = ast.parse(node.signature).body
    except (SyntaxError, ValueError):
        return True  # told by another check
    for each in body:
        for base in each.bases if isinstance(each, ast.ClassDef) else ():
            name = ast.unparse(base)
            if name in classes and name != node.name:
                if is_exception(classes[name], classes, seen | {node.name}):
                    return True
            elif name in _BUILT_IN or name.endswith(("Error", "Exception")):
                return True
    return False


def plan_notes(plan: Plan) -> list[Problem]:
    """What a person should look at in a plan, though it stops nothing."""
    return [*flow_type_notes(plan), *(each for node in plan.nodes() for each in raises_notes(node))]


__all__ = ["flow_type_notes", "flow_type_problems", "is_exception", "plan_notes", "raises_notes", "raises_problems"]
