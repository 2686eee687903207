"""Stand-ins for the engine's side of the plugin API: contexts that run actions at once. Knows nothing of models."""

from __future__ import annotations

import asyncio
import importlib.resources
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zerorepo.action import Action
from zerorepo.action_key import key_of
from zerorepo.digest import Digest, DigestFunction
from zerorepo.label import Label, parse_label
from zerorepo_llm.action import AskModel, Message
from zerorepo_llm.settings import LLMSettings


@dataclass
class Build:
    """What the actions of one build share."""

    workspace: Path
    settings: LLMSettings = field(default_factory=LLMSettings)
    options: dict[str, Any] = field(default_factory=dict)
    function: DigestFunction = DigestFunction.XXH3
    services: dict[type, Any] = field(default_factory=dict)
    opening: dict[type, asyncio.Lock] = field(default_factory=dict)
    meters: dict[str, float] = field(default_factory=dict)
    progress: list[str] = field(default_factory=list)

    @property
    def state_dir(self) -> Path:
        return self.workspace / ".zerorepo"

    async def execute(self, action: Action, label: str = "//app:thing", *, refreshing: bool = False) -> Any:
        return await action.execute(
            ActionContextFake(self, parse_label(label), key_of(action, self.function), refreshing)
        )

    async def close(self) -> None:
        for service in self.services.values():
            await service.close()
        self.services.clear()
        self.opening.clear()


@dataclass
class ActionContextFake:
    """An ``ActionContext``."""

    build: Build
    label: Label
    key: Digest
    refreshing: bool = False

    @property
    def workspace(self) -> Path:
        return self.build.workspace

    @property
    def state_dir(self) -> Path:
        return self.build.state_dir

    def read(self, digest: Digest) -> bytes:
        raise NotImplementedError

    def write(self, data: bytes) -> Digest:
        raise NotImplementedError

    def settings(self, section: str, model: Any) -> Any:
        assert (section, model) == ("llm", LLMSettings)
        return self.build.settings

    def option(self, name: str) -> Any:
        return self.build.options.get(name)

    async def service(self, service: Any) -> Any:
        opening = self.build.opening.setdefault(service, asyncio.Lock())
        async with opening:  # one for all, as the executor does it
            if service not in self.build.services:
                self.build.services[service] = await service.open(self)
        return self.build.services[service]

    def progress(self, text: str) -> None:
        self.build.progress.append(text)

    def meter(self, **amounts: float) -> None:
        for name, amount in amounts.items():
            self.build.meters[name] = self.build.meters.get(name, 0) + amount


class RuleContextFake:
    """As much of a ``RuleContext`` as asking needs: runs actions at once, remembers their results by key."""

    def __init__(self, build: Build, label: str = "//app:thing", templates: dict[str, str] | None = None) -> None:
        self.build = build
        self.label = parse_label(label)
        self.rule = "a_rule"
        self.templates = templates or {}
        self.actions: list[AskModel] = []
        self.resources: list[tuple[str, str]] = []
        self._results: dict[Digest, Any] = {}

    async def resource(self, package: str, name: str) -> bytes:
        self.resources.append((package, name))
        if package == "test":
            return self.templates[name].encode()
        return importlib.resources.files(package).joinpath(name).read_bytes()

    async def setting(self, section: str, model: Any) -> Any:
        assert (section, model) == ("llm", LLMSettings)
        return self.build.settings

    async def run(self, action: Any) -> Any:
        self.actions.append(action)
        key = key_of(action, self.build.function)
        if key not in self._results:
            self._results[key] = await self.build.execute(action, str(self.label))
        return self._results[key]


async def until(true: Callable[[], object]) -> None:
    """Wait until ``true()`` is; at most ten seconds."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def ask_model(text: str = "Say hello.", **fields: Any) -> AskModel:
    """An action with reasonable fields."""
    defaults: dict[str, Any] = {
        "model": "strong",
        "messages": (Message(role="system", content="Be brief."), Message(role="user", content=text)),
        "max_tokens": 100,
        "purpose": "greet",
        "tier": "strong",
    }
    return AskModel(**{**defaults, **fields})
