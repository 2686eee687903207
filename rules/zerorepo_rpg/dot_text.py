"""DOT, as far as graphs are written in it: nodes, edges (also chains and groups of ends), attribute lists, subgraphs.

Knows nothing of what the attributes mean. HTML labels are kept as their text; ports are left aside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from zerorepo.errors import UsageError

Attributes = dict[str, str]
Edges = list[tuple[str, str, Attributes]]

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/|^\#[^\n]*)|(?P<string>"(?:[^"\\]|\\.)*")|(?P<arrow>->|--)"""
    r"""|(?P<id>[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*|-?(?:\.\d+|\d+(?:\.\d*)?))|(?P<mark>[{}\[\]=;,:+])""",
    re.DOTALL | re.MULTILINE,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MEANS = {"n": "\n", "r": "\r", "l": "\n", "0": "\x00"}


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def _tokens(text: str, where: str) -> Iterator[_Token]:
    position, line = 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise UsageError(f"Not DOT: {text[position : position + 20]!r}", where=f"{where}:{line}")
        kind, piece = match.lastgroup or "", match[0]
        if kind == "string":
            yield _Token("id", _ESCAPE.sub(lambda found: _MEANS.get(found[1], found[1]), piece[1:-1]), line)
        elif kind != "space":
            yield _Token(kind, piece, line)
        line += piece.count("\n")
        position = match.end()
    yield _Token("end", "", line)


class _Parser:
    def __init__(self, text: str, where: str) -> None:
        self.where = where
        self.tokens = list(_tokens(text, where))
        self.at = 0
        self.nodes: dict[str, Attributes] = {}
        self.edges: Edges = []

    @property
    def next(self) -> _Token:
        return self.tokens[self.at]

    def take(self, text: str = "", kind: str = "") -> _Token | None:
        token = self.next
        if (text and (token.text != text or token.kind == "id")) or (kind and token.kind != kind):
            return None
        self.at += 1
        return token

    def word(self, *words: str) -> bool:
        if self.next.kind == "id" and self.next.text.lower() in words:
            self.at += 1
            return True
        return False

    def need(self, text: str = "", kind: str = "") -> _Token:
        found = self.take(text, kind)
        if found is None:
            shown = self.next.text or "the end"
            raise UsageError(
                f"Not DOT: {shown!r} where {text or 'a name'} is due", where=f"{self.where}:{self.next.line}"
            )
        return found

    def graph(self) -> None:
        self.word("strict")
        if not self.word("digraph", "graph"):
            self.need("digraph")
        self.take(kind="id")
        self.need("{")
        self.statements()
        self.need(kind="end")

    def statements(self) -> list[str]:
        """Everything up to the closing brace; the nodes named in it."""
        # A stack of its own instead of recursion: nesting may be as deep as a text can make it.
        open_groups: list[tuple[list[str], list[list[str]]]] = [([], [])]
        while open_groups:
            names, chain = open_groups[-1]
            # Only an arrow leaves ends in the chain: another end must follow.
            if chain and self.next.text in ("}", ";", ",") and self.next.kind != "id":
                self.need(kind="id")
            if self.take("}"):
                open_groups.pop()
                if not open_groups:
                    return names
                outer, outer_chain = open_groups[-1]
                outer += names
                outer_chain.append(names)
                self.after_end(outer_chain)
            elif self.take(";") or self.take(","):
                continue
            elif self.take("{"):
                open_groups.append(([], []))
            elif self.word("subgraph"):
                self.take(kind="id")
                self.need("{")
                open_groups.append(([], []))
            else:
                self.simple(names, chain)
        return []

    def simple(self, names: list[str], chain: list[list[str]]) -> None:
        token = self.need(kind="id")
        if token.text.lower() in ("node", "edge", "graph") and self.next.text == "[":
            self.attributes()
            return
        if self.take("="):
            self.need(kind="id")
            return
        name = self.joined(token.text)
        while self.take(":"):
            self.need(kind="id")
        self.nodes.setdefault(name, {})
        names.append(name)
        chain.append([name])
        self.after_end(chain)

    def after_end(self, chain: list[list[str]]) -> None:
        """After one end of a possible edge: an arrow goes on, anything else makes the edges of the chain."""
        if self.take(kind="arrow"):
            return
        values = self.attributes()
        if len(chain) == 1 and len(chain[0]) == 1:
            self.nodes[chain[0][0]].update(values)
        for left, right in pairwise(chain):
            self.edges += [(source, target, values) for source in left for target in right]
        chain.clear()

    def joined(self, text: str) -> str:
        while self.take("+"):
            text += self.need(kind="id").text
        return text

    def attributes(self) -> Attributes:
        found: Attributes = {}
        while self.take("["):
            while not self.take("]"):
                name = self.need(kind="id").text
                found[name] = self.joined(self.need(kind="id").text) if self.take("=") else "true"
                if not self.take(","):
                    self.take(";")
        return found


def parse(text: str, where: str = "graph.dot") -> tuple[dict[str, Attributes], Edges]:
    """The nodes with their attributes, and the edges. UsageError with the line of what is not DOT."""
    parser = _Parser(text, where)
    parser.graph()
    return parser.nodes, parser.edges


__all__ = ["Attributes", "Edges", "parse"]
