"""Refinement of a specification: a sentence added or removed, a question answered, as an edit of the text itself.

Pure: text in, text out, and one line of history. What is not concerned stays, to the byte. Knows nothing of files.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence

from pydantic import ValidationError

from zerorepo.errors import UsageError, did_you_mean
from zerorepo_rpg.naming import slug
from zerorepo_rpg.spec_model import Refinement, RepositorySpec
from zerorepo_rpg.spec_sections import split_sections
from zerorepo_rpg.spec_text import prose

CLARIFICATIONS = "Clarifications"


def history_path(spec: str) -> str:
    """The file of a specification's history, beside it: one JSON object a line, to be checked in."""
    return f"{spec}.history.jsonl"


def parse_history(text: str) -> tuple[Refinement, ...]:
    """The refinements of a history; a line that is none is left aside (someone merged by hand)."""
    found = []
    for line in text.splitlines():
        try:
            found.append(Refinement.model_validate_json(line))
        except ValidationError:
            continue
    return tuple(found)


def history_line(refinement: Refinement) -> str:
    """The line of a refinement."""
    return json.dumps(refinement.model_dump(exclude_defaults=True), ensure_ascii=False) + "\n"


def add(text: str, statement: str, section: str = "") -> tuple[str, Refinement]:
    """``statement`` as a list item at the end of a section, named by heading or id; else of the last one that has a list.

    UsageError when there is no such section, or the specification says it already.
    """
    words = " ".join(statement.split())
    if not words:
        raise UsageError("There is nothing to add")
    if _flat(words).rstrip(".") in _sentences(text):
        raise UsageError(f"The specification says so already: {words}")
    sections = split_sections(text)
    if section:
        wanted = slug(section, fallback="")
        chosen = next(
            (each for each in sections if each.id == section or slug(each.heading, fallback="") == wanted), None
        )
        if chosen is None:
            names = [each.heading or each.id for each in sections]
            hint = did_you_mean(section, [*names, *(each.id for each in sections)]) or f"there are: {', '.join(names)}"
            raise UsageError(f"The specification has no section `{section}`", hint=hint)
    else:
        skipped = (slug(CLARIFICATIONS), "references")
        listed = [each for each in sections if re.search(r"(?m)^\s*[-*+] ", each.text) and each.id not in skipped]
        chosen = (listed or list(sections))[-1]
    lines = text.split("\n")
    following = [each.line for each in sections if each.line > chosen.line]
    end = min(following) - 1 if following else len(lines)
    while end > 0 and not lines[end - 1].strip():
        end -= 1
    marker = next((m[1] for line in reversed(lines[chosen.line - 1 : end]) if (m := re.match(r"([-*+]) ", line))), "-")
    in_list = end > 0 and re.match(r"\s*[-*+] |\s+\S", lines[end - 1]) is not None
    new = [f"{marker} {words}"] if in_list else ["", f"{marker} {words}"]
    rest = lines[end:] if any(line.strip() for line in lines[end:]) or following else [""]
    return "\n".join([*lines[:end], *new, *rest]), Refinement(action="add", text=words, section=chosen.id)


def _sentences(text: str) -> set[str]:
    """What the text says, as whole list items, paragraphs and sentences: a part of one may well be said by itself."""
    found: set[str] = set()
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*+]|\d+[.)])\s|\s{0,3}#)", text):
        plain = " ".join(re.sub(r"^\s*(?:[-*+]|\d+[.)])\s+", "", block).split())
        found |= {_flat(each).rstrip(".") for each in (plain, *re.split(r"(?<=[.!?])\s+", plain))}
    return found


def remove(text: str, wanted: str, spec: RepositorySpec) -> tuple[str, Refinement]:
    """The text without a requirement, named by its id or by its words. UsageError when it is not there, or not only once."""
    requirement = spec.requirement(wanted)
    words = requirement.text if requirement else " ".join(wanted.split())
    pattern = re.compile(r"\s+".join(re.escape(word) for word in words.split()), re.IGNORECASE)
    matches = list(pattern.finditer(text))
    if not matches:
        matches = list(re.compile(pattern.pattern.replace(r"\s+", r"[\s*]+"), re.IGNORECASE).finditer(text))
    if not matches:
        hint = did_you_mean(wanted, [each.id for each in spec.requirements])
        raise UsageError(
            f"The specification does not say `{wanted}`", hint=hint or "`zerorepo spec show` lists the ids"
        )
    if len(matches) > 1:
        lines = ", ".join(str(text.count("\n", 0, each.start()) + 1) for each in matches)
        raise UsageError(
            f"The specification says that {len(matches)} times (lines {lines})", hint="give more of its words"
        )
    start, end = _grown(text, matches[0].start(), matches[0].end(), whole=requirement is None)
    removed = " ".join(text[start:end].split())
    return _without(text, start, end), Refinement(
        action="remove",
        text=re.sub(r"^[-*+] ", "", removed),
        section=requirement.section if requirement else _section_at(text, start),
    )


def _grown(text: str, start: int, end: int, *, whole: bool) -> tuple[int, int]:
    """A few words stand for the list item or line that they are in; a requirement is removed exactly."""
    first, last = _item_at(text, start)
    inside = text[first:last]
    alone = _flat(re.sub(r"^\s*(?:[-*+]|\d+[.)])\s+", "", inside)).rstrip(".") == _flat(text[start:end]).rstrip(".")
    return (first, last) if alone or (whole and "\n\n" not in inside) else (start, end)


def _item_at(text: str, position: int) -> tuple[int, int]:
    """Where the list item or paragraph around a position begins and ends."""
    lines = text.split("\n")
    number = text.count("\n", 0, position)
    first = number
    while first > 0 and lines[first - 1].strip() and not re.match(r"\s*(?:[-*+]|\d+[.)]) |\s{0,3}#", lines[first]):
        first -= 1
    last = number + 1
    while last < len(lines) and lines[last].strip() and not re.match(r"\s*(?:[-*+]|\d+[.)]) |\s{0,3}#", lines[last]):
        last += 1
    start = sum(len(line) + 1 for line in lines[:first])
    return start, start + len("\n".join(lines[first:last]))


def _without(text: str, start: int, end: int) -> str:
    if (start == 0 or text[start - 1] == "\n") and (end == len(text) or text[end] == "\n"):
        return text[:start] + text[end + 1 :]
    while end < len(text) and text[end] in " .":
        end += 1
    return text[:start] + text[end:]


def clarify(text: str, question_and_answer: str) -> tuple[str, Refinement]:
    """``question|answer`` as an item of the section "Clarifications", which is made when there is none; an old answer goes."""
    question, bar, answer = (part.strip() for part in question_and_answer.partition("|"))
    if not bar or not question or not answer:
        raise UsageError("A clarification is written `question|answer`", hint='--clarify "Which order?|Ascending."')
    item = f"- **{question}** {answer}"
    old = re.compile(rf"(?m)^- \*\*{re.escape(question)}\*\* .*$")
    done = Refinement(action="clarify", text=question, answer=answer, section=slug(CLARIFICATIONS))
    if old.search(text):
        return old.sub(lambda match: item, text, count=1), done
    if not any(each.id == slug(CLARIFICATIONS) for each in split_sections(text)):
        return f"{text.rstrip()}\n\n## {CLARIFICATIONS}\n\n{item}\n", done
    return add(text, f"**{question}** {answer}", CLARIFICATIONS)[0], done


def unified(old: str, new: str, path: str) -> str:
    """The edit as a diff."""
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(
            old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{path}", f"b/{path}"
        )
    )


def _flat(text: str) -> str:
    return " ".join(text.replace("*", "").split()).casefold()


def _section_at(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    before = [each.id for each in split_sections(text) if each.line <= line]
    return before[-1] if before else ""


_VAGUE = re.compile(
    r"\b(fast|quick(?:ly)?|efficient(?:ly)?|user[- ]friendly|easy|simple|intuitive|robust|scalable|modern|nice|good"
    r"|appropriate(?:ly)?"
    r"|as needed|if possible|etc\.?|and so on|some|several|various|TBD|TODO|\?\?\?)(?=\W|$)",
    re.IGNORECASE,
)


def suggestions(text: str, spec: RepositorySpec) -> list[tuple[int, str]]:
    """What would make it clearer, by rule: (line, what to do), in order; line 0 is the whole."""
    found: list[tuple[int, str]] = []
    for line in prose(text):
        if match := _VAGUE.search(line.text):
            found.append((line.number, f"`{match[0]}` cannot be tested; say how much, which, or what then"))
        if len(line.text.split()) > 60 and line.text.lstrip().startswith(("-", "*")):
            found.append(
                (line.number, "this says many things at once; one sentence each is easier to plan, test and change")
            )
    for section in split_sections(text):
        if section.heading and section.level > 1 and not section.text.strip():
            found.append((section.line, f"the section `{section.heading}` is empty"))
    flat = text.casefold()
    missing: Sequence[tuple[bool, str]] = (
        (not spec.license, "name a licence"),
        (
            not re.search(r"\b(error|raises?|exception|fails?|invalid|refus)", flat),
            "say what happens when something is wrong",
        ),
        (not re.search(r"\d", flat), "give numbers: sizes, limits, times"),
        (not spec.requirements, "state what a user can do, one list item each"),
        (not re.search(r"`\w+", text), "name the functions and types whose names you care about, in backticks"),
    )
    return sorted(found) + [(0, what) for lacking, what in missing if lacking]


__all__ = [
    "add", "clarify", "history_line", "history_path", "parse_history", "remove", "suggestions", "unified",
]  # fmt: skip
