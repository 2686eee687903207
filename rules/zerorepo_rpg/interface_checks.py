"""Checks on interfaces: of one alone, of a module's, and of all nodes together. Knows nothing of bodies.

Each returns problems whose messages say what to change, since they are fed back to whoever wrote the interface.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from zerorepo_rpg import digraph
from zerorepo_rpg.naming import STDLIB_MODULES, identifier_problem
from zerorepo_rpg.plan_model import FileLayout, ModuleInterfaces, ModulePlan, NodeInterface
from zerorepo_rpg.problem import Problem, near, repeated
from zerorepo_rpg.python_names import BUILTINS, bound_names, well_known_import
from zerorepo_rpg.signature import FunctionNode, Signature, decorator_names, parse_signature, unquoted
from zerorepo_rpg.type_checks import raises_problems

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake(name: str) -> str:
    """``SlugTable`` as ``slug_table``; two nodes of a module with one snake name would share a test file."""
    return _CAMEL.sub("_", name).lower()


def check_interface(node: NodeInterface) -> list[Problem]:
    """One interface by itself: name, id, signature, annotations, imports, docstring."""
    found = list(_shape(node))
    imports, import_problems = interface_imports(node)
    found += import_problems
    try:
        signature = parse_signature(node)
    except ValueError as error:
        found.append(Problem(check="signature", message=f"{error}", where=node.id))
        return found
    known = {name for statement in imports for name in bound_names(statement)} | set(signature.prelude)
    known |= {node.name} | {used.rpartition("/")[2] for used in node.uses}
    found += _undefined(node, signature, known)
    found += [
        Problem(check="annotated", message=message, where=node.id) for message in _unannotated(signature.definition)
    ]
    inner = ast.get_docstring(signature.definition) if isinstance(signature.definition, ast.ClassDef) else None
    if not node.docstring.strip() and not inner:
        message = f"`{node.name}` has no docstring; say what it does, its parameters, result, edge cases and errors"
        found.append(Problem(check="docstring", message=message, where=node.id))
    return found


def _shape(node: NodeInterface) -> Iterator[Problem]:
    if why := identifier_problem(node.name):
        yield Problem(check="name", message=f"the name `{node.name}` {why}", where=node.id)
    elif node.name.startswith("_"):
        message = f"`{node.name}` is private; a node is public, name it without the leading underscore"
        yield Problem(check="name", message=message, where=node.id)
    elif node.name in BUILTINS:
        message = f"`{node.name}` shadows the built-in of that name; choose another name"
        yield Problem(check="name", message=message, where=node.id)
    if node.id != f"{node.module}/{node.name}":
        message = f"the id must be `{node.module}/{node.name}`, module and name, not `{node.id}`"
        yield Problem(check="node_id", message=message, where=node.id)
    if node.id in node.uses:
        yield Problem(check="uses", message="`uses` names the node itself; remove it", where=node.id)
    for again in repeated(node.uses):
        yield Problem(check="uses", message=f"`uses` names `{again}` twice; name it once", where=node.id)


def interface_imports(node: NodeInterface) -> tuple[list[ast.stmt], list[Problem]]:
    """The import statements of ``node.imports``, parsed, and what is wrong with them."""
    statements: list[ast.stmt] = []
    problems = []
    package = node.file.partition("/")[0]
    for text in node.imports:
        try:
            body = ast.parse(text.strip()).body
        except (SyntaxError, ValueError):
            message = f"`imports` holds `{text}`, which is not Python; write `from collections.abc import Sequence`"
            problems.append(Problem(check="imports", message=message, where=node.id))
            continue
        for statement in body:
            why = _import_problem(statement, package)
            if why:
                problems.append(Problem(check="imports", message=f"`imports` holds `{text}`: {why}", where=node.id))
            else:
                statements.append(statement)
    return statements, problems


def _import_problem(statement: ast.stmt, package: str) -> str | None:
    if isinstance(statement, ast.Import):
        modules = [alias.name for alias in statement.names]
    elif isinstance(statement, ast.ImportFrom):
        if statement.level:
            return "relative imports are not allowed"
        if any(alias.name == "*" for alias in statement.names):
            return "name what you import instead of `*`"
        modules = [statement.module or ""]
    else:
        return "only import statements belong there"
    if any(module.partition(".")[0] == package for module in modules):
        return "nodes of the library are imported by naming them in `uses`; remove this line"
    return None


def signature_names(signature: Signature) -> dict[str, bool]:
    """Names that a signature refers to in annotations, defaults, bases and decorators, and whether each one is only
    used as ``name.attribute``."""
    found: dict[str, bool] = {}
    definition = signature.definition
    members = _member_names(definition) if isinstance(definition, ast.ClassDef) else set()
    for expression in [*_expressions(definition), *(item.value for item in signature.prelude.values())]:
        local = members | _local_names(expression)
        owners = {id(item.value) for item in ast.walk(expression) if isinstance(item, ast.Attribute)}
        for item in ast.walk(expression):
            if isinstance(item, ast.Name) and item.id not in local:
                found[item.id] = found.get(item.id, True) and id(item) in owners
    return found


def _member_names(definition: ast.ClassDef) -> set[str]:
    """Names bound in a class body, which its later lines may use."""
    found = set()
    for item in definition.body:
        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(item.name)
        elif isinstance(item, ast.Assign):
            found |= {target.id for target in item.targets if isinstance(target, ast.Name)}
    return found


def _local_names(expression: ast.expr) -> set[str]:
    """Names bound inside an expression: targets of comprehensions, parameters of lambdas."""
    found = set()
    for item in ast.walk(expression):
        if isinstance(item, ast.arg):
            found.add(item.arg)
        elif isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
            found.add(item.id)
    return found


def _expressions(node: ast.stmt) -> Iterator[ast.expr]:
    """The expressions that are evaluated where a definition stands, annotations without quotes."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield from node.decorator_list
        for arg in _all_args(node):
            if arg.annotation:
                yield unquoted(arg.annotation)
        yield from node.args.defaults
        yield from (default for default in node.args.kw_defaults if default)
        if node.returns:
            yield unquoted(node.returns)
    elif isinstance(node, ast.ClassDef):
        yield from node.decorator_list
        yield from node.bases
        yield from (word.value for word in node.keywords)
        for item in node.body:
            yield from _expressions(item)
    elif isinstance(node, ast.AnnAssign):
        yield unquoted(node.annotation)
        if node.value:
            yield node.value
    elif isinstance(node, ast.Assign):
        yield node.value


def _all_args(node: FunctionNode) -> list[ast.arg]:
    arguments = node.args
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return listed + [arg for arg in (arguments.vararg, arguments.kwarg) if arg]


def _undefined(node: NodeInterface, signature: Signature, known: set[str]) -> Iterator[Problem]:
    for name, as_module in sorted(signature_names(signature).items()):
        if name in known or name in BUILTINS or well_known_import(name, as_module=as_module):
            continue
        message = (
            f"the signature refers to `{name}`, which is neither built in, imported, nor the name of a node in `uses`; "
            "add the node's id to `uses` or the import statement to `imports`"
        )
        yield Problem(check="defined_names", message=message + near(name, known - {node.name}), where=node.id)


def _unannotated(definition: ast.stmt, owner: str = "") -> Iterator[str]:
    if isinstance(definition, ast.ClassDef):
        for item in definition.body:
            if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield from _unannotated(item, f"{definition.name}.")
        return
    assert isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef))
    args = _all_args(definition)
    positional = [*definition.args.posonlyargs, *definition.args.args]
    if owner and positional and "staticmethod" not in decorator_names(definition):
        args = [arg for arg in args if arg is not positional[0]]
    for arg in args:
        if arg.annotation is None:
            yield f"parameter `{arg.arg}` of `{owner}{definition.name}` has no annotation; write its type"
    if definition.returns is None:
        yield f"`{owner}{definition.name}` has no return annotation; write `-> None` when it returns nothing"


def check_module_interfaces(
    value: ModuleInterfaces, module: ModulePlan, layout: FileLayout, available: Sequence[NodeInterface] = ()
) -> list[Problem]:
    """Stage ``interfaces`` of one module. ``layout`` may hold other modules' files; ``available`` are the nodes of other
    modules, and base classes, that this one may use."""
    found = []
    if value.module != module.id:
        message = f"`module` must be `{module.id}`, not `{value.module}`"
        found.append(Problem(check="module", message=message, where=value.module))
    nodes = value.interfaces
    ids = {node.id for node in nodes} | {node.id for node in available}
    for node in nodes:
        if node.module != module.id:
            message = f"`module` must be `{module.id}`, not `{node.module}`"
            found.append(Problem(check="module", message=message, where=node.id))
        found += check_interface(node)
        found += _unknown_uses(node, ids)
        found += raises_problems(node, (*nodes, *available), interface_imports(node)[0])
    found += _features_served(nodes, module)
    found += _files_of(nodes, layout, module)
    found += node_name_problems(nodes)
    found += uses_problems(nodes)
    others = {node.name: node.id for node in available}
    for node in nodes:
        if node.name in others and others[node.name] != node.id:
            message = (
                f"the name `{node.name}` is taken by `{others[node.name]}`, which the package exports too; rename one"
            )
            found.append(Problem(check="exported_names", message=message, where=node.id))
    return found


def _unknown_uses(node: NodeInterface, ids: Iterable[str]) -> Iterator[Problem]:
    names = set(ids)
    for used in node.uses:
        if used not in names:
            hint = near(used, names - {node.id})
            message = f"`uses` names `{used}`, which is no node that `{node.id}` may use{hint}"
            yield Problem(check="uses", message=message, where=node.id, unknown=used)


def _features_served(nodes: Sequence[NodeInterface], module: ModulePlan) -> Iterator[Problem]:
    serving: dict[str, list[str]] = {feature: [] for feature in module.features}
    for node in nodes:
        if not node.features:
            message = (
                f"`{node.id}` serves no feature; name one in `features`, or make it a private helper and leave it out"
            )
            yield Problem(check="feature_interface", message=message, where=node.id)
        for feature in dict.fromkeys(node.features):
            if feature in serving:
                serving[feature].append(node.id)
            else:
                message = f"`features` names `{feature}`, which is no feature of module `{module.id}`"
                message += near(feature, serving)
                yield Problem(check="feature_interface", message=message, where=node.id, unknown=feature)
    for feature, ids in serving.items():
        if not ids:
            message = f"the feature `{feature}` has no interface; add one that names it in `features`"
            yield Problem(check="feature_interface", message=message, where=module.id, missing=True)
        elif len(ids) > 1:
            listed = ", ".join(f"`{name}`" for name in ids)
            message = f"the feature `{feature}` has {len(ids)} interfaces ({listed}); keep exactly one"
            yield Problem(check="feature_interface", message=message, where=module.id)


def _files_of(nodes: Sequence[NodeInterface], layout: FileLayout, module: ModulePlan) -> Iterator[Problem]:
    plans = {file.path: file for file in layout.files if file.module == module.id}
    home = {feature: file.path for file in plans.values() for feature in file.features}
    for node in nodes:
        if node.file not in plans:
            message = f"`file` is `{node.file}`, which is no file of module `{module.id}`{near(node.file, plans)}"
            yield Problem(check="interface_file", message=message, where=node.id, unknown=node.file)
            continue
        homes = sorted({home[feature] for feature in node.features if feature in home})
        if homes and node.file not in homes:
            message = f"`file` is `{node.file}`, but the layout gives its features to `{homes[0]}`; use that"
            yield Problem(check="interface_file", message=message, where=node.id)


def node_name_problems(nodes: Sequence[NodeInterface]) -> list[Problem]:
    """Ids unique; names unique in the package (its ``__init__`` exports them all); test files distinct in a module."""
    found = [
        Problem(check="node_id", message=f"two nodes have the id `{again}`; rename one", where=again)
        for again in repeated(node.id for node in nodes)
    ]
    by_name: dict[str, list[NodeInterface]] = {}
    by_test: dict[tuple[str, str], list[NodeInterface]] = {}
    for node in sorted(nodes, key=lambda item: item.id):
        by_name.setdefault(node.name, []).append(node)
        by_test.setdefault((node.module, snake(node.name)), []).append(node)
    for name, same in by_name.items():
        if len({node.id for node in same}) > 1:
            listed = " and ".join(f"`{node.id}`" for node in same)
            message = f"{listed} have the same name `{name}`, but the package exports each name once; rename one"
            found.append(Problem(check="exported_names", message=message, where=same[-1].id))
    for same in by_test.values():
        names = sorted({node.name for node in same})
        if len(names) > 1:
            listed = " and ".join(f"`{name}`" for name in names)
            message = f"{listed} differ only in case or underscores; rename one"
            found.append(Problem(check="exported_names", message=message, where=same[-1].id))
    return found


def uses_problems(nodes: Sequence[NodeInterface]) -> list[Problem]:
    """``uses`` has no circle; and neither have the files, which import each other as their nodes do."""
    known = {node.id for node in nodes}
    files = {node.id: node.file for node in nodes}
    found = []
    node_cycles = digraph.cycles(
        {node.id: [used for used in node.uses if used in known and used != node.id] for node in nodes}
    )
    for cycle in node_cycles:
        path = " -> ".join(f"`{name}`" for name in (*cycle, cycle[0]))
        message = f"`uses` goes in a circle: {path}; remove one of these uses"
        found.append(Problem(check="uses_acyclic", message=message, where=cycle[0]))
    needs: dict[str, set[str]] = {node.file: set() for node in nodes}
    why: dict[tuple[str, str], str] = {}
    for node in sorted(nodes, key=lambda item: item.id):
        for used in node.uses:
            if used in files and files[used] != node.file:
                needs[node.file].add(files[used])
                why.setdefault((node.file, files[used]), f"`{node.id}` uses `{used}`")
    if not node_cycles:
        for cycle in digraph.cycles(needs):
            steps = "; ".join(why[pair] for pair in zip(cycle, (*cycle[1:], cycle[0]), strict=True))
            listed = ", ".join(f"`{path}`" for path in cycle)
            message = f"the files {listed} would import each other ({steps}); move a node or remove one of these uses"
            found.append(Problem(check="file_imports", message=message, where=cycle[0]))
    return found


def imported_top_levels(node: NodeInterface) -> Mapping[str, str]:
    """Top-level modules that the interface imports from outside the standard library, with the statement."""
    found = {}
    for statement in interface_imports(node)[0]:
        modules = [alias.name for alias in statement.names] if isinstance(statement, ast.Import) else []
        if isinstance(statement, ast.ImportFrom):
            modules = [statement.module or ""]
        for module in modules:
            top = module.partition(".")[0]
            if top not in STDLIB_MODULES:
                found[top] = ast.unparse(statement)
    return found


__all__ = [
    "check_interface",
    "check_module_interfaces",
    "imported_top_levels",
    "interface_imports",
    "node_name_problems",
    "signature_names",
    "snake",
    "uses_problems",
]
