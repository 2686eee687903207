"""Whose fault a failing run is, by the strict majority of several answers. Pure: knows nothing of who gave them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from zerorepo_rpg.providers import Attribution, Diagnosis

SAMPLES = 5
_SHOWN = 3


def majority(answers: Sequence[Diagnosis | None]) -> Attribution | None:
    """The cause that more than half of all who were asked name, with what they said; None when there is none.

    ``None`` among the answers is one that gave no usable answer: it counts as asked.
    """
    given = [each for each in answers if each is not None]
    if not given:
        return None
    cause, votes = Counter(each.cause for each in given).most_common(1)[0]
    if 2 * votes <= len(answers):
        return None
    said = dict.fromkeys(each.explanation.strip() for each in given if each.cause is cause)
    return Attribution(cause=cause, votes=votes, asked=len(answers), explanation="\n\n".join([*said][:_SHOWN]))


def tally(answers: Sequence[Diagnosis | None]) -> str:
    """``implementation 2, tests 2, no answer 1``."""
    counts = Counter(str(each.cause) if each else "no answer" for each in answers)
    return ", ".join(
        f"{cause} {count}" for cause, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    )


__all__ = ["SAMPLES", "majority", "tally"]
