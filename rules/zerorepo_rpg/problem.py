"""``Problem``: one thing wrong with a plan, as told to a person or to a model that is asked again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from zerorepo.errors import did_you_mean
from zerorepo.values import Value


class Problem(Value):
    """``check`` is the rule's stable name; ``where`` the id or path it concerns; ``message`` says what to change.

    ``unknown``: the name that there is nothing of. ``missing``: nothing is wrong but that a part is not there, which planning adds.
    """

    check: str
    message: str
    where: str = ""
    unknown: str = ""
    missing: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.message} [{self.check}]" if self.where else f"{self.message} [{self.check}]"


def messages(problems: Iterable[Problem]) -> list[str]:
    """The problems as lines, each once, in order."""
    return list(dict.fromkeys(map(str, problems)))


def near(word: str, candidates: Iterable[str]) -> str:
    """``"; did you mean `x`?"``, or what there is to choose from when nothing is near and the choice is small."""
    names = sorted(candidates)
    hint = did_you_mean(word, names)
    if hint:
        return f"; {hint}"
    return f"; there is only {', '.join(f'`{name}`' for name in names)}" if 0 < len(names) <= 8 else ""


def repeated(names: Iterable[str]) -> list[str]:
    """Names that occur more than once, sorted."""
    return sorted(name for name, count in Counter(names).items() if count > 1)


__all__ = ["Problem", "messages", "near", "repeated"]
