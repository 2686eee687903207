"""A code base of people as a planning graph: packages, files, classes, functions and methods, and all five kinds of edges.

By syntax trees alone: nothing is imported or run. Ids are paths and names (``http/client.py::HTTPConnection.request``), so a second
scan of the same files gives the same graph. What cannot be told by names (``getattr``, values passed around) has no edge.

Edges: HIERARCHY; ORDERING from an imported file to the importing one; INHERITANCE and INVOCATION among definitions (a file that
calls when it is loaded invokes, too); DATA_FLOW from a file whose function or class makes a value to a file that takes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zerorepo.errors import UsageError
from zerorepo_rpg.graph import EdgeType, InterfaceType, Level, NodeType, RPGEdge, RPGGraph, RPGNode, Source
from zerorepo_rpg.scan_facts import Call, Definition, FileFacts, read_facts
from zerorepo_rpg.scan_names import Meaning, Names

_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages"})
_PARALLEL = 200  # files; below that, starting processes takes longer than reading
_CHUNK = 40


@dataclass(frozen=True, slots=True)
class Scan:
    """The graph, the number of files, and what could not be read, as ``path: why``."""

    graph: RPGGraph
    files: int
    unread: tuple[str, ...] = ()

    def import_cycles(self) -> list[tuple[str, ...]]:
        """Files that import each other, one shortest cycle for each group, in the direction of the imports."""
        return self.graph.cycles([EdgeType.ORDERING])


def python_files(root: Path) -> list[str]:
    """Python files below a folder, relative, sorted; hidden folders, environments and links are left aside."""
    found = []
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _SKIPPED
            and not (here / name).is_symlink()
            and not (here / name / "pyvenv.cfg").exists()
        )
        relative = here.relative_to(root)
        found += [
            (relative / name).as_posix()
            for name in files
            # A pipe of that name would keep whoever reads it waiting.
            if name.endswith(".py") and not (here / name).is_symlink() and (here / name).is_file()
        ]
    return sorted(found)


def scan(folder: Path, jobs: int = 0) -> Scan:
    """Scan a folder: a package (its paths then begin with its name) or a project of several. UsageError when there is no Python."""
    folder = folder.resolve()
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}", hint="name the folder that holds the Python code")
    root = folder.parent if (folder / "__init__.py").exists() else folder
    below = f"{folder.name}/" if root != folder else ""
    paths = [below + path for path in python_files(folder)]
    if not paths:
        raise UsageError(f"There is no Python file in {folder}", hint="name the folder that holds the Python code")
    facts = _facts(root, paths, jobs or os.cpu_count() or 1)
    return Scan(graph_of(facts), len(facts), tuple(f"{each.path}: {each.error}" for each in facts if each.error))


def _facts(root: Path, paths: Sequence[str], jobs: int) -> list[FileFacts]:
    if jobs < 2 or len(paths) < _PARALLEL:
        return read_facts(str(root), paths)
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    with ProcessPoolExecutor(min(jobs, len(chunks))) as pool:
        return [each for part in pool.map(read_facts, [str(root)] * len(chunks), chunks) for each in part]


def graph_of(files: Iterable[FileFacts]) -> RPGGraph:
    """The planning graph of scanned files."""
    names = Names(files)
    nodes = list(_folder_nodes(names.files))
    edges: dict[tuple[str, str, str, str], RPGEdge] = {}
    for path, facts in sorted(names.files.items()):
        nodes.append(_file_node(facts))
        nodes += [_definition_node(path, each, names) for each in facts.definitions]
        for edge in _file_edges(path, facts, names):
            edges.setdefault(edge.key, edge)
    return RPGGraph.build(nodes, edges.values())


def _folder_nodes(files: Iterable[str]) -> Iterable[RPGNode]:
    folders = {parent for path in files for parent in PurePosixPath(path).parents if str(parent) != "."}
    for folder in sorted(folders):
        parent = str(folder.parent)
        yield RPGNode(
            id=str(folder),
            name=folder.name,
            level=Level.MODULE,
            node_type=NodeType.FOLDER_AUGMENTED,
            parent=None if parent == "." else parent,
            folder_path=str(folder),
            source=Source.HUMAN,
        )


def _file_node(facts: FileFacts) -> RPGNode:
    folder = str(PurePosixPath(facts.path).parent)
    return RPGNode(
        id=facts.path,
        name=PurePosixPath(facts.path).name,
        level=Level.COMPONENT,
        node_type=NodeType.FILE_AUGMENTED,
        parent=None if folder == "." else folder,
        folder_path="" if folder == "." else folder,
        file_path=facts.path,
        docstring=facts.docstring,
        description=f"not read: {facts.error}" if facts.error else "",
        source=Source.HUMAN,
    )


def node_id(meaning: Meaning) -> str:
    """``http/client.py::HTTPConnection.request``; a file's id is its path."""
    path, name = meaning
    return f"{path}::{name}" if name else path


_KINDS = {"function": InterfaceType.FUNCTION, "class": InterfaceType.CLASS, "method": InterfaceType.METHOD}


def _definition_node(path: str, each: Definition, names: Names) -> RPGNode:
    owner, _, name = each.name.rpartition(".")
    folder = str(PurePosixPath(path).parent)
    return RPGNode(
        id=node_id((path, each.name)),
        name=name,
        level=Level.FEATURE,
        node_type=NodeType.FUNCTION_AUGMENTED,
        parent=node_id((path, owner)),
        folder_path="" if folder == "." else folder,
        file_path=path,
        interface_type=_KINDS[each.kind],
        signature=each.signature,
        docstring=each.docstring,
        digest=each.digest,
        source=Source.HUMAN,
    )


def _file_edges(path: str, facts: FileFacts, names: Names) -> Iterable[RPGEdge]:
    for imported in names.imported_files(path):
        yield RPGEdge(type=EdgeType.ORDERING, source=imported, target=path)
    yield from _call_edges(path, "", facts.calls, names)
    for each in facts.definitions:
        meaning = (path, each.name)
        for base in names.bases(meaning) if each.kind == "class" else ():
            # A class that is its own ancestor is no Python, but may be written.
            if meaning not in _ancestors(base, names):
                yield RPGEdge(type=EdgeType.INHERITANCE, source=node_id(meaning), target=node_id(base))
        yield from _call_edges(path, each.name, each.calls, names)


def _ancestors(meaning: Meaning, names: Names) -> set[Meaning]:
    found: set[Meaning] = set()
    work = [meaning]
    while work:
        each = work.pop()
        if each not in found:
            found.add(each)
            work += names.bases(each)
    return found


def _call_edges(path: str, caller: str, calls: Sequence[Call], names: Names) -> Iterable[RPGEdge]:
    for call in calls:
        target = _called(path, caller, call, names)
        if target is None or not target[1] or target == (path, caller):
            continue
        yield RPGEdge(type=EdgeType.INVOCATION, source=node_id((path, caller)), target=node_id(target))
        if call.used and target[0] != path:
            made = names.own[target[0]][target[1]]
            yield RPGEdge(
                type=EdgeType.DATA_FLOW,
                source=target[0],
                target=path,
                data_name=target[1],
                data_type=target[1] if made.kind == "class" else made.returns or "Any",
            )


def _called(path: str, caller: str, call: Call, names: Names) -> Meaning | None:
    owner = caller.rpartition(".")[0]
    if call.of.startswith("="):
        return names.attributes((path, call.of[1:]), call.name)
    if call.of:
        holder = names.lookup(path, call.of)
        return names.attributes(holder, call.name) if holder and names.kind(holder) == "class" else None
    if call.name.startswith("super()."):
        first, _, rest = call.name.removeprefix("super().").partition(".")
        found = names.inherited((path, owner), first) if owner else None
        return names.attributes(found, rest) if found and rest else found
    return names.lookup(path, call.name)


__all__ = ["Scan", "graph_of", "node_id", "python_files", "scan"]
