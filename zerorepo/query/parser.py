"""Parses a query expression: recursive descent over Bazel's grammar.

    expression := primary ((+ | - | ^ | union | except | intersect) primary)*
    primary    := WORD | $NAME | '(' expression ')' | 'set' '(' WORD* ')'
                | 'let' WORD '=' expression 'in' expression | WORD '(' arguments ')'

Knows the functions' signatures, and nothing of which targets exist.
"""

from __future__ import annotations

import re

from zerorepo.errors import did_you_mean
from zerorepo.query.errors import QuerySyntaxError
from zerorepo.query.lexer import Token, TokenKind, tokenize
from zerorepo.query.registry import Function, FunctionTable, Parameter
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

MAX_NESTING = 1000
FRAMES_A_LEVEL = 8
"""At most so many frames of the interpreter's stack does a level take, here and in the evaluator."""
MAX_INTEGER = 2**31 - 1

_OPERATORS = {
    "+": Operator.UNION,
    "union": Operator.UNION,
    "-": Operator.EXCEPT,
    "except": Operator.EXCEPT,
    "^": Operator.INTERSECT,
    "intersect": Operator.INTERSECT,
}


def parse(text: str, functions: FunctionTable) -> Expression:
    """The expression that ``text`` says. QuerySyntaxError, with the column, when it says none."""
    parser = _Parser(text, functions)
    return parser.whole()


class _Parser:
    def __init__(self, text: str, functions: FunctionTable) -> None:
        self._text = text
        self._functions = functions
        self._tokens = tokenize(text)
        self._position = 0
        self._nesting = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._position]

    def _advance(self) -> Token:
        token = self._next
        self._position += 1
        return token

    def _error(self, message: str, token: Token, hint: str | None = None) -> QuerySyntaxError:
        return QuerySyntaxError(f"Syntax error: {message}", column=token.column, expression=self._text, hint=hint)

    def _unexpected(self, expected: str, hint: str | None = None) -> QuerySyntaxError:
        token = self._next
        found = "the expression ends" if token.kind is TokenKind.END else f"there is `{token.text}`"
        if token.kind is TokenKind.KEYWORD and hint is None:
            hint = f'`{token.text}` is a keyword; a target of this name is written "{token.text}"'
        return self._error(f"expected {expected}, but {found}", token, hint)

    def _expect(self, text: str) -> None:
        if not self._next.is_(text):
            raise self._unexpected(f"`{text}`")
        self._position += 1

    def _word(self, what: str) -> Token:
        if self._next.kind is not TokenKind.WORD:
            raise self._unexpected(what)
        return self._advance()

    def whole(self) -> Expression:
        if len(self._tokens) == 1:
            raise self._error("the expression is empty", self._next, hint="try //... for every target")
        expression = self._expression()
        token = self._next
        if token.kind is not TokenKind.END:
            message = f"unexpected `{token.text}` after a complete expression"
            before = self._tokens[self._position - 1]
            raise self._error(message, token, _after_expression_hint(before, token))
        return expression

    def _expression(self) -> Expression:
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise self._error(
                f"more than {MAX_NESTING:,} levels of nesting",
                self._next,
                hint="name inner parts with `let`, or use set()",
            )
        column = self._next.column
        first = self._primary()
        rest: list[tuple[Operator, Expression]] = []
        while (token := self._next).kind in (TokenKind.PUNCTUATION, TokenKind.KEYWORD) and token.text in _OPERATORS:
            self._position += 1
            rest.append((_OPERATORS[token.text], self._primary()))
        self._nesting -= 1
        return Binary(first, tuple(rest), column) if rest else first

    def _primary(self) -> Expression:
        token = self._next
        if token.kind is TokenKind.WORD:
            return self._word_or_call()
        if token.is_("("):
            self._position += 1
            inner = self._expression()
            self._expect(")")
            return inner
        if token.is_("let"):
            return self._let()
        if token.is_("set"):
            return self._set()
        hint = "in an expression, write `//... - //a/...`, not `-//a/...`" if token.is_("-") else None
        raise self._unexpected("a target pattern or a function", hint)

    def _let(self) -> Let:
        column = self._advance().column
        name = self._word("a variable name").text
        self._expect("=")
        value = self._expression()
        self._expect("in")
        return Let(name, value, self._expression(), column)

    def _set(self) -> SetOf:
        column = self._advance().column
        self._expect("(")
        targets: list[Target | Variable] = []
        while self._next.kind is TokenKind.WORD:
            targets.append(self._target(self._advance()))
        if not self._next.is_(")"):
            hint = "set() takes target patterns with spaces between them; join expressions with +"
            raise self._unexpected("a target pattern or `)`", hint)
        self._position += 1
        return SetOf(tuple(targets), column)

    def _word_or_call(self) -> Expression:
        token = self._advance()
        if self._next.is_("("):
            return self._call(token)
        return self._target(token)

    def _target(self, token: Token) -> Target | Variable:
        if match := VARIABLE.fullmatch(token.text):
            return Variable(match[1], token.column)
        if token.text.startswith(("-", "*")):
            hint = "subtract with `x - y` or `x except y`; a target of this name is written with a colon, as in `:-x`"
            raise self._error(f"a target pattern may not begin with `{token.text[0]}`", token, hint)
        return Target(token.text, token.column)

    def _call(self, name: Token) -> Call:
        function = self._functions.get(name.text)
        if function is None:
            known = [known.name for known in self._functions]
            hint = did_you_mean(name.text, known) or f"there are: {', '.join(sorted(known))}"
            raise self._error(f"there is no function `{name.text}`", name, hint)
        self._expect("(")
        arguments: list[Expression | Word | Integer] = []
        required = len(function.parameters) - function.optional
        while function.variadic or len(arguments) < len(function.parameters):
            if len(arguments) >= required and self._next.is_(")"):
                break
            if arguments:
                self._comma(function, enough=len(arguments) >= required)
            parameter = function.parameters[min(len(arguments), len(function.parameters) - 1)]
            arguments.append(self._argument(function, parameter))
        if not self._next.is_(")"):
            raise self._unexpected("`)`", f"the function is {function.signature}")
        self._position += 1
        return Call(function.name, tuple(arguments), name.column)

    def _comma(self, function: Function, *, enough: bool) -> None:
        if not self._next.is_(","):
            wanted = "`)`, or `,` and another argument" if enough else "`,` and another argument"
            raise self._unexpected(wanted, f"the function is {function.signature}")
        self._position += 1

    def _argument(self, function: Function, parameter: Parameter) -> Expression | Word | Integer:
        if parameter is Parameter.EXPRESSION:
            return self._expression()
        if self._next.kind is not TokenKind.WORD:
            what = "an integer" if parameter is Parameter.INTEGER else "a word"
            raise self._unexpected(what, f"the function is {function.signature}")
        token = self._advance()
        if parameter is Parameter.WORD:
            return Word(token.text, token.column)
        if not re.fullmatch("[0-9]{1,10}", token.text) or int(token.text) > MAX_INTEGER:
            raise self._error(
                f"expected an integer, but there is `{token.text}`", token, f"the function is {function.signature}"
            )
        if int(token.text) < function.minimum:
            raise self._error(f"`{function.name}` needs an integer of {function.minimum} or more", token)
        return Integer(int(token.text), token.column)


def _after_expression_hint(before: Token, token: Token) -> str | None:
    if (
        token.kind is TokenKind.WORD
        and before.kind is TokenKind.WORD
        and before.column + len(before.text) == token.column
    ):
        return f'put quotes around words with such characters, as in "{before.text}{token.text}"'
    if token.kind is TokenKind.WORD:
        return "join two expressions with +, - or ^, or write set(a b)"
    if token.is_("="):
        return "put quotes around a target whose name has such a character"
    return None
