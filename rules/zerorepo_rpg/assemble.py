"""The package's files from nodes' code: modules, ``__init__`` files, tests; the whole package or what one node needs.

Knows nothing of where code comes from or how it is run; what makes it a project (pyproject, README) is in ``project``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from textwrap import fill
from typing import NamedTuple

from zerorepo_rpg.import_cycles import break_cycles
from zerorepo_rpg.interface_checks import snake
from zerorepo_rpg.merge import Part, docstring_literal, loaded_modules, merge_file
from zerorepo_rpg.plan_model import NodeInterface, Plan, module_of
from zerorepo_rpg.python_source import LINE_LENGTH, format_files


def package_files(plan: Plan, bodies: Mapping[str, str], *, description: str = "") -> dict[str, str]:
    """The whole package, path to text. Nodes without a body are left out. ``description``: the package's docstring.

    The root ``__init__`` exports every node; a subpackage's does so for its own files, unless that would make imports
    circular. What only annotations import in a circle is imported for type checking only. ValueError when a body is not Python.
    """
    # Examples, smoke tests and the repository itself are about the same package, one after the other.
    if not _last or (_last[0].plan, _last[0].bodies, _last[0].description) != (plan, bodies, description):
        _last[:] = [_Packed(plan, dict(bodies), description, _packed(plan, bodies, description))]
    return dict(_last[0].files)


class _Packed(NamedTuple):
    plan: Plan
    bodies: dict[str, str]
    description: str
    files: dict[str, str]


_last: list[_Packed] = []


def _packed(plan: Plan, bodies: Mapping[str, str], description: str) -> dict[str, str]:
    nodes = [node for node in plan.nodes() if node.id in bodies]
    files = _modules(plan, nodes, bodies)
    root = plan.package_name
    folders = _folders(files, root)
    subpackages = {f"{folder}/__init__.py": _sub_init(plan, folder, nodes) for folder in folders if folder != root}
    root_init = _init(fill(description or f"The package `{root}`.", LINE_LENGTH - 6), nodes)
    whole, _ = break_cycles({**files, **subpackages, f"{root}/__init__.py": root_init})
    if not imports_work(whole, root):
        plain = {path: _init(_folder_description(plan, str(PurePosixPath(path).parent)), ()) for path in subpackages}
        whole, _ = break_cycles({**files, **plain, f"{root}/__init__.py": root_init})
    return dict(sorted({**format_files(whole, (root,)), f"{root}/py.typed": ""}.items()))


def closure_files(
    plan: Plan, bodies: Mapping[str, str], wanted: Collection[str], *, formatted: bool = True
) -> dict[str, str]:
    """The package restricted to ``wanted`` and what they use, directly or not: to test a node alone.

    ``__init__`` files are empty, so that no unrelated node matters. ``formatted``: as the package will stand.
    KeyError for an unknown node, or one without a body.
    """
    files, inits = _closure(plan, bodies, wanted)
    made = format_files(files, (plan.package_name,)) if formatted else files
    return dict(sorted({**made, **inits}.items()))


def _closure(plan: Plan, bodies: Mapping[str, str], wanted: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Modules that are not formatted yet, and ``__init__`` files."""
    chosen = plan.closure(set(wanted))
    nodes = [node for node in plan.nodes() if node.id in chosen]
    for node in nodes:
        if node.id not in bodies:
            raise KeyError(f"no body for `{node.id}`, which {', '.join(sorted(wanted))} needs")
    files = _modules(plan, nodes, bodies)
    return files, {f"{folder}/__init__.py": "" for folder in _folders(files, plan.package_name)}


def test_path(interface: NodeInterface) -> str:
    """Where a node's tests stand in the repository."""
    return f"tests/{interface.module}/test_{snake(interface.name)}.py"


test_path.__test__ = False  # type: ignore[attr-defined]  # a name that pytest would collect


def test_files(plan: Plan, tests: Mapping[str, str], others: Mapping[str, str] | None = None) -> dict[str, str]:
    """The tests folder: one file for each node, packages so that equal file names do not clash under plain pytest.

    ``others`` are tests of several nodes, path to source.
    """
    found = {test_path(node): tests[node.id] for node in plan.nodes() if node.id in tests}
    found |= others or {}
    folders = {str(PurePosixPath(path).parent) for path in found} | ({"tests"} if found else set())
    inits = {f"{folder}/__init__.py": "" for folder in folders}
    return dict(sorted({**format_files(found, (plan.package_name,)), **inits}.items()))


test_files.__test__ = False  # type: ignore[attr-defined]


def _modules(plan: Plan, nodes: Sequence[NodeInterface], bodies: Mapping[str, str]) -> dict[str, str]:
    """The merged modules, not yet formatted: all files are formatted in one run."""
    by_file: dict[str, list[NodeInterface]] = {}
    for node in nodes:
        by_file.setdefault(node.file, []).append(node)
    described = {file.path: file.description for file in plan.layout.files}
    return {
        path: merge_file(
            path,
            [Part(node.id, node.name, bodies[node.id], node.uses) for node in here],
            docstring=described.get(path) or _names_sentence(here),
            format_result=False,
        )
        for path, here in sorted(by_file.items())
    }


def _names_sentence(nodes: Sequence[NodeInterface]) -> str:
    return f"{', '.join(f'`{node.name}`' for node in nodes)}."


def _folders(files: Mapping[str, str], root: str) -> list[str]:
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents} - {"."}
    return sorted(folders | {root})


def _folder_description(plan: Plan, folder: str) -> str:
    for module in plan.modules.modules:
        if folder == f"{plan.package_name}/{module.id}" and module.description:
            return module.description
    return f"The package `{folder.replace('/', '.')}`."


def _sub_init(plan: Plan, folder: str, nodes: Sequence[NodeInterface]) -> str:
    children = {PurePosixPath(node.file).stem for node in nodes if str(PurePosixPath(node.file).parent) == folder}
    # A function named as its file would hide the file's module.
    here = [node for node in nodes if str(PurePosixPath(node.file).parent) == folder and node.name not in children]
    return _init(_folder_description(plan, folder), here)


def _init(description: str, nodes: Sequence[NodeInterface]) -> str:
    by_module: dict[str, list[str]] = {}
    for node in nodes:
        by_module.setdefault(node.import_path, []).append(node.name)
    lines = [docstring_literal(description), ""]
    lines += [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(by_module.items())]
    if by_module:
        public = sorted({name for names in by_module.values() for name in names})
        lines += ["", f"__all__ = [{', '.join(repr(name) for name in public)}]"]
    return "\n".join(lines) + "\n"


def imports_work(files: Mapping[str, str], root: str) -> bool:
    """Whether ``import root`` loads everything without meeting a module that is still half loaded.

    Follows what Python does: the packages above a module are loaded before it, and a name imported from a module that is
    still loading is not there yet.
    """
    modules = {module_of(path): path for path in files if path.endswith(".py")}
    loads = {name: loaded_modules(files[path], modules) for name, path in modules.items()}
    state: dict[str, str] = {}
    # (module, what it has still to load, what it has just asked for); None: not begun.
    stack: list[tuple[str, list[str] | None, str]] = []

    def enter(name: str) -> None:
        parts = name.split(".")
        # Pushed last, loaded first: the packages above it.
        stack.extend((".".join(parts[:length]), None, "") for length in range(len(parts), 0, -1))

    enter(root)
    while stack:
        name, rest, asked = stack.pop()
        if rest is None:
            if name in modules and name not in state:
                state[name] = "loading"
                stack.append((name, loads[name], ""))
        elif asked and state.get(asked) == "loading":
            return False
        elif not rest:
            state[name] = "loaded"
        else:
            stack.append((name, rest[1:], rest[0]))
            enter(rest[0])
    return True


__all__ = ["closure_files", "imports_work", "package_files", "test_files", "test_path"]
