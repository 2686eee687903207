"""A local OpenAI-compatible server that misbehaves on request. Knows nothing of ZeroRepo.

``server.plan`` lists what the next requests get; the last one repeats. Everything received is kept in ``server.seen``.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One reply: an error, a choice, or raw bytes; ``hang_s`` seconds before it."""

    status: int = 200
    text: str | None = "hello"
    finish_reason: str = "stop"
    refusal: str | None = None
    error: str | None = None
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    choices: bool = True
    hang_s: float = 0.0
    drop: bool = False
    usage: dict[str, Any] | None = None


OK = Reply()
RATE_LIMITED = Reply(429, error="slow down", code="rate_limit_exceeded", headers={"Retry-After": "0.2"})
QUOTA = Reply(429, error="You exceeded your current quota", code="insufficient_quota")
SERVER_ERROR = Reply(500, error="boom")
OVERLOADED = Reply(503, error="overloaded")
OVERLOADED_529 = Reply(529, error="overloaded")
UNAUTHORIZED = Reply(401, error="Incorrect API key provided: {key}", code="invalid_api_key")
FORBIDDEN = Reply(403, error="no access")
PAYMENT = Reply(402, error="pay first")
NOT_FOUND = Reply(404, error="no such model", code="model_not_found")
BAD_REQUEST = Reply(400, error="bad parameter")
UNPROCESSABLE = Reply(422, error="cannot be processed")
TOO_LONG = Reply(
    400,
    error="This model's maximum context length is 10 tokens. However, your messages resulted in 20 tokens",
    code="context_length_exceeded",
)
POLICY = Reply(400, error="Your request was rejected by our safety system", code="content_policy_violation")
MALFORMED = Reply(raw=b'{"id": "x", "choi')
HTML = Reply(raw=b"<html>Bad gateway</html>")
TRUNCATED = Reply(text="hel", finish_reason="length")
FILTERED = Reply(text="he", finish_reason="content_filter")
REFUSED = Reply(text=None, refusal="I can't help with that")
EMPTY_TEXT = Reply(text="")
NO_CHOICES = Reply(choices=False)
HANG = Reply(hang_s=3.0)
DROP = Reply(drop=True)


class FakeOpenAI(ThreadingHTTPServer):
    """Start with ``with FakeOpenAI() as server``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plan: list[Reply | Callable[[dict[str, Any]], Reply]] = [OK]
        self.seen: list[dict[str, Any]] = []
        self.headers_seen: list[dict[str, str]] = []
        self.times: list[float] = []
        self.lock = threading.Lock()
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.polls_until_done = 1
        """How often a batch is looked at before it is done."""
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is no news."""

    def __enter__(self) -> FakeOpenAI:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeOpenAI

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        what, _, rest = self.path.removeprefix("/v1/").partition("/")
        if what == "files":
            self._send(self.server.files[rest.removesuffix("/content")])
            return
        batch = self.server.batches[rest]
        batch["polls"] += 1
        if batch["polls"] >= self.server.polls_until_done and batch["status"] == "in_progress":
            batch["status"] = "completed"
            lines = [json.loads(line) for line in self.server.files[batch["input_file_id"]].splitlines()]
            replies = [self._batched(line) for line in lines]
            batch["output_file_id"] = "file-out-" + rest
            self.server.files[batch["output_file_id"]] = b"".join(json.dumps(each).encode() + b"\n" for each in replies)
        self._send(json.dumps({name: value for name, value in batch.items() if name != "polls"}).encode())

    def _batched(self, line: dict[str, Any]) -> dict[str, Any]:
        with self.server.lock:
            self.server.seen.append(line["body"])
            planned = self.server.plan.pop(0) if len(self.server.plan) > 1 else self.server.plan[0]
        reply = planned if isinstance(planned, Reply) else planned(line["body"])
        response = {"status_code": reply.status, "request_id": "r", "body": _body(reply, line["body"], {})}
        return {"id": "b", "custom_id": line["custom_id"], "response": response, "error": None}

    def _send(self, data: bytes, content_type: str = "application/json") -> None:
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        if self.path == "/v1/files":
            self._upload(self.rfile.read(int(self.headers["content-length"])))
            return
        if self.path == "/v1/batches":
            self._start_batch(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            return
        if self.path == "/v1/messages":
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with self.server.lock:
                self.server.seen.append(body)
            self._send(json.dumps(_anthropic(body)).encode())
            return
        self._complete()

    def _upload(self, form: bytes) -> None:
        at = form.index(b'filename="')
        body = form[form.index(b"\r\n\r\n", at) + 4 :].partition(b"\r\n--")[0]
        id_ = f"file-{len(self.server.files)}"
        self.server.files[id_] = body
        made = {"id": id_, "object": "file", "bytes": len(body), "created_at": 1, "filename": "b", "purpose": "batch"}
        self._send(json.dumps({**made, "status": "processed"}).encode())

    def _start_batch(self, asked: dict[str, Any]) -> None:
        id_ = f"batch-{len(self.server.batches)}"
        batch = {"id": id_, "object": "batch", "status": "in_progress", "created_at": 1, "polls": 0, **asked}
        self.server.batches[id_] = {**batch, "output_file_id": None, "error_file_id": None}
        self._send(json.dumps({name: value for name, value in batch.items() if name != "polls"}).encode())

    def _complete(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.lock:
            self.server.seen.append(body)
            self.server.headers_seen.append(headers)
            self.server.times.append(time.monotonic())
            planned = self.server.plan.pop(0) if len(self.server.plan) > 1 else self.server.plan[0]
        reply = planned if isinstance(planned, Reply) else planned(body)
        time.sleep(reply.hang_s)
        if reply.drop:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        data = reply.raw if reply.raw is not None else json.dumps(_body(reply, body, headers)).encode()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _anthropic(request: dict[str, Any]) -> dict[str, Any]:
    """A reply in the form of Anthropic's messages."""
    return {
        "id": "msg-1",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 100,
            "output_tokens": 3,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 1900,
        },
    }


def _body(reply: Reply, request: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    if reply.error is not None:
        message = reply.error.format(key=headers.get("authorization", "").removeprefix("Bearer "))
        return {"error": {"message": message, "type": "error", "code": reply.code}}
    message = {"role": "assistant", "content": reply.text}
    if reply.refusal is not None:
        message["refusal"] = reply.refusal
    choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": f"{request['model']}-2026",
        "choices": [choice] if reply.choices else [],
        "usage": reply.usage or {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
    }
