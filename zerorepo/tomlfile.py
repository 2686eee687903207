"""TOML with line numbers, so that an error can say where. Knows nothing of what the tables mean."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import tomli
from pydantic import BaseModel, ValidationError

from zerorepo.errors import UsageError, did_you_mean

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
_TOKEN = re.compile(r"""\"\"\"|'''|"(?:\\.|[^"\\])*"|'[^']*'|[\[\]{}]|#.*""")
_WHOLE = re.compile(
    r"""\s*[A-Za-z0-9_-]+\s*=\s*(?:"[^"\\]*"(?!")|[0-9A-Za-z.+-]+|\[\s*(?:"[^"\\]*"(?!")\s*(?:,\s*|(?=\])))*\])\s*$"""
)
"""A line that opens nothing: a key with a word, a plain string, or an array of these. Most lines are so."""
_KEY = re.compile(r"""\s*("?[A-Za-z0-9_\-. ]+"?)\s*=""")

KEPT: dict[Path, str | None] = {}
"""Texts that count in place of what is in these files: the last good ones, for a watch. None: as if the file were empty."""


@dataclass
class TomlFile:
    """``data`` as tomli gives it; ``name`` for messages."""

    name: str
    data: dict[str, Any]
    text: str = field(repr=False)
    overridden: list[tuple[str, str, str]] = field(default_factory=list)
    """(table, key, where) of values that do not come from the file but from the command line."""

    @classmethod
    def load(cls, path: Path, name: str) -> TomlFile:
        """Read and parse; UsageError naming file and line when it cannot."""
        try:
            text = (KEPT[path] or "") if path in KEPT else path.read_bytes().decode()
        except FileNotFoundError:
            raise UsageError(f"There is no {name}", where=name) from None
        except UnicodeDecodeError as error:
            raise UsageError(f"{name} is not UTF-8 (byte {error.start})", where=name) from None
        except OSError as error:
            raise UsageError(f"Cannot read {name}: {error.strerror}", where=name) from None
        try:
            data = tomli.loads(text)
        except tomli.TOMLDecodeError as error:
            line = re.search(r"line (\d+)", str(error))
            where = f"{name}:{line[1]}" if line else f"{name}:{text.count(chr(10)) + 1}"
            raise UsageError(f"Not valid TOML: {error}", where=where) from None
        return cls(name, data, text)

    @cached_property
    def lines(self) -> dict[tuple[str, int, str], int]:
        """(table, index, key) to a line number from 1."""
        return _index(self.text)

    def where(self, table: str, key: str = "", index: int = 0) -> str:
        """``file:line`` of a table or of a key in it."""
        for place in self.overridden:
            if place[:2] == (table, key) or (
                not key and index == 0 and place[0] == table and (table, 0, "") not in self.lines
            ):
                return place[2]
        line = (
            self.lines.get((table, index, key)) or self.lines.get((table, index, "")) or self.lines.get(("", 0, table))
        )
        return f"{self.name}:{line}" if line else self.name

    def invalid(
        self, error: ValidationError, model: type[BaseModel], what: str, place: tuple[str, int] | tuple[str]
    ) -> UsageError:
        """A pydantic error as one of ours: the first problem, its line, and near misses for an unknown key."""
        problems = error.errors(include_url=False)
        # A misspelt key also makes the right one missing: the misspelling is what to show.
        first = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
        key = str(first["loc"][0]) if first["loc"] else ""
        where = self.where(place[0], key, place[1] if len(place) > 1 else 0)
        known = list(model.model_fields)
        if first["type"] == "extra_forbidden":
            return UsageError(
                f"Unknown key `{key}` in {what}",
                where=where,
                hint=did_you_mean(key, known) or f"known keys: {', '.join(known)}",
            )
        if first["type"] == "missing":
            return UsageError(f"{what} needs `{key}`", where=where)
        at = ".".join(str(part) for part in first["loc"])
        return UsageError(f"Bad `{at}` in {what}: {first['msg'].removeprefix('Value error, ')}", where=where)


def _index(text: str) -> dict[tuple[str, int, str], int]:
    """Line numbers of tables and keys. What is inside multi-line strings and arrays is passed over."""
    lines: dict[tuple[str, int, str], int] = {}
    counts: dict[str, int] = {}
    table, index, fence, depth = "", 0, "", 0
    for number, line in enumerate(text.splitlines(), 1):
        inside = bool(fence) or depth > 0
        if not inside and (header := _HEADER.match(line)):
            table = header[2].strip().strip('"')
            if header[1] == "[[":
                index = counts.get(table, 0)
                counts[table] = index + 1
            else:
                index = 0
            lines.setdefault((table, index, ""), number)
            continue
        if not inside and (key := _KEY.match(line)):
            lines.setdefault((table, index, key[1].strip().strip('"')), number)
            if _WHOLE.match(line):
                continue
        fence, depth = _follow(line, fence, depth)
    return lines


def _follow(line: str, fence: str, depth: int) -> tuple[str, int]:
    """The open multi-line quote and the number of open brackets after ``line``."""
    at = 0
    while at < len(line):
        if fence:
            end = line.find(fence, at)
            if end < 0:
                return fence, depth
            at, fence = end + 3, ""
            continue
        token = _TOKEN.search(line, at)
        if token is None or token[0].startswith("#"):
            break
        if token[0] in ('"""', "'''"):
            fence = token[0]
        elif token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth = max(0, depth - 1)
        at = token.end()
    return fence, depth
