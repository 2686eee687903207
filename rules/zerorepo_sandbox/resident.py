"""A resident worker behind a pair of byte streams: frames in, frames out; and one behind a launcher's own streams.

Knows nothing of isolation or of what is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from zerorepo.errors import EnvironmentFailure, TransientFailure
from zerorepo_sandbox.process import end_tree
from zerorepo_sandbox.tier import Gone

_LENGTH = struct.Struct(">I")
_BUFFER = 1 << 20
_CHUNK = 1 << 16
_DRAIN_S = 0.5


class Writer(Protocol):
    """The part of ``asyncio.StreamWriter`` that is used."""

    def write(self, data: bytes, /) -> None: ...

    async def drain(self) -> None: ...


class StreamResident:
    """See ``Resident``. ``end`` and ``alive`` are the tier's: only it knows what was started."""

    def __init__(
        self,
        isolate: str,
        reader: asyncio.StreamReader,
        writer: Writer,
        end: Callable[[], Awaitable[None]],
        alive: Callable[[], bool],
        last_words: Callable[[], str] = lambda: "",
    ) -> None:
        self.isolate = isolate
        self._reader = reader
        self._writer = writer
        self._end = end
        self._alive = alive
        self._last_words = last_words

    async def send(self, frame: bytes) -> None:
        try:
            self._writer.write(_LENGTH.pack(len(frame)) + frame)
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise Gone(f"the worker does not read: {error}") from error

    async def receive(self, longest_s: float, largest: int) -> bytes:
        try:
            async with asyncio.timeout(longest_s):
                (size,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
                if size > largest:
                    raise Gone(f"the worker sent a frame of {size} bytes")
                return await self._reader.readexactly(size)
        except TimeoutError as error:
            raise Gone(f"the worker did not answer within {longest_s:g} s") from error
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Gone("the worker ended") from error

    async def end(self) -> None:
        await asyncio.shield(asyncio.ensure_future(self._end()))

    def last_words(self) -> str:
        return self._last_words()

    def alive(self) -> bool:
        return self._alive() and not self._reader.at_eof()


async def start_resident(
    argv: Sequence[str], env: Mapping[str, str], pass_fds: Sequence[int], *, isolate: str
) -> StreamResident:
    """Start a resident worker behind a launcher with a process namespace below it. EnvironmentFailure when it does not start."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(env),
            cwd="/",
            start_new_session=True,
            pass_fds=tuple(pass_fds),
            limit=_BUFFER,
        )
    )
    try:
        process = await asyncio.shield(starting)
    except asyncio.CancelledError:
        process = await starting
        await end_tree(process.pid, asyncio.ensure_future(process.wait()), namespaced=True)
        raise
    except BlockingIOError as error:
        raise TransientFailure(f"No process could be started: {error.strerror}") from error
    except OSError as error:
        raise EnvironmentFailure(f"`{argv[0]}` could not be started: {error.strerror}") from error
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    said = asyncio.ensure_future(_last_of(process.stderr))
    exited = asyncio.ensure_future(process.wait())
    stdin = process.stdin

    async def end() -> None:
        with contextlib.suppress(OSError, RuntimeError):
            stdin.close()
        await end_tree(process.pid, exited, namespaced=True)
        await asyncio.wait({said}, timeout=_DRAIN_S)
        said.cancel()

    return StreamResident(
        isolate, process.stdout, stdin, end, lambda: not exited.done(), lambda: said.result() if said.done() else ""
    )


async def _last_of(stream: asyncio.StreamReader) -> str:
    """The last part of what comes, once it has ended."""
    kept = b""
    while chunk := await stream.read(_CHUNK):
        kept = (kept + chunk)[-_CHUNK:]
    return kept.decode("utf-8", "replace").strip()
