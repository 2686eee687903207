"""What the stages share: the lock-or-ask decision and the digest of a stage's inputs. Knows nothing of any one stage."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zerorepo.action_key import key_of
from zerorepo.digest import DigestFunction
from zerorepo.errors import TargetFailed
from zerorepo.label import Label
from zerorepo.rule import RuleContext
from zerorepo_rpg.rules.sound_lock import SoundLock

PACKAGE = "zerorepo_rpg"


def stage_digest(*parts: Any) -> str:
    """The digest of what a stage is made from. Always xxh3: it is written into the lock, whatever the cache uses."""
    return key_of(parts, DigestFunction.XXH3).hex


def template(name: str) -> tuple[str, str]:
    """A prompt file of this rule set."""
    return PACKAGE, f"prompts/{name}"


def all_served(wanted: Iterable[str], serving: Iterable[Iterable[str]]) -> bool:
    """Whether a slice of the lock has a part for each of ``wanted``; a part that someone deleted is planned anew."""
    return set(wanted) <= {each for served in serving for each in served}


async def forbid_when_locked(ctx: RuleContext[Any], stage: str, lock: str) -> None:
    """Before anything is asked: a stage that is out of date fails under ``--locked``, and while mypy refuses the lock."""
    if await ctx.option("locked"):
        raise TargetFailed(
            f"The plan in `{lock}` is out of date (stage {stage}), and --locked forbids changing it",
            hint="run `zerorepo build` without --locked, look at the change of the lock, and check it in",
        )
    types: Label = ctx.attrs.lock.sibling(f"{ctx.attrs.lock.name}_types")
    await ctx.provider(types, SoundLock)
