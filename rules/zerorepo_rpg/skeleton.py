"""The whole package with signatures and docstrings but no code, so that mypy can check a plan before any body exists.

Also what a node's tests must fail on. Knows nothing of mypy.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Collection, Mapping
from functools import lru_cache

from zerorepo_rpg.assemble import package_files
from zerorepo_rpg.interface_checks import interface_imports, signature_names
from zerorepo_rpg.plan_model import NodeInterface, Plan
from zerorepo_rpg.python_names import bound_names, single_imports, well_known_import
from zerorepo_rpg.signature import FunctionNode, Signature, decorator_names, parse_signature


def skeleton(plan: Plan) -> dict[str, str]:
    """Path to source of the package with stub bodies. ValueError when a signature does not parse: validate first."""
    nodes = {node.id: node for node in plan.nodes()}
    return package_files(plan, {node_id: stub_source(node, nodes) for node_id, node in nodes.items()})


def stub_source(node: NodeInterface, nodes: Mapping[str, NodeInterface]) -> str:
    """One node as source: imports, signature, docstring, ``raise NotImplementedError``. ``nodes``: at least those used.

    Names that are obvious (``Sequence``) are imported even where the interface forgot to.
    """
    used = tuple((nodes[name].name, nodes[name].import_path) for name in node.uses if name in nodes)
    return _stub_source(node, used)


@lru_cache(4096)  # in a build each node is shown to everything that uses it, without code
def _stub_source(node: NodeInterface, used: tuple[tuple[str, str], ...]) -> str:
    """``used``: name and module of each node that it uses."""
    signature = parse_signature(node)
    statements, _ = interface_imports(node)
    bound = {name for statement in statements for name in bound_names(statement)} | set(signature.prelude)
    lines = [ast.unparse(statement) for statement in statements]
    lines += [f"from {module} import {name}" for name, module in used if name not in bound]
    bound |= {name for name, _ in used} | {node.name}
    lines += _forgotten(signature, bound)
    for statement in signature.prelude.values():
        maker = (
            statement.value.func.id
            if isinstance(statement.value, ast.Call) and isinstance(statement.value.func, ast.Name)
            else ""
        )
        if maker and maker not in bound and (known := well_known_import(maker)):
            lines.append(known)
        lines.append(ast.unparse(statement))
    definition = copy.deepcopy(signature.definition)
    if isinstance(definition, ast.ClassDef):
        _stub_class(definition, node.docstring)
    else:
        _stub_function(definition, node.docstring)
    return "\n".join([*lines, "", ast.unparse(ast.fix_missing_locations(definition))]) + "\n"


def _forgotten(signature: Signature, bound: Collection[str]) -> list[str]:
    """Imports of obvious names that a signature refers to and that are not ``bound``."""
    named = sorted(signature_names(signature).items())
    known = [well_known_import(name, as_module=as_module) for name, as_module in named if name not in bound]
    return [line for line in known if line]


def file_imports(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Node id to the imports that its file has for the interfaces of its other nodes and it has not; none of the library itself.

    ValueError when a signature does not parse: validate first.
    """
    own: dict[str, set[str]] = {}
    together: dict[str, set[str]] = {}
    for node in plan.nodes():
        statements, _ = interface_imports(node)
        signature = parse_signature(node)
        uses = {name.rpartition("/")[2] for name in node.uses}
        bound = (
            {name for each in statements for name in bound_names(each)} | set(signature.prelude) | uses | {node.name}
        )
        own[node.id] = {line for each in statements for line in single_imports(each)} | {*_forgotten(signature, bound)}
        together.setdefault(node.file, set()).update(own[node.id])
    return {node.id: tuple(sorted(together[node.file] - own[node.id])) for node in plan.nodes()}


def is_whole(node: NodeInterface) -> bool:
    """Whether the interface is already all the code: an exception, a record, a protocol. ValueError: it does not parse."""
    stub = ast.parse(stub_source(node, {}))
    return not any(isinstance(each, ast.Raise) for each in ast.walk(stub))


def _docstring(text: str) -> list[ast.stmt]:
    return [ast.Expr(ast.Constant(text.strip()))] if text.strip() else []


def _stub_function(function: FunctionNode, docstring: str = "") -> None:
    body = _docstring(docstring or ast.get_docstring(function) or "")
    if decorator_names(function) & {"overload", "abstractmethod"}:
        function.body = [*body, ast.Expr(ast.Constant(...))]
        return
    error = ast.Raise(exc=ast.Name("NotImplementedError", ast.Load()), cause=None)
    function.body = [*body, error]


def _stub_class(definition: ast.ClassDef, docstring: str) -> None:
    protocol = any(
        name.id == "Protocol" for base in definition.bases for name in ast.walk(base) if isinstance(name, ast.Name)
    )
    text = docstring or ast.get_docstring(definition) or ""
    body: list[ast.stmt] = []
    for number, item in enumerate(definition.body):
        if isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant):
            # The class's own docstring and ``...``; strings below fields stay.
            if number == 0 or item.value.value is ...:
                continue
        elif isinstance(item, ast.Pass):
            continue
        elif isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)) and not protocol:
            _stub_function(item)
        elif isinstance(item, ast.ClassDef):
            _stub_class(item, "")
        body.append(item)
    definition.body = [*_docstring(text), *body] or [ast.Pass()]


__all__ = ["file_imports", "is_whole", "skeleton", "stub_source"]
