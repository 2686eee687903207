"""TOML as a person would write it: readable multi-line strings, short arrays on one line; and where each key stands.

``tomllib`` reads but neither writes nor tells lines, and the lock needs both. Knows nothing of what is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

_WIDTH = 120
_BARE = re.compile(r"[A-Za-z0-9_-]+")
# TOML 1.0: these may stand in no literal string, and only escaped in a basic one. Tab is allowed.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def key(name: str) -> str:
    """A key, quoted only where it must be."""
    return name if _BARE.fullmatch(name) else _basic(name)


def string(text: str) -> str:
    """A string: on several lines where it has several, literal where that saves escapes."""
    if "\n" in text:
        if "'''" not in text and not text.endswith("'") and not _CONTROL.search(text):
            return f"'''\n{text}'''"
        return '"""\n' + _multi_line_basic(text) + '"""'
    if ('"' in text or "\\" in text) and "'" not in text and not _CONTROL.search(text):
        return f"'{text}'"
    return _basic(text)


def one_line(text: str) -> str:
    """A string on one line, however many the text has."""
    return _basic(text)


def _escape(char: str) -> str:
    return _ESCAPES.get(char) or f"\\u{ord(char):04X}"


def _basic(text: str) -> str:
    return '"' + re.sub(r'[\x00-\x08\x0a-\x1f\x7f"\\]', lambda match: _escape(match[0]), text) + '"'


def _multi_line_basic(text: str) -> str:
    escaped = _CONTROL.sub(lambda match: _escape(match[0]), text.replace("\\", "\\\\"))
    # Every third quote of a run, and one before the closing quotes, would end the string.
    escaped = escaped.replace('""', '"\\"')
    return escaped[:-1] + '\\"' if escaped.endswith('"') and not escaped.endswith('\\"') else escaped


def array(texts: Iterable[str]) -> str:
    """An array of strings, one a line when it would be too long for one line."""
    items = [string(text) for text in texts]
    line = f"[{', '.join(items)}]"
    if len(line) <= _WIDTH - 20 and not any("\n" in item for item in items):
        return line
    return "[\n" + "".join(f"    {item},\n" for item in items) + "]"


def table(header: str, values: Mapping[str, str | tuple[str, ...]]) -> str:
    """A table with its header line; empty strings and arrays are left out."""
    lines = [header]
    for name, value in values.items():
        if value:
            lines.append(f"{key(name)} = {string(value) if isinstance(value, str) else array(value)}")
    return "\n".join(lines) + "\n"


class Places(NamedTuple):
    """Line numbers from 1: of ``(table, number among tables of that name)``, and of ``(table, number, key)``."""

    tables: dict[tuple[str, int], int]
    keys: dict[tuple[str, int, str], int]

    def of(self, name: str, number: int, key_name: str = "") -> int:
        """The line of a key, or else of its table, or else 1."""
        return self.keys.get((name, number, key_name)) or self.tables.get((name, number), 1)


_HEADER = re.compile(r"\s*\[{1,2}\s*([^\[\]]+?)\s*\]{1,2}\s*(?:#.*)?")
_KEY = re.compile(r"""\s*([A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')\s*=""")
_PIECE = re.compile(r""""{3}|'{3}|"(?:[^"\\]|\\.)*"|'[^']*'|#.*|[\[\]]""")


def places(text: str) -> Places:
    """Where tables and keys stand in a TOML text that ``tomllib`` accepts. Lines inside strings and arrays are no keys."""
    found = Places({}, {})
    name, number, open_string, depth = "", 0, "", 0
    counts: dict[str, int] = {}
    for line_number, line in enumerate(text.split("\n"), 1):
        rest = line
        if not open_string and not depth:
            if header := _HEADER.fullmatch(line):
                name = header[1].strip("\"'")
                number = counts.get(name, 0)
                counts[name] = number + 1
                found.tables[(name, number)] = line_number
                continue
            if match := _KEY.match(line):
                found.keys[(name, number, match[1].strip("\"'"))] = line_number
                rest = line[match.end() :]
        open_string, depth = _scan(rest, open_string, depth)
    return found


def _scan(rest: str, open_string: str, depth: int) -> tuple[str, int]:
    """Which multi-line string is open, and how many arrays, after the rest of a line."""
    while rest:
        if open_string:
            end = _closing(rest, open_string)
            if end < 0:
                return open_string, depth
            rest, open_string = rest[end:], ""
            continue
        piece = _PIECE.search(rest)
        if not piece or piece[0].startswith("#"):
            return "", depth
        if piece[0] in ('"""', "'''"):
            open_string = piece[0]
        elif piece[0] in "[]":
            depth += 1 if piece[0] == "[" else -1
        rest = rest[piece.end() :]
    return open_string, depth


def _closing(rest: str, quotes: str) -> int:
    """Where the string ends: after the quotes, and after up to two more that belong to its text."""
    position = 0
    while position < len(rest):
        if quotes == '"""' and rest[position] == "\\":
            position += 2
        elif rest.startswith(quotes, position):
            end = position + 3
            while end < len(rest) and end < position + 5 and rest[end] == quotes[0]:
                end += 1
            return end
        else:
            position += 1
    return -1


__all__ = ["Places", "array", "key", "one_line", "places", "string", "table"]
