"""References of a specification as planning is shown them: what each is, and its concepts with their places. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from zerorepo_rpg.plan_metrics import cosine, lexical_vectors
from zerorepo_rpg.spec_references import Concept, Reference, ReferenceKind

SHOWN = 80
"""Concepts that one question is shown at most; of more, those that speak most of what it is about."""
_TEXT = 300  # characters of what a concept's place says


def reference_listing(references: Sequence[Reference], about: str, limit: int = SHOWN) -> str:
    """Each reference with what the specification says of it and its concepts, a place a line; "" without references.

    ``about``: what the question is about, which decides between more than ``limit`` concepts; what is left out is counted. A note
    stands in full; a link is named as one that was not read.
    """
    found = [
        (number, concept)
        for number, reference in enumerate(references)
        if reference.kind is not ReferenceKind.TEXT
        for concept in reference.concepts
    ]
    chosen = _nearest(found, about, limit)
    lines = []
    for number, reference in enumerate(references):
        text = " ".join(reference.text.split())
        lines.append(f"{_name(reference)}: {text}")
        here = (concept for owner, concept in chosen if owner == number)
        lines += [_line(list(same)) for _, same in groupby(here, key=lambda each: (each.cite, each.text))]
        if left := sum(owner == number for owner, _ in found) - sum(owner == number for owner, _ in chosen):
            lines.append(f"  (and {left} more)")
    return "\n".join(lines)


def unread_links(references: Sequence[Reference]) -> list[str]:
    """Addresses among the references: nothing is fetched, so only what the specification says of them is known."""
    return [each.target for each in references if each.kind is ReferenceKind.LINK]


def _name(reference: Reference) -> str:
    if reference.kind is ReferenceKind.TEXT:
        return "note"
    read = ", not read" if reference.kind is ReferenceKind.LINK else ""
    return f"{reference.target} ({reference.kind}{read})"


def _line(concepts: Sequence[Concept]) -> str:
    """Concepts of one place."""
    names, text = ", ".join(each.name for each in concepts), _flat(concepts[0].text)
    return f"  {names} [{concepts[0].cite}]" + (f": {text}" if text and text != names else "")


def _flat(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _TEXT else f"{flat[: _TEXT - 1]}…"


_Cited = tuple[int, Concept]


def _nearest(found: list[_Cited], about: str, limit: int) -> list[_Cited]:
    if len(found) <= limit:
        return found
    texts = {str(place): f"{concept.name} {concept.text}".replace("_", " ") for place, (_, concept) in enumerate(found)}
    vectors = lexical_vectors({**texts, "": about})
    order = sorted(range(len(found)), key=lambda place: (-cosine(vectors[str(place)], vectors[""]), place))
    return [found[place] for place in sorted(order[:limit])]


__all__ = ["SHOWN", "reference_listing", "unread_links"]
