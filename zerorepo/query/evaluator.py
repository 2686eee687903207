"""Evaluates a parsed expression over a graph to a set of nodes.

One recursive function over the syntax tree; what functions do is in functions.py. Knows nothing of output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from zerorepo.errors import did_you_mean
from zerorepo.query.errors import QueryEvaluationError
from zerorepo.query.graph import Nodes, QueryGraph
from zerorepo.query.patterns import PatternResolver
from zerorepo.query.registry import Arguments, FunctionTable
from zerorepo.query.syntax import (
    VARIABLE,
    Binary,
    Call,
    Expression,
    Integer,
    Let,
    Operator,
    SetOf,
    Target,
    Variable,
    Word,
)

_EMPTY: Nodes = frozenset()
_NO_VARIABLES: Mapping[str, Nodes] = {}


@dataclass
class QueryContext:
    """What functions see of the query they are called in.

    ``universe`` is the closure of the universe scope, None without one. A function that orders its result (``cost``)
    puts numbers in ``ranking``: line formats then list higher numbers first.
    """

    graph: QueryGraph
    functions: FunctionTable
    resolver: PatternResolver
    expression: str
    keep_going: bool = False
    universe: Nodes | None = None
    messages: list[str] = field(default_factory=list)
    ranking: dict[int, float] = field(default_factory=dict)
    partial: bool = False
    _column: int = 0

    def problem(self, message: str, *, hint: str | None = None, column: int | None = None) -> None:
        """Something that spoils a part of the answer: an error, or with ``keep_going`` a message."""
        error = QueryEvaluationError(
            message, column=self._column if column is None else column, expression=self.expression, hint=hint
        )
        if not self.keep_going:
            raise error
        self.partial = True
        text = error.render()
        if text not in self.messages:
            self.messages.append(text)

    def resolve(self, text: str, column: int | None = None) -> Nodes:
        """The nodes of a target pattern; a pattern that names nothing is a `problem`."""
        try:
            nodes = self.resolver.resolve(text)
        except QueryEvaluationError as error:
            self.problem(error.message, hint=error.hint, column=column)
            return _EMPTY
        # A broken package may have no nodes at all, and still spoils the patterns that cover it.
        if self.graph.has_broken_packages:
            for message in self.resolver.broken_packages(text):
                self.problem(message, column=column)
        return nodes

    def check_loaded(self, nodes: Nodes) -> None:
        """Whatever is missing or broken among the dependencies of ``nodes`` is a `problem`."""
        graph = self.graph
        for node in sorted(filter(nodes.__contains__, graph.missing)):
            for label in graph.missing[node]:
                location = graph.infos[node].location
                where = f" ({location})" if location else ""
                self.problem(f"`{graph.labels[node]}`{where} depends on `{label}`, which does not exist")
        for package in sorted({graph.package_of(node) for node in graph.broken & nodes}):
            self.problem(graph.packages[package].error or f"Package `//{package}` has errors")

    def at(self, column: int) -> None:
        """Problems reported from now on, with no column of their own, are at this one."""
        self._column = column


def evaluate(expression: Expression, context: QueryContext) -> Nodes:
    """The nodes that an expression stands for.

    Raises QueryEvaluationError, with its column, where a part of it cannot be answered; with ``keep_going`` a missing
    target is a message in the context instead, and ``context.partial`` is set.
    """
    return _evaluate(expression, context, _NO_VARIABLES)


def _evaluate(expression: Expression, context: QueryContext, variables: Mapping[str, Nodes]) -> Nodes:
    match expression:
        case Target(text, column):
            return context.resolve(text, column)
        case Variable(name, column):
            if name not in variables:
                hint = did_you_mean(name, variables) or "variables are bound by `let name = … in …`"
                raise QueryEvaluationError(
                    f"There is no variable `${name}` here", column=column, expression=context.expression, hint=hint
                )
            return variables[name]
        case SetOf(targets):
            return frozenset().union(*(_evaluate(target, context, variables) for target in targets))
        case Let(name, value, body, column):
            if not VARIABLE.fullmatch(f"${name}"):
                raise QueryEvaluationError(
                    f"`{name}` is no name for a variable",
                    column=column,
                    expression=context.expression,
                    hint="a name begins with a letter or _, and goes on with letters, digits and _",
                )
            return _evaluate(body, context, {**variables, name: _evaluate(value, context, variables)})
        case Binary(first, rest):
            result = _evaluate(first, context, variables)
            for operator, other in rest:
                result = _COMBINE[operator](result, _evaluate(other, context, variables))
            return result
        case Call():
            return _call(expression, context, variables)


_COMBINE: Mapping[Operator, Callable[[Nodes, Nodes], Nodes]] = {
    Operator.UNION: lambda a, b: a | b,
    Operator.EXCEPT: lambda a, b: a - b,
    Operator.INTERSECT: lambda a, b: a & b,
}


def _call(call: Call, context: QueryContext, variables: Mapping[str, Nodes]) -> Nodes:
    function = context.functions.get(call.function)
    if function is None:
        raise QueryEvaluationError(f"There is no function `{call.function}`", column=call.column)
    values: list[Nodes | str | int] = []
    for argument in call.arguments:
        match argument:
            case Word(text):
                values.append(text)
            case Integer(value):
                values.append(value)
            case _:
                values.append(_evaluate(argument, context, variables))
    context.at(call.column)
    try:
        return function.implementation(context, Arguments(values, [each.column for each in call.arguments]))
    except QueryEvaluationError as error:
        error.locate(call.column)
        error.expression = context.expression
        raise
