"""What the processes of one request use together, seen from the worker. Knows nothing of who they are.

The kernel's own limits are for one process each; here they are added up, some forty times a second.
"""

# ruff: noqa: PTH123
# Os.path alone: what is loaded here is paid for in every run.

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

POLL_S = 0.025
"""A process can touch about 1 GB in a second, so this is an overshoot of some 25 MB for each core."""
PATIENCE = 10
"""How many times longer than the time limit a run may take when the machine is busy with something else."""
_MEMORY_FIELDS = (b"RssAnon:", b"RssShmem:", b"VmSwap:")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_FULL = 4
"""Blocks or files that may be left in a file system that counts as full."""


class Watch:
    """The limits of one request, and the most that was seen."""

    def __init__(self, limits: Mapping[str, Any], started: float) -> None:
        self.limits = limits
        self.started = started
        self.cpu_s = 0.0
        self.waited_s = 0.0
        """How long one of its processes was ready to run and did not get a processor."""

    def exceeded(self, pids: Iterable[int], disks: Sequence[int]) -> str | None:
        """The first limit that these processes are over, and open file systems too; None when all is well."""
        memory_kb = tasks = 0
        cpu_s = waited_s = 0.0
        for pid in pids:
            try:
                with open(f"/proc/{pid}/status", "rb") as file:
                    status = file.read()
                with open(f"/proc/{pid}/stat", "rb") as file:
                    fields = file.read().rpartition(b") ")[2].split()
            except OSError:
                continue
            with contextlib.suppress(OSError, IndexError), open(f"/proc/{pid}/schedstat", "rb") as file:
                # The longest wait of one of them: added up, they would also count waiting for each other.
                waited_s = max(waited_s, int(file.read().split()[1]) / 1e9)
            # Its own time and that of its children that have ended.
            cpu_s += sum(map(int, fields[11:15])) * _TICK_S
            tasks += int(fields[17])
            memory_kb += _memory_kb(status)
        self.cpu_s, self.waited_s = max(self.cpu_s, cpu_s), max(self.waited_s, waited_s)
        if memory_kb > self.limits["memory_mb"] << 10:
            return "memory"
        if cpu_s > self.limits["cpu_s"]:
            return "cpu"
        if tasks >= self.limits["processes"]:
            return "processes"
        return "disk" if self._disk_is_full(disks) else None

    def time_is_up(self, now: float) -> bool:
        """Whether the time limit is reached. Time in which it was ready to run, and others ran, does not count, up to a point:
        a limit reached on a machine that is too busy says nothing of the code.
        """
        wall_s = now - self.started
        if wall_s < self.limits["wall_s"]:
            return False
        had_s = wall_s - self.waited_s if self.cpu_s < wall_s / 2 else wall_s
        return bool(had_s >= self.limits["wall_s"]) or self.starved(now)

    def starved(self, now: float) -> bool:
        """Whether the machine is so busy that there is no telling whether the time limit would have been reached."""
        return now - self.started >= PATIENCE * float(self.limits["wall_s"])

    def _disk_is_full(self, disks: Sequence[int]) -> bool:
        used = 0
        for fd in disks:
            seen = os.fstatvfs(fd)
            if seen.f_bavail < _FULL or (seen.f_files and seen.f_ffree < _FULL):
                return True
            used += seen.f_files - seen.f_ffree if seen.f_files else _files_below(fd, self.limits["inodes"])
        return used > int(self.limits["inodes"])


def _files_below(fd: int, enough: int) -> int:
    """Files and folders in an open folder, for a kernel that does not count them (gVisor); counting stops at ``enough``."""
    folders, count = ["."], 0
    while folders and count <= enough:
        path = folders.pop()
        try:
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return enough + 1
            continue  # it has just been removed
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    count += 1
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(f"{path}/{entry.name}")
        except OSError:
            continue
        finally:
            os.close(folder)
    return count


def _memory_kb(status: bytes) -> int:
    """What is a process's own. Where that is not told apart (gVisor), all that it has in memory."""
    lines = status.splitlines()
    own = [int(line.split()[1]) for line in lines if line.startswith(_MEMORY_FIELDS)]
    return sum(own) if own else sum(int(line.split()[1]) for line in lines if line.startswith(b"VmRSS:"))
