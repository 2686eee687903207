"""A resident worker behind a pair of byte streams: frames in, frames out. Knows nothing of isolation or of what is asked."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Protocol

from zerorepo_sandbox.tier import Gone

_LENGTH = struct.Struct(">I")


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
    ) -> None:
        self.isolate = isolate
        self._reader = reader
        self._writer = writer
        self._end = end
        self._alive = alive

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

    def alive(self) -> bool:
        return self._alive() and not self._reader.at_eof()
