"""What is remembered of one output, and how the file is now. Knows nothing of folders and targets."""

from __future__ import annotations

import os
import stat as stat_bits

import msgspec

Stat = tuple[int, int, int, int, int]
"""Size, times of the last change of content and of anything (ns), inode, permission bits."""


class OutputRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An output as it was written."""

    digest: str
    stat: Stat | None
    """As the file was when it had this digest; None when that must be found out by hashing."""
    owner: str
    earlier: tuple[str, ...]
    """Other content that is ours too: what a write, perhaps interrupted, was to replace."""


_decoder = msgspec.json.Decoder(OutputRecord)
_encoder = msgspec.json.Encoder()


def encoded(record: OutputRecord) -> bytes:
    """As it is stored."""
    return _encoder.encode(record)


def decoded(row: bytes | None) -> OutputRecord | None:
    """A stored record; None when there is none, or it is damaged."""
    if row is None:
        return None
    try:
        return _decoder.decode(row)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def as_remembered(record: OutputRecord, digest: str, mode: int, stat: Stat | None) -> bool:
    """Whether a file is still as it was written, and what was written is what is wanted."""
    return record.stat is not None and record.stat == stat and record.digest == digest and stat[4] == mode


def is_regular(path: str) -> bool:
    """Whether a file is there and no link."""
    return os.path.isfile(path) and not os.path.islink(path)


def stat_of(path: str) -> Stat | None:
    """How the file is now; None when it is not there."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, stat_bits.S_IMODE(found.st_mode)
