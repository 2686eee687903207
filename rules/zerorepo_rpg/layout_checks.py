"""Checks on the layout of files that take more than one file, or their interfaces, to see. Knows nothing of paths by themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from zerorepo_rpg.plan_model import FilePlan, NodeInterface
from zerorepo_rpg.problem import Problem

LINES_PER_FILE = 500
_BODY = 12
"""Lines of a function's body, roughly what the standard library has on average."""
_FOLDERS = 3


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
