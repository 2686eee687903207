"""The functions of Bazel's query language, each by its definition there.

Knows nothing of syntax: arguments come evaluated.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Mapping

from zerorepo.query.errors import QueryEvaluationError
from zerorepo.query.evaluator import QueryContext
from zerorepo.query.graph import Nodes, QueryGraph
from zerorepo.query.regex import compile_java
from zerorepo.query.registry import Arguments, Function, FunctionTable, Implementation, Parameter
from zerorepo.query.suites import tests_of
from zerorepo.query.visibility import is_visible


def _deps(context: QueryContext, arguments: Arguments) -> Nodes:
    found = context.graph.reach.below(arguments.nodes(0), arguments.integer(1))
    context.check_loaded(found)
    return found


def _rdeps(context: QueryContext, arguments: Arguments) -> Nodes:
    return _ancestors(context, arguments.nodes(0), arguments.nodes(1), arguments.integer(2))


def _allrdeps(context: QueryContext, arguments: Arguments) -> Nodes:
    universe = context.universe
    if universe is None:
        raise QueryEvaluationError("`allrdeps` needs a universe scope", hint="use rdeps(//..., x)")
    return _ancestors(context, universe, arguments.nodes(0), arguments.integer(1))


def _ancestors(context: QueryContext, universe: Nodes, targets: Nodes, depth: int | None) -> Nodes:
    graph = context.graph
    if graph.missing or graph.broken:
        context.check_loaded(graph.reach.below(universe))
    return graph.reach.above_within(universe, targets, depth)


def _allpaths(context: QueryContext, arguments: Arguments) -> Nodes:
    sources, targets = arguments.nodes(0), arguments.nodes(1)
    _check_sources(context, sources)
    return context.graph.reach.between(sources, targets)


def _somepath(context: QueryContext, arguments: Arguments) -> Nodes:
    sources, targets = arguments.nodes(0), arguments.nodes(1)
    _check_sources(context, sources)
    return frozenset(context.graph.reach.path(sources, targets))


def _check_sources(context: QueryContext, sources: Nodes) -> None:
    if context.graph.missing or context.graph.broken:
        context.check_loaded(context.graph.reach.below(sources))


def _same_pkg_direct_rdeps(context: QueryContext, arguments: Arguments) -> Nodes:
    graph = context.graph
    found: set[int] = set()
    for node in arguments.nodes(0):
        package = graph.package_of(node)
        found.update(parent for parent in graph.reverse[node] if graph.package_of(parent) == package)
    return found


def _siblings(context: QueryContext, arguments: Arguments) -> Nodes:
    packages = _packages(context.graph, arguments.nodes(0))
    return frozenset().union(*map(context.graph.members, packages))


def _packages(graph: QueryGraph, nodes: Nodes) -> set[str]:
    return set(map(graph.package_of, nodes))


def _regex(text: str, function: str) -> re.Pattern[str]:
    try:
        return compile_java(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise QueryEvaluationError(
            f"Bad regular expression {text!r} in `{function}`: {error}",
            hint="put a backslash before characters meant literally, such as \\( and \\[",
        ) from None


def _kind(context: QueryContext, arguments: Arguments) -> Nodes:
    search = _regex(arguments.word(0), "kind").search
    nodes = arguments.nodes(1)
    matching = [members for kind, members in context.graph.by_kind.items() if search(kind)]
    return frozenset().union(*(members & nodes for members in matching))


def _filter(context: QueryContext, arguments: Arguments) -> Nodes:
    search = _regex(arguments.word(0), "filter").search
    labels = context.graph.labels
    return {node for node in arguments.nodes(1) if search(labels[node])}


def _attr(context: QueryContext, arguments: Arguments) -> Nodes:
    name, graph = arguments.word(0), context.graph
    search = _regex(arguments.word(1), "attr").search
    found: set[int] = set()
    for node in arguments.nodes(2) & graph.rules:
        value = graph.attribute(node, name)
        if value is not None and search(attribute_text(value)):
            found.add(node)
    return found


def attribute_text(value: object) -> str:
    """The text that ``attr`` matches against: ``1`` or ``0``, ``[a, b]``, ``{k=v}``, or the value itself."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}={attribute_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Iterable):
        return "[" + ", ".join(map(attribute_text, value)) + "]"
    return str(value)


def _labels(context: QueryContext, arguments: Arguments) -> Nodes:
    name, graph = arguments.word(0), context.graph
    found: set[int] = set()
    for node in sorted(arguments.nodes(1)):
        references = graph.infos[node].references.get(name, ())
        if not references and name == "visibility":
            references = _strings(graph.attribute(node, name))
        for label in references:
            target = graph.find(label)
            if target is None:
                context.problem(f"There is no target `{label}`, which is in `{name}` of `{graph.labels[node]}`")
            else:
                found.add(target)
    return found


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list | tuple) else []


def _tests(context: QueryContext, arguments: Arguments) -> Nodes:
    return tests_of(context.graph, arguments.nodes(0))


def _some(context: QueryContext, arguments: Arguments) -> Nodes:
    nodes, count = arguments.nodes(0), arguments.integer(1)
    if not nodes:
        raise QueryEvaluationError("`some` is asked for a member of an empty set")
    ranking = context.ranking
    # Any will do; of what a function has ranked, the highest.
    return frozenset(heapq.nsmallest(count or 1, nodes, key=lambda node: (-ranking.get(node, 0.0), node)))


def _loadfiles(context: QueryContext, arguments: Arguments) -> Nodes:
    return _files(context.graph, arguments.nodes(0), with_build_files=False)


def _buildfiles(context: QueryContext, arguments: Arguments) -> Nodes:
    return _files(context.graph, arguments.nodes(0), with_build_files=True)


def _files(graph: QueryGraph, nodes: Nodes, *, with_build_files: bool) -> Nodes:
    labels: set[str] = set()
    for package in _packages(graph, nodes):
        info = graph.packages.get(package)
        if info is None:
            continue  # that of a loaded file, whose folder need not be one
        labels.update(info.loads)
        if with_build_files:
            packages = {package, *(load[2:].partition(":")[0] for load in info.loads)}
            labels.update(build for name in packages if (build := _build_file(graph, name)))
    found = map(graph.find_file, labels)
    return frozenset(node for node in found if node is not None)


def _build_file(graph: QueryGraph, package: str) -> str | None:
    info = graph.packages.get(package)
    return info.build_file if info else None


def _rbuildfiles(context: QueryContext, arguments: Arguments) -> Nodes:
    graph = context.graph
    paths = {arguments.word(i) for i in range(len(arguments))}
    found: set[int] = set()
    for info in graph.packages.values():
        used = {label[2:].replace(":", "/").lstrip("/") for label in (info.build_file, *info.loads) if label}
        if info.build_file and used & paths:
            node = graph.find_file(info.build_file)
            found.update(() if node is None else (node,))
    return found


def _visible(context: QueryContext, arguments: Arguments) -> Nodes:
    packages = _packages(context.graph, arguments.nodes(0))
    return {node for node in arguments.nodes(1) if all(is_visible(context.graph, node, p) for p in packages)}


_E, _W, _I = Parameter.EXPRESSION, Parameter.WORD, Parameter.INTEGER


def _function(
    name: str,
    parameters: str,
    implementation: Implementation,
    summary: str,
    *,
    optional: int = 0,
    variadic: bool = False,
    needs_universe: bool = False,
    minimum: int = 0,
) -> Function:
    kinds = tuple({"e": _E, "w": _W, "i": _I}[letter] for letter in parameters)
    return Function(name, kinds, implementation, optional, variadic, needs_universe, minimum, summary)


BUILTINS = FunctionTable(
    [
        _function("deps", "ei", _deps, "x and what it depends on, to a depth", optional=1),
        _function("rdeps", "eei", _rdeps, "what depends on x within the closure of a universe", optional=1),
        _function(
            "allrdeps", "ei", _allrdeps, "what depends on x in the universe scope", optional=1, needs_universe=True
        ),
        _function("same_pkg_direct_rdeps", "e", _same_pkg_direct_rdeps, "direct dependents in the same package"),
        _function("siblings", "e", _siblings, "everything in the packages of x"),
        _function("somepath", "ee", _somepath, "one shortest path"),
        _function("allpaths", "ee", _allpaths, "everything on any path"),
        _function("kind", "we", _kind, "members of x whose kind matches"),
        _function("filter", "we", _filter, "members of x whose label matches"),
        _function("attr", "wwe", _attr, "members of x with an attribute that matches"),
        _function("labels", "we", _labels, "the labels in an attribute of x"),
        _function("tests", "e", _tests, "the tests in x, test suites expanded"),
        _function("some", "ei", _some, "any n members of x (1 when n is left out)", optional=1, minimum=1),
        _function("buildfiles", "e", _buildfiles, "the build files that define x"),
        _function("loadfiles", "e", _loadfiles, "the files that these load"),
        _function(
            "rbuildfiles",
            "w",
            _rbuildfiles,
            "the build files that use a file, given by its path",
            variadic=True,
            needs_universe=True,
        ),
        _function("visible", "ee", _visible, "members of y that every member of x may depend on"),
    ]
)
