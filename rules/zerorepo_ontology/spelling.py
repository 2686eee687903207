"""How the words of a module's name are written: joined ones apart, short forms as prose writes them, and which say nothing.

What is a word is known from the vocabulary that texts are embedded with, which stands in the order of frequency, and from the
texts themselves. Knows nothing of modules or nodes.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.resources import files

_VOCABULARY = "data/minilm_vocab.txt"
_SEEN = 3
"""Times that texts must have a word which the vocabulary lacks, and one that is a part of a joined one."""
_RARE = 12.0
"""The cost of such a word as a part; that of a word of the vocabulary is the logarithm of its rank, 7 to 10.3."""
_PARTS, _SHORTEST_JOINED, _SHORTEST_PART = 4, 6, 3
_SHORT_PARTS = frozenset(("of", "to", "io", "db", "id"))
_NO_PARTS = frozenset(("able", "less", "the", "and", "auto", "multi", "non", "out", "pre", "sub"))
"""What words begin or end with, or hold by chance."""
_ENDING = re.compile(r"(?<=\w{4})(s|es|er|ers|or|ors|ing|ed|ly|ness|less|able|ize|izer|ization)$")
LONGEST_UNKNOWN = 5
"""Letters of an unknown word that is taken for an abbreviation which a reader would not know."""
_OWN_FORM, _OWN_FORM_OF_A_WORD = 0.5, 0.9
"""Share of a form with capitals within among all; the second for what is an ordinary word as well."""
_TOKEN = re.compile(r"(?<![\w.])[A-Za-z]+\d*(?!\w)")
_PIECE = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")


class Spelling:
    """``texts``: prose that the names stand beside; without any, the vocabulary alone decides."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        forms: dict[str, Counter[str]] = {}
        for text in texts:
            for token in _TOKEN.findall(text):
                forms.setdefault(token.casefold(), Counter())[token] += 1
        self._seen: Mapping[str, int] = {
            word: sum(count for form, count in found.items() if _is_plain(form)) for word, found in forms.items()
        }
        self._forms = {word: form for word, found in forms.items() if (form := _own_form(word, found))}
        self._split: dict[str, list[str]] = {}

    def is_word(self, word: str) -> bool:
        """Whether the vocabulary or the texts have it, or what it is made from by an ending."""
        word = word.casefold()
        stem = _ENDING.sub("", word)
        variants = (word, f"{word}s", word.removesuffix("s"), *((stem, f"{stem}e") if stem != word else ()))
        return any(each in _ranks() or self._seen.get(each, 0) >= _SEEN for each in variants if len(each) > 1)

    def says_nothing(self, word: str, longest: int = LONGEST_UNKNOWN) -> bool:
        """Whether it is a letter with a number, or an abbreviation (``longest`` letters) that neither vocabulary nor texts have."""
        if re.fullmatch(r"[A-Za-z]\d{0,2}|[A-Za-z]\d[A-Za-z]", word):
            return True
        if not word.isalpha() or word.casefold() in self._forms:
            return False
        known = self.is_word(word) or len(self.words(word)) > 1
        return len(word) < _SHORTEST_PART or (len(word) <= longest and not known)

    def words(self, word: str) -> list[str]:
        """A word of a name as texts write it, or the words that it is made of.

        ``MySQL`` for ``mysql``; ``cookie``, ``jar`` for what texts write ``CookieJar`` or not at all.
        """
        word = word.casefold()
        form = self._forms.get(word)
        if form is None:
            return self._parts(word)
        pieces = _PIECE.findall(form)
        is_class = (
            len(pieces) > 1 and pieces[-1][1:].islower() and all(len(each) > 2 - each.isupper() for each in pieces)
        )
        if is_class and word not in _ranks() and all(self.is_word(each) for each in pieces):
            return [each if each.isupper() else each.lower() for each in pieces]
        return [form]

    def _parts(self, word: str) -> list[str]:
        if not (word.isalpha() and len(word) >= _SHORTEST_JOINED) or self.is_word(word):
            return [word]
        found = self._split.get(word)
        if found is None:
            found = self._split[word] = [
                form if (form := self._forms.get(each, each)).isupper() else each for each in self._parted(word)
            ]
        return found

    def _parted(self, word: str) -> list[str]:
        best: list[tuple[float, list[str]] | None] = [(0.0, []), *([None] * len(word))]
        for end in range(1, len(word) + 1):
            for start in range(end):
                before = best[start]
                cost = self._cost(word[start:end]) if before is not None else None
                if before is None or cost is None or len(before[1]) == _PARTS:
                    continue
                total = (before[0] + cost, [*before[1], word[start:end]])
                current = best[end]
                if current is None or total < current:
                    best[end] = total
        whole = best[-1]
        return whole[1] if whole is not None else [word]

    def _cost(self, part: str) -> float | None:
        """None for what may be no part."""
        if part in _NO_PARTS or (len(part) < _SHORTEST_PART and part not in _SHORT_PARTS):
            return None
        rank = _ranks().get(part)
        if self._seen:
            known = self._seen.get(part, 0) >= _SEEN
        else:
            known = rank is not None and len(part) > _SHORTEST_PART
        return None if not known else _RARE if rank is None else math.log(rank + 1000)


def _is_plain(form: str) -> bool:
    """In small letters, in capitals, or with the first a capital: ``CookieJar`` is no word of prose."""
    return form.islower() or form.isupper() or form[1:].islower()


def _own_form(word: str, found: Counter[str]) -> str:
    """How a word is mostly written, where that has capitals within; "" for others."""
    form, count = min(found.items(), key=lambda pair: (-pair[1], pair[0]))
    share = _OWN_FORM_OF_A_WORD if word in _ranks() else _OWN_FORM
    return form if count >= max(_SEEN, share * sum(found.values())) and not form[1:].islower() and len(form) > 1 else ""


@lru_cache(maxsize=1)
def _ranks() -> Mapping[str, int]:
    lines = files("zerorepo_ontology").joinpath(_VOCABULARY).read_text("utf-8").splitlines()
    return {word: rank for rank, word in enumerate(lines) if word.isascii() and word.isalpha() and len(word) > 1}
