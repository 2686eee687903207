"""Fences around untrusted text, so that a model can tell data from instructions. Knows nothing of templates or models.

A fence's delimiter carries a nonce made from the digest of what it encloses: the text cannot contain its own delimiter,
and the same text always has the same fence, so keys and recorded answers stay stable. This marks data; it does not make
a model immune to it. What a model may be talked into is contained by typed answers and the sandbox.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

from zerorepo.errors import InternalError, UsageError

MAX_DATA_CHARS = 400_000
"""Characters that one piece of data may have unless a template says otherwise."""
MAX_PLAIN_CHARS = 300
"""Characters that a value may have that is put into a prompt without a fence (a name, a path)."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.,:/()'\-]{0,99}")
# Controls but newline and tab; lone surrogates; direction overrides (Trojan Source, CVE-2021-42574); invisible "tag"
# letters, a known carrier of hidden instructions; noncharacters.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)
# Characters that nobody sees. One to four in a row join emoji and letters; more of them carry a text of their own.
_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u2064\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\U000e0100-\U000e01ef]{5,}"
)
_OPENING = re.compile(r'<data-([0-9a-f]{16}) name="([^"\n]{1,100})">\n')
_FENCE_LIKE = re.compile(r"<\s*/?\s*data-", re.IGNORECASE)
_DELIMITER = re.compile(r"</?data-([0-9a-f]{16})\b")


class Fenced(str):
    """Text that may stand in a prompt: fenced data, or text that the rule set's author vouches for."""

    __slots__ = ()


def fence(text: str, name: str, *, limit: int = MAX_DATA_CHARS, clean: bool = False) -> Fenced:
    """``text`` between delimiters, called ``name``.

    UsageError with line and column for a control character, or when it has more than ``limit`` characters. With
    ``clean`` (for what programs print) such characters are shown escaped, and the middle of a long text is left out and
    marked so.
    """
    if not _NAME.fullmatch(name):
        raise InternalError(f"`{name[:120]}` cannot name data in a prompt", hint="use a few plain words")
    body = str(text).removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    body = _shortened(escape_controls(body), limit) if clean else checked(body, name, limit)
    nonce = nonce_of(body)
    return Fenced(f'<data-{nonce} name="{name}">\n{body}\n</data-{nonce}>')


# The same data stands in many prompts: of all nodes, of all samples of a vote, of all rounds of a repair.
@lru_cache(maxsize=64)
def nonce_of(text: str) -> str:
    """16 hex digits that do not occur in ``text`` and depend on nothing else."""
    round_ = 0
    while True:
        nonce = hashlib.sha256(b"%d:" % round_ + text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        if nonce not in text:
            return nonce
        round_ += 1


def checked(text: str, name: str, limit: int, *, where: str | None = None) -> str:
    """``text``; UsageError when it is too long or has a character that has no place in it.

    ``where``: the file that the text is the whole of, so that the error names the place in it.
    """

    def refused(what: str, index: int, hint: str) -> UsageError:
        line, column = position(text, index)
        place = f"{where}:{line}:{column}" if where else None
        return UsageError(f"The {name} {what} at line {line}, column {column}", where=place, hint=hint)

    if unseen := unseen_in(text):
        raise refused(f"has {unseen[0]}", unseen[1], "remove it: what nobody can see is not sent to a model")
    if len(text) > limit:
        raise refused(
            f"has {len(text):,} characters, {len(text) - limit:,} more than the {limit:,} allowed; the limit is",
            limit,
            "shorten or split it; nothing is cut away silently",
        )
    return text


@lru_cache(maxsize=64)
def unseen_in(text: str) -> tuple[str, int] | None:
    """What ``text`` has that a reader cannot see, and its index: a control character, or hidden text. None: nothing."""
    if found := _FORBIDDEN.search(text):
        return f"a control character U+{ord(found.group()):04X}", found.start()
    if hidden := _HIDDEN.search(text):
        characters = hidden.group()
        return f"{len(characters)} invisible characters in a row, from U+{ord(characters[0]):04X}", hidden.start()
    return None


def position(text: str, index: int) -> tuple[int, int]:
    """Line and column, both from 1, of a character index."""
    return text.count("\n", 0, index) + 1, index - (text.rfind("\n", 0, index) + 1) + 1


def escape_controls(text: str) -> str:
    """``text`` with forbidden and hidden characters written as escapes (``\\x1b``)."""

    def escaped(match: re.Match[str]) -> str:
        return match.group().encode("unicode_escape", "surrogatepass").decode()

    return _HIDDEN.sub(escaped, _FORBIDDEN.sub(escaped, text))


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    head, tail = limit // 3, limit - limit // 3
    return f"{text[:head]}\n[… {len(text) - limit:,} characters left out …]\n{text[-tail:]}"


@dataclass(frozen=True, slots=True)
class Span:
    """One fence in a prompt: ``start`` and ``end`` are the indices of what it encloses."""

    name: str
    nonce: str
    start: int
    end: int


def outline(prompt: str) -> list[Span]:
    """The fences of a rendered prompt, in order, none inside another."""
    spans, at = [], 0
    while found := _OPENING.search(prompt, at):
        end = prompt.find(f"\n</data-{found[1]}>", found.end() - 1)
        if end < 0:
            at = found.end()
            continue
        spans.append(Span(found[2], found[1], found.end(), max(end, found.end())))
        at = end + 1
    return spans


def skeleton(prompt: str) -> str:
    """A rendered prompt without its data: what it tells a model, whatever it is about. Data becomes ``<name>``."""
    parts, at = [], 0
    for span in outline(prompt):
        opening = prompt.rindex("<data-", at, span.start)
        parts += [prompt[at:opening], f"<{span.name}>"]
        at = span.end + len(f"\n</data-{span.nonce}>")
    return "".join([*parts, prompt[at:]])


def place_in(prompt: str, index: int) -> str:
    """Where an index of a rendered prompt is, for a person: ``the data "spec", line 3``."""
    for span in outline(prompt):
        if span.start <= index < span.end:
            return f'the data "{span.name}", line {prompt.count(chr(10), span.start, index) + 1}'
    return f"line {position(prompt, index)[0]}"


def check_fences(prompt: str) -> None:
    """UsageError when a piece of data in a rendered prompt holds a delimiter of another piece.

    None can hold its own; but two that were written together could quote each other's, so that it is unclear where either ends.
    """
    spans = outline(prompt)
    nonces = {span.nonce for span in spans}
    for span in spans:
        for found in _DELIMITER.finditer(prompt, span.start, span.end):
            if found[1] in nonces:
                line, column = position(prompt[span.start : span.end], found.start() - span.start)
                raise UsageError(
                    f"The {span.name} holds the delimiter of other data of the same prompt at line {line}, column {column}",
                    hint="remove it: such a text was made to confuse a model",
                )


def plain(value: object, where: str) -> str:
    """A value that is put into a prompt without a fence: short, one line, nothing that looks like a fence.

    InternalError, since the template is to blame, for anything else.
    """
    if isinstance(value, Fenced):
        return value
    text = str(value)
    # Not only \n: U+2028 and others end a line for whoever reads it.
    several = len(text.splitlines()) > 1 or "\n" in text
    hostile = bool(_FENCE_LIKE.search(text) or _FORBIDDEN.search(text) or _HIDDEN.search(text))
    if len(text) <= MAX_PLAIN_CHARS and not several and not hostile:
        return text
    why = (
        f"has {len(text):,} characters"
        if len(text) > MAX_PLAIN_CHARS
        else "has several lines"
        if several
        else "looks like a fence or has invisible characters"
    )
    raise InternalError(
        f"A value put into the prompt `{where}` {why}: {text[:60]!r}…",
        hint='write {{ value | data("what it is") }}, or {{ value | trusted }} if its text is the rule set\'s own',
    )
