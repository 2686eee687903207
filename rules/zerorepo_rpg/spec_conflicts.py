"""What in a specification cannot all be meant: named checks by rule, each with a severity, each switchable, merged by field.

A conflict is accepted in the specification itself, ``<!-- zerorepo: accept NAME "words of it": why -->`` (the words may be left out
where NAME finds just one), or its check is turned off there (``off NAME``). Knows nothing of models or of building.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from enum import StrEnum

from zerorepo.errors import did_you_mean
from zerorepo.values import Value
from zerorepo_rpg import spec_text
from zerorepo_rpg.problem import repeated
from zerorepo_rpg.spec_text import Mention


class Severity(StrEnum):
    """ERROR stops a build unless it is accepted."""

    ERROR = "ERROR"
    WARNING = "WARNING"
    INFO = "INFO"


_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


class Conflict(Value):
    """Statements that do not go together. ``fields`` of the specification that they concern; ``lines`` count from 1.

    ``accepted`` is the reason that the specification gives for keeping it; "" when it does not.
    """

    severity: Severity
    fields: tuple[str, ...]
    checks: tuple[str, ...]
    messages: tuple[str, ...]
    lines: tuple[int, ...] = ()
    accepted: str = ""

    @property
    def stops(self) -> bool:
        """Whether it stops a build."""
        return self.severity is Severity.ERROR and not self.accepted

    def __str__(self) -> str:
        places = f"line{'s' if len(self.lines) > 1 else ''} {', '.join(map(str, self.lines))}: " if self.lines else ""
        return f"{places}{self.said}"

    @property
    def said(self) -> str:
        """What it says, without its lines."""
        return f"{'; '.join(self.messages)} [{', '.join(self.checks)}]"


_Found = Iterable[tuple[str, Sequence[int]]]


def _lines(*groups: Sequence[Mention]) -> list[int]:
    return sorted({mention.line for group in groups for mention in group})


def _words(found: Sequence[Mention]) -> str:
    return ", ".join(dict.fromkeys(mention.word for mention in found))


def _scope(text: str, name: str) -> list[Mention]:
    return [mention for mention in spec_text.scopes(text) if mention.word == name]


def _together(text: str, scope: str, words: tuple[str, ...], message: str) -> _Found:
    said, named = _scope(text, scope), spec_text.mentions(text, words)
    if said and named:
        yield message.format(_words(named)), _lines(said, named)


def _backend(text: str) -> _Found:
    return _together(
        text, "backend only", spec_text.FRONTEND, "it is backend only, and names the frontend framework {}"
    )


def _frontend(text: str) -> _Found:
    return _together(
        text, "frontend only", spec_text.BACKEND, "it is frontend only, and names the backend framework {}"
    )


def _jvm(text: str) -> _Found:
    named, languages = (
        spec_text.mentions(text, spec_text.JVM_FRAMEWORKS),
        spec_text.mentions(text, spec_text.JVM_LANGUAGES),
    )
    if named and not languages:
        yield f"{_words(named)} needs a language of the JVM, and none is named", _lines(named)


def _serverless(text: str) -> _Found:
    where, what = spec_text.mentions(text, spec_text.SERVERLESS), spec_text.mentions(text, spec_text.LONG_RUNNING)
    if where and what:
        yield f"{_words(where)} ends what runs long, and {_words(what)} runs long", _lines(where, what)


def _cli_mobile(text: str) -> _Found:
    return _together(text, "command line tool", spec_text.MOBILE, "a command line tool is not for {}")


def _library_mobile(text: str) -> _Found:
    return _together(text, "library", spec_text.MOBILE, "a Python library does not by itself run on {}")


_OPPOSITES = (
    (
        r"\b(?:offline|no network|without (?:a )?network)\b",
        r"\b(?:downloads|uploads|calls? the \w+ API|over the network|online only)\b",
        "offline and network",
    ),
    (r"\bsingle[- ]threaded\b", r"\bmulti[- ]?threaded\b", "single-threaded and multi-threaded"),
    (
        r"\bstateless\b",
        r"\b(?:keeps|holds|remembers) (?:its |the )?(?:state|sessions?)\b",
        "stateless and keeping state",
    ),
    (
        r"\b(?:only|nothing but) the standard library\b|\bno (?:third[- ]party )?dependenc",
        r"\bdepends on `?(?!nothing\b|no\b)\w+|\brequires the (?:package|library) `?\w+",
        "no dependencies and a dependency",
    ),
    (r"\bread[- ]only\b", r"\bwrites? (?:back )?to the (?:same )?(?:file|database|source)", "read-only and writing"),
)
_MUST = re.compile(r"\b(must|shall|should|may|can|does|do|is|are|will)( not|n't)?\b|\b(never|always)\b", re.IGNORECASE)


def _contradictions(text: str) -> _Found:
    positive: dict[str, int] = {}
    negative: dict[str, int] = {}
    for line in spec_text.statements(text):
        for sentence in re.split(r"(?<=[.!?])\s+", line.text):
            match = _MUST.search(sentence)
            if match:
                denies = bool(match[2]) or (match[3] or "").lower() == "never"
                core = re.sub(r"\W+", " ", f"{sentence[: match.start()]} {sentence[match.end() :]}").strip().casefold()
                (negative if denies else positive).setdefault(core, line.number)
    # In the order of the text: that of a set differs from run to run.
    for core in (each for each in positive if each in negative):
        if len(core.split()) > 1:
            yield f"`{core}` is demanded and forbidden", sorted({positive[core], negative[core]})


def _opposites(text: str) -> _Found:
    for one, other, name in _OPPOSITES:
        first = [line.number for line in spec_text.prose(text) if re.search(one, line.text, re.IGNORECASE)]
        second = [line.number for line in spec_text.prose(text) if re.search(other, line.text, re.IGNORECASE)]
        if first and second:
            yield f"it cannot be both: {name}", sorted({*first, *second})


def _duplicates(text: str) -> _Found:
    headings = [
        Mention(word=match[1].strip().casefold(), line=line.number)
        for line in spec_text.prose(text)
        if (match := re.match(r"\s{0,3}#{1,6}\s+(.*)", line.text))
    ]
    for what, found in (("heading", headings), ("component", spec_text.components(text))):
        for name in repeated(mention.word for mention in found):
            yield f"the {what} `{name}` stands twice", [mention.line for mention in found if mention.word == name]


def _endpoints_twice(text: str) -> _Found:
    found = spec_text.defined_endpoints(text)
    for name in repeated(mention.word for mention in found):
        yield f"the endpoint `{name}` stands twice", [mention.line for mention in found if mention.word == name]


def _functions_twice(text: str) -> _Found:
    found: dict[str, list[Mention]] = {}
    for mention in spec_text.defined_functions(text):
        name = re.sub(r"^(?:async )?(?:def )?", "", mention.word).partition("(")[0]
        found.setdefault(name, []).append(mention)
    for name, same in found.items():
        signatures = list(dict.fromkeys(mention.word for mention in same))
        if len(signatures) > 1:
            said = " and ".join(f"`{each}`" for each in signatures)
            yield f"the function `{name}` is given {len(signatures)} signatures: {said}", _lines(same)
        elif len(same) > 1:
            yield f"the function `{signatures[0]}` stands twice", _lines(same)


def _unknown_components(text: str) -> _Found:
    known = {mention.word.casefold(): mention.word for mention in spec_text.components(text)}
    for flow in spec_text.flows(text) if known else ():
        for name in (flow.source, flow.target):
            if name.casefold() not in known:
                hint = did_you_mean(name, known.values())
                yield f"the data flow names `{name}`, which is no component{f'; {hint}' if hint else ''}", [flow.line]


class Check(Value):
    """A named check: what it finds and how bad that is."""

    name: str
    severity: Severity
    fields: tuple[str, ...]
    find: Callable[[str], _Found]


CHECKS = {
    check.name: check
    for check in (
        Check(name="backend_with_frontend", severity=Severity.ERROR, fields=("frameworks", "scope"), find=_backend),
        Check(name="frontend_with_backend", severity=Severity.ERROR, fields=("frameworks", "scope"), find=_frontend),
        Check(name="jvm_framework", severity=Severity.WARNING, fields=("frameworks", "languages"), find=_jvm),
        Check(
            name="serverless_long_running", severity=Severity.WARNING, fields=("deployment_targets",), find=_serverless
        ),
        Check(name="cli_mobile", severity=Severity.WARNING, fields=("platforms", "scope"), find=_cli_mobile),
        Check(name="library_mobile", severity=Severity.INFO, fields=("platforms", "scope"), find=_library_mobile),
        Check(name="contradiction", severity=Severity.ERROR, fields=("constraints",), find=_contradictions),
        Check(name="opposites", severity=Severity.WARNING, fields=("constraints", "wording"), find=_opposites),
        Check(name="duplicate_name", severity=Severity.WARNING, fields=("names",), find=_duplicates),
        Check(name="duplicate_function", severity=Severity.WARNING, fields=("functions",), find=_functions_twice),
        Check(name="duplicate_endpoint", severity=Severity.WARNING, fields=("api_endpoints",), find=_endpoints_twice),
        Check(
            name="unknown_component",
            severity=Severity.ERROR,
            fields=("components", "data_flows"),
            find=_unknown_components,
        ),
    )
}
"""Every check by rule, by its name."""

MODEL = "model"
"""What a model finds, as a check: accepted and turned off like those by rule."""


def find_conflicts(text: str, without: Collection[str] = ()) -> list[Conflict]:
    """The conflicts of a specification by rule, merged, worst first. ``without``: checks that are left out.

    A directive that names no check, or nothing that we know, is itself an ERROR: who wrote it relies on it.
    """
    said = spec_text.directives(text)
    off = {*without, *(name for each in said if each.verb == "off" for name in each.checks)}
    found = [each for each in map(_directive, said) if each is not None]
    for check in CHECKS.values():
        if check.name not in off:
            mine = [
                Conflict(
                    severity=check.severity,
                    fields=check.fields,
                    checks=(check.name,),
                    messages=(message,),
                    lines=tuple(lines),
                )
                for message, lines in check.find(text)
            ]
            found += accept(mine, check.name, text)
    return merge_conflicts(found)


def accept(found: Sequence[Conflict], check: str, text: str) -> list[Conflict]:
    """What a check has found, with the reasons for which the specification keeps it.

    Words mean what they stand in, be it the message or one of the lines. Words that nothing is said of, and no words where there
    is a choice, are an ERROR themselves.
    """
    lines = text.split("\n")
    about = [_flat(" ".join([*each.messages, *(lines[number - 1] for number in each.lines)])) for each in found]
    reasons = dict[int, str]()
    wrong = []
    for each in spec_text.directives(text):
        if each.verb != "accept" or check not in each.checks:
            continue
        if not each.words and len(found) > 1:
            listed = "; ".join(f"{one.messages[0]} (line {', '.join(map(str, one.lines))})" for one in found)
            message = (
                f"`accept {check}` may mean {len(found)} conflicts: {listed}; "
                f'say which by words of it, once for each: accept {check} "words": why'
            )
            wrong.append((message, each.line))
            continue
        for number in range(len(found)) if not each.words else ():
            reasons[number] = each.reason or "accepted"
        for words in each.words:
            meant = [number for number, words_of in enumerate(about) if _flat(words) in words_of]
            if not meant:
                wrong.append((f"`accept {check}`: no conflict of that check speaks of `{words}`", each.line))
            reasons.update((number, each.reason or "accepted") for number in meant)
    kept = [each.model_copy(update={"accepted": reasons.get(number, "")}) for number, each in enumerate(found)]
    return [*kept, *(_wrong_directive(message, line) for message, line in wrong)]


def _flat(text: str) -> str:
    return " ".join(re.sub(r"[*`]", "", text).split()).casefold()


def _wrong_directive(message: str, line: int) -> Conflict:
    return Conflict(
        severity=Severity.ERROR, fields=("directives",), checks=("directive",), messages=(message,), lines=(line,)
    )


def _directive(each: spec_text.Directive) -> Conflict | None:
    unknown = [name for name in each.checks if name not in CHECKS and name != MODEL]
    if each.verb in ("accept", "off") and each.checks and not unknown:
        return None
    if each.verb not in ("accept", "off"):
        message = f"`{each.verb}` is no directive; write `<!-- zerorepo: accept CHECK: why -->` or `off CHECK`"
    else:
        hint = did_you_mean(unknown[0], CHECKS) if unknown else None
        message = f"there is no check `{unknown[0]}`{f'; {hint}' if hint else ''}"
    return _wrong_directive(message, each.line)


def merge_conflicts(conflicts: Iterable[Conflict]) -> list[Conflict]:
    """One conflict for each set of fields: all messages and lines, the worst severity. Merging again changes nothing.

    What is accepted does not merge with what is not.
    """
    merged: dict[tuple[tuple[str, ...], bool], Conflict] = {}
    for each in conflicts:
        key = (tuple(sorted(each.fields)), bool(each.accepted))
        old = merged.get(key)
        if old is None:
            merged[key] = each.model_copy(update={"fields": key[0], "lines": tuple(sorted(set(each.lines)))})
            continue
        merged[key] = Conflict(
            severity=min(old.severity, each.severity, key=_RANK.__getitem__),
            fields=key[0],
            checks=tuple(dict.fromkeys([*old.checks, *each.checks])),
            messages=tuple(dict.fromkeys([*old.messages, *each.messages])),
            lines=tuple(sorted({*old.lines, *each.lines})),
            accepted="; ".join(dict.fromkeys(filter(None, [*old.accepted.split("; "), *each.accepted.split("; ")]))),
        )
    return sorted(merged.values(), key=lambda each: (bool(each.accepted), _RANK[each.severity], each.fields))


__all__ = ["CHECKS", "MODEL", "Check", "Conflict", "Severity", "accept", "find_conflicts", "merge_conflicts"]
