"""A resident ruff: its language server, asked through pipes, so that a file costs a millisecond and not the start of a process.

It is only a faster way: whoever asks gets ``Gone`` when it cannot answer, for whatever reason, and is to start ruff itself.
Knows nothing of what it is asked for.

The messages are those of the Language Server Protocol, version 3.17.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import select
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

# It must not exist: ruff would look for settings in it.
_ROOT = "file:///nonexistent/zerorepo"
_LIMIT_S = 10.0
_PIECE = 1 << 16
_LINE_END = re.compile(r"\r\n|\r|\n")
_OPTIONS = {"tabSize": 4, "insertSpaces": True}


class Gone(Exception):
    """The server did not answer, or not in words that are understood."""


class _Pipes:
    """Messages to and from a process, one after the other. OSError and ValueError when it ends, is late, or says something else."""

    def __init__(self, command: Sequence[str]) -> None:
        self.owner = os.getpid()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0, cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "RAYON_NUM_THREADS": "1"},
        )  # fmt: skip
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        self._read = b""
        self._asked = 0

    @property
    def open(self) -> bool:
        """Whether it runs, and was started by this process: a fork must leave its parent's alone."""
        return self.owner == os.getpid() and self._process.poll() is None

    def close(self) -> None:
        """End it."""
        if self.owner == os.getpid():
            self._process.kill()
            self._process.communicate()

    def tell(self, method: str, **parameters: Any) -> None:
        """Say something that has no answer."""
        self._send({"method": method, "params": parameters})

    def ask(self, method: str, **parameters: Any) -> Any:
        """The answer. What the server says unasked is passed over."""
        self._asked += 1
        self._send({"id": self._asked, "method": method, "params": parameters})
        until = time.monotonic() + _LIMIT_S
        while True:
            said = self._receive(until)
            if said.get("id") == self._asked and "method" not in said:
                return said["result"]

    def _send(self, message: Mapping[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        data = memoryview(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        pipe = self._process.stdin
        assert pipe is not None
        until = time.monotonic() + _LIMIT_S
        while data:
            self._wait(pipe.fileno(), select.POLLOUT, until)
            data = data[pipe.write(data) or 0 :]

    def _receive(self, until: float) -> dict[str, Any]:
        while b"\r\n\r\n" not in self._read:
            self._read += self._more(until)
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n"))
        length = int(fields[b"content-length"])
        while len(self._read) < length:
            self._read += self._more(until)
        body, self._read = self._read[:length], self._read[length:]
        found: dict[str, Any] = json.loads(body)
        return found

    def _more(self, until: float) -> bytes:
        pipe = self._process.stdout
        assert pipe is not None
        self._wait(pipe.fileno(), select.POLLIN, until)
        piece = os.read(pipe.fileno(), _PIECE)
        if not piece:
            raise OSError("it has ended")
        return piece

    def _wait(self, descriptor: int, what: int, until: float) -> None:
        waiting = select.poll()
        waiting.register(descriptor, what)
        if not waiting.poll(max(0.0, until - time.monotonic()) * 1000):
            raise OSError(f"no answer in {_LIMIT_S:.0f} s")


class RuffServer:
    """One process of ``ruff server``, for all threads. ``settings`` are ruff's own, as in its configuration file."""

    def __init__(self, ruff: str, settings: Mapping[str, Any]) -> None:
        self._lock = threading.RLock()
        with _put_as_gone():
            self._pipes = _Pipes([ruff, "server"])
        atexit.register(self.close)
        with self._alone():
            answer = self._pipes.ask(
                "initialize",
                processId=None,
                rootUri=None,
                workspaceFolders=[{"uri": _ROOT, "name": "zerorepo"}],
                capabilities={"general": {"positionEncodings": ["utf-32"]}, "textDocument": {"diagnostic": {}}},
                initializationOptions={
                    "settings": {
                        "configuration": settings,
                        "configurationPreference": "editorOnly",
                        "logLevel": "error",
                    }
                },
            )
            if answer["capabilities"]["positionEncoding"] != "utf-32":
                raise ValueError("it counts characters in another way")
            self._pipes.tell("initialized")

    @property
    def usable(self) -> bool:
        """Whether it may be asked."""
        return self._pipes.open

    def close(self) -> None:
        """End it, when it is not answering."""
        atexit.unregister(self.close)
        with self._lock:
            self._pipes.close()

    def formatted(self, name: str, text: str) -> str:
        """``text`` with what the rules find put right, where that is safe, then laid out. ``name`` is its file's, no path."""
        with self._alone(), self._shown(name, text) as document:
            answer = self._pipes.ask(
                "textDocument/codeAction",
                textDocument=document,
                range={"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}},
                context={"diagnostics": [], "only": ["source.fixAll.ruff"]},
            )
            changes = {uri: edits for each in answer for uri, edits in each["edit"]["changes"].items()}
            edits = changes.pop(document["uri"], ())
            if changes:
                raise ValueError("it has changed another file")
            if edits:
                text = _edited(text, edits)
                self._pipes.tell(
                    "textDocument/didChange",
                    textDocument={**document, "version": 2},
                    contentChanges=[{"text": text}],
                )
            answer = self._pipes.ask("textDocument/formatting", textDocument=document, options=_OPTIONS)
            if answer is None and any(each["code"] == "invalid-syntax" for each in self._diagnostics(document)):
                raise ValueError("it cannot read this")  # else nothing is to be changed
            return _edited(text, answer or ())

    def found(self, name: str, text: str) -> list[tuple[int, str]]:
        """Line and message of all that the rules find, in order."""
        with self._alone(), self._shown(name, text) as document:
            return sorted(
                (each["range"]["start"]["line"] + 1, each["message"].partition("\n")[0])
                for each in self._diagnostics(document)
            )

    def _diagnostics(self, document: Mapping[str, str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._pipes.ask("textDocument/diagnostic", textDocument=document)["items"]
        return found

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One question at a time. A server that did not answer one is not asked again."""
        with self._lock, _put_as_gone():
            if not self.usable:
                raise OSError("it has ended")
            try:
                yield
            except BaseException:
                # Also when interrupted: an answer may be on its way, which would be taken for that to the next question.
                self.close()
                raise

    @contextmanager
    def _shown(self, name: str, text: str) -> Iterator[dict[str, str]]:
        document = {"uri": f"{_ROOT}/{name}"}
        whole = {**document, "languageId": "python", "version": 1, "text": text}
        self._pipes.tell("textDocument/didOpen", textDocument=whole)
        yield document
        self._pipes.tell("textDocument/didClose", textDocument=document)


@contextmanager
def _put_as_gone() -> Iterator[None]:
    """What an answer lacks is found in many ways, and all of them mean the same."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise Gone(f"{type(error).__name__}: {error}") from error


def _edited(text: str, edits: Sequence[Mapping[str, Any]]) -> str:
    """With edits that do not overlap; lines and columns count from zero."""
    starts = [0, *(found.end() for found in _LINE_END.finditer(text))]

    def place(position: Mapping[str, int]) -> int:
        line = position["line"]
        return min(len(text), starts[line] + position["character"]) if line < len(starts) else len(text)

    spans = sorted((place(each["range"]["start"]), place(each["range"]["end"]), each["newText"]) for each in edits)
    pieces, done = list[str](), 0
    for start, end, new in spans:
        pieces += [text[done:start], new]
        done = end
    return "".join([*pieces, text[done:]])


__all__ = ["Gone", "RuffServer"]
