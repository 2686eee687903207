"""Resource limits, and making a process unreadable to its children. Knows nothing of tests."""

# ruff: noqa: PTH123
# Os.path alone: what is loaded here is paid for in every run.

from __future__ import annotations

import contextlib
import resource
from collections.abc import Mapping

_PR_SET_DUMPABLE = 4


def limit(limits: Mapping[str, float], *, count_processes: bool) -> None:
    """Set this process's limits, which its children inherit and cannot raise."""
    megabyte = 1 << 20
    # Address space is only the second line (the whole tree's memory is watched from outside), hence twice the limit.
    wanted = {
        resource.RLIMIT_AS: 2 * int(limits["memory_mb"]) * megabyte,
        resource.RLIMIT_FSIZE: int(limits["file_mb"]) * megabyte,
        resource.RLIMIT_CPU: int(limits["cpu_s"]),
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    if count_processes:
        wanted[resource.RLIMIT_NPROC] = int(limits["processes"])
    for kind, value in wanted.items():
        with contextlib.suppress(OSError, ValueError):  # already lower
            resource.setrlimit(kind, (value, value))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")


def set_readable(readable: bool) -> None:
    """Whether processes of the same user may look into this one (``/proc/<pid>/mem``, ``environ``, ``fd``)."""
    import ctypes  # 4 ms that only a run under isolation pays

    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, int(readable), 0, 0, 0)
