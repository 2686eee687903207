"""A local OpenAI-compatible server that is slow, overloaded or broken as told: ``python -m benchmarks.model_server``.

It prints its port and serves until stdin closes. ``POST /mode`` takes a ``Mode`` as JSON and forgets what was counted;
``GET /stats`` tells what came. As cheap as it can be, since it shares its cores with whom it measures: one asyncio protocol,
no parsing beyond the length of a body. Knows nothing of ZeroRepo.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

PROMPT_TOKENS, COMPLETION_TOKENS = 400, 50


@dataclass
class Mode:
    """What happens to a request; shares are of all requests, drawn with ``seed``."""

    latency_s: float = 0.0
    rate_limited: float = 0.0
    retry_after_s: float = 1.0
    server_error: float = 0.0
    hanging: float = 0.0
    malformed: float = 0.0
    truncated: float = 0.0
    seed: int = 1
    text: str = "hello"


@dataclass
class Stats:
    """What came since the last ``POST /mode``."""

    requests: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    most_in_flight: int = 0
    hung_up: int = 0
    """Connections that the client closed while it was owed an answer."""
    paid: Counter[int] = field(default_factory=Counter)
    """Whole answers by what was asked (a hash of the body)."""

    def to_json(self) -> dict[str, Any]:
        body = {name: getattr(self, name) for name in ("requests", "in_flight", "most_in_flight", "hung_up")}
        return {**body, "kinds": dict(self.kinds), "asked": len(self.paid), "paid": sum(self.paid.values())}


class Model:
    """The state that all connections share."""

    def __init__(self) -> None:
        self.set(Mode())

    def set(self, mode: Mode) -> None:
        self.mode, self.stats, self._random = mode, Stats(), random.Random(mode.seed)
        usage = {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": COMPLETION_TOKENS,
            "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
        }
        reply = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "bench-2026", "usage": usage}

        def answer(reason: str) -> bytes:
            message = {"role": "assistant", "content": mode.text}
            return json.dumps(
                {**reply, "choices": [{"index": 0, "message": message, "finish_reason": reason}]}
            ).encode()

        slow = f"Retry-After: {mode.retry_after_s}\r\n"
        self.replies = {
            "answer": _http("200 OK", answer("stop")),
            "truncated": _http("200 OK", answer("length")),
            "malformed": _http("200 OK", answer("stop")[:60]),
            "rate_limited": _http("429 Too Many Requests", _error("slow down", "rate_limit_exceeded"), slow),
            "server_error": _http("500 Internal Server Error", _error("boom", "server_error")),
        }

    def draw(self) -> str:
        drawn = self._random.random()
        for kind in ("rate_limited", "server_error", "hanging", "malformed", "truncated"):
            drawn -= getattr(self.mode, kind)
            if drawn < 0:
                return kind
        return "answer"


def _error(message: str, code: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": code, "code": code}}).encode()


def _http(status: str, body: bytes, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Connection(asyncio.Protocol):
    """One client's."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.buffer = b""
        self.owed: asyncio.TimerHandle | bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self.owed:
            if isinstance(self.owed, asyncio.TimerHandle):
                self.owed.cancel()
            self.model.stats.hung_up += 1
            self.model.stats.in_flight -= 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        self._serve(head, rest[:length])

    def _serve(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET /stats"):
            self.transport.write(_http("200 OK", json.dumps(self.model.stats.to_json()).encode()))
            return
        if head.startswith(b"POST /mode"):
            self.model.set(Mode(**json.loads(body)))
            self.transport.write(_http("200 OK", b"{}"))
            return
        kind, stats = self.model.draw(), self.model.stats
        stats.requests += 1
        stats.kinds[kind] += 1
        stats.in_flight += 1
        stats.most_in_flight = max(stats.most_in_flight, stats.in_flight)
        if kind in ("answer", "truncated"):
            stats.paid[hash(body)] += 1
        if kind == "hanging":
            self.owed = True
            return
        latency = self.model.mode.latency_s if kind in ("answer", "truncated", "malformed") else 0.0
        if latency:
            self.owed = asyncio.get_running_loop().call_later(latency, self._reply, kind)
        else:
            self._reply(kind)

    def _reply(self, kind: str) -> None:
        self.owed = False
        self.model.stats.in_flight -= 1
        self.transport.write(self.model.replies[kind])


async def serve() -> None:
    """Until stdin closes."""
    model, loop = Model(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(model), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


class Server:
    """The server as its parent process sees it."""

    def __init__(self, port: int) -> None:
        self.root = f"http://127.0.0.1:{port}"
        self.base_url = f"{self.root}/v1"

    def mode(self, mode: Mode) -> None:
        """Change how it behaves, and begin to count anew."""
        body = json.dumps(asdict(mode)).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.root}/mode", data=body, method="POST")) as reply:
            reply.read()

    def stats(self) -> dict[str, Any]:
        """What came since."""
        with urllib.request.urlopen(f"{self.root}/stats") as reply:
            found: dict[str, Any] = json.load(reply)
            return found


@contextmanager
def running() -> Iterator[Server]:
    """A server in a process of its own, ended afterwards."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.model_server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Server(int(process.stdout.readline()))
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(serve())
