"""Splits a query expression into words, punctuation and keywords, as Bazel's lexer does.

Knows nothing of the grammar. A quoted word may hold anything but its own quote; it is never a keyword. A word may begin with any
character, and goes on with those that names usually have.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from zerorepo.query.errors import QuerySyntaxError

KEYWORDS = frozenset({"let", "in", "set", "union", "except", "intersect"})
_PUNCTUATION = frozenset("(),=+-^")
_BLANKS = frozenset(" \n\t\r")
_WORD_MARKS = frozenset("*/@.-_:$~[]")
# Most words; letters of other alphabets are met one by one.
_PLAIN_WORD = re.compile(r"[A-Za-z0-9*/@._:$~\[\]-]+")


class TokenKind(StrEnum):
    """What a token is; punctuation and keywords are told apart by their text."""

    WORD = "word"
    KEYWORD = "keyword"
    PUNCTUATION = "punctuation"
    END = "end"


class Token(NamedTuple):
    """``column`` is the offset in the expression, from 0."""

    kind: TokenKind
    text: str
    column: int

    def is_(self, text: str) -> bool:
        """Whether this is the given punctuation or keyword (never a word that happens to read the same)."""
        return self.text == text and self.kind in (TokenKind.KEYWORD, TokenKind.PUNCTUATION)


def is_word_character(char: str) -> bool:
    """Whether an unquoted word may hold it."""
    return char.isalnum() or char in _WORD_MARKS


def tokenize(text: str) -> list[Token]:
    """All tokens, an END token last. QuerySyntaxError on an unclosed quote."""
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        char = text[position]
        if char in _BLANKS:
            position += 1
        elif char in "\"'":
            end = text.find(char, position + 1)
            if end < 0:
                raise QuerySyntaxError(
                    "Syntax error: this quote is never closed",
                    column=position,
                    expression=text,
                    hint=f"close it with another {char}",
                )
            tokens.append(Token(TokenKind.WORD, text[position + 1 : end], position))
            position = end + 1
        elif char in _PUNCTUATION:
            tokens.append(Token(TokenKind.PUNCTUATION, char, position))
            position += 1
        else:
            plain = _PLAIN_WORD.match(text, position)
            end = plain.end() if plain else position + 1
            while end < len(text) and is_word_character(text[end]):
                end += 1
            word = text[position:end]
            tokens.append(Token(TokenKind.KEYWORD if word in KEYWORDS else TokenKind.WORD, word, position))
            position = end
    tokens.append(Token(TokenKind.END, "", len(text)))
    return tokens
