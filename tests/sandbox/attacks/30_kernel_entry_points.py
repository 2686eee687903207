# kind: A   system calls and kinds of sockets that have been the way into the kernel before
import ctypes
import os
import platform
import socket

X86_64 = {
    "bpf": (321, 0, 0, 0), "perf_event_open": (298, 0, 0, -1), "userfaultfd": (323, 0), "io_uring_setup": (425, 8, 0),
    "keyctl": (250, 0, -3, 1), "add_key": (248, b"user", b"zr", b"x", 1, -3), "open_by_handle_at": (304, 0, 0, 0),
    "name_to_handle_at": (303, -100, b"/", 0, 0, 0), "fanotify_init": (300, 0, 0), "fsopen": (430, b"tmpfs", 0),
    "mount_setattr": (442, -100, b"/", 0, 0, 0), "pidfd_getfd": (438, 0, 0, 0), "kcmp": (312, 1, 1, 0, 0, 0),
    "syslog": (103, 3, 0, 0), "quotactl": (179, 0, 0, 0, 0), "personality": (135, 0x0040000),
    "memfd_secret": (447, 0), "move_pages": (279, 0, 0, 0, 0, 0, 0),
}  # fmt: skip


def test_attack(record_property):
    libc = ctypes.CDLL(None, use_errno=True)
    ok = []
    if platform.machine() == "x86_64":
        for name, arguments in X86_64.items():
            ctypes.set_errno(0)
            result = libc.syscall(*arguments)
            error = ctypes.get_errno()
            # EPERM, ENOSYS, EACCES: refused. Anything else was looked at by the kernel.
            if result >= 0 or error not in (1, 38, 13):
                ok.append(f"{name}: {result} {os.strerror(error)}")
    for family in (16, 17, 29, 38, 40, 44):  # netlink, packet, CAN, ALG, VSOCK, XDP
        try:
            socket.socket(family, socket.SOCK_RAW if family in (16, 17, 29, 44) else socket.SOCK_SEQPACKET).close()
            ok.append(f"socket family {family}")
        except OSError as error:
            record_property("err", f"family {family}: {error}")
    for path in (
        "/dev/vhost-net",
        "/dev/vsock",
        "/dev/kmsg",
        "/dev/uinput",
        "/dev/loop-control",
        "/dev/mapper/control",
    ):
        try:
            os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
            ok.append(path)
        except OSError as error:
            record_property("err", f"{path}: {error.strerror}")
    record_property("ok", str(ok))
    assert ok, "no entry point"
