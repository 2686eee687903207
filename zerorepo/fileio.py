"""Crash-safe files: temporary file, fsync where asked, rename. Knows nothing of what it writes.

Temporary files live in a *scratch* folder when one is given, under names that say whose they are, so that ``sweep`` can remove
those of killed processes and nobody's half-written file is ever seen among the outputs.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import socket
import time
from pathlib import Path

from zerorepo.errors import EnvironmentFailure

_NUMBERS = itertools.count()
_HOST = socket.gethostname().replace("-", "_") or "host"
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_FOREIGN_AGE_S = 24 * 3600.0


def write_atomic(
    path: Path,
    data: bytes,
    *,
    mode: int = 0o644,
    durable: bool = False,
    scratch: Path | None = None,
    mtime_ns: int | None = None,
) -> None:
    """Replace ``path``: at any moment it holds the old bytes or the new ones. ``durable`` also survives a power cut.

    ``scratch`` must be on the same file system; when it is not, the temporary file is made beside ``path``.
    """
    folder = scratch or path.parent
    try:
        try:
            _write(path, folder, data, mode, durable, mtime_ns)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(parents=True, exist_ok=True)
            _write(path, folder, data, mode, durable, mtime_ns)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _write(path, path.parent, data, mode, durable, mtime_ns)
    except OSError as error:
        raise _failure(str(path), error) from error


def _write(path: Path, folder: Path, data: bytes, mode: int, durable: bool, mtime_ns: int | None) -> None:
    name = f"{folder}/.zr-{_HOST}-{os.getpid()}-{next(_NUMBERS)}"
    try:
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            _write_whole(handle, data)
            if os.fstat(handle).st_mode & 0o7777 != mode:  # the umask took something away
                os.fchmod(handle, mode)
            if mtime_ns is not None:
                os.utime(handle, ns=(mtime_ns, mtime_ns))
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    if durable:
        _sync_folder(path.parent)


def replace_file(path: str, data: bytes, *, mode: int, scratch: str, mtime_ns: int) -> None:
    """The same for many small files, with as few calls of the system as it takes; folders are made when they prove missing.

    The mode is subject to the umask; not synced.
    """
    name = f"{scratch}/.zr-{_HOST}-{os.getpid()}-{next(_NUMBERS)}"
    try:
        try:
            handle = os.open(name, _NEW_FILE, mode)
        except FileNotFoundError:
            os.makedirs(scratch, exist_ok=True)
            handle = os.open(name, _NEW_FILE, mode)
        try:
            _write_whole(handle, data)
            os.utime(handle, ns=(mtime_ns, mtime_ns))
        finally:
            os.close(handle)
        try:
            os.rename(name, path)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.rename(name, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError) and error.errno == errno.EXDEV:
            write_atomic(Path(path), data, mode=mode, mtime_ns=mtime_ns)
        elif isinstance(error, OSError):
            raise _failure(path, error) from error
        else:
            raise


def _failure(path: str, error: OSError) -> EnvironmentFailure:
    hint = None
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        parents = [
            str(parent) for parent in reversed(Path(path).parents) if os.path.lexists(parent) and not parent.is_dir()
        ]
        hint = f"`{parents[0]}` is in the way, where a folder is needed; move it away" if parents else None
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "make room and build again; what was finished is kept"
    return EnvironmentFailure(f"Cannot write: {error.strerror}", where=path, hint=hint)


def _write_whole(handle: int, data: bytes) -> None:
    done = os.write(handle, data)
    while done < len(data):
        done += os.write(handle, data[done:])


def sweep(scratch: Path) -> None:
    """Remove temporary files of processes that are no more (of this machine: at once; of others: after a day)."""
    try:
        entries = list(os.scandir(scratch))
    except OSError:
        return
    for entry in entries:
        parts = entry.name.rsplit("-", 3)
        if len(parts) != 4 or parts[0] != ".zr" or not parts[2].isdigit():
            continue
        with contextlib.suppress(OSError):
            old = time.time() - entry.stat().st_mtime > _FOREIGN_AGE_S
            if old or (parts[1] == _HOST and not _alive(int(parts[2]))):
                Path(entry.path).unlink()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
