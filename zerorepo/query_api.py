"""Functions that a rule set adds to the query language (``RuleSet.query_functions``). Part of the plugin API.

A function is named by import path and is given a `QueryView` and its arguments: the labels of an expression as a frozenset of
text, a word as text, an integer or None where an optional one was left out. It answers with labels, or with a mapping from label
to a number, which then also orders the output, the highest first. It may read the workspace; it must spend and change nothing.
Knows nothing of how queries are parsed or answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from zerorepo.errors import UsageError

EXPRESSION, WORD, INTEGER = "expression", "word", "integer"


@dataclass(frozen=True, slots=True)
class QueryFunction:
    """A function by the import path of its implementation; the last ``optional`` parameters may be left out."""

    path: str
    parameters: tuple[str, ...]
    """Each ``EXPRESSION``, ``WORD`` or ``INTEGER``."""
    optional: int = 0
    summary: str = ""


class QueryView(Protocol):
    """What a function may ask."""

    @property
    def workspace(self) -> Path:
        """The workspace folder."""

    def targets(self, rule: str) -> Mapping[str, Mapping[str, Any]]:
        """Every known target of a rule: label to attributes, as plain values."""

    def exists(self, label: str) -> bool:
        """Whether there is a target or file of this label."""


class BadArgument(UsageError):
    """An argument that makes no sense: which one, counted from 0, and how many characters into it the trouble begins."""

    def __init__(self, message: str, position: int, *, offset: int = 0, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.position = position
        self.offset = offset


__all__ = ["EXPRESSION", "INTEGER", "WORD", "BadArgument", "QueryFunction", "QueryView"]
