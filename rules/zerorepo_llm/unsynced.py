"""Making many small files durable by one ``fsync``. Knows nothing of what they hold.

An ``fsync`` of each file costs more processor time than all else that is done for an answer. So a builder writes files without one
and their content once more at the end of a log of its own, which it syncs once for all of them. After a crash of the machine the
log makes good what is missing. At the builder's end the files themselves are synced and the log is removed; one that a killed
builder left is worked off by whoever comes next, told by a lock that ended with its owner.

Only a crash of the machine loses what was written: a log names the boot that it belongs to, and as long as that lasts, a file that
is not there was removed on purpose.

A record of a log is a line: the file's name, a blank, the content as one line of JSON text.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from zerorepo_llm.files import sync_folder, write_all, write_durably

_FOLDER = ".unsynced"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Log:
    """The log of one builder for the files of ``folder``, made at the first record."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / _FOLDER / f"{_boot()}.{os.getpid()}-{secrets.token_hex(4)}"
        self._handle: int | None = None

    def add(self, records: Iterable[tuple[str, bytes]]) -> None:
        """Make ``records`` (name and content, without a line break but the last) durable."""
        data = b"".join(name.encode() + b" " + content for name, content in records)
        if not data:
            return
        if self._handle is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o644)
            fcntl.flock(handle, fcntl.LOCK_EX)
            self._handle = handle
            sync_folder(self._path.parent)
            sync_folder(self._folder)
        before = os.fstat(self._handle).st_size
        try:
            write_all(self._handle, data)
        except OSError:
            # What was cut off must not run into the next record.
            os.ftruncate(self._handle, before)
            raise
        os.fdatasync(self._handle)

    def close(self) -> None:
        """Sync the files themselves and remove the log."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        try:
            _work_off(self._folder, self._path)
        finally:
            os.close(handle)


def recover(folder: Path) -> int:
    """Work off the logs that dead builders have left for the files of ``folder``; how many there were."""
    try:
        paths = sorted((folder / _FOLDER).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return 0
    found = 0
    for path in paths:
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue  # somebody else was first
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its owner may have ended properly between the two.
            if path.exists():
                _work_off(folder, path)
                found += 1
        except BlockingIOError:
            pass  # its owner lives
        finally:
            os.close(handle)
    return found


def _work_off(folder: Path, path: Path) -> None:
    boot = _boot()
    crashed = not boot or path.name.partition(".")[0] != boot
    names = []
    for name, content in _records(path.read_bytes()):
        names.append(name)
        if crashed and not _is_whole(folder / name):
            write_durably(folder / name, content)
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(folder / name, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    sync_folder(folder)
    path.unlink(missing_ok=True)


def _is_whole(path: Path) -> bool:
    """Whether all of a file reached the disk before the crash."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return False
    return data.endswith(b"\n") and b"\0" not in data


def _boot() -> str:
    """What tells this boot of the machine from others; "" where nothing does."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _records(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What a log holds; a record that was cut off, the last of a killed builder, was promised to nobody."""
    for line in data.splitlines(keepends=True):
        name, blank, content = line.partition(b" ")
        if blank and content.endswith(b"\n") and b"/" not in name and b"\0" not in line:
            yield name.decode("ascii", "replace"), content
