"""An append-only file of what was put but is not yet in a store's database: one ``write`` each, so a killed process loses nothing.

A journal belongs to one process, which holds a ``flock`` on it; the kernel drops that when the process dies, however it dies, and
whoever opens the store next finds the journal free and takes it in. Knows nothing of databases or of what the bytes mean.

A file is a format number (4 bytes) and a batch number (8), then records: CRC-32, length of key, length of value (``_DELETED`` for a
deletion), key, value.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

_PREFIX = "journal-"
_FORMAT = 0x315A4A01  # "JZ1" and a version; a newer ZeroRepo's is left alone
_HEAD = struct.Struct("<IQ")
_RECORD = struct.Struct("<III")
_DELETED = 0xFFFFFFFF
_NUMBERS = itertools.count()

Record = tuple[bytes, bytes | None]
"""Key and value; None for a deletion."""


class UnknownFormat(Exception):
    """A journal that this version cannot read."""


class Journal:
    """The journal of this process for the store in ``folder``. OSError as the file system raises it."""

    def __init__(self, folder: Path) -> None:
        self.name, self._handle = _make(folder)
        self._path = folder / self.name
        self._size = 0
        self.batch = 1
        """Number of the batch that is being written; a batch that the database has is never taken in again."""

    def append(self, records: Iterable[Record]) -> None:
        """Write records; after this returns a killed process loses none of them. On an error none of them is written."""
        parts = [] if self._size else [_HEAD.pack(_FORMAT, self.batch)]
        for key, value in records:
            payload = key + (value or b"")
            size = _DELETED if value is None else len(value)
            parts += [_RECORD.pack(zlib.crc32(payload), len(key), size), payload]
        data = b"".join(parts)
        try:
            if os.write(self._handle, data) != len(data):
                raise OSError(28, "No space left on device")
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, self._size)
            raise
        self._size += len(data)

    def settled(self) -> None:
        """The database has everything that was written: begin the next batch."""
        self.batch += 1
        if self._size:
            os.ftruncate(self._handle, 0)
            self._size = 0

    @property
    def size(self) -> int:
        """Bytes written since the last ``settled``."""
        return self._size

    def close(self) -> None:
        """Remove the file: everything of it is in the database."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._handle)

    def abandon(self) -> None:
        """Let go of the file and leave it for whoever opens the store next."""
        os.close(self._handle)


def _make(folder: Path) -> tuple[str, int]:
    while True:
        name = f"{_PREFIX}{os.getpid()}-{next(_NUMBERS)}"
        try:
            handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            continue  # of an earlier process of this number, or of another machine
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return name, handle
        os.close(handle)  # someone took it for abandoned in the moment before it was locked


def abandoned(folder: Path) -> Iterator[tuple[str, int, list[Record]]]:
    """Name, batch number and records of each journal whose process is no more; removed when the caller goes on to the next.

    The one that was written to last comes last: what it says of a key is the news. UnknownFormat for one that a newer version
    left; it stays. A journal is locked while the caller has it, so two that open a store at once do not both take one in.
    """
    for name in journals(folder):
        try:
            handle = os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if os.fstat(handle).st_nlink:
                yield (name, *_parse(_read(handle)))
                os.unlink(folder / name)
        finally:
            os.close(handle)


def pending(folder: Path) -> Iterator[tuple[str, int, list[Record]]]:
    """The same of every journal there is, of living processes too, changing nothing: for those who only look."""
    for name in journals(folder):
        with contextlib.suppress(OSError):
            yield (name, *_parse((folder / name).read_bytes()))


def journals(folder: Path) -> list[str]:
    """Names of all journals in a folder, the one that was written to last at the end."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            if entry.name.startswith(_PREFIX):
                with contextlib.suppress(FileNotFoundError):  # its process has just ended well
                    found.append((entry.stat().st_mtime_ns, entry.name))
    return [name for _, name in sorted(found)]


def _read(handle: int) -> bytes:
    size = os.fstat(handle).st_size
    return os.pread(handle, size, 0) if size else b""


def _parse(data: bytes) -> tuple[int, list[Record]]:
    """Batch number and whole records; what a kill cut off in the middle had not been acknowledged."""
    records: list[Record] = []
    if len(data) < _HEAD.size:
        return 0, records
    format_, batch = _HEAD.unpack_from(data)
    if format_ != _FORMAT:
        raise UnknownFormat
    at = _HEAD.size
    while at + _RECORD.size <= len(data):
        crc, key_size, value_size = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        end = at + key_size + (0 if value_size == _DELETED else value_size)
        if end > len(data) or zlib.crc32(data[at:end]) != crc:
            break
        key = data[at : at + key_size]
        records.append((key, None if value_size == _DELETED else data[at + key_size : end]))
        at = end
    return batch, records
