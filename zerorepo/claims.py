"""Claims: a name that one process holds at a time, among all that share a folder. The kernel drops them when the holder dies.

One lock on one byte of one file a name (open file description locks, Linux 3.15): no file to make or remove, nothing stale to
clear, whatever ended the holder. Two names may share a byte once in 2**60 cases, and then one waits for the other. Knows nothing of
what is claimed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from pathlib import Path

import xxhash

_FLOCK = struct.Struct("hhqqi4x")
_SPACE = 1 << 60
_PRESENT = _SPACE  # a byte that no name has; everyone who is here holds a shared lock on it
_BUSY = (errno.EAGAIN, errno.EACCES)


class Claims:
    """Claims of one process in ``folder``. Where the file system has no locks every claim is granted: work may be done twice."""

    def __init__(self, folder: Path) -> None:
        self._handle = os.open(folder / "claims", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._held: set[int] = set()
        self._set(fcntl.F_RDLCK, _PRESENT, 1)

    def alone(self) -> bool:
        """Whether nobody else is using this folder just now."""
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _PRESENT, 1, 0)
        try:
            found = fcntl.fcntl(self._handle, fcntl.F_OFD_GETLK, asked)
        except OSError:
            return False
        return bool(_FLOCK.unpack(found)[0] == fcntl.F_UNLCK)

    def take(self, name: bytes) -> bool:
        """Claim ``name`` if nobody else has it; whether it is ours now."""
        byte = _byte(name)
        if byte in self._held:
            return True
        if not self._set(fcntl.F_WRLCK, byte, 1):
            return False
        self._held.add(byte)
        return True

    def take_soon(self, name: bytes, patience_s: float) -> bool:
        """The same, waiting for up to ``patience_s`` seconds for a holder that is about to let go."""
        until, pause = time.monotonic() + patience_s, 0.001
        while not self.take(name):
            if time.monotonic() > until:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 0.02)
        return True

    def release(self, name: bytes) -> None:
        """Let go of one name."""
        byte = _byte(name)
        if byte in self._held:
            self._held.discard(byte)
            self._set(fcntl.F_UNLCK, byte, 1)

    def release_all(self) -> None:
        """Let go of everything."""
        if self._held:
            self._held.clear()
            self._set(fcntl.F_UNLCK, 0, _SPACE)

    def close(self) -> None:
        """Let go of everything, for good."""
        self._held.clear()
        os.close(self._handle)

    def _set(self, kind: int, start: int, length: int) -> bool:
        try:
            fcntl.fcntl(self._handle, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, start, length, 0))
        except OSError as error:
            return error.errno not in _BUSY
        return True


def _byte(name: bytes) -> int:
    return xxhash.xxh3_64_intdigest(name) % _SPACE


__all__ = ["Claims"]
