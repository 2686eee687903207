"""Questions that may wait, through a provider's batch API: gathered, sent as one file, waited for. Knows litellm's file and
batch functions; how a question becomes a request and a reply an answer is its caller's.

A batch that was sent is remembered in ``<state>/llm/batches/``, so that a build that was stopped, or the next one, goes on
waiting for it and pays for nothing twice.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zerorepo_llm import faults
from zerorepo_llm.faults import ModelFault, classify
from zerorepo_llm.files import write_durably
from zerorepo_llm.settings import BatchSettings

_KEPT_S = 29 * 86_400  # providers delete results after 30 days
_OVER = ("completed", "failed", "expired", "cancelled")
_URL = "/v1/chat/completions"

Endpoint = Mapping[str, Any]
"""``custom_llm_provider``, ``api_base`` and ``api_key`` for litellm."""


@dataclass(slots=True)
class _Waiting:
    line: dict[str, Any]
    reply: asyncio.Future[dict[str, Any]]


@dataclass(slots=True)
class _Gathering:
    """What has come since the last batch was sent."""

    waiting: dict[str, _Waiting] = field(default_factory=dict)
    last: float = 0.0
    task: asyncio.Task[None] | None = None


class Batches:
    """All batches of one build."""

    def __init__(
        self, litellm: Any, settings: BatchSettings, state_dir: Path, fault_of: Callable[[Exception], ModelFault]
    ) -> None:
        self._litellm = litellm
        self._settings = settings
        self._folder = state_dir / "llm" / "batches"
        self._fault_of = fault_of
        self._gathering: dict[str, _Gathering] = {}
        self._fetched: dict[str, asyncio.Task[dict[str, dict[str, Any]]]] = {}

    async def ask(
        self, name: str, id_: str, body: Mapping[str, Any], endpoint: Endpoint, *, fresh: bool
    ) -> dict[str, Any]:
        """The body of the reply to ``body``, asked under the id ``id_`` of provider ``name``. ModelFault when there is none.

        ``fresh``: do not take the reply of an earlier batch.
        """
        sent = None if fresh else self._find(name, id_)
        if sent is None:
            line = {"custom_id": id_, "method": "POST", "url": _URL, "body": dict(body)}
            reply = await self._gather(name, id_, line, endpoint)
        else:
            replies = await self._replies(sent, endpoint)
            reply = replies.get(id_) or {"error": {"message": "the batch ended without a reply to this question"}}
        return self._body(name, id_, reply)

    async def close(self) -> None:
        """Stop waiting; what was sent goes on, and is found by the next build."""
        tasks = [each.task for each in self._gathering.values() if each.task] + list(self._fetched.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- sending

    async def _gather(self, name: str, id_: str, line: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
        gathering = self._gathering.setdefault(name, _Gathering())
        loop = asyncio.get_running_loop()
        waiting = _Waiting(line, loop.create_future())
        gathering.waiting[id_], gathering.last = waiting, loop.time()
        if gathering.task is None or gathering.task.done():
            gathering.task = asyncio.create_task(self._send_when_full(name, gathering, endpoint))
        try:
            return await waiting.reply
        finally:
            gathering.waiting.pop(id_, None)

    async def _send_when_full(self, name: str, gathering: _Gathering, endpoint: Endpoint) -> None:
        loop = asyncio.get_running_loop()
        while len(gathering.waiting) < self._settings.most:
            quiet = gathering.last + self._settings.gather_s - loop.time()
            if quiet <= 0:
                break
            await asyncio.sleep(quiet)
        chosen = dict(list(gathering.waiting.items())[: self._settings.most])
        self._gathering[name] = rest = _Gathering()
        for id_, waiting in gathering.waiting.items():
            if id_ not in chosen:
                rest.waiting[id_] = waiting
        if rest.waiting:
            rest.task = asyncio.create_task(self._send_when_full(name, rest, endpoint))
        try:
            sent = await self._send(name, {id_: each.line for id_, each in chosen.items()}, endpoint)
            replies = await self._replies(sent, endpoint)
        except ModelFault as fault:
            for each in chosen.values():
                if not each.reply.done():
                    each.reply.set_exception(_copy(fault))
            return
        for id_, each in chosen.items():
            if not each.reply.done():
                each.reply.set_result(
                    replies.get(id_) or {"error": {"message": "the batch has no reply to this question"}}
                )

    async def _send(self, name: str, lines: Mapping[str, dict[str, Any]], endpoint: Endpoint) -> Path:
        data = b"".join(json.dumps(line).encode() + b"\n" for line in lines.values())
        file = await self._call(self._litellm.create_file, file=("batch.jsonl", data), purpose="batch", **endpoint)
        batch = await self._call(
            self._litellm.create_batch,
            completion_window="24h",
            endpoint=_URL,
            input_file_id=file.id,
            **endpoint,
        )
        path = self._folder / f"{time.time_ns():x}.json"
        record = {"provider": name, "batch": batch.id, "at": time.time(), "ids": sorted(lines)}
        write_durably(path, json.dumps(record, indent=1).encode())
        return path

    # --- waiting

    def _find(self, name: str, id_: str) -> Path | None:
        """The batch that was sent with ``id_`` in it and is not too old."""
        for path in sorted(self._folder.glob("*.json"), reverse=True):
            record = json.loads(path.read_text("utf-8"))
            if record["at"] < time.time() - _KEPT_S:
                path.unlink(missing_ok=True)
            elif record["provider"] == name and id_ in record["ids"]:
                return path
        return None

    async def _replies(self, sent: Path, endpoint: Endpoint) -> dict[str, dict[str, Any]]:
        task = self._fetched.get(sent.name)
        if task is None:
            task = self._fetched[sent.name] = asyncio.create_task(self._wait(sent, endpoint))
        return await asyncio.shield(task)

    async def _wait(self, sent: Path, endpoint: Endpoint) -> dict[str, dict[str, Any]]:
        id_ = json.loads(sent.read_text("utf-8"))["batch"]
        while True:
            batch = await self._call(self._litellm.retrieve_batch, batch_id=id_, **endpoint)
            if batch.status in _OVER:
                break
            await asyncio.sleep(self._settings.poll_s)
        found: dict[str, dict[str, Any]] = {}
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id:
                content = await self._call(self._litellm.file_content, file_id=file_id, **endpoint)
                for line in content.content.decode("utf-8").splitlines():
                    if line.strip():
                        reply = json.loads(line)
                        found[reply["custom_id"]] = reply
        if not found:
            sent.unlink(missing_ok=True)
            raise ModelFault(faults.SERVER_ERROR, f"the batch {id_} ended as `{batch.status}` without replies")
        return found

    async def _call(self, function: Callable[..., Any], **arguments: Any) -> Any:
        # Not litellm's async functions: they leave a client with open connections to the garbage collector each time.
        try:
            return await asyncio.to_thread(function, **arguments)
        except Exception as error:  # noqa: BLE001  (a boundary: litellm raises classes of several libraries)
            raise self._fault_of(error) from None

    def _body(self, name: str, id_: str, reply: Mapping[str, Any]) -> dict[str, Any]:
        """The body of one reply; a failed one is forgotten, so that asking again asks."""
        response = reply.get("response") or {}
        status, body = response.get("status_code"), response.get("body")
        if status == 200 and isinstance(body, dict):
            return body
        self.forget(name, id_)
        error = reply.get("error") or (body or {}).get("error") or {}
        codes = [str(error[key]) for key in ("code", "type") if error.get(key)]
        if "expired" in " ".join(codes):
            raise ModelFault(faults.TIMEOUT, str(error.get("message", "the batch expired")))
        raise ModelFault(
            classify(status=status, codes=codes) if status or codes else faults.SERVER_ERROR,
            str(error.get("message", "no reply")),
            status=status,
        )

    def forget(self, name: str, id_: str) -> None:
        """Do not take the reply to ``id_`` from a batch again."""
        while (path := self._find(name, id_)) is not None:
            record = json.loads(path.read_text("utf-8"))
            record["ids"].remove(id_)
            write_durably(path, json.dumps(record, indent=1).encode())


def _copy(fault: ModelFault) -> ModelFault:
    # One exception raised in several tasks would gather the frames of all of them.
    return ModelFault(fault.fault, fault.detail, status=fault.status, retry_after_s=fault.retry_after_s)
