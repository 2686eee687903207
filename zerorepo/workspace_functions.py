"""Query functions that only a workspace can answer: ``stale``, ``failed``, ``changed_since``, ``owner_of``, and rule sets' own.

Each is made for one workspace; what it needs (the engine, git, a rule set) is loaded when it is called. Knows nothing of any rule.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zerorepo.errors import UsageError, did_you_mean
from zerorepo.query.errors import QueryEvaluationError
from zerorepo.query.evaluator import QueryContext
from zerorepo.query.functions import BUILTINS
from zerorepo.query.graph import Nodes, QueryGraph
from zerorepo.query.registry import Arguments, Function, FunctionTable, Implementation, Parameter
from zerorepo.query_api import BadArgument, QueryFunction

if TYPE_CHECKING:
    from zerorepo.workspace import Workspace

BUILD_NAME, CONFIG_NAME = (
    "BUILD.toml",
    "zerorepo.toml",
)  # as in buildfile and workspace, whose import takes longer than a query
_CALLED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*\(")


def functions_of(load: Callable[[], Workspace], start: Path, expression: str) -> FunctionTable:
    """The functions that an expression may call. ``load`` gives the workspace, ``start`` is where the command was given.

    Rule sets are loaded only when the expression calls something that the engine does not have.
    """
    asked = _Asked(load, start)
    table = BUILTINS.extended(
        [
            Function("stale", (Parameter.EXPRESSION,), asked.stale, summary="what a build of x would run"),
            Function("failed", (Parameter.EXPRESSION,), asked.failed, summary="members of x that failed last"),
            Function(
                "changed_since", (Parameter.WORD,), asked.changed_since, summary="what differs from a git revision"
            ),
            Function("owner_of", (Parameter.WORD,), asked.owner_of, summary="the targets that a file belongs to"),
        ]
    )
    if all(table.get(name) for name in _CALLED.findall(expression)):
        return table
    return table.extended(
        Function(
            name,
            tuple(map(Parameter, each.parameters)),
            _of_rule_set(each, asked),
            each.optional,
            summary=each.summary,
        )
        for name, each in asked.workspace.registry.query_functions
    )


class _Asked:
    def __init__(self, load: Callable[[], Workspace], start: Path) -> None:
        self._load = load
        self._start = start

    @cached_property
    def workspace(self) -> Workspace:
        return self._load()

    def stale(self, context: QueryContext, arguments: Arguments) -> Nodes:
        from zerorepo.last_builds import stale

        def choose(labels: list[str]) -> set[str]:
            found, waiting = stale(self.workspace, labels)
            if waiting:
                context.messages.append(
                    f"note: {len(waiting)} of {len(found)} may be spared, if what they wait for turns out as before"
                )
            return found

        return _chosen(context, arguments.nodes(0), choose)

    def failed(self, context: QueryContext, arguments: Arguments) -> Nodes:
        from zerorepo.last_builds import failed

        return _chosen(context, arguments.nodes(0), lambda labels: failed(self.workspace, labels))

    def changed_since(self, context: QueryContext, arguments: Arguments) -> Nodes:
        from zerorepo.changed_since import changed_files, changed_settings, changed_tables
        from zerorepo.last_builds import asked_for

        revision, graph = arguments.word(0), context.graph
        root = self.workspace.root
        try:
            files = changed_files(root, revision)
        except UsageError as error:
            raise _at(error, arguments, 0) from None
        nodes = {node for path in files if (node := find_path(graph, path)) is not None}
        build_files = {path for path in files if _declares(graph, path)}
        places = {place for path in build_files for place in changed_tables(root, revision, path)}
        found = nodes | {node for node in graph.rules if places and graph.infos[node].location in places}
        if CONFIG_NAME in files and (sections := changed_settings(self.workspace, revision)):
            found |= _chosen(context, graph.rules, lambda labels: asked_for(self.workspace, labels, sections))
        return found

    def owner_of(self, context: QueryContext, arguments: Arguments) -> Nodes:
        text, graph = arguments.word(0), context.graph
        output = self.workspace.output_dir
        for path in _candidates(text, self._start, self.workspace.root):
            full = self.workspace.root / path
            there = _is_there(full)
            if there and full.is_relative_to(output):
                return self._maker(graph, str(full.relative_to(output)))
            if (node := find_path(graph, path)) is not None:
                return _declared_in(graph, path) if _declares(graph, path) else _owners(graph, node)
            if there:
                return frozenset()
        names = [graph.labels[node][2:].replace(":", "/").lstrip("/") for node in graph.all_nodes - graph.rules]
        raise QueryEvaluationError(
            f"There is no file `{text}`",
            column=arguments.columns[0],
            hint=did_you_mean(text, names[:2000]) or "give a path below this folder or the workspace, or a label",
        )

    def _maker(self, graph: QueryGraph, path: str) -> Nodes:
        from zerorepo.last_builds import owner

        label = owner(self.workspace, path)
        node = graph.find(label) if label else None
        return frozenset() if node is None else frozenset((node,))


def _of_rule_set(function: QueryFunction, asked: _Asked) -> Implementation:
    def call(context: QueryContext, arguments: Arguments) -> Nodes:
        from zerorepo.plugins import load_object

        graph = context.graph
        values: list[Any] = []
        for position, kind in enumerate(function.parameters):
            if kind == Parameter.EXPRESSION:
                values.append(frozenset(graph.labels[node] for node in arguments.nodes(position)))
            elif kind == Parameter.WORD:
                values.append(arguments.word(position))
            else:
                values.append(arguments.integer(position))
        try:
            found = load_object(function.path)(_View(graph, asked), *values)
        except BadArgument as error:
            raise _at(error, arguments, error.position, error.offset, context.expression) from None
        except UsageError as error:
            raise QueryEvaluationError(error.message, hint=_with_place(error)) from None
        nodes = {label: node for label in found if (node := graph.find(label)) is not None}
        if isinstance(found, Mapping):
            context.ranking.update({node: float(found[label]) for label, node in nodes.items()})
        return frozenset(nodes.values())

    return call


class _View:
    """The `QueryView` of one query."""

    def __init__(self, graph: QueryGraph, asked: _Asked) -> None:
        self._graph = graph
        self._asked = asked

    @property
    def workspace(self) -> Path:
        return self._asked.workspace.root

    def targets(self, rule: str) -> Mapping[str, Mapping[str, Any]]:
        graph = self._graph
        found = sorted(graph.by_kind.get(f"{rule} rule", ()))
        return {graph.labels[node]: graph.attributes(node) for node in found}

    def exists(self, label: str) -> bool:
        return self._graph.find(label) is not None


def _at(
    error: UsageError, arguments: Arguments, position: int, offset: int = 0, expression: str = ""
) -> QueryEvaluationError:
    column = arguments.columns[position]
    quoted = expression[column : column + 1] in ("'", '"') and bool(expression)
    return QueryEvaluationError(error.message, column=column + offset + quoted, hint=error.hint)


def _with_place(error: UsageError) -> str | None:
    return "\n".join(filter(None, (f"at {error.where}" if error.where else None, error.hint))) or None


def _chosen(context: QueryContext, nodes: Nodes, choose: Callable[[list[str]], Iterable[str]]) -> Nodes:
    """Those of the targets among ``nodes`` that are chosen by their labels."""
    graph = context.graph
    targets = sorted(nodes & graph.rules)
    found = set(choose([graph.labels[node] for node in targets])) if targets else set()
    return frozenset(node for node in targets if graph.labels[node] in found)


def find_path(graph: QueryGraph, path: str) -> int | None:
    """The file of a path relative to the workspace, in whichever package it is; None when the graph has none."""
    folder, slash, name = path.rpartition("/")
    while True:
        node = graph.find_file(f"//{folder}:{name}")
        if node is not None and not graph.infos[node].is_rule:
            return node
        if not slash or not folder:
            return None
        folder, _, last = folder.rpartition("/")
        name = f"{last}/{name}"


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False  # such as a name that is too long for any file


def _owners(graph: QueryGraph, node: int) -> Nodes:
    maker = graph.infos[node].generated_by
    if maker is not None:
        found = graph.find(maker)
        return frozenset() if found is None else frozenset((found,))
    label = graph.labels[node]
    return frozenset(
        user for user in graph.reverse[node] if any(label in each for each in graph.infos[user].references.values())
    )


def _declares(graph: QueryGraph, path: str) -> bool:
    folder, _, name = path.rpartition("/")
    # The root package is declared in two files, of which the graph names one.
    return (name == BUILD_NAME and folder in graph.packages) or path == CONFIG_NAME


def _declared_in(graph: QueryGraph, path: str) -> Nodes:
    return frozenset(node for node in graph.rules if graph.infos[node].location.rpartition(":")[0] == path)


def _candidates(text: str, start: Path, root: Path) -> list[str]:
    """Paths relative to the workspace that a word may mean: a label, or a path from here or from the workspace."""
    if text.startswith("//"):
        return [text[2:].replace(":", "/").lstrip("/")]
    found = []
    for base in (start, root):
        path = Path(base, text)
        # Not ``resolve``: a link in the workspace is the file of its own name.
        normal = Path(os.path.normpath(path))
        if normal.is_relative_to(root):
            found.append(str(normal.relative_to(root)))
    return list(dict.fromkeys(found))
