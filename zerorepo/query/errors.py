"""What can go wrong in a query, shown with a caret under the place in the expression.

QuerySyntaxError (exit code 2): the expression is not one. QueryEvaluationError (exit code 7): it is one, and cannot be
answered. Knows nothing of graphs or of the grammar.
"""

from __future__ import annotations

from zerorepo.errors import ExitCode, QueryError

# Room for what a person reads; a program may have written an expression of a hundred thousand characters.
_BEFORE, _AFTER = 60, 40
_CUT = "…"


def caret_lines(expression: str, column: int) -> list[str]:
    """The line of the expression that holds offset ``column``, cut on both sides when it is long, and a caret under it."""
    column = max(0, min(column, len(expression)))
    start = expression.rfind("\n", 0, column) + 1
    end = expression.find("\n", column)
    line = expression[start : end if end >= 0 else len(expression)]
    # A tab would shift the caret, so it is shown as one space.
    shown, place = "".join(char if char.isprintable() else " " for char in line), column - start
    if len(shown) > place + _AFTER:
        shown = shown[: place + _AFTER] + _CUT
    if place > _BEFORE:
        shown, place = _CUT + shown[place - _BEFORE :], _BEFORE + len(_CUT)
    return [f"  {shown}", f"  {' ' * place}^"]


def _visible(text: str) -> str:
    """Text that may quote anything that was typed, with control characters written out: none may reach a terminal."""
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)


class PointedQueryError(QueryError):
    """A query error that knows its place: ``column`` counts characters of ``expression`` from 0, None when unknown."""

    def __init__(
        self, message: str, *, column: int | None = None, expression: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(_visible(message), hint=None if hint is None else _visible(hint))
        self.column = column
        self.expression = expression

    def locate(self, column: int) -> None:
        """Remember the place unless a more exact one is known already."""
        if self.column is None:
            self.column = column

    def render(self) -> str:
        """The message, the line of the expression with a caret, and the hint."""
        lines = [self.message]
        if self.expression is not None and self.column is not None:
            lines += caret_lines(self.expression, self.column)
        if self.hint:
            lines += [f"  {line}" for line in self.hint.splitlines()]
        return "\n".join(lines)


class QuerySyntaxError(PointedQueryError):
    """The expression does not follow the grammar, or an option of the query is not one."""

    exit_code = ExitCode.USAGE


class QueryEvaluationError(PointedQueryError):
    """The expression is well formed and cannot be answered: unknown target, bad regular expression, no such variable."""
