"""For ``zerorepo doctor``: which tiers work here and which attacks each of them stops, found out by attacking them now.

Knows nothing of how it is shown.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from zerorepo.checks import CheckContext, Finding, Health
from zerorepo.errors import EnvironmentFailure, ZeroRepoError
from zerorepo_sandbox import environment, image, proof, seccomp
from zerorepo_sandbox.docker_engine import Engine
from zerorepo_sandbox.docker_tier import Docker
from zerorepo_sandbox.settings import AUTO, BUBBLEWRAP, DOCKER, GVISOR, SandboxSettings


async def bubblewrap(context: CheckContext) -> list[Finding]:
    """The default tier."""
    return [await _tier(BUBBLEWRAP, context)]


async def docker(context: CheckContext) -> list[Finding]:
    """The engine, the image, and the tier."""
    needed = _configured(context) in (DOCKER, GVISOR)
    missing = Health.FAIL if needed else Health.WARN
    engine = Engine()
    findings = []
    try:
        client = await engine.connect()
        version = await asyncio.to_thread(client.version)
        runtimes = await engine.runtimes()
        found = f"version {version.get('Version')}, gVisor: {', '.join(sorted(runtimes)) or 'no runtime'}"
        findings.append(Finding("docker engine", Health.OK, found))
    except EnvironmentFailure as error:
        return [Finding("docker engine", missing, error.message, error.hint or "")]
    finally:
        engine.close()
    made = image.find()
    if made is None:
        findings.append(
            Finding("sandbox image", missing, "not made on this machine", f"as root: {image.BUILD_COMMAND}")
        )
        return findings
    findings.append(Finding("sandbox image", Health.OK, f"{made.tag} (Debian {made.suite}), {made.tar.parent}"))
    return [*findings, await _tier(DOCKER, context)]


async def gvisor(context: CheckContext) -> list[Finding]:
    """The tier for hostile input."""
    return [await _tier(GVISOR, context)]


async def chosen(context: CheckContext) -> list[Finding]:
    """What builds of this workspace use, and what tests run with."""
    findings = []
    configured = _configured(context)
    if configured == AUTO:
        try:
            findings.append(Finding("tier", Health.OK, f"{await proof.choose()} (the best that holds here)"))
        except ZeroRepoError as error:
            findings.append(Finding("tier", Health.FAIL, error.message, error.hint or ""))
    else:
        findings.append(Finding("tier", Health.OK, f"{configured} ([sandbox] tier)"))
    try:
        findings.append(Finding("test environment", Health.OK, environment.environment_id()))
    except EnvironmentFailure as error:
        findings.append(Finding("test environment", Health.FAIL, error.message, error.hint or ""))
    if seccomp.program() is None:
        found = "no system call filter: this machine's call numbers are not known"
        findings.append(Finding("system call filter", Health.WARN, found, "use the tier gvisor for hostile input"))
    return findings


def _configured(context: CheckContext) -> str:
    return context.settings("sandbox", SandboxSettings).tier


async def _tier(name: str, context: CheckContext) -> Finding:
    missing = Health.FAIL if _configured(context) == name else Health.WARN
    tier = proof.make(name)
    try:
        await tier.check()
        with tempfile.TemporaryDirectory(prefix="zerorepo-doctor-") as folder:
            site = await asyncio.to_thread(environment.prepare, Path(folder))
            result = await proof.prove(tier, site)
        kind = await tier.describe() if isinstance(tier, Docker) else ""
    except EnvironmentFailure as error:
        return Finding(f"tier {name}", missing, error.message, error.hint or "")
    finally:
        await tier.close()
    stopped = len(result.attacks) - len(result.failed)
    found = f"stops {stopped} of {len(result.attacks)} attacks{f' ({kind})' if kind else ''}"
    if result.failed:
        found = f"{found}; not stopped: {', '.join(result.failed)}"
        return Finding(f"tier {name}", missing, found, "choose another: [sandbox] tier = …")
    return Finding(f"tier {name}", Health.OK, f"{found}: {', '.join(result.attacks)}")
