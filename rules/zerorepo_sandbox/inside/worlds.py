"""A fresh world for one request, made within the world of the worker. Knows nothing of tests or of what a request is.

``namespaces``: user, process, mount and IPC namespaces of its own, with empty file systems in memory; the kernel ends all of it
with its first process. ``users``: a user of its own, for a worker that is root in a container; what that user left is killed and
removed by a process that becomes that user once more. ``processes``: everything but the worker is killed and the shared folders
are cleared. ``none``: nothing; somebody else has made the world for this one request.
"""

# ruff: noqa: PTH101, PTH103, PTH106, PTH108, PTH112, PTH116, PTH118, PTH120, PTH123, PTH208
# Os.path alone: what is loaded here is paid for in every run.

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import stat
import struct
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from . import lockdown

NAMESPACES, USERS, PROCESSES, NONE = "namespaces", "users", "processes", "none"
_NEWNS, _NEWIPC, _NEWUSER, _NEWPID = 0x20000, 0x8000000, 0x10000000, 0x20000000
_CLONE, _CLONE3 = {"x86_64": 56, "aarch64": 220}, 435
"""Numbers of calls: the latter's is the same on all machines, but what runs in containers is often denied it."""
_NOSUID, _NODEV, _NOEXEC, _RDONLY, _REMOUNT, _BIND, _REC, _PRIVATE = 2, 4, 8, 1, 32, 0x1000, 0x4000, 0x40000
_SHM = "/dev/shm"
_SHM_MB = 16
_FIRST_USER, _USERS = 100_000, 1_900_000
"""Up to the last that the header of a tar file can hold."""
_GONE_S = 5.0


def fork_into_new() -> int:
    """Like ``os.fork``, but the child is the first process of a process namespace and has all else that a request has of its own.

    One process, where leaving the worker's namespaces would take a second: only children come into a new process namespace.
    OSError when the kernel refuses.
    """
    flags = _NEWUSER | _NEWNS | _NEWPID | _NEWIPC
    number = _CLONE.get(os.uname().machine)
    python, call = ctypes.pythonapi, ctypes.PyDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    described = ctypes.create_string_buffer(struct.pack("11Q", flags, 0, 0, 0, signal.SIGCHLD, *[0] * 6))
    python.PyOS_BeforeFork()
    if number is not None:
        pid = call(ctypes.c_long(number), ctypes.c_long(flags | signal.SIGCHLD), *[ctypes.c_long(0)] * 4)
    else:
        pid = call(ctypes.c_long(_CLONE3), described, ctypes.c_long(88))
    if pid == 0:
        python.PyOS_AfterFork_Child()
    else:
        python.PyOS_AfterFork_Parent()
    lockdown.check(min(pid, 0), "clone")
    return int(pid)


def keep_user(user: int, group: int) -> None:
    """Be the same user in the new user namespace as outside."""
    lockdown.set_readable(True)  # else /proc/self/uid_map is not ours to write
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        fd = os.open(f"/proc/self/{name}", os.O_WRONLY)
        os.write(fd, text.encode())
        os.close(fd)


def mount_fresh(work: str, tmp: str, limits: Mapping[str, Any]) -> tuple[str, ...]:
    """Put empty file systems in place of all that can be written, and a view of the new processes. The former's paths."""
    _mount("none", "/", None, _REC | _PRIVATE)
    sizes = {work: limits["disk_mb"], tmp: limits["disk_mb"], _SHM: _SHM_MB}
    for path, megabytes in sizes.items():
        if os.path.isdir(path):
            options = f"size={int(megabytes)}m,nr_inodes={int(limits['inodes'])},mode=1777"
            _mount("tmpfs", path, "tmpfs", _NOSUID | _NODEV, options)
    _mount("proc", "/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    return tuple(path for path in sizes if os.path.isdir(path))


def make_read_only(path: str) -> None:
    """Of a file system that ``mount_fresh`` put in place."""
    _mount("none", path, None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    arguments = [None if text is None else text.encode() for text in (source, target, kind, options)]
    lockdown.check(
        lockdown.LIBC.mount(arguments[0], arguments[1], arguments[2], flags, arguments[3]), f"mount {target}"
    )


# Processes are counted by user for the whole machine, so workers should not use the same users at the same time.
_OFFSET = random.SystemRandom().randrange(_USERS)


def user_of(turn: int) -> int:
    """The user of the request with this number."""
    return _FIRST_USER + (_OFFSET + turn) % _USERS


def become(user: int) -> None:
    """Be that user and no other, for good."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def hide_first() -> None:
    """Cover what ``/proc`` shows of the container's first process, which is the worker, and take devices away.

    gVisor lets everybody read the first process's environment and memory map. There the worker may mount, for this alone.
    """
    if lockdown.may_mount():
        _mount("none", "/proc/1", "tmpfs", _NOSUID | _NODEV | _NOEXEC | _RDONLY, "size=4096,mode=0")
        # Devices of gVisor's own that everybody may open, whatever the container was made with.
        for device in ("/dev/fuse", "/dev/net/tun"):
            with contextlib.suppress(OSError):
                os.unlink(device)
        lockdown.give_up_mounting()


def write_files(work: str, files: Mapping[str, bytes]) -> None:
    """Inputs, read-only: a test that writes beside its sources would not be the same twice."""
    folders = {work}
    for path, content in files.items():
        target = os.path.join(work, path)
        folder = os.path.dirname(target)
        os.makedirs(folder, exist_ok=True)
        while folder not in folders:
            folders.add(folder)
            folder = os.path.dirname(folder)
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        with open(fd, "wb") as file:
            file.write(content)
    for folder in folders:
        os.chmod(folder, 0o555)


def others() -> list[int]:
    """Every process of the worker's world but the worker itself and the first."""
    mine = {1, os.getpid()}
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in mine]


def count() -> int:
    """Processes of the caller's namespace, itself included."""
    return sum(name.isdigit() for name in os.listdir("/proc"))


def wait_until_empty() -> bool:
    """Collect children until nobody but us is left; False when somebody stays."""
    end = time.monotonic() + _GONE_S
    while True:
        _collect()
        left = others()
        if not left:
            return True
        if time.monotonic() > end:
            return False
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)


def clear_as(user: int, folders: tuple[str, ...]) -> None:
    """Kill and remove, as that user, everything of that user's."""
    pid = os.fork()
    if pid == 0:
        try:
            become(user)
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
            clear(folders)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def clear(folders: Iterable[str]) -> bool:
    """Remove what is in these folders, also where permissions were taken away; whether nothing is left."""
    here = os.open(".", os.O_PATH | os.O_DIRECTORY)
    try:
        for folder in folders:
            with contextlib.suppress(OSError):
                mode = stat.S_IMODE(os.stat(folder).st_mode)
                if mode & 0o700 != 0o700:
                    os.chmod(folder, mode | 0o700)
            with contextlib.suppress(OSError):
                os.chdir(folder)
                _clear_here()
    finally:
        os.fchdir(here)
        os.close(here)
    return not any(os.listdir(folder) for folder in folders if os.path.isdir(folder))


def _clear_here() -> None:
    """Remove what is in the current folder. Walks rather than recurses: folders may be deeper than any path or stack."""
    above: list[tuple[str, list[str]]] = []
    names = os.listdir(".")
    while True:
        if names:
            name = names.pop()
            try:
                if stat.S_ISDIR(os.lstat(name).st_mode):
                    os.chmod(name, 0o700)
                    os.chdir(name)
                    above.append((name, names))
                    names = os.listdir(".")
                else:
                    os.unlink(name)
            except OSError:
                continue  # another user's: that user clears it, or the caller sees that something is left
        elif above:
            name, names = above.pop()
            os.chdir("..")
            with contextlib.suppress(OSError):
                os.rmdir(name)
        else:
            return


def open_disks(folders: Iterable[str]) -> list[int]:
    """Descriptors of the file systems that can be written to, ``/dev/shm`` among them."""
    return [os.open(path, os.O_PATH | os.O_DIRECTORY) for path in (*folders, _SHM) if os.path.isdir(path)]


def when_ended(pid: int) -> int:
    """A descriptor that can be read from when this child has ended; it can still be waited for then."""
    try:
        return os.pidfd_open(pid)
    except OSError:  # gVisor has no such call
        read_end, write_end = os.pipe()

    def wait() -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        os.close(write_end)

    threading.Thread(target=wait, daemon=True).start()
    return read_end


def _collect() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
