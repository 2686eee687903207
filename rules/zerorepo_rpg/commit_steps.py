"""One build as several commits, a node each: which files belong together, in which order. From two planning graphs and paths.

What cannot be committed apart without leaving a tree that does not work stays together: the nodes of one file; files that need
each other; and an interface that changed or went with whatever uses it. Knows nothing of git.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from zerorepo_rpg import digraph
from zerorepo_rpg.graph import Level
from zerorepo_rpg.interface_checks import snake
from zerorepo_rpg.merge import docstring_literal
from zerorepo_rpg.plan_model import module_of
from zerorepo_rpg.python_source import format_python

Nodes = Mapping[str, Mapping[str, Any]]
"""Nodes of a planning graph by id, as its JSON has them."""
Uses = Mapping[str, Collection[str]]
"""Node to the nodes that it uses."""


class Step(NamedTuple):
    """One commit: files that it brings up to date or removes, files that it makes up, and the nodes before and after it."""

    paths: tuple[str, ...]
    made: Mapping[str, str]
    """``__init__`` files with the names that there are by then; a later step replaces them."""
    before: str
    after: str


def commit_steps(
    old: str | None, new: str, changed: Collection[str], inits: Mapping[str, tuple[str, str]]
) -> list[Step]:
    """The steps from one state to the next, what a node uses before it; the last one takes what belongs to no node.

    ``old`` and ``new``: ``docs/rpg.json`` before (None: never committed) and now. ``changed``: paths that differ.
    ``inits``: the package's ``__init__`` files among them, each as it was ("" for none) and as it is.
    """
    before, after = _nodes(old), _nodes(new)
    owned = {path: file for file, paths in _paths_of(before, after).items() for path in paths}
    state, steps, done = before, list[Step](), set[str]()
    for unit in _units(before, after, _uses(old), _uses(new)):
        paths = {path for path in changed if owned.get(path) in unit}
        if not paths:
            continue
        was, state = state, {each: node for each, node in state.items() if node["file_path"] not in unit}
        state |= {each: node for each, node in after.items() if node["file_path"] in unit}
        # Packages of tests, so that equal names of files do not clash.
        paths |= {path for path in changed if path.startswith("tests/") and _is_init_of(path, paths)}
        known = {(module_of(str(node["file_path"])), str(node["name"])) for node in state.values()}
        folders = {path for path in inits if any(str(n["file_path"]).startswith(path[:-11]) for n in state.values())}
        made = {path: names_so_far(*inits[path], known) for path in sorted(folders)}
        steps.append(Step(tuple(sorted(paths)), made, _json(was.values()), _json(state.values())))
        done |= paths
    rest = tuple(sorted(set(changed) - done))
    whole = _json(after.values())
    return [*steps, Step(rest, {}, whole, whole)] if rest else steps


def _is_init_of(path: str, paths: Iterable[str]) -> bool:
    return path.endswith("/__init__.py") and any(each.startswith(path[:-11]) for each in paths)


def names_so_far(old: str, new: str, known: Collection[tuple[str, str]]) -> str:
    """An ``__init__`` file on its way from ``old`` to ``new``: of the names that either imports those that are ``known``."""
    trees = [_parsed(old), _parsed(new)]
    tree = trees[1] if new else trees[0]
    pairs = {
        (node.module or "", alias.name)
        for each in trees
        for node in each.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    modules = sorted(pairs & set(known))
    lines = [docstring_literal(ast.get_docstring(tree) or ""), ""]
    lines += [f"from {module} import {name}" for module, name in modules]
    public = sorted({name for _, name in modules})
    lines += ["", f"__all__ = {public!r}"] if public else []
    return format_python("\n".join(lines) + "\n")


def _parsed(text: str) -> ast.Module:
    """A file's tree; that of an empty file when somebody has committed one that does not parse."""
    try:
        return ast.parse(text)
    except SyntaxError:
        return ast.parse("")


def _nodes(text: str | None) -> dict[str, Mapping[str, Any]]:
    if text is None:
        return {}
    return {node["id"]: node for node in json.loads(text)["nodes"] if node.get("level") == Level.FEATURE}


def _uses(text: str | None) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {each: set() for each in _nodes(text)}
    for edge in json.loads(text)["edges"] if text else ():
        if edge["type"] in ("INVOCATION", "INHERITANCE") and edge["source"] in found:
            found[edge["source"]].add(edge["target"])
    return found


def _json(nodes: Iterable[Mapping[str, Any]]) -> str:
    return json.dumps({"nodes": list(nodes)})


def _paths_of(before: Nodes, after: Nodes) -> dict[str, set[str]]:
    """File of nodes to its path and those of the tests of its nodes."""
    found: dict[str, set[str]] = {}
    for node in (*before.values(), *after.values()):
        module = str(node["id"]).partition("/")[0]
        tests = f"tests/{module}/test_{snake(str(node['name']))}.py"
        found.setdefault(str(node["file_path"]), set()).update((str(node["file_path"]), tests))
    return found


def _units(before: Nodes, after: Nodes, old_uses: Uses, new_uses: Uses) -> list[tuple[str, ...]]:
    """Files that are committed together, those that others need first."""
    files = {str(node["file_path"]) for node in (*before.values(), *after.values())}
    needs: dict[str, set[str]] = {file: set() for file in sorted(files)}

    def files_of(node: str) -> set[str]:
        return {str(state[node]["file_path"]) for state in (before, after) if node in state}

    for uses in (old_uses, new_uses):
        for node, used in uses.items():
            for file in files_of(node):
                needs[file] |= files_of(node)  # one that has moved: both places
                for each in used:
                    needs[file] |= files_of(each)
                    if each in before and (each not in after or _promise(before[each]) != _promise(after[each])):
                        for place in files_of(each):
                            needs[place].add(file)
    units = {members[0]: members for members in digraph.components(needs)}
    head_of = {file: head for head, members in units.items() for file in members}
    heads = {head: {head_of[n] for file in members for n in needs[file]} - {head} for head, members in units.items()}
    return [units[head] for layer in digraph.layers(heads) for head in layer]


def _promise(node: Mapping[str, Any]) -> tuple[str, str]:
    """What whoever uses a node relies on."""
    return str(node["signature"]), str(node["file_path"])


__all__ = ["Step", "commit_steps", "names_so_far"]
