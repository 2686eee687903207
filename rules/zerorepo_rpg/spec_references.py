"""What a specification refers to: the list under its heading "References", and the concepts that each reference is about.

A reference is a file (Python by its syntax tree, PDF, text), a folder of code, or the text that stands there. Concepts are found
by rule and cite their place. What is read is data, whatever it says. Knows nothing of where files come from.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum

from zerorepo.values import Value
from zerorepo_rpg import spec_text
from zerorepo_rpg.scan_facts import facts_of

_LIMIT = 40  # concepts a reference
_PAGES = 200


class ReferenceKind(StrEnum):
    """What a reference is."""

    TEXT = "text"
    LINK = "link"
    CODE = "code"
    PDF = "pdf"
    DOCUMENT = "document"
    FOLDER = "folder"


class Concept(Value):
    """Something that a reference is about; ``cite`` is its place (``line 3``, ``page 2``, ``client.py::HTTPConnection``)."""

    name: str
    cite: str
    text: str = ""


class Reference(Value):
    """A reference. ``target`` is the path or address; ``text`` what the specification says of it. ``line`` counts from 1."""

    kind: ReferenceKind
    title: str
    target: str = ""
    text: str = ""
    line: int = 0
    concepts: tuple[Concept, ...] = ()


_LINK = re.compile(r"\[([^\]]+)\]\(<?([^)>\s]+)>?\)")
_CODED = re.compile(r"^`([^`\s]+)`")
_SUFFIXES = {"py": ReferenceKind.CODE, "pdf": ReferenceKind.PDF}


def references_in(text: str) -> list[Reference]:
    """The items under headings that say "References"; a Markdown link or a path in backticks first names a file or folder."""
    found: list[Reference] = []
    level = 0
    for line in spec_text.prose(text):
        if heading := re.match(r"\s{0,3}(#{1,6})\s+(.*)", line.text):
            if re.match(r"(?i)references?\b", heading[2]):
                level = len(heading[1])
            elif len(heading[1]) <= level:
                level = 0
        elif level and (item := re.match(r"\s*[-*+]\s+(.*)", line.text)):
            found.append(_reference(item[1].strip(), line.number))
    return found


def _reference(item: str, line: int) -> Reference:
    link, coded = _LINK.search(item), _CODED.match(item)
    target = link[2] if link else coded[1] if coded else ""
    title = link[1] if link else target or item[:60]
    if not target:
        return Reference(
            kind=ReferenceKind.TEXT, title=title, text=item, line=line, concepts=_terms([(item, f"line {line}")])
        )
    if re.match(r"[a-z][a-z0-9+.-]*:", target):
        return Reference(kind=ReferenceKind.LINK, title=title, target=target, text=item, line=line)
    suffix = target.rpartition(".")[2].lower() if "." in target.rpartition("/")[2] else ""
    kind = _SUFFIXES.get(suffix, ReferenceKind.DOCUMENT if suffix else ReferenceKind.FOLDER)
    return Reference(kind=kind, title=title, target=target, text=item, line=line)


def concepts_of(kind: ReferenceKind, files: Mapping[str, bytes]) -> tuple[Concept, ...]:
    """The concepts of a reference's files (path to content). ValueError that says why when one cannot be read."""
    if kind is ReferenceKind.PDF:
        ((path, data),) = files.items()
        return _terms(_pages(path, data))
    if kind is ReferenceKind.DOCUMENT:
        ((path, data),) = files.items()
        try:
            return _terms((text, f"line {number}") for number, text in enumerate(data.decode().splitlines(), 1))
        except UnicodeDecodeError as error:
            raise ValueError(f"`{path}` is neither text nor PDF nor code: not UTF-8 (byte {error.start})") from None
    found: list[Concept] = []
    for path, data in sorted(files.items()):
        facts = facts_of(path, data)
        if facts.error:
            raise ValueError(f"`{path}` is not Python: {facts.error}")
        found += [
            Concept(name=each.name, cite=f"{path}::{each.name}", text=each.docstring or each.signature.split("\n")[-1])
            for each in facts.definitions
            if not any(part.startswith("_") for part in each.name.split("."))
        ]
    return tuple(found[: _LIMIT * max(1, len(files))])


def _pages(path: str, data: bytes) -> Iterable[tuple[str, str]]:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted:
            raise ValueError(f"`{path}` is encrypted")
        pages = [(page.extract_text(), f"page {number}") for number, page in enumerate(reader.pages[:_PAGES], 1)]
    except (PyPdfError, OSError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError(f"`{path}` is no PDF that can be read: {error}") from None
    if not any(text.strip() for text, _ in pages):
        raise ValueError(f"`{path}` holds no text (a scan?)")
    return pages


_TERM = re.compile(
    r"`([^`\n]{2,60})`|\*\*([^*\n]{2,60})\*\*|\b([A-Z][a-z]+(?:[ -][A-Z][a-z]+)+|[A-Z][a-z]+[A-Z]\w+|[A-Z]{3,}\d*)\b"
)


def _terms(pieces: Iterable[tuple[str, str]]) -> tuple[Concept, ...]:
    """Headings, emphasised and quoted words, names of several capitalised words, acronyms; the most frequent, in order of place."""
    counts: Counter[str] = Counter()
    first: dict[str, Concept] = {}
    for text, cite in pieces:
        heading = re.match(r"\s{0,3}#{1,6}\s+(.+)", text)
        names = (
            [heading[1].strip()] if heading else [next(filter(None, match.groups())) for match in _TERM.finditer(text)]
        )
        for name in names:
            counts[name] += 3 if heading else 1
            first.setdefault(name, Concept(name=name, cite=cite, text=" ".join(text.split())[:200]))
    kept = {name for name, _ in counts.most_common(_LIMIT)}
    return tuple(concept for name, concept in first.items() if name in kept)


__all__ = ["Concept", "Reference", "ReferenceKind", "concepts_of", "references_in"]
