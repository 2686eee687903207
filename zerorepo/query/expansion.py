"""Expands the target patterns of ``build`` and ``test`` commands: subtraction, ``manual``, suites, tag filters.

As Bazel does: wildcards leave out targets tagged ``manual``, suites are replaced by their tests, and tests are found
pattern by pattern, so that ``-//a:suite`` takes the tests of the suite away. Knows nothing of query expressions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from zerorepo.query.errors import QueryEvaluationError
from zerorepo.query.graph import Nodes, QueryGraph
from zerorepo.query.patterns import PatternResolver
from zerorepo.query.suites import is_suite, size_of, split_filter, tag_match, tests_of

MANUAL = "manual"
_TIMEOUT_OF_SIZE = {"small": "short", "medium": "moderate", "large": "long", "enormous": "eternal"}


@dataclass(frozen=True, slots=True)
class TargetFilters:
    """The filter flags of ``build`` and ``test``; each is a list of words, those with a minus sign exclude.

    ``build_tags`` chooses what is built; the others choose what is tested.
    """

    build_tags: Sequence[str] = ()
    test_tags: Sequence[str] = ()
    test_sizes: Sequence[str] = ()
    test_timeouts: Sequence[str] = ()
    test_rules: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Expansion:
    """Sorted labels: what to build, and what of it to test. ``messages`` are patterns skipped under ``keep_going``."""

    targets: list[str]
    tests: list[str]
    messages: list[str] = field(default_factory=list)


def expand_patterns(
    graph: QueryGraph,
    patterns: Iterable[str],
    *,
    cwd_package: str = "",
    keep_going: bool = False,
    tests_only: bool = False,
    filters: TargetFilters | None = None,
) -> Expansion:
    """The targets that a build of ``patterns`` is about.

    ``tests_only`` (Bazel's ``--build_tests_only``) builds nothing that is not tested. Raises QueryEvaluationError when a
    pattern names nothing that exists; with ``keep_going`` that is a message.
    """
    filters = filters or TargetFilters()
    resolver = PatternResolver(graph, cwd_package)
    targets: set[int] = set()
    tests: set[int] = set()
    messages: list[str] = []
    for text in patterns:
        negative = text.startswith("-")
        try:
            nodes = _resolve(graph, resolver, text.removeprefix("-"), negative)
        except QueryEvaluationError as error:
            if not keep_going:
                raise
            messages.append(f"Skipped `{text}`: {error.message}")
            continue
        if negative:
            targets -= nodes
            tests -= tests_of(graph, nodes)
        else:
            targets |= nodes
            tests |= tests_of(graph, nodes)
    tests = {test for test in tests if _test_passes(graph, test, filters)}
    return Expansion(
        _labels(graph, tests if tests_only else _to_build(graph, targets, filters)), _labels(graph, tests), messages
    )


def _resolve(graph: QueryGraph, resolver: PatternResolver, text: str, negative: bool) -> Nodes:
    pattern = resolver.parse(text)
    nodes = resolver.expand(pattern)
    if negative or not pattern.wildcard:
        return nodes
    return {node for node in nodes if MANUAL not in graph.infos[node].tags}


def _to_build(graph: QueryGraph, targets: set[int], filters: TargetFilters) -> set[int]:
    suites = {node for node in targets if is_suite(graph, node)}
    chosen = (targets - suites) | tests_of(graph, suites)
    required, excluded = split_filter(filters.build_tags)
    if not required and not excluded:
        return chosen
    return {node for node in chosen if tag_match(graph.infos[node].tags, required, excluded, every=False)}


def _test_passes(graph: QueryGraph, test: int, filters: TargetFilters) -> bool:
    size = size_of(graph, test)
    timeout = graph.attribute(test, "timeout") or _TIMEOUT_OF_SIZE.get(size, "")
    checks: list[tuple[Iterable[str], Sequence[str]]] = [
        (graph.infos[test].tags, filters.test_tags),
        ([size], filters.test_sizes),
        ([str(timeout)], filters.test_timeouts),
        ([graph.infos[test].rule.removesuffix("_test")], filters.test_rules),
    ]
    return all(tag_match(values, *split_filter(words), every=False) for values, words in checks)


def _labels(graph: QueryGraph, nodes: Iterable[int]) -> list[str]:
    return [graph.labels[node] for node in sorted(nodes)]
