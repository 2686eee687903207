"""The build's one sandbox: the tiers, checked once, the environment for tests, made once, and the pool of resident workers.

Knows nothing of actions' fields.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from zerorepo.action import ActionContext
from zerorepo.digest import Digest
from zerorepo.errors import InternalError
from zerorepo_sandbox import environment, packages, proof
from zerorepo_sandbox.bubblewrap import Bubblewrap
from zerorepo_sandbox.docker_tier import Docker, Gvisor
from zerorepo_sandbox.pool import Pool
from zerorepo_sandbox.settings import BUBBLEWRAP, DOCKER, GVISOR, UNSAFE
from zerorepo_sandbox.tier import Tier
from zerorepo_sandbox.unsafe import Unsafe


class Sandbox:
    """A ``Service``; see the head of this file."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._tiers: dict[str, Tier] = {BUBBLEWRAP: Bubblewrap(), DOCKER: Docker(), GVISOR: Gvisor(), UNSAFE: Unsafe()}
        self.pool = Pool()
        self._site: Path | None = None
        self._lock = asyncio.Lock()
        self._proved: set[str] = set()
        self._proving = asyncio.Lock()

    @classmethod
    async def open(cls, context: ActionContext) -> Sandbox:
        """Nothing is started until something is asked for."""
        return cls(context.state_dir)

    async def close(self) -> None:
        """Every run has ended with the action that asked for it; the workers and what the tiers keep are left to release."""
        await self.pool.close()
        for tier in self._tiers.values():
            await tier.close()

    async def tier(self, name: str, context: ActionContext) -> Tier:
        """The tier of that name; EnvironmentFailure when it does not work, or does not hold, here.

        ``unsafe`` is given only to a build that said so, whatever the action asks for.
        """
        tier = self._tiers.get(name)
        if tier is None:
            raise InternalError(f"An action asks for the sandbox tier `{name}`, which does not exist")
        if name == UNSAFE and not context.option("unsafe"):
            raise InternalError("An action asks for the tier `unsafe` in a build without --unsafe")
        if name not in self._proved:
            async with self._proving:
                if name not in self._proved:
                    # Nothing holds under `unsafe`, and nobody claims it.
                    await (tier.check() if name == UNSAFE else proof.ensure(tier, self.site))
                    self._proved.add(name)
        return tier

    async def site(self) -> Path:
        """The folder with pytest and coverage; see ``environment.prepare``."""
        async with self._lock:
            if self._site is None:
                self._site = await asyncio.to_thread(environment.prepare, self._state_dir)
        return self._site

    async def packages(self, wheels: Mapping[str, Digest], read: Callable[[Digest], bytes]) -> Path | None:
        """The folder with what these wheels hold; None without any. See ``packages.layer``."""
        if not wheels:
            return None
        async with self._lock:
            return await asyncio.to_thread(packages.layer, self._state_dir, wheels, read)
