"""Okapi BM25 over short texts (k1 = 1.2, b = 0.75; Robertson and Zaragoza 2009). Knows nothing of vectors or of nodes."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_K1, _B = 1.2, 0.75
_TOKEN = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_NUMBERED = re.compile(r"(?<![A-Za-z])([A-Za-z]{1,8})[ /-]?(\d{1,4})(?!\d)")
"""A name whose number says which one: ``HTTP/2``, ``h2``, ``OAuth 2.0``, ``SHA-256``, ``IPv6``."""
_STOP = frozenset(
    re.findall(
        r"\w+",
        "a an the of to for in on and or with by from is are be as at this that it its into if not can using use",
    )
)
_ENDINGS = ("ations", "ation", "ings", "ing", "ers", "ies", "ed", "es", "er", "s", "e")


def tokens(text: str) -> list[str]:
    """Words of a text or an identifier, in lower case, cut to a rough stem, and names with their numbers."""
    words = (each.lower() for each in _TOKEN.findall(text))
    found = [_stem(word) for word in words if word not in _STOP and len(word) > 1]
    if any(map(str.isdigit, text)):
        found += [f"{name}{number}".lower() for name, number in _NUMBERED.findall(text) if name.lower() not in _STOP]
    return found


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


class Words:
    """An index of texts. ``weighted``: for each text, parts with how often each counts."""

    def __init__(self, weighted: Sequence[Sequence[tuple[str, int]]]) -> None:
        import numpy as np

        postings: dict[str, tuple[array[int], array[int]]] = {}
        lengths = np.zeros(len(weighted), dtype=np.float32)
        stems: dict[str, list[str]] = {}
        for row, parts in enumerate(weighted):
            counts: dict[str, int] = {}
            for text, weight in parts:
                found = stems.get(text)
                if found is None:
                    found = stems[text] = tokens(text)
                for token in found:
                    counts[token] = counts.get(token, 0) + weight
            lengths[row] = sum(counts.values())
            for token, count in counts.items():
                rows, numbers = postings.setdefault(token, (array("i"), array("i")))
                rows.append(row)
                numbers.append(count)
        self._postings = postings
        self._size = len(weighted)
        mean = float(lengths.mean()) if self._size else 1.0
        self._norm = _K1 * (1 - _B + _B * lengths / max(mean, 1.0))

    def scores(self, query: str) -> NDArray[np.float32]:
        """A score for each text, 0 where no word is shared."""
        import numpy as np

        total = np.zeros(self._size, dtype=np.float32)
        for token in set(tokens(query)):
            found = self._postings.get(token)
            if found is None:
                continue
            rows = np.frombuffer(found[0], dtype=np.int32)
            counts = np.frombuffer(found[1], dtype=np.int32).astype(np.float32)
            idf = math.log(1 + (self._size - len(rows) + 0.5) / (len(rows) + 0.5))
            total[rows] += idf * counts * (_K1 + 1) / (counts + self._norm[rows])
        return total
