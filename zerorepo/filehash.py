"""The content of files through a hash function, as fast as a file of its size allows. Knows nothing of digests or who asks.

A small file is one ``read``. A larger one goes through a buffer that stays in the processor's cache. A large one is mapped, which
saves the copy, but only under a lease (``leased``), since a mapped file that shrinks would end the process. Whatever cannot be
leased is read. A file that changes meanwhile gives a hash of some mixture: whoever must know compares ``stat`` before and after.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK  # a FIFO must be refused, not waited for
_SMALL = 64 << 10
_BUFFER = 1 << 20  # as fast as smaller ones on large files, faster on those that fit
_ENOUGH = 16  # files of the size that is worth a thread, in bytes altogether, before any is started
_LARGE = 2 << 20  # below, mapping costs what it saves

PathText = str | os.PathLike[str]
Hashed = tuple[str, int]
"""Lower-case hex and size in bytes."""


class Hasher(Protocol):
    """What hash functions have in common."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


class Hashing(NamedTuple):
    """A hash function, for bytes in hand and step by step."""

    of_bytes: Callable[[bytes], str]
    new: Callable[[], Hasher]
    worth_a_thread: int
    """Size in bytes from which on a file is faster hashed in another thread than right here."""


_local = threading.local()


def hash_file(path: PathText, how: Hashing) -> Hashed:
    """Hash and size of a regular file. OSError as ``open`` and ``read`` raise it, and EINVAL for a FIFO, device or socket."""
    handle, status = _open(path)
    try:
        return _hash(handle, status, how)
    finally:
        os.close(handle)


def hash_files(paths: Sequence[PathText], how: Hashing, threads: int | None = None) -> list[Hashed | OSError]:
    """What ``hash_file`` returns or raises for each, in order.

    Files that are worth it are shared among up to ``threads`` threads (default: the cores), the others are hashed right here:
    a thread takes longer to get hold of the interpreter than of a small file.
    """
    results: list[Hashed | OSError | None] = [None] * len(paths)
    larger: list[tuple[int, int]] = []
    for index, path in enumerate(paths):
        try:
            handle, status = _open(path)
            try:
                if status.st_size >= how.worth_a_thread:
                    larger.append((status.st_size, index))
                else:
                    results[index] = _hash(handle, status, how)
            finally:
                os.close(handle)
        except OSError as error:
            results[index] = error
    larger.sort(reverse=True)  # the largest first, so that no thread is left with one at the end
    waiting = deque(index for _, index in larger)

    def work() -> None:
        while True:
            try:
                index = waiting.popleft()
            except IndexError:
                return
            try:
                results[index] = hash_file(paths[index], how)
            except OSError as error:
                results[index] = error

    enough = sum(size for size, _ in larger) >= _ENOUGH * how.worth_a_thread
    _in_threads(work, min(len(larger), threads or os.cpu_count() or 1) if enough else 1)
    return [result for result in results if result is not None]


def _in_threads(work: Callable[[], None], count: int) -> None:
    """Run ``work`` in ``count`` threads, this one included, and wait for all; an exception of any is raised here."""
    if count < 2:
        work()
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(count - 1, "hash") as pool:
        others = [pool.submit(work) for _ in range(count - 1)]
        work()
    for other in others:
        other.result()


def _open(path: PathText) -> tuple[int, os.stat_result]:
    handle = os.open(path, _FLAGS)
    try:
        status = os.fstat(handle)
        if stat.S_ISREG(status.st_mode):
            return handle, status
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        raise OSError(errno.EINVAL, "Not a regular file", os.fspath(path))
    except BaseException:
        os.close(handle)
        raise


def _hash(handle: int, status: os.stat_result, how: Hashing) -> Hashed:
    size = status.st_size
    if size <= _SMALL:
        data = os.read(handle, size + 1)
        if len(data) == size:
            return how.of_bytes(data), size
        # Changed since, or of a file system that tells no sizes.
        hasher = how.new()
        hasher.update(data)
        return _stream(handle, hasher, len(data))
    hasher, mapped = how.new(), 0
    if size >= _LARGE:
        from zerorepo.leased import map_leased

        mapped = map_leased(handle, status, hasher.update)
        os.lseek(handle, mapped, os.SEEK_SET)
    return _stream(handle, hasher, mapped)


def _stream(handle: int, hasher: Hasher, size: int) -> Hashed:
    """The rest of the file, after ``size`` bytes that the hasher has seen."""
    try:
        view: memoryview = _local.view
    except AttributeError:
        view = _local.view = memoryview(bytearray(_BUFFER))
    while count := os.readv(handle, [view]):
        hasher.update(view[:count])
        size += count
    return hasher.hexdigest(), size


__all__ = ["Hashed", "Hasher", "Hashing", "PathText", "hash_file", "hash_files"]
