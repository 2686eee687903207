"""One asker for each key at a time, over all builds on this machine. Knows nothing of what the keys stand for.

A key is a byte, far beyond its end, of one lock file: the lock ends with its process, leaves nothing behind, and costs a
system call where a file for each key costs a millisecond. Such locks do not keep two users in one process apart, and end
when that process closes the file anywhere: so who holds what here is remembered here, and the file stays open.
"""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class _File:
    handle: int
    inode: int
    held: set[str] = field(default_factory=set)


_files: dict[Path, _File] = {}
_guard = threading.Lock()


def try_hold(path: Path, key: str) -> bool:
    """Hold ``key`` of the lock file ``path``, unless someone does. ``key`` is hexadecimal."""
    with _guard:
        file = _opened(path)
        if key in file.held:
            return False
        try:
            fcntl.lockf(file.handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(key))
        except (BlockingIOError, PermissionError):
            return False
        file.held.add(key)
        return True


def release(path: Path, key: str) -> None:
    """Let go of ``key``."""
    with _guard:
        file = _files.get(path)
        if file is not None and key in file.held:
            file.held.discard(key)
            fcntl.lockf(file.handle, fcntl.LOCK_UN, 1, _place(key))


def _place(key: str) -> int:
    # 60 bits: two keys that share a byte wait for each other, which does no harm.
    return int(key[:15], 16)


def _opened(path: Path) -> _File:
    file = _files.get(path)
    if file is not None:
        with suppress(FileNotFoundError):
            if path.stat().st_ino == file.inode:
                return file
        os.close(file.handle)  # the workspace's state was deleted meanwhile
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    _files[path] = _File(handle, os.fstat(handle).st_ino)
    return _files[path]


def _forget_after_fork() -> None:
    # A child holds none of its parent's locks, and its copy of the handles must not be taken for its own.
    for file in _files.values():
        with suppress(OSError):
            os.close(file.handle)
    _files.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
