"""A resident worker behind a pair of byte streams: frames in, frames out; and one behind a launcher's own streams.

Knows nothing of isolation or of what is asked.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from zerorepo.errors import EnvironmentFailure, TransientFailure
from zerorepo_sandbox.cgroup import Group
from zerorepo_sandbox.process import end_tree
from zerorepo_sandbox.tier import Gone

_LENGTH = struct.Struct(">I")
_BUFFER = 1 << 20
_CHUNK = 1 << 16


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
        out_of_memory: Callable[[], bool] = lambda: False,
        ended_for_memory: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self.isolate = isolate
        self._reader = reader
        self._writer = writer
        self._end = end
        self._alive = alive
        self._last_words = last_words
        self._out_of_memory = out_of_memory
        self._ended_for_memory = ended_for_memory

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

    def out_of_memory(self) -> bool:
        return self._out_of_memory()

    async def ended_for_memory(self) -> bool:
        return self._ended_for_memory is not None and await self._ended_for_memory()

    def alive(self) -> bool:
        return self._alive() and not self._reader.at_eof()


async def start_resident(
    argv: Sequence[str],
    env: Mapping[str, str],
    pass_fds: Sequence[int],
    *,
    isolate: str,
    group: Group | None = None,
) -> StreamResident:
    """Start a resident worker behind a launcher with a process namespace below it, in a group that ends with it.

    EnvironmentFailure when it does not start.
    """
    argv = [*group.command, *argv] if group is not None else argv
    ours, theirs = socket.socketpair()
    # In memory, not a pipe that somebody would have to read.
    errors = os.memfd_create("zerorepo-worker", os.MFD_CLOEXEC)

    def let_go() -> None:
        ours.close()
        os.close(errors)
        if group is not None:
            group.remove()

    try:
        process = await _launched(argv, env, pass_fds, theirs, errors)
    except BaseException:
        let_go()
        raise
    finally:
        theirs.close()
    exited = asyncio.ensure_future(process.wait())
    reader, writer = await asyncio.open_connection(sock=ours, limit=_BUFFER)
    last_words: list[str] = []

    async def end() -> None:
        if last_words:
            return
        writer.close()
        await end_tree(process.pid, exited, namespaced=True)
        last_words.append(_last_of(errors))
        await asyncio.to_thread(let_go)

    return StreamResident(
        isolate,
        reader,
        writer,
        end,
        alive=lambda: not exited.done(),
        last_words=lambda: last_words[0] if last_words else "",
        out_of_memory=group.ran_out if group is not None else lambda: False,
    )


async def _launched(
    argv: Sequence[str], env: Mapping[str, str], pass_fds: Sequence[int], pipe: socket.socket, errors: int
) -> asyncio.subprocess.Process:
    """The launcher's process, ended again when whoever waits for it is cancelled meanwhile."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *argv,
            stdin=pipe.fileno(),
            stdout=pipe.fileno(),
            stderr=errors,
            env=dict(env),
            cwd="/",
            start_new_session=True,
            pass_fds=tuple(pass_fds),
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        process = await starting
        await end_tree(process.pid, asyncio.ensure_future(process.wait()), namespaced=True)
        raise
    except BlockingIOError as error:
        raise TransientFailure(f"No process could be started: {error.strerror}") from error
    except OSError as error:
        raise EnvironmentFailure(f"`{argv[0]}` could not be started: {error.strerror}") from error


def _last_of(fd: int) -> str:
    """The last part of what was written into a file in memory."""
    size = os.fstat(fd).st_size
    return os.pread(fd, _CHUNK, max(0, size - _CHUNK)).decode("utf-8", "replace").strip()
