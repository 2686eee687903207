"""Conditions over attributes: ``level=FEATURE and (module=auth or not name~"^_")``.

    condition := all ("or" all)*        all := one ("and" one)*
    one       := "not" one | "(" condition ")" | KEY ("=" | "!=" | "~") VALUE

``~`` searches with a regular expression. A value with other characters stands in quotes. Upper and lower case are alike, but not in
expressions. Knows nothing of whose attributes they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from zerorepo.errors import did_you_mean
from zerorepo.query_api import BadArgument

Values = Callable[[str], Iterable[str]]
"""The values that an attribute has: one, or those of a list."""
Condition = Callable[[Values], bool]

_TOKEN = re.compile(r"""\s*(?:(?P<sign>!=|[=~()])|"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<word>[^\s=~()"'!]+))""")
_EXAMPLE = "write conditions such as level=FEATURE and module=auth"
_DEEPEST = 50


class _Token(NamedTuple):
    text: str
    at: int
    quoted: bool = False


def parse_condition(text: str, keys: Sequence[str], *, position: int) -> Condition:
    """The condition that ``text`` says. BadArgument, of the argument at ``position``, when it says none."""
    parser = _Parser(text, keys, position)
    found = parser.any_of()
    parser.end()
    return found


class _Parser:
    def __init__(self, text: str, keys: Sequence[str], position: int) -> None:
        self._keys = keys
        self._position = position
        self._depth = 0
        self._tokens = self._split(text)
        self._at = 0

    def _split(self, text: str) -> list[_Token]:
        tokens, at, stop = [], 0, len(text.rstrip())
        while at < stop:
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._wrong("this is no condition", at + len(text[at:]) - len(text[at:].lstrip()))
            kind = match.lastgroup or ""
            tokens.append(_Token(match[kind], match.start(kind), kind in ("double", "single")))
            at = match.end()
        return [*tokens, _Token("", stop)]

    def _wrong(self, message: str, at: int, hint: str = _EXAMPLE) -> BadArgument:
        return BadArgument(f"Bad condition: {message}", self._position, offset=at, hint=hint)

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self, *texts: str) -> str:
        """The next token when it is one of these (unquoted), else ""."""
        token = self._next
        if token.text.lower() in texts and not token.quoted and token.text:
            self._at += 1
            return token.text.lower()
        return ""

    def end(self) -> None:
        """Nothing may follow."""
        if self._next.text or self._next.quoted:
            raise self._wrong(f"unexpected `{self._next.text}`", self._next.at)

    def any_of(self) -> Condition:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong("too many levels of parentheses", self._next.at)
        parts = [self._all_of()]
        while self._take("or"):
            parts.append(self._all_of())
        self._depth -= 1
        return lambda values: any(part(values) for part in parts)

    def _all_of(self) -> Condition:
        parts = [self._one()]
        while self._take("and"):
            parts.append(self._one())
        return lambda values: all(part(values) for part in parts)

    def _one(self) -> Condition:
        negations = 0
        while self._take("not"):
            negations += 1
        found = self._group() if self._take("(") else self._comparison()
        return (lambda values: not found(values)) if negations % 2 else found

    def _group(self) -> Condition:
        inner = self.any_of()
        if not self._take(")"):
            raise self._wrong("expected `)`", self._next.at)
        return inner

    def _comparison(self) -> Condition:
        key = self._next
        if not key.text or key.quoted or key.text in ("=", "!=", "~", ")"):
            raise self._wrong("expected the name of an attribute", key.at)
        name = key.text.lower()
        if name not in self._keys:
            hint = did_you_mean(name, self._keys) or f"there are: {', '.join(self._keys)}"
            raise self._wrong(f"nodes have no attribute `{key.text}`", key.at, hint)
        self._at += 1
        sign = self._take("=", "!=", "~")
        if not sign:
            raise self._wrong("expected `=`, `!=` or `~`", self._next.at)
        value = self._next
        if not value.quoted and (not value.text or value.text in ("=", "!=", "~", "(", ")")):
            raise self._wrong("expected a value", value.at)
        self._at += 1
        return self._compare(name, sign, value)

    def _compare(self, name: str, sign: str, value: _Token) -> Condition:
        if sign == "~":
            try:
                search = re.compile(value.text).search
            except (re.error, OverflowError, RecursionError) as error:
                raise self._wrong(f"`{value.text}` is no regular expression: {error}", value.at) from None
            return lambda values: any(search(each) for each in values(name))
        wanted = value.text.casefold()
        if sign == "=":
            return lambda values: any(each.casefold() == wanted for each in values(name))
        return lambda values: all(each.casefold() != wanted for each in values(name))
