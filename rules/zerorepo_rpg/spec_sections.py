"""A text as sections: by its Markdown headings, or by paragraphs where it has none.

Pure: an edited section changes that section's value and nothing else. Knows nothing of what a section says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from zerorepo_rpg.naming import slug, unique
from zerorepo_rpg.spec_model import SpecSection

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)$")
_NOT_PARAGRAPH = re.compile(r" {0,3}([-*+>|]|\d+[.)]|#{1,6}\s)|\t| {4}")
_PARAGRAPH_GROUP = 1500  # characters; a plain text edit then asks again about a page at most


def split_sections(markdown: str) -> tuple[SpecSection, ...]:
    """The sections of a Markdown text (CommonMark ATX and setext headings; ``#`` in fenced code is no heading).

    Text before the first heading is a section of its own (id ``preamble``). A text without headings is grouped by
    paragraphs, each group named after its first words. Every heading makes a section, even an empty one.
    """
    lines = markdown.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    headings = _headings(lines)
    if not headings:
        return _paragraph_sections(lines)
    sections: list[SpecSection] = []
    ids: set[str] = set()

    def add(heading: str, fallback: str, start: int, end: int, line: int, level: int) -> None:
        section_id = unique(slug(heading, fallback=fallback), ids)
        ids.add(section_id)
        text = "\n".join(lines[start:end]).strip("\n").rstrip()
        sections.append(SpecSection(id=section_id, heading=heading, text=text, line=line + 1, level=level))

    first = headings[0][0]
    if any(line.strip() for line in lines[:first]):
        line = next(i for i, text in enumerate(lines) if text.strip())
        add("", "preamble", 0, first, line, 0)
    ends = [start for start, *_ in headings[1:]] + [len(lines)]
    for (line, body, level, heading), end in zip(headings, ends, strict=True):
        add(heading, "section", body, end, line, level)
    return tuple(sections)


def _headings(lines: Sequence[str]) -> list[tuple[int, int, int, str]]:
    """``(line of the heading, first line of its body, level, text)``; fenced code is skipped."""
    found: list[tuple[int, int, int, str]] = []
    fence = ""
    paragraph = -1  # where the current paragraph starts: what a setext underline would make a heading
    for number, line in enumerate(lines):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not mark[2].strip():
                fence = ""
            continue
        if mark and not (mark[1][0] == "`" and "`" in mark[2]):
            fence, paragraph = mark[1], -1
            continue
        atx = _ATX.match(line)
        if atx:
            found.append((number, number + 1, len(atx[1]), (atx[2] or "").strip()))
            paragraph = -1
        elif paragraph >= 0 and (underline := _SETEXT.match(line)):
            text = " ".join(part.strip() for part in lines[paragraph:number])
            found.append((paragraph, number + 1, 1 if underline[1][0] == "=" else 2, text))
            paragraph = -1
        elif not line.strip():
            paragraph = -1
        elif paragraph < 0 and not _NOT_PARAGRAPH.match(line) and (number == 0 or not _in_list(lines, number)):
            paragraph = number
    return found


def _in_list(lines: Sequence[str], number: int) -> bool:
    """Whether this line continues a list, quote or table of the line above, where an underline makes no heading."""
    above = lines[number - 1]
    return bool(above.strip()) and bool(_NOT_PARAGRAPH.match(above)) and not _ATX.match(above)


def _paragraph_sections(lines: Sequence[str]) -> tuple[SpecSection, ...]:
    paragraphs: list[tuple[int, list[str]]] = []
    blank = True
    for number, line in enumerate(lines):
        if line.strip():
            if blank:
                paragraphs.append((number, []))
            paragraphs[-1][1].append(line.rstrip())
        blank = not line.strip()
    groups: list[tuple[int, list[str]]] = []
    for number, body in paragraphs:
        text = "\n".join(body)
        if groups and sum(map(len, groups[-1][1])) + len(text) <= _PARAGRAPH_GROUP:
            groups[-1][1].append(text)
        else:
            groups.append((number, [text]))
    ids: set[str] = set()
    sections = []
    for number, texts in groups:
        section_id = unique(slug(texts[0], fallback="section", max_words=6), ids)
        ids.add(section_id)
        sections.append(SpecSection(id=section_id, heading="", text="\n\n".join(texts), line=number + 1))
    return tuple(sections)
