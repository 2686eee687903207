# kind: A   become root in namespaces of one's own, the usual first step to bugs of the kernel
import ctypes
import os


def test_attack(record_property):
    libc = ctypes.CDLL(None, use_errno=True)
    ok = []
    for name, flag in (
        ("user", 0x10000000), ("mount", 0x20000), ("pid", 0x20000000), ("net", 0x40000000), ("ipc", 0x8000000),
        ("uts", 0x4000000), ("cgroup", 0x2000000), ("user+mount", 0x10020000), ("user+net", 0x50000000),
    ):  # fmt: skip
        pid = os.fork()
        if pid == 0:
            os._exit(0 if libc.unshare(flag) == 0 else 1)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0:
            ok.append(f"unshare {name}")
    stack = ctypes.create_string_buffer(1 << 16)
    call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(lambda _: 0)
    top = ctypes.c_void_p(ctypes.addressof(stack) + (1 << 16))
    if libc.clone(call, top, 0x10000000 | 17, None) > 0:
        ok.append("clone user")
    for name in ("user", "mnt", "pid", "net"):
        try:
            fd = os.open(f"/proc/1/ns/{name}", os.O_RDONLY)
        except OSError as error:
            record_property("err", f"{name}: {error.strerror}")
        else:
            if libc.setns(fd, 0) == 0:
                ok.append(f"setns {name}")
    record_property("ok", str(ok))
    assert ok, "no namespaces"
