"""Giving up rights: resource limits, capabilities, system calls, being readable to others. Knows nothing of tests."""

# ruff: noqa: PTH123
# Os.path alone: what is loaded here is paid for in every run.

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import struct
from collections.abc import Mapping

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 24, 38
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522
_SYS_ADMIN = 21
_STEP = 8
"""Bytes of one instruction of a filter."""

LIBC = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    """OSError when a call of libc failed."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def limit(limits: Mapping[str, float], *, count_processes: bool) -> None:
    """Set this process's limits, which its children inherit and cannot raise."""
    megabyte = 1 << 20
    wanted = {
        # Address space is only the second line (the whole tree's memory is watched from outside), hence twice the limit.
        resource.RLIMIT_AS: 2 * int(limits["memory_mb"]) * megabyte,
        resource.RLIMIT_FSIZE: int(limits["file_mb"]) * megabyte,
        # The second line, too: processor time is added up over the tree.
        resource.RLIMIT_CPU: int(limits["cpu_s"]) + 1,
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


def first_to_die() -> None:
    """When the machine runs out of memory the kernel takes this process and its children before any other."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")


def set_readable(readable: bool) -> None:
    """Whether processes of the same user may look into this one (``/proc/<pid>/mem``, ``environ``, ``fd``)."""
    LIBC.prctl(_PR_SET_DUMPABLE, int(readable), 0, 0, 0)


def die_with_parent() -> None:
    """The kernel kills this process when its parent ends."""
    LIBC.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0)


def drop_capabilities() -> None:
    """All of them, for good."""
    for capability in range(64):
        LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    check(LIBC.capset(header, (ctypes.c_uint32 * 6)()), "capset")


def may_mount() -> bool:
    """Whether this process has the capability SYS_ADMIN: only in a kernel that is not the machine's (gVisor)."""
    header, data = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    check(LIBC.capget(header, data), "capget")
    return bool(data[0] >> _SYS_ADMIN & 1)


def give_up_mounting() -> None:
    """Keep all capabilities but SYS_ADMIN."""
    header, data = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    check(LIBC.capget(header, data), "capget")
    for index in range(3):  # effective, permitted, inheritable
        data[index] &= ~(1 << _SYS_ADMIN)
    check(LIBC.capset(header, data), "capset")


def filter_calls(program: bytes) -> None:
    """Install a system call filter; it stays for this process and its children."""
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: a count, padding, a pointer.
    described = struct.pack("@HxxxxxxQ", len(program) // _STEP, ctypes.addressof(code))
    check(LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    check(LIBC.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, described, 0, 0), "seccomp")
