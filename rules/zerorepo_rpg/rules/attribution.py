"""Whose fault a failing test run is: several answers at once, and a strict majority of them.

Without a majority another round is asked, then one of the stronger tier. Knows nothing of what is done about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from zerorepo.errors import TargetFailed
from zerorepo.rule import RuleContext
from zerorepo_llm.ask import ask_json
from zerorepo_llm.settings import Tier
from zerorepo_rpg.providers import Attribution, Diagnosis
from zerorepo_rpg.rules.asking import template
from zerorepo_rpg.vote import SAMPLES, majority, tally

_ROUNDS: tuple[tuple[Tier, int], ...] = (("medium", 0), ("medium", SAMPLES), ("strong", 0))
"""Tier and number of the first sample of each round of a vote."""


async def attribute(ctx: RuleContext[Any], seen: Mapping[str, object], purpose: str) -> tuple[Attribution | None, str]:
    """What the vote found, None without a majority; and how the votes fell, for people."""
    votes = ""
    for tier, first in _ROUNDS:
        parts = [partial(_sample, seen=seen, purpose=purpose, tier=tier, sample=first + n) for n in range(SAMPLES)]
        answers = await ctx.concurrently(parts)
        votes = tally(answers)
        if found := majority(answers):
            return found, votes
    return None, votes


async def _sample(
    ctx: RuleContext[Any], *, seen: Mapping[str, object], purpose: str, tier: Tier, sample: int
) -> Diagnosis | None:
    """One answer; None when none could be used, which is a vote for nothing and no reason to give up."""
    try:
        return await ask_json(ctx, template("diagnose.md"), seen, Diagnosis, tier=tier, purpose=purpose, sample=sample)
    except TargetFailed:
        return None


__all__ = ["attribute"]
