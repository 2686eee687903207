"""For tests of rules that ask models: a provider whose answers come from a Python function. Public.

Usage::

    with use_provider(ScriptedProvider(lambda request: '{"name": "slugify"}')) as provider:
        ...  # build
    assert provider.calls == 1

Knows no test framework.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from zerorepo_llm import testing_hook
from zerorepo_llm.action import Answer
from zerorepo_llm.providers import ModelProvider, Request

Script = Callable[[Request], "str | Answer | Exception"]


class ScriptedProvider:
    """Answers with ``script(request)``: a text, an ``Answer``, or an exception to raise. ``latency_s`` before each
    answer.

    ``requests`` keeps what was asked, in order.
    """

    name = "scripted"

    def __init__(
        self, script: Script | Sequence[str | Answer | Exception], *, latency_s: float = 0.0, limited: bool = False
    ) -> None:
        self.limited = limited
        self.requests: list[Request] = []
        self.closed = False
        self._latency_s = latency_s
        self._script: Script = script if callable(script) else _in_order(script)

    @property
    def calls(self) -> int:
        """How often it was asked."""
        return len(self.requests)

    async def ask(self, request: Request) -> Answer:
        """What the script says."""
        self.requests.append(request)
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        said = self._script(request)
        if isinstance(said, Exception):
            raise said
        if isinstance(said, Answer):
            return said
        words = sum(len(message.content.split()) for message in request.action.messages)
        return Answer(text=said, model="scripted", prompt_tokens=words, completion_tokens=len(said.split()))

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


def _in_order(answers: Sequence[str | Answer | Exception]) -> Script:
    left = iter(answers)

    def script(request: Request) -> str | Answer | Exception:
        return next(
            left, AssertionError(f"the script has no answer left for {request.label}: {request.action.purpose}")
        )

    return script


@contextmanager
def use_provider(provider: ModelProvider | Script) -> Iterator[ModelProvider]:
    """Inside the block every build of this process asks ``provider`` (or a script), whatever ``[llm] provider``
    says.
    """
    chosen: ModelProvider = ScriptedProvider(provider) if callable(provider) else provider
    before = testing_hook.factory
    testing_hook.factory = lambda setup: chosen
    try:
        yield chosen
    finally:
        testing_hook.factory = before
