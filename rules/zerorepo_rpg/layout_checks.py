"""Checks on the layout of modules and files that take more than one of them, or their interfaces, to see.

Knows nothing of paths by themselves.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from zerorepo_rpg.plan_model import FilePlan, ModuleSet, NodeInterface
from zerorepo_rpg.problem import Problem

LINES_PER_FILE = 500
_BODY = 12
"""Lines of a function's body, roughly what the standard library has on average."""
_FOLDERS = 3


def hidden_modules(value: ModuleSet, named: Iterable[str]) -> list[Problem]:
    """Modules that a function or type which the specification names would hide, since the package exports each by its name."""
    names = set(named)
    return [
        Problem(
            check="module_names",
            message=f"the specification names a function or type `{module.id}`, which the package will export under that name,"
            " so that nobody could import the module; choose another name for the module",
            where=module.id,
        )
        for module in value.modules
        if module.id in names
    ]


def check_shared_folders(files: Sequence[FilePlan], module: str) -> Iterator[Problem]:
    """No folder for each feature: features that share a concept share a file, and files a folder."""
    alone = [file for file in files if len(file.features) == 1 and len(PurePosixPath(file.path).parts) > 3]
    folders = {PurePosixPath(file.path).parent for file in files}
    if len(files) >= _FOLDERS and len(alone) == len(files) == len(folders):
        message = (
            f"each of its {len(files)} features has a folder of its own; features that share a concept share a file"
        )
        yield Problem(check="folder_per_feature", message=message, where=module)


def check_file_sizes(nodes: Sequence[NodeInterface]) -> Iterator[Problem]:
    """At most about 500 lines are planned for a file, as far as its interfaces tell."""
    sizes: dict[str, int] = {}
    for node in nodes:
        sizes[node.file] = sizes.get(node.file, 0) + planned_lines(node)
    for path, lines in sorted(sizes.items()):
        if lines > LINES_PER_FILE:
            message = f"about {lines} lines are planned, at most {LINES_PER_FILE} are good; move some interfaces to another file"
            yield Problem(check="file_lines", message=message, where=path)


def planned_lines(node: NodeInterface) -> int:
    """How long a node is likely to become: its signature and docstrings, and a dozen lines for each body."""
    text = f"{node.signature}\n{node.docstring}"
    bodies = 1
    try:
        tree = ast.parse(node.signature)
        bodies = max(1, sum(isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)) for each in ast.walk(tree)))
    except SyntaxError:
        pass  # told by another check
    return text.count("\n") + 3 + _BODY * bodies


__all__ = ["LINES_PER_FILE", "check_file_sizes", "check_shared_folders", "planned_lines"]
