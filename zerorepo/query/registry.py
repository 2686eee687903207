"""Which functions the query language has, and what arguments each takes.

The parser reads signatures from here, the evaluator implementations; rule sets and other parts of the engine register
more (``node``, ``stale`` …) in the same way as the built-in ones. Knows nothing of graphs' content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from zerorepo.errors import UsageError
from zerorepo.query.graph import Nodes

if TYPE_CHECKING:
    from zerorepo.query.evaluator import QueryContext


class Parameter(StrEnum):
    """What the grammar expects at the place of an argument."""

    EXPRESSION = "expression"
    WORD = "word"
    INTEGER = "integer"


class Arguments:
    """The evaluated arguments of one call; asking for another kind than the signature's is a TypeError.

    ``columns``: where each stands in the expression.
    """

    def __init__(self, values: Sequence[Nodes | str | int], columns: Sequence[int] = ()) -> None:
        self._values = values
        self.columns = columns

    def __len__(self) -> int:
        return len(self._values)

    def nodes(self, position: int) -> Nodes:
        """The value of an expression."""
        value = self._values[position]
        if isinstance(value, str | int):
            raise TypeError(f"argument {position} is no expression")
        return value

    def word(self, position: int) -> str:
        """A word."""
        value = self._values[position]
        if not isinstance(value, str):
            raise TypeError(f"argument {position} is no word")
        return value

    def integer(self, position: int) -> int | None:
        """An integer, None when the optional argument was left out."""
        if position >= len(self._values):
            return None
        value = self._values[position]
        if not isinstance(value, int):
            raise TypeError(f"argument {position} is no integer")
        return value


Implementation: TypeAlias = "Callable[[QueryContext, Arguments], Nodes]"


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language.

    The last ``optional`` parameters may be left out; ``variadic`` repeats the last parameter any number of times.
    Integers are at least ``minimum``. ``needs_universe``: exists only where a universe scope is given, as in Bazel.
    """

    name: str
    parameters: tuple[Parameter, ...]
    implementation: Implementation
    optional: int = 0
    variadic: bool = False
    needs_universe: bool = False
    minimum: int = 0
    summary: str = ""

    @property
    def signature(self) -> str:
        """Such as ``deps(expression[, integer])``."""
        required = len(self.parameters) - self.optional
        text = ", ".join(self.parameters[:required])
        text += "".join(f"[, {parameter}]" for parameter in self.parameters[required:])
        return f"{self.name}({text}{', …' if self.variadic else ''})"


class FunctionTable:
    """The functions of one query; copy it to add some for one session only."""

    def __init__(self, functions: Iterable[Function] = ()) -> None:
        self._functions: dict[str, Function] = {}
        self._without_universe: FunctionTable | None = None
        for function in functions:
            self.register(function)

    def register(self, function: Function) -> None:
        """Add a function; UsageError when the name is taken."""
        if function.name in self._functions:
            raise UsageError(
                f"Query function `{function.name}` is registered twice", hint="give one of them another name"
            )
        self._functions[function.name] = function
        self._without_universe = None

    def get(self, name: str) -> Function | None:
        """The function of this name."""
        return self._functions.get(name)

    def __iter__(self) -> Iterator[Function]:
        return iter(self._functions.values())

    def extended(self, functions: Iterable[Function]) -> FunctionTable:
        """A new table with these functions too."""
        return FunctionTable([*self, *functions])

    def without_universe(self) -> FunctionTable:
        """The table without the functions that need a universe scope."""
        if self._without_universe is None:
            self._without_universe = FunctionTable(function for function in self if not function.needs_universe)
        return self._without_universe
