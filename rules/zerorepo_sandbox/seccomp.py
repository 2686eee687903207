"""The system call filter of the sandbox, as a program for the kernel. Knows nothing of who installs it (bubblewrap does).

What is denied: kernel entry points that a test or build command has no use for and that have been the usual way out of
containers, namespaces within the sandbox, memory that no limit sees (``memfd``, System V shared memory), other processes'
memory and limits, and sockets other than unix and internet ones (``AF_VSOCK`` is in no network namespace).
"""

from __future__ import annotations

import errno
import os
import platform
import struct
from functools import lru_cache

# fmt: off
_X86_64 = {
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "mount": 165, "umount2": 166, "pivot_root": 155,
    "chroot": 161, "unshare": 272, "setns": 308, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323,
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "keyctl": 250, "add_key": 248,
    "request_key": 249, "kexec_load": 246, "kexec_file_load": 320, "init_module": 175, "finit_module": 313,
    "delete_module": 176, "reboot": 169, "swapon": 167, "swapoff": 168, "acct": 163, "settimeofday": 164,
    "clock_settime": 227, "clock_adjtime": 305, "adjtimex": 159, "open_by_handle_at": 304, "name_to_handle_at": 303,
    "fanotify_init": 300, "move_mount": 429, "open_tree": 428, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
    "fspick": 433, "mount_setattr": 442, "pidfd_getfd": 438, "kcmp": 312, "quotactl": 179, "syslog": 103, "iopl": 172,
    "ioperm": 173, "personality": 135, "vhangup": 153, "sethostname": 170, "setdomainname": 171, "migrate_pages": 256,
    "move_pages": 279, "vmsplice": 278, "memfd_create": 319, "memfd_secret": 447, "shmget": 29,
}
_AARCH64 = {
    "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "mount": 40, "umount2": 39, "pivot_root": 41,
    "chroot": 51, "unshare": 97, "setns": 268, "bpf": 280, "perf_event_open": 241, "userfaultfd": 282,
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "keyctl": 219, "add_key": 217,
    "request_key": 218, "kexec_load": 104, "kexec_file_load": 294, "init_module": 105, "finit_module": 273,
    "delete_module": 106, "reboot": 142, "swapon": 224, "swapoff": 225, "acct": 89, "settimeofday": 170,
    "clock_settime": 112, "clock_adjtime": 266, "adjtimex": 171, "open_by_handle_at": 265, "name_to_handle_at": 264,
    "fanotify_init": 262, "move_mount": 429, "open_tree": 428, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
    "fspick": 433, "mount_setattr": 442, "pidfd_getfd": 438, "kcmp": 272, "quotactl": 60, "syslog": 116,
    "personality": 92, "vhangup": 58, "sethostname": 161, "setdomainname": 162, "migrate_pages": 238,
    "move_pages": 239, "vmsplice": 75, "memfd_create": 279, "memfd_secret": 447, "shmget": 194,
}
_LEFT_BEHIND = {
    "x86_64": {"semget": 64, "msgget": 68, "mq_open": 240},
    "aarch64": {"semget": 190, "msgget": 186, "mq_open": 180},
}
# fmt: on
_MACHINES = {
    # machine: audit architecture, denied calls, clone, prlimit64, ioctl, socket
    "x86_64": (0xC000003E, _X86_64, 56, 302, 16, 41),
    "aarch64": (0xC00000B7, _AARCH64, 220, 261, 29, 198),
}
_CLONE3 = 435
_X32_BIT = 0x40000000
_NEW_NAMESPACES = 0x7E020000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24
"""Offsets in ``struct seccomp_data``: the low half of arguments, on little-endian machines."""


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


@lru_cache(maxsize=2)
def program(*, shared_ipc: bool = False) -> bytes | None:
    """The filter for this machine; None for a machine whose call numbers are not known here.

    ``shared_ipc``: the IPC namespace outlives the request, so nothing may be left in it.
    """
    known = _MACHINES.get(platform.machine())
    if known is None:
        return None
    architecture, denied, clone, prlimit, ioctl, socket = known
    if shared_ipc:
        denied = {**denied, **_LEFT_BEHIND[platform.machine()]}
    allow, kill = _step(_RETURN, 0x7FFF0000), _step(_RETURN, 0x80000000)

    def fail(number: int) -> bytes:
        return _step(_RETURN, 0x00050000 | number)

    def call(number: int, *then: bytes) -> list[bytes]:
        """For this call run ``then``; for others skip it."""
        return [_step(_EQUAL, number, 0, len(then)), *then]

    refuse = fail(errno.EPERM)
    steps = [_step(_LOAD, _ARCHITECTURE), _step(_EQUAL, architecture, 1, 0), kill, _step(_LOAD, _NUMBER)]
    steps += [_step(_AT_LEAST, _X32_BIT, 0, 1), refuse]
    for number in denied.values():
        steps += call(number, refuse)
    # Its flags are behind a pointer; glibc falls back to clone, whose flags can be seen.
    steps += call(_CLONE3, fail(errno.ENOSYS))
    steps += call(clone, _step(_LOAD, _FIRST), _step(_ANY_BIT, _NEW_NAMESPACES, 0, 1), refuse, allow)
    steps += call(prlimit, _step(_LOAD, _FIRST), _step(_EQUAL, 0, 1, 0), refuse, allow)
    steps += call(
        ioctl, _step(_LOAD, _SECOND), _step(_EQUAL, _TIOCSTI, 1, 0), _step(_EQUAL, _TIOCLINUX, 0, 1), refuse, allow
    )
    families = [_step(_EQUAL, _AF_UNIX, 3, 0), _step(_EQUAL, _AF_INET, 2, 0), _step(_EQUAL, _AF_INET6, 1, 0)]
    steps += call(socket, _step(_LOAD, _FIRST), *families, fail(errno.EAFNOSUPPORT), allow)
    steps.append(allow)
    return b"".join(steps)


def as_descriptor() -> int | None:
    """A pipe from which the filter can be read once (bubblewrap reads to the end). The caller closes it."""
    code = program()
    if code is None:
        return None
    read_end, write_end = os.pipe()
    os.write(write_end, code)  # far below the 64 KiB that a pipe holds
    os.close(write_end)
    return read_end
