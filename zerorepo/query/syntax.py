"""The expressions of the query language as data, and back to text.

``unparse(parse(text))`` parses to an equal expression. Columns are offsets in the text and no part of equality.
Knows nothing of what expressions mean.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from zerorepo.query.lexer import KEYWORDS, is_word_character


class Operator(StrEnum):
    """The set operators. All have one precedence and associate to the left."""

    UNION = "+"
    EXCEPT = "-"
    INTERSECT = "^"


@dataclass(frozen=True, slots=True)
class Word:
    """A word as an argument (of ``kind``, ``attr`` …), not a target."""

    text: str
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer as an argument."""

    value: int
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Target:
    """A target pattern."""

    text: str
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Variable:
    """``$name``."""

    name: str
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SetOf:
    """``set(//a:b //c/... $x)``: the union of target patterns and variables."""

    targets: tuple[Target | Variable, ...]
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Let:
    """``let name = value in body``."""

    name: str
    value: Expression
    body: Expression
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """``first op expression op expression …``, from left to right; a flat list, so that long sums need no stack."""

    first: Expression
    rest: tuple[tuple[Operator, Expression], ...]
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function call."""

    function: str
    arguments: tuple[Expression | Word | Integer, ...]
    column: int = field(default=0, compare=False)


Expression: TypeAlias = Target | Variable | SetOf | Let | Binary | Call

VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")


def quote(word: str) -> str:
    """The word as the lexer reads it back; only a word with both kinds of quotes has no such form (ValueError)."""
    if word and word[0] != "-" and word not in KEYWORDS and all(map(is_word_character, word)):
        return word
    for mark in ('"', "'"):
        if mark not in word:
            return f"{mark}{word}{mark}"
    raise ValueError(f"no quoted form of {word!r}")


def unparse(expression: Expression) -> str:
    """The text of an expression."""
    match expression:
        case Target(text):
            return quote(text)
        case Variable(name):
            return f"${name}"
        case SetOf(targets):
            return f"set({' '.join(map(unparse, targets))})"
        case Let(name, value, body):
            return f"let {quote(name)} = {unparse(value)} in {unparse(body)}"
        case Binary(first, rest):
            return _operand(first) + "".join(f" {operator} {_operand(other)}" for operator, other in rest)
        case Call(function, arguments):
            return f"{quote(function)}({', '.join(map(_argument, arguments))})"


def _operand(expression: Expression) -> str:
    # `let` reaches as far right as it can, and a sum on the right would associate the other way.
    text = unparse(expression)
    return f"({text})" if isinstance(expression, Binary | Let) else text


def _argument(argument: Expression | Word | Integer) -> str:
    match argument:
        case Word(text):
            return quote(text)
        case Integer(value):
            return str(value)
        case _:
            return unparse(argument)
