"""Which tests a test suite stands for, and which tests a tag filter keeps.

Knows nothing of expressions or patterns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zerorepo.query.graph import Nodes, QueryGraph

SUITE_RULE = "test_suite"
# What a suite without `tests` stands for: every test of its package that is not `manual`.
IMPLICIT_TESTS = "$implicit_tests"
DEFAULT_SIZE = "medium"


def is_suite(graph: QueryGraph, node: int) -> bool:
    """Whether the node is a test suite."""
    return graph.infos[node].rule == SUITE_RULE


def tests_of(graph: QueryGraph, nodes: Iterable[int]) -> Nodes:
    """The tests among ``nodes``, and those of the test suites among them."""
    found: set[int] = set()
    for node in nodes:
        if graph.infos[node].is_test:
            found.add(node)
        elif is_suite(graph, node):
            found |= _suite_tests(graph, node, frozenset())
    return found


def size_of(graph: QueryGraph, test: int) -> str:
    """``small``, ``medium``, ``large`` or ``enormous``."""
    size = graph.attribute(test, "size")
    return size if isinstance(size, str) else DEFAULT_SIZE


def tag_match(tags: Iterable[str], required: Sequence[str], excluded: Sequence[str], *, every: bool) -> bool:
    """Whether tags hold all (``every``) or some of those required, when there are any, and none of those excluded."""
    present = set(tags)
    if present.intersection(excluded):
        return False
    if every:
        return present.issuperset(required)
    return not required or bool(present.intersection(required))


def split_filter(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """``["a", "-b"]`` as what is required and what is excluded. A plus sign in front means nothing."""
    words = [word for word in words if word]
    required = [word.removeprefix("+") for word in words if not word.startswith("-")]
    return required, [word[1:] for word in words if word.startswith("-")]


def _suite_tests(graph: QueryGraph, suite: int, within: frozenset[int]) -> set[int]:
    if suite in within:
        return set()
    info = graph.infos[suite]
    # `manual` on a suite keeps it out of wildcards, and is no filter on its tests.
    required, excluded = split_filter(tag for tag in info.tags if tag != "manual")
    found: set[int] = set()
    nested: set[int] = set()
    for label in info.references.get("tests") or info.references.get(IMPLICIT_TESTS) or ():
        node = graph.find(label)
        if node is None:
            continue
        if graph.infos[node].is_test:
            found.add(node)
        elif is_suite(graph, node):
            nested |= _suite_tests(graph, node, within | {suite})
    # As in Bazel: what comes from another suite has been filtered by that.
    return nested | {
        test
        for test in found
        if tag_match([*graph.infos[test].tags, size_of(graph, test)], required, excluded, every=True)
    }
