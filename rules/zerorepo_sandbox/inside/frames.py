"""Frames on descriptors: four bytes of length, most significant first, and as many bytes. Knows nothing of what is in them."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

_LENGTH = struct.Struct(">I")


class Ended(Exception):
    """The other side is gone."""


def write(fd: int, payload: bytes) -> None:
    """All of one frame."""
    data = memoryview(_LENGTH.pack(len(payload)) + payload)
    while data:
        data = data[os.write(fd, data) :]


def read(fd: int) -> bytes:
    """One frame. Ended when the other side closes, in the middle of one too."""
    (size,) = _LENGTH.unpack(_exactly(fd, _LENGTH.size))
    return _exactly(fd, size)


def _exactly(fd: int, size: int) -> bytes:
    parts, left = [], size
    while left:
        chunk = os.read(fd, min(left, 1 << 20))
        if not chunk:
            raise Ended
        parts.append(chunk)
        left -= len(chunk)
    return b"".join(parts)


def unpack(payload: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A request: a line of JSON that lists files with their sizes under ``files``; their contents follow in that order."""
    line, _, rest = payload.partition(b"\n")
    header: dict[str, Any] = json.loads(line)
    files, offset = {}, 0
    for path, size in header.get("files", ()):
        files[path] = rest[offset : offset + size]
        offset += size
    return header, files
