"""A provider of a third party that speaks HTTP by itself: what a hostile server says comes back as it was said, and quickly."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request

from zerorepo_llm.action import Answer
from zerorepo_llm.faults import ModelFault, classify
from zerorepo_llm.providers import Request, Setup
from zerorepo_llm.secrets import resolved


class PlainHTTP:
    """One POST a question."""

    name = "plain"
    limited = True

    def __init__(self, setup: Setup) -> None:
        self._setup = setup

    async def ask(self, request: Request) -> Answer:
        """The answer; ModelFault with the server's own words."""
        settings = self._setup.settings
        assert settings.api_key
        key = await resolved(settings.api_key, self._setup.workspace)
        messages = [message.model_dump() for message in request.action.messages]
        body = json.dumps({"model": request.action.model, "messages": messages}).encode()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        posted = urllib.request.Request(f"{settings.api_base}/chat/completions", body, headers)
        return await asyncio.to_thread(self._post, posted)

    def _post(self, posted: urllib.request.Request) -> Answer:
        try:
            with urllib.request.urlopen(posted, timeout=20) as reply:
                said = json.load(reply)
        except urllib.error.HTTPError as error:
            raise ModelFault(classify(status=error.code), error.read().decode(), status=error.code) from error
        return Answer(text=said["choices"][0]["message"]["content"], model=said["model"])

    async def close(self) -> None:
        """Nothing is held."""
