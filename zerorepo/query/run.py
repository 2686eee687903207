"""The one entry point of ``zerorepo query``: text in, text and exit code out.

Knows the order of the steps (parse, evaluate, render) and nothing of how each is done.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from zerorepo.errors import ExitCode, QueryError
from zerorepo.query.errors import PointedQueryError
from zerorepo.query.evaluator import QueryContext, evaluate
from zerorepo.query.formats import STRUCTURED_FORMATS, check_format, render
from zerorepo.query.functions import BUILTINS
from zerorepo.query.graph import Nodes, QueryGraph
from zerorepo.query.parser import FRAMES_A_LEVEL, MAX_NESTING, parse
from zerorepo.query.patterns import PatternResolver
from zerorepo.query.registry import FunctionTable
from zerorepo.query.rendering import Order, Rendering

# Bazel's query exit code for an answer that leaves something out under --keep_going.
PARTIAL_ANSWER = 3


@dataclass(frozen=True, slots=True)
class QueryResult:
    """``text`` is for standard output, ``messages`` for standard error.

    ``exit_code``: 0 (also for an empty answer), 2 for an expression or option that is wrong, 3 for a partial answer, 7
    for one that cannot be evaluated.
    """

    text: str
    exit_code: int
    messages: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Answer:
    """The nodes of an expression; ``partial`` when something was left out under ``keep_going``."""

    graph: QueryGraph
    nodes: Nodes
    ranking: dict[int, float]
    partial: bool
    messages: list[str]

    @property
    def labels(self) -> list[str]:
        """The labels of the answer, sorted."""
        return [self.graph.labels[node] for node in sorted(self.nodes)]


def evaluate_query(
    expression: str,
    graph: QueryGraph,
    *,
    cwd_package: str = "",
    keep_going: bool = False,
    universe_scope: Sequence[str] = (),
    tool_deps: bool = True,
    functions: FunctionTable = BUILTINS,
) -> Answer:
    """The answer to an expression, as nodes. Raises QuerySyntaxError (2) and QueryEvaluationError (7).

    ``universe_scope`` are patterns; with some, the functions that need a universe (``allrdeps``) exist.
    ``tool_deps=False`` follows no edges to tools. ``functions`` are `BUILTINS` or an extension of these.
    """
    if not tool_deps:
        graph = graph.without_tools
    if not universe_scope:
        functions = functions.without_universe()
    graph.reach.count_query()
    try:
        with _room_for_nesting():
            parsed = parse(expression, functions)
            context = QueryContext(graph, functions, PatternResolver(graph, cwd_package), expression, keep_going)
            if universe_scope:
                context.universe = _universe(context, universe_scope)
            nodes = evaluate(parsed, context)
    except PointedQueryError as error:
        error.expression = error.expression or expression
        raise
    return Answer(graph, nodes, context.ranking, context.partial, context.messages)


@contextmanager
def _room_for_nesting() -> Iterator[None]:
    """Room on the interpreter's stack for the deepest expression that the parser takes."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + MAX_NESTING * FRAMES_A_LEVEL)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _universe(context: QueryContext, patterns: Iterable[str]) -> Nodes:
    nodes: Nodes = frozenset()
    for pattern in patterns:
        found = context.resolver.resolve(pattern.removeprefix("-"))
        nodes = nodes - found if pattern.startswith("-") else nodes | found
    return context.graph.reach.below(nodes)


def run_query(
    expression: str,
    graph: QueryGraph,
    *,
    output: str = "label",
    order: str = "full",
    cwd_package: str = "",
    keep_going: bool = False,
    universe_scope: Sequence[str] = (),
    tool_deps: bool = True,
    functions: FunctionTable = BUILTINS,
    factored: bool = True,
    node_limit: int = 512,
    dimmed: bool = False,
) -> QueryResult:
    """Evaluate an expression and write the answer; never raises for what a user can get wrong.

    ``output`` is one of `zerorepo.query.formats.FORMATS`, ``order`` is ``full``, ``deps`` or ``no``; ``factored``,
    ``node_limit`` and ``dimmed`` are for drawings. The rest is as for `evaluate_query`.
    """
    try:
        check_format(output, order)
        answer = evaluate_query(
            expression,
            graph,
            cwd_package=cwd_package,
            keep_going=keep_going,
            # As in Bazel: the universe functions stream labels, and have no graph to draw.
            universe_scope=() if output in STRUCTURED_FORMATS and order == Order.NO else universe_scope,
            tool_deps=tool_deps,
            functions=functions,
        )
    except QueryError as error:
        return QueryResult("", int(error.exit_code), [error.render()])
    rendering = Rendering(answer.graph, answer.nodes, Order(order), answer.ranking, factored, node_limit, dimmed)
    return QueryResult(render(rendering, output), PARTIAL_ANSWER if answer.partial else ExitCode.OK, answer.messages)
