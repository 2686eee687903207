"""Mapped files that cannot shrink while they are looked at. Knows nothing of what is done with the bytes.

Reading a mapped page that its file no longer has, or that the disk cannot deliver, ends the process (SIGBUS). So

- pages are looked at only under a *read lease* (fcntl F_SETLEASE): Linux grants it when nobody has the file open for writing, and
  from then on lets whoever wants to write or truncate wait until it is returned, 45 s at most (/proc/sys/fs/lease-break-time);
- between one window of the file and the next the lease is asked for: when somebody waits, the rest is left to the caller;
- a window's pages are brought in by ``madvise``, which reports what it cannot bring in, in place of a signal.

What remains: a process that is stopped inside a window (milliseconds) for longer than that time while another truncates the file.

Leases are used on local file systems only. On others (NFS, FUSE) a file may shrink behind the kernel's back.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import signal
from collections.abc import Callable
from pathlib import Path

_WINDOW = 16 << 20  # a multiple of the 2 MB pages that the kernel maps at one stroke
_MADV_POPULATE_READ = 22  # Linux 5.14; Python has no name for it before 3.14
_LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs", "bcachefs"})

_types: dict[int, str] = {}


def map_leased(handle: int, status: os.stat_result, take: Callable[[memoryview], object]) -> int:
    """Hand the file's bytes to ``take``, a window at a time; how many bytes those were.

    The rest, which may be everything, is to be read. ``take`` must keep no reference to what it is given. ``handle`` must be open
    for reading only. Raises nothing of its own.
    """
    if not _is_local(status.st_dev) or not _lease(handle):
        return 0
    done = 0
    try:
        while done < status.st_size:
            length = min(_WINDOW, status.st_size - done)
            with mmap.mmap(handle, length, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ, offset=done) as window:
                window.madvise(_MADV_POPULATE_READ)
                if fcntl.fcntl(handle, fcntl.F_GETLEASE) != fcntl.F_RDLCK:
                    break  # somebody waits for us
                with memoryview(window) as view:
                    take(view)
            done += length
    except (OSError, ValueError):
        pass  # truncated before the lease, an unreadable page, an old kernel: reading says which
    finally:
        with contextlib.suppress(OSError):
            fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return done


def _lease(handle: int) -> bool:
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        # That somebody waits is told by a signal: by one that does nothing, in place of one that ends the process.
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError:
        return False  # open for writing somewhere, somebody else's file, or no such thing here
    return True


def _is_local(device: int) -> bool:
    if device not in _types:
        _types[device] = ""
        with contextlib.suppress(OSError):
            for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
                fields, _, more = line.partition(" - ")
                major, _, minor = fields.split(" ", 3)[2].partition(":")
                _types[os.makedev(int(major), int(minor))] = more.partition(" ")[0]
    return _types[device] in _LOCAL
