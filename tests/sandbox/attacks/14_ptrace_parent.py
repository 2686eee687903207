# kind: A   look into the runner, or hold it, through ptrace, process_vm_readv or its descriptors
import ctypes
import os


def test_attack(record_property):
    libc = ctypes.CDLL(None, use_errno=True)
    ok = []
    buffer = ctypes.create_string_buffer(64)

    class Vector(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))

    local = Vector(ctypes.addressof(buffer), 64)
    for pid in {os.getppid(), 1} - {os.getpid()}:
        for name, request in (("ATTACH", 16), ("SEIZE", 0x4206)):
            if libc.ptrace(request, pid, None, None) == 0:
                ok.append(f"{name} {pid}")
        remote = Vector(0x400000, 64)
        if libc.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0) > 0:
            ok.append(f"process_vm_readv {pid}")
        for what in ("mem", "maps", "fd/0", "fd/1", "cwd/."):
            try:
                os.close(os.open(f"/proc/{pid}/{what}", os.O_RDONLY | os.O_NONBLOCK))
                if what != "maps" or open(f"/proc/{pid}/{what}").read():
                    ok.append(f"{what} {pid}")
            except OSError as error:
                record_property("err", f"{pid} {what}: {error.strerror}")
    record_property("ok", str(ok))
    assert ok, "the runner is out of reach"
