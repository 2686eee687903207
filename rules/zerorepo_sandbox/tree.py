"""What a tree of processes uses right now, seen from outside it through ``/proc``. Knows nothing of limits."""

# ruff: noqa: PTH116, PTH123, PTH208
# Looked at many times a second for each run; pathlib would double that.

from __future__ import annotations

import os
from pathlib import Path

_MEMORY_FIELDS = (b"RssAnon:", b"RssShmem:", b"VmSwap:")


def descendants(root: int) -> list[int]:
    """``root`` and all processes below it. Orphans of a pid namespace stay below its first process, so none is missed."""
    found, index = [root], 0
    while index < len(found):
        tasks = f"/proc/{found[index]}/task"
        index += 1
        try:
            threads = os.listdir(tasks)
        except OSError:
            continue
        for thread in threads:
            try:
                with open(f"{tasks}/{thread}/children", "rb") as file:
                    found += map(int, file.read().split())
            except OSError:
                continue
    return found


def memory_kb(pids: list[int]) -> int:
    """Memory of these processes that belongs to them and not to files, in KiB."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/status", "rb") as file:
                status = file.read()
        except OSError:
            continue
        for line in status.splitlines():
            if line.startswith(_MEMORY_FIELDS):
                total += int(line.split()[1])
    return total


def inodes(pids: list[int], folders: tuple[str, ...]) -> int:
    """Files in these folders as the youngest of these processes that has a root of its own sees them; 0 when none has."""
    try:
        here = os.stat("/")
        for pid in reversed(pids):
            root = f"/proc/{pid}/root"
            its = os.stat(root)
            # A process that is still on its way into the world sees the folders of this machine.
            if (its.st_dev, its.st_ino) != (here.st_dev, here.st_ino):
                stats = [os.statvfs(root + folder) for folder in folders]
                return sum(stat.f_files - stat.f_ffree for stat in stats)
    except OSError:  # it has just ended, or its world is not finished
        return 0
    return 0


def _stat(pid: int) -> list[bytes]:
    """Fields of ``/proc/<pid>/stat`` from the third, which is the state; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    except OSError:
        return []


def started(pid: int) -> bytes | None:
    """When the process was started, in clock ticks since boot; None when it does not exist or has ended."""
    fields = _stat(pid)
    return None if not fields or fields[0] in (b"Z", b"X") else fields[19]


def parent(pid: int) -> int:
    """Its parent; 0 when it does not exist."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def in_namespace(pid: int) -> bool:
    """Whether the process is in a process namespace below ours; its first such ancestor ends all others with it."""
    try:
        status = Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return False
    line = next((line for line in status.splitlines() if line.startswith(b"NSpid:")), b"")
    return len(line.split()) > 2
