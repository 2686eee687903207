# kind: R  args: -s  timeout: 15   one process takes all the memory it can get
import os


def test_attack():
    blocks, megabytes = [], 0
    try:
        while megabytes < 8192:
            blocks.append(b"\1" * (16 << 20))
            megabytes += 16
            os.write(1, f"ALLOC_MB {megabytes}\n".encode())
    except MemoryError:
        os.write(1, b"MEMORYERROR\n")
