"""What a model says of a specification: conflicts and suggestions, tied to lines of the text by their quotes.

An answer counts only as far as its quotes stand in the text. Pure; knows nothing of asking.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from zerorepo.target import Provider
from zerorepo.values import Value
from zerorepo_rpg import spec_text
from zerorepo_rpg.spec_conflicts import CHECKS, MODEL, Conflict, Severity, accept, merge_conflicts

FIELDS = tuple(sorted({field for check in CHECKS.values() for field in check.fields} | {"requirements"}))
"""What a conflict may concern: the words of the rules, so that conflicts of both kinds merge."""


class ModelConflict(Value):
    """A conflict as a model answers it."""

    severity: Severity
    fields: tuple[str, ...]
    message: str
    quotes: tuple[str, ...]


class ModelConflicts(Value):
    """The answer; often empty."""

    conflicts: tuple[ModelConflict, ...] = ()


class ModelSuggestion(Value):
    """A suggestion as a model answers it."""

    question: str
    proposal: str = ""
    quote: str = ""


class ModelSuggestions(Value):
    """The answer; often empty."""

    suggestions: tuple[ModelSuggestion, ...] = ()


class SpecReview(Provider):
    """What a model found: conflicts with lines, suggestions as (line, text); line 0 is the text as a whole."""

    conflicts: tuple[Conflict, ...] = ()
    suggestions: tuple[tuple[int, str], ...] = ()


def _flat(text: str) -> str:
    return " ".join(re.sub(r"[*`]", "", text).split()).casefold()


def line_of(text: str, quote: str) -> int:
    """The line, from 1, where the quoted words stand or begin; 0 when they do not stand in the text."""
    words = _flat(re.sub(r"^\s*(?:[-*+]|\d+[.)])\s+", "", quote))
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if words and words in _flat(line):
            return number
    # Over several lines: the first one from which the text reads on as the quote does.
    for number in range(len(lines), 0, -1):
        if words and words in _flat(" ".join(lines[number - 1 : number + 7])):
            return number
    return 0


def problems_of(answer: ModelConflicts, text: str) -> list[str]:
    """What keeps an answer from being used."""
    found = []
    for each in answer.conflicts:
        found += [
            f"`fields` names `{name}`; choose from {', '.join(FIELDS)}." for name in each.fields if name not in FIELDS
        ]
        found += [
            f"{quote!r} does not stand in the specification." for quote in each.quotes if not line_of(text, quote)
        ]
        if not each.quotes or not each.fields:
            found.append(f"The conflict {each.message!r} needs at least one of `quotes` and one of `fields`.")
    return found


def suggestion_problems(answer: ModelSuggestions, text: str) -> list[str]:
    """What keeps an answer from being used."""
    quotes = [each.quote for each in answer.suggestions if each.quote]
    return [f"{quote!r} does not stand in the specification." for quote in quotes if not line_of(text, quote)]


def conflicts_of(answer: ModelConflicts, text: str) -> tuple[Conflict, ...]:
    """The conflicts of an answer, accepted where the specification accepts or turns off the check ``model``."""
    if any(each.verb == "off" and MODEL in each.checks for each in spec_text.directives(text)):
        return ()
    found = [
        Conflict(
            severity=each.severity,
            fields=tuple(sorted(set(each.fields))),
            checks=(MODEL,),
            messages=(each.message.strip().rstrip("."),),
            lines=tuple(sorted({line_of(text, quote) for quote in each.quotes} - {0})),
        )
        for each in answer.conflicts
    ]
    return tuple(accept(found, MODEL, text))


def together(by_rule: Iterable[Conflict], by_model: Iterable[Conflict]) -> list[Conflict]:
    """Both kinds, merged by the fields that they concern, the worst severity kept; merging again changes nothing."""
    return merge_conflicts([*by_rule, *by_model])


def suggestions_of(answer: ModelSuggestions, text: str) -> tuple[tuple[int, str], ...]:
    """The suggestions of an answer by line, in the order of the text."""
    found = [
        (
            line_of(text, each.quote) if each.quote else 0,
            f"{each.question} ({each.proposal})" if each.proposal else each.question,
        )
        for each in answer.suggestions
    ]
    return tuple(sorted(dict.fromkeys(found)))


def listed(found: Sequence[object]) -> str:
    """For a prompt."""
    return "\n".join(f"- {each}" for each in found) or "none"


__all__ = [
    "FIELDS", "ModelConflict", "ModelConflicts", "ModelSuggestion", "ModelSuggestions", "SpecReview", "conflicts_of",
    "line_of", "listed", "problems_of", "suggestion_problems", "suggestions_of", "together",
]  # fmt: skip
