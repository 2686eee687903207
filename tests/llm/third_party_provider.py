"""A provider as a third party would write it. Knows only the public protocol."""

from __future__ import annotations

from zerorepo_llm.action import Answer
from zerorepo_llm.providers import Request, Setup


class ThirdParty:
    name = "third party"
    limited = True

    async def ask(self, request: Request) -> Answer:
        return Answer(text="from a third party")

    async def close(self) -> None:
        pass


def make(setup: Setup) -> ThirdParty:
    assert setup.workspace.is_dir()
    return ThirdParty()
