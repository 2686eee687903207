"""The context of an action under another key: for an action that stands for another one. Knows nothing of either."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from zerorepo.action import ActionContext, Service
from zerorepo.digest import Digest
from zerorepo.label import Label
from zerorepo.values import Value

SettingsT = TypeVar("SettingsT", bound=Value)
ServiceT = TypeVar("ServiceT", bound=Service)


class ContextOf:
    """See ``ActionContext``: everything but the key is that of ``context``."""

    def __init__(self, context: ActionContext, key: Digest) -> None:
        self._context = context
        self.key = key

    @property
    def label(self) -> Label:
        return self._context.label

    @property
    def refreshing(self) -> bool:
        return self._context.refreshing

    @property
    def workspace(self) -> Path:
        return self._context.workspace

    @property
    def state_dir(self) -> Path:
        return self._context.state_dir

    def read(self, digest: Digest) -> bytes:
        return self._context.read(digest)

    def write(self, data: bytes) -> Digest:
        return self._context.write(data)

    def settings(self, section: str, model: type[SettingsT]) -> SettingsT:
        return self._context.settings(section, model)

    def option(self, name: str) -> Any:
        return self._context.option(name)

    async def service(self, service: type[ServiceT]) -> ServiceT:
        return await self._context.service(service)

    def progress(self, text: str) -> None:
        self._context.progress(text)

    def meter(self, **amounts: float) -> None:
        self._context.meter(**amounts)


__all__ = ["ContextOf"]
