"""The section ``[sandbox]`` of ``zerorepo.toml``. Knows nothing of whether a tier works on this machine."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from zerorepo.errors import did_you_mean
from zerorepo.values import COSMETIC, Value
from zerorepo_sandbox.limits import COMMAND_LIMITS, Limits

BUBBLEWRAP = "bubblewrap"
DOCKER = "docker"
GVISOR = "gvisor"
UNSAFE = "unsafe"
TIERS = (BUBBLEWRAP, DOCKER, GVISOR)
"""The tiers that ``[sandbox] tier`` may name. ``unsafe`` is no tier to configure: it takes ``--unsafe`` in each build."""


def _known_tier(value: object) -> object:
    if value == UNSAFE:
        raise ValueError("`unsafe` cannot be configured; it takes the flag --unsafe in each build")
    if value not in TIERS:
        raise ValueError(
            f"unknown sandbox tier `{value}`; {did_you_mean(str(value), TIERS) or 'known tiers: ' + ', '.join(TIERS)}"
        )
    return value


class SandboxSettings(Value):
    """``[sandbox]``, with ``[sandbox.tests]`` and ``[sandbox.commands]`` for the limits of each."""

    tier: Annotated[str, BeforeValidator(_known_tier)] = BUBBLEWRAP
    requirements: str = ""
    """A lock file with hashes, relative to the workspace: what the code under test needs installed."""
    # The hashes say what comes, so it does not matter where from.
    wheels: Annotated[str, COSMETIC] = ""
    """A folder of wheels, relative to the workspace, to take ``requirements`` from instead of an index."""
    tests: Limits = Limits()
    commands: Limits = COMMAND_LIMITS
