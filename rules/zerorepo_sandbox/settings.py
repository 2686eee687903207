"""The section ``[sandbox]`` of ``zerorepo.toml``. Knows nothing of whether a tier works on this machine."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from zerorepo.errors import did_you_mean
from zerorepo.values import COSMETIC, Value
from zerorepo_sandbox.limits import COMMAND_LIMITS, Limits

BUBBLEWRAP = "bubblewrap"
DOCKER = "docker"
GVISOR = "gvisor"
UNSAFE = "unsafe"
AUTO = "auto"
"""The best tier that works on this machine and withstands attacks; see ``proof``."""
TIERS = (BUBBLEWRAP, DOCKER, GVISOR)
"""The tiers that ``[sandbox] tier`` may name. ``unsafe`` is no tier to configure: it takes ``--unsafe`` in each build."""


def _known_tier(value: object) -> object:
    if value == UNSAFE:
        raise ValueError("`unsafe` cannot be configured; it takes the flag --unsafe in each build")
    known = (AUTO, *TIERS)
    if value not in known:
        raise ValueError(
            f"unknown sandbox tier `{value}`; {did_you_mean(str(value), known) or 'known tiers: ' + ', '.join(known)}"
        )
    return value


TierName = Annotated[str, BeforeValidator(_known_tier)]
"""``auto`` or a tier."""


class SandboxSettings(Value):
    """``[sandbox]``, with ``[sandbox.tests]`` and ``[sandbox.commands]`` for the limits of each."""

    tier: TierName = AUTO
    """A tier that is named here is used or the build stops; there is no silent step down."""
    requirements: str = ""
    """A lock file with hashes, relative to the workspace: what the code under test needs installed."""
    # The hashes say what comes, so it does not matter where from.
    wheels: Annotated[str, COSMETIC] = ""
    """A folder of wheels, relative to the workspace, to take ``requirements`` from instead of an index."""
    tests: Limits = Limits()
    commands: Limits = COMMAND_LIMITS


class ChosenTier(Value):
    """What ``auto`` means on this machine, as a setting that nobody writes, so that rules record it like any other input."""

    name: str = Field(default_factory=lambda: choose_now())

    @field_validator("name")
    @classmethod
    def _is_found_not_written(cls, name: str) -> str:
        raise ValueError("this is found out by trying and cannot be configured; see [sandbox] tier")


class ContainerImage(Value):
    """What containers of this machine hold, as a setting that nobody writes."""

    digest: str = Field(default_factory=lambda: image_digest())

    @field_validator("digest")
    @classmethod
    def _is_found_not_written(cls, digest: str) -> str:
        raise ValueError("this is the digest of what was made here and cannot be configured")


def image_digest() -> str:
    """EnvironmentFailure when there is no image."""
    from zerorepo_sandbox import image

    return image.need().digest


def choose_now() -> str:
    """See ``proof.choose_now``; imported when it comes to that."""
    from zerorepo_sandbox import proof

    return proof.choose_now()
