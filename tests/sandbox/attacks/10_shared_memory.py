# kind: R  args: -s  timeout: 20   memory that is no process's own: /dev/shm, memfd, shared mappings, System V, up to 4 GiB each
import ctypes
import mmap
import os

BLOCK = b"\1" * (16 << 20)


def fill(name, write):
    megabytes = 0
    try:
        while megabytes < 4096:
            write(BLOCK)
            megabytes += 16
    except (OSError, ValueError, MemoryError) as error:
        os.write(1, f"stop {name}: {error}\n".encode())
    os.write(1, f"{name}_MB {megabytes}\n".encode())


def test_attack():
    def shm():
        fd = os.open("/dev/shm/zr", os.O_CREAT | os.O_WRONLY)
        fill("SHM", lambda block: os.write(fd, block))

    def memfd():
        fd = os.memfd_create("zr")
        fill("MEMFD", lambda block: os.write(fd, block))

    def mapped():
        maps = []

        def grow(block):
            maps.append(mmap.mmap(-1, len(block)))
            maps[-1].write(block)

        fill("MAPPED", grow)

    def system_v():
        libc = ctypes.CDLL(None, use_errno=True)
        libc.shmat.restype = ctypes.c_void_p
        kept = []

        def grow(block):
            ident = libc.shmget(0, len(block), 0o1600)
            if ident < 0:
                raise OSError(ctypes.get_errno(), "shmget")
            kept.append(libc.shmat(ident, None, 0))
            ctypes.memset(kept[-1], 1, len(block))

        fill("SYSV", grow)

    for part in (shm, memfd, mapped, system_v):
        try:
            part()
        except OSError as error:
            os.write(1, f"no {part.__name__}: {error}\n".encode())
