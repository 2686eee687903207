"""Which entries say the same thing: by words alone, and by their vectors. Star clusters, so nothing is chained.

The rule was measured on mined texts (docs/ontology.md): one entry takes in another when their cosine is at least 0.95, or at least
0.80 while half of the words of their names are the same. Knows nothing of the tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zerorepo_ontology import wording

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAME, NEAR, SHARED_WORDS = 0.95, 0.80, 0.5
_BLOCK = 1024


def clusters(texts: Sequence[str], names: Sequence[str], vectors: NDArray[np.float32] | None) -> list[list[int]]:
    """Groups of indexes, the representative first, in the order of their representatives; every index is in one group.

    ``texts`` that are equal but for case are one. Earlier entries represent later ones, so order them by how well they say it.
    """
    first: dict[str, int] = {}
    groups: dict[int, list[int]] = {}
    for index, text in enumerate(texts):
        home = first.setdefault(" ".join(text.casefold().split()), index)
        groups.setdefault(home, []).append(index)
    heads = sorted(groups)
    if vectors is None or not heads:
        return [groups[head] for head in heads]
    taken: set[int] = set()
    words = [frozenset(wording.name_words(names[head])) for head in heads]
    near: dict[int, list[int]] = {}
    for left, right in _close_pairs(vectors[heads], words):
        near.setdefault(left, []).append(right)
    made = []
    for place, head in enumerate(heads):
        if place in taken:
            continue
        group = list(groups[head])
        for other in near.get(place, ()):
            if other not in taken:
                taken.add(other)
                group += groups[heads[other]]
        made.append(group)
    return made


def _close_pairs(vectors: NDArray[np.float32], words: Sequence[frozenset[str]]) -> list[tuple[int, int]]:
    """Pairs (earlier, later) that mean the same, in order."""
    import numpy as np

    found: list[tuple[int, int]] = []
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK] @ vectors[start:].T
        rows, columns = np.nonzero(block >= NEAR)
        for row, column, cosine in zip(rows.tolist(), columns.tolist(), block[rows, columns].tolist(), strict=True):
            if column > row and (cosine >= SAME or _alike(words[start + row], words[start + column])):
                found.append((start + row, start + column))
    return found


def _alike(left: frozenset[str], right: frozenset[str]) -> bool:
    return bool(left and right) and len(left & right) >= SHARED_WORDS * len(left | right)
