"""What a changed specification means for the plan of a lock, as far as can be said before anyone is asked. Pure.

Sections that are not parsed yet are read by rule: a requirement whose sentence still stands is kept, a sentence that is like
one that is gone is taken for its rewording, and what remains is not decided on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from difflib import SequenceMatcher

from zerorepo.values import Value
from zerorepo_rpg.limit_rules import recognised
from zerorepo_rpg.lock import Lock
from zerorepo_rpg.naming import slug, unique
from zerorepo_rpg.plan_model import Feature
from zerorepo_rpg.spec_model import RepositorySpec, Requirement, SpecSection
from zerorepo_rpg.spec_sections import split_sections
from zerorepo_rpg.spec_text import without_directives
from zerorepo_rpg.tracing import flat, key

_ALIKE = 0.5
"""From which share of common words on a new sentence is taken for the rewording of an old one."""
_ITEM = re.compile(r"(?m)^\s*(?:[-*+]|\d+[.)])\s+")


class Rewording(Value):
    """A requirement of the lock, and what its sentence is now."""

    old: Requirement
    text: str


class Foreseen(Value):
    """How requirements change. ``unparsed``: sections that nobody has been asked about; what is said of these is by rule.

    ``unclear``: requirements of such sections that no longer stand there, while there are other new words. ``limits``: texts of
    limits that no longer stand there; they are accounted for anew.
    """

    kept: int = 0
    reworded: tuple[Rewording, ...] = ()
    added: tuple[Requirement, ...] = ()
    removed: tuple[Requirement, ...] = ()
    unclear: tuple[Requirement, ...] = ()
    unparsed: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    @property
    def touched(self) -> tuple[Requirement, ...]:
        """Requirements of the lock that do not stay as they are."""
        return (*(each.old for each in self.reworded), *self.removed, *self.unclear)


def compared(lock: Lock, spec: RepositorySpec) -> Foreseen:
    """The change from a lock to a specification that is parsed."""
    old, new = {key(each): each for each in lock.requirements}, {key(each): each for each in spec.requirements}
    gone = [old[words] for words in old if words not in new]
    come = {each.id: each for words, each in new.items() if words not in old}
    reworded = tuple(Rewording(old=each, text=come[each.id].text) for each in gone if each.id in come)
    ids = {each.old.id for each in reworded}
    return Foreseen(
        kept=len(old) - len(gone),
        reworded=reworded,
        added=tuple(each for each in come.values() if each.id not in ids),
        removed=tuple(each for each in gone if each.id not in ids),
    )


def read_by_rule(lock: Lock, text: str, unparsed: Collection[str] | None = None) -> Foreseen:
    """The change from a lock to a text. ``unparsed``: ids of sections that are not parsed; all of them when it is not given."""
    sections = split_sections(without_directives(text))
    open_ = [each for each in sections if unparsed is None or each.id in unparsed]
    said = flat("\n\n".join(each.text for each in sections))
    gone = [each for each in lock.requirements if key(each) not in said]
    limits = tuple(each.text for each in lock.limits if flat(each.text) not in said)
    known = [*(key(each) for each in lock.requirements), *(flat(each.text) for each in lock.limits)]
    by_rule = _ByRule(lock, limits)
    items = [each for section in open_ for each in _unknown_items(section, known) if not by_rule.covers(each[1])]
    new = [
        *(item for _, item in items),
        *(each for each in _unknown_sentences(open_, known) if not by_rule.covers(each)),
    ]
    reworded, left = _paired(gone, new)
    taken = {each.text for each in reworded}
    rest = [each for each in dict.fromkeys(new) if not any(each in text or text in each for text in taken)]
    ids = {each.id for each in lock.requirements}
    added = []
    for section, item in items:
        if item in rest:
            added.append(
                Requirement(id=unique(slug(item, max_words=6, fallback="requirement"), ids), text=item, section=section)
            )
            ids.add(added[-1].id)
    listed = {each.text for each in added}
    prose = any(each not in listed and not any(each in item for item in listed) for each in rest)
    return Foreseen(
        kept=len(lock.requirements) - len(gone),
        reworded=tuple(reworded),
        added=tuple(added),
        removed=() if prose else tuple(left),
        unclear=tuple(left) if prose else (),
        unparsed=tuple(each.id for each in open_ if each.text.strip()),
        limits=limits,
    )


class _ByRule:
    """Sentences that are no new requirements: limits that rules recognise, and the new words of limits that are gone."""

    def __init__(self, lock: Lock, gone: Collection[str]) -> None:
        package = lock.layout.package_name if lock.layout else ""
        self._spec = RepositorySpec(title="", description="", package_name=package, requirements=lock.requirements)
        self._gone = [flat(text).split() for text in gone]

    def covers(self, text: str) -> bool:
        words = flat(text).split()
        alike = (SequenceMatcher(None, old, words, autojunk=False).ratio() for old in self._gone)
        return bool(recognised(text, self._spec)) or any(ratio >= _ALIKE for ratio in alike)


def leaving(change: Foreseen, features: Sequence[Feature]) -> tuple[frozenset[str], frozenset[str]]:
    """Features that go with the requirements that go: surely, since nothing else asks for them, and likely, since other
    features serve all else that they serve."""
    gone = {each.id for each in (*change.removed, *change.unclear)}
    served = Counter(name for each in features for name in each.requirements)
    asked = [(each, set(each.requirements) - gone) for each in features if gone & set(each.requirements)]
    surely = frozenset(each.id for each, rest in asked if not rest)
    return surely, frozenset(each.id for each, rest in asked if rest and all(served[name] > 1 for name in rest))


def _unknown_items(section: SpecSection, known: Sequence[str]) -> Iterator[tuple[str, str]]:
    """List items of a section in which no requirement of the lock stands, each with the section's id."""
    starts = list(_ITEM.finditer(section.text))
    ends = [*(each.start() for each in starts[1:]), len(section.text)]
    for start, end in zip(starts, ends, strict=False):
        item = " ".join(section.text[start.end() : end].split("\n\n")[0].split())
        if item and not any(words in flat(item) for words in known):
            yield section.id, item


def _unknown_sentences(sections: Sequence[SpecSection], known: Sequence[str]) -> Iterator[str]:
    for section in sections:
        for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*+]|\d+[.)])\s)", section.text):
            plain = " ".join(_ITEM.sub("", block).split())
            for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z`*])", plain):
                if sentence and not any(words in flat(sentence) or flat(sentence) in words for words in known):
                    yield sentence


def _paired(gone: Sequence[Requirement], new: Sequence[str]) -> tuple[list[Rewording], list[Requirement]]:
    """Each that is gone with the new sentence that is most like it, the most alike first; and those that none is like."""
    alike = []
    for old in gone:
        for number, text in enumerate(new):
            ratio = SequenceMatcher(None, key(old).split(), flat(text).split(), autojunk=False).ratio()
            if ratio >= _ALIKE:
                alike.append((-ratio, number, old.id, old, text))
    found: dict[str, Rewording] = {}
    used: set[str] = set()
    for _, _, name, old, text in sorted(alike, key=lambda each: each[:3]):
        if name not in found and text not in used:
            found[name] = Rewording(old=old, text=text)
            used.add(text)
    return [found[each.id] for each in gone if each.id in found], [each for each in gone if each.id not in found]


__all__ = ["Foreseen", "Rewording", "compared", "leaving", "read_by_rule"]
