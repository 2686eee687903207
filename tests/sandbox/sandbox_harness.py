"""An ``ActionContext`` in memory, to run the actions of this rule set without an engine. The sandbox itself is real."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from zerorepo.digest import Digest, DigestFunction
from zerorepo.errors import EnvironmentFailure
from zerorepo.label import Label
from zerorepo_sandbox import proof

both_tiers = pytest.mark.parametrize("tier", ["bubblewrap", "unsafe"], indirect=True)
"""Run a test under isolation and without."""
containers = pytest.mark.parametrize("tier", ["docker", "gvisor"], indirect=True)
"""Run a test in containers; skipped, with the reason, where there is no engine."""


@functools.cache
def why_not(name: str) -> str:
    """Why this tier cannot be tried here; empty when it can."""

    async def check() -> str:
        tier = proof.make(name)
        try:
            await tier.check()
        except EnvironmentFailure as error:
            return error.render()
        finally:
            await tier.close()
        return ""

    return "" if name == "unsafe" else asyncio.run(check())


def need(name: str) -> None:
    """Skip the test, with the reason, when the tier cannot be tried here; fail where it must be (CI)."""
    if why := why_not(name):
        if name in os.environ.get("ZEROREPO_REQUIRE_TIERS", "").split(","):
            pytest.fail(f"the tier {name} must be tried here: {why}")
        pytest.skip(f"the tier {name} is not available here: {why}")


class MemoryContext:
    """See ``zerorepo.action.ActionContext``; services live until ``close``, on one event loop like those of a build."""

    def __init__(self, state_dir: Path, **options: Any) -> None:
        self.label = Label("", "test")
        self.key = Digest("0" * 32, 0)
        self.workspace = state_dir
        self.state_dir = state_dir
        self.options = options
        self.blobs: dict[Digest, bytes] = {}
        self.services: dict[type, Any] = {}
        self._runner = asyncio.Runner()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run it on the context's own event loop."""
        return self._runner.run(coroutine)

    def end(self) -> None:
        """Close the services, and the event loop."""
        self.run(self.close())
        self._runner.close()

    def read(self, digest: Digest) -> bytes:
        return self.blobs[digest]

    def write(self, data: bytes) -> Digest:
        digest = DigestFunction.XXH3.of_bytes(data)
        self.blobs[digest] = data
        return digest

    def settings(self, section: str, model: type[Any]) -> Any:
        return model()

    def option(self, name: str) -> Any:
        return self.options.get(name)

    async def service(self, service: type[Any]) -> Any:
        if service not in self.services:
            self.services[service] = await service.open(self)
        return self.services[service]

    def progress(self, text: str) -> None: ...

    def meter(self, **amounts: float) -> None: ...

    def put(self, files: dict[str, str]) -> dict[str, Digest]:
        """Texts into the CAS."""
        return {path: self.write(text.encode()) for path, text in files.items()}

    async def close(self) -> None:
        """Close the services."""
        for service in self.services.values():
            await service.close()
        self.services.clear()
