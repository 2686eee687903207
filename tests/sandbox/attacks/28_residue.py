# kind: A  runs: 3   leaves a daemon, files, a semaphore, a queue and a socket behind, and looks for those of an earlier run
import ctypes
import glob
import os
import socket
import stat
import time

KEY = 0x7A726573


def test_attack(record_property):
    found = []
    libc = ctypes.CDLL(None, use_errno=True)
    for pattern in (
        "/tmp/zr_residue*",
        "/dev/shm/zr_residue*",
        "/work/zr_residue*",
        "/dev/mqueue/*",
        "/var/tmp/zr_residue*",
    ):
        found += glob.glob(pattern)
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            if b"zr_daemon" in open(path, "rb").read():
                found.append(path)
        except OSError:
            pass
    for name, call in (("sem", libc.semget), ("msg", libc.msgget), ("shm", libc.shmget)):
        arguments = (KEY, 0) if name == "msg" else (KEY, 1, 0)
        if call(*arguments) >= 0:
            found.append(f"System V {name}")
        arguments = (KEY, 0o1600) if name == "msg" else (KEY, 1, 0o1600)
        call(*arguments)
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect("\0zr_residue")
        found.append("abstract socket")
    except OSError as error:
        record_property("err", str(error))
    finally:
        client.close()
    for folder in ("/tmp", "/dev/shm", "/work", "/var/tmp"):
        try:
            os.makedirs(f"{folder}/zr_residue/locked")
            open(f"{folder}/zr_residue_file", "w").close()
            os.chmod(f"{folder}/zr_residue/locked", 0)
        except OSError as error:
            record_property("err", f"{folder}: {error.strerror}")
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            server = socket.socket(socket.AF_UNIX)
            try:
                server.bind("\0zr_residue")
                server.listen()
            except OSError:
                pass
            server.set_inheritable(True)
            os.execv("/bin/sh", ["sh", "-c", "trap '' TERM HUP INT; while :; do sleep 1; done # zr_daemon"])
        os._exit(0)
    time.sleep(0.2)
    record_property("found", str(found))
    assert found, f"a fresh world ({stat.filemode(os.stat('/tmp').st_mode)})"
