"""What a rule asks before it runs anything: under which isolation, and within which limits.

Knows nothing of how isolation works; imported by rules, so it imports nothing heavy.
"""

from __future__ import annotations

from typing import Any

from zerorepo.rule import RuleContext
from zerorepo_sandbox.environment import TestEnvironment
from zerorepo_sandbox.limits import Limits
from zerorepo_sandbox.settings import AUTO, UNSAFE, ChosenTier, SandboxSettings


async def isolation(ctx: RuleContext[Any], wanted: str = "") -> str:
    """Name of the tier for the actions of this target; recorded, so that ``--unsafe`` never borrows a verdict or lends one.

    ``wanted`` is what the target itself asks for; without it the workspace's setting counts.
    """
    if await ctx.option("unsafe"):
        return UNSAFE
    tier = wanted or (await ctx.setting("sandbox", SandboxSettings)).tier
    return tier if tier != AUTO else (await ctx.setting("sandbox_chosen", ChosenTier)).name


async def test_environment(ctx: RuleContext[Any]) -> str:
    """The versions of interpreter, pytest and coverage, for the actions of this target; recorded, so an upgrade tests again."""
    return (await ctx.setting("sandbox_environment", TestEnvironment)).versions


async def test_limits(ctx: RuleContext[Any]) -> Limits:
    """The configured limits for runs of tests."""
    return (await ctx.setting("sandbox", SandboxSettings)).tests


async def command_limits(ctx: RuleContext[Any]) -> Limits:
    """The configured limits for build commands."""
    return (await ctx.setting("sandbox", SandboxSettings)).commands


test_environment.__test__ = False  # type: ignore[attr-defined]
test_limits.__test__ = False  # type: ignore[attr-defined]  # pytest must not collect it where it is imported
