"""For ``zerorepo info``: which isolation works here, why not, and which is the best. Knows nothing of how it is shown."""

from __future__ import annotations

from pathlib import Path

from zerorepo.errors import EnvironmentFailure
from zerorepo_sandbox import environment, proof, seccomp
from zerorepo_sandbox.docker_tier import Docker
from zerorepo_sandbox.settings import AUTO, UNSAFE


async def probe(workspace: Path) -> dict[str, object]:
    """Tier to ``available`` or the reason why not, what ``auto`` means, and what tests run with."""
    found: dict[str, object] = {}
    for name in proof.BEST_FIRST:
        tier = proof.make(name)
        try:
            await tier.check()
            notes = [] if seccomp.program() else ["without a system call filter on this machine"]
            if isinstance(tier, Docker):
                notes.append(await tier.describe())
            found[name] = ", ".join(("available", *notes))
        except EnvironmentFailure as error:
            found[name] = f"not available: {error.message}"
        finally:
            await tier.close()
    found[UNSAFE] = "only with --unsafe"
    try:
        found[AUTO] = await proof.choose()
    except EnvironmentFailure as error:
        found[AUTO] = f"not available: {error.message}"
    try:
        found["environment"] = environment.environment_id()
    except EnvironmentFailure as error:
        found["environment"] = f"not available: {error.message}"
    return found
