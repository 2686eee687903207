"""What a rule asks before it runs anything: under which isolation, and within which limits.

Knows nothing of how isolation works; imported by rules, so it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zerorepo.digest import Digest
from zerorepo.rule import RuleContext
from zerorepo_sandbox.environment import TestEnvironment
from zerorepo_sandbox.limits import Limits
from zerorepo_sandbox.packages import FetchWheels, WheelSet, platform_tag
from zerorepo_sandbox.settings import AUTO, DOCKER, GVISOR, UNSAFE, ChosenTier, ContainerImage, SandboxSettings


async def isolation(ctx: RuleContext[Any], wanted: str = "") -> str:
    """Name of the tier for the actions of this target; recorded, so that ``--unsafe`` never borrows a verdict or lends one.

    ``wanted`` is what the target itself asks for; without it the workspace's setting counts.
    """
    if await ctx.option("unsafe"):
        return UNSAFE
    tier = wanted or (await ctx.setting("sandbox", SandboxSettings)).tier
    return tier if tier != AUTO else (await ctx.setting("sandbox_chosen", ChosenTier)).name


async def test_environment(ctx: RuleContext[Any], wanted: str = "") -> str:
    """The versions of interpreter, pytest and coverage, for the actions of this target; recorded, so an upgrade tests again.

    In containers the system's libraries and programs are those of the image, which counts as well.
    """
    versions = (await ctx.setting("sandbox_environment", TestEnvironment)).versions
    if await isolation(ctx, wanted) not in (DOCKER, GVISOR):
        return versions
    return f"{versions} image {(await ctx.setting('sandbox_image', ContainerImage)).digest}"


async def test_wheels(ctx: RuleContext[Any]) -> Mapping[str, Digest]:
    """The wheels that the workspace's requirements stand for, fetched if need be; none when there are no requirements."""
    settings = await ctx.setting("sandbox", SandboxSettings)
    if not settings.requirements:
        return {}
    lock = await ctx.source(settings.requirements)
    found: WheelSet = await ctx.run(FetchWheels(lock=lock, platform=platform_tag(), folder=settings.wheels))
    return found.wheels


async def test_limits(ctx: RuleContext[Any]) -> Limits:
    """The configured limits for runs of tests."""
    return (await ctx.setting("sandbox", SandboxSettings)).tests


async def command_limits(ctx: RuleContext[Any]) -> Limits:
    """The configured limits for build commands."""
    return (await ctx.setting("sandbox", SandboxSettings)).commands


test_environment.__test__ = False  # type: ignore[attr-defined]
test_wheels.__test__ = False  # type: ignore[attr-defined]
test_limits.__test__ = False  # type: ignore[attr-defined]  # pytest must not collect it where it is imported
