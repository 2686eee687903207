# kind: R  timeout: 20   a GiB of output, to whoever keeps it in memory or on disk
import os


def test_attack():
    block = b"x" * (1 << 20)
    for megabytes in range(1024):
        os.write(1, block)
        os.write(2, b"y" * 4096)
    os.write(1, f"\nPRINTED_MB {megabytes + 1}\n".encode() * 1)
