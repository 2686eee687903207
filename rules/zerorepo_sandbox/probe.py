"""For ``zerorepo info``: which isolation works on this machine, and why not. Knows nothing of how it is shown."""

from __future__ import annotations

from pathlib import Path

from zerorepo.errors import EnvironmentFailure
from zerorepo_sandbox import environment, seccomp
from zerorepo_sandbox.bubblewrap import Bubblewrap
from zerorepo_sandbox.settings import UNSAFE


async def probe(workspace: Path) -> dict[str, object]:
    """Tier to ``available`` or the reason why not, and what tests run with. Makes one world for real; writes nothing."""
    found: dict[str, object] = {}
    tier = Bubblewrap()
    try:
        await tier.check()
        found[tier.name] = (
            "available" if seccomp.program() else "available, without a system call filter on this machine"
        )
    except EnvironmentFailure as error:
        found[tier.name] = f"not available: {error.message}"
    finally:
        await tier.close()
    found[UNSAFE] = "only with --unsafe"
    try:
        found["environment"] = environment.environment_id()
    except EnvironmentFailure as error:
        found["environment"] = f"not available: {error.message}"
    return found
