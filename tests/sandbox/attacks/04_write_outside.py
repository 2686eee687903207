# kind: A   write anywhere but the work folder, /tmp and /dev/shm: system, libraries of the runner, the inputs themselves
import os
import sys


def test_attack(record_property):
    written = []
    folders = [
        "/",
        "/usr",
        "/usr/bin",
        "/etc",
        "/opt",
        "/var",
        "/var/tmp",
        "/run",
        "/root",
        "/home",
        "/dev",
        "/sys",
        "/mnt",
    ]
    folders += [sys.prefix, os.path.dirname(os.__file__), *(path for path in sys.path if os.path.isdir(path))]
    folders.append(os.path.dirname(os.path.abspath(__file__)))
    for folder in dict.fromkeys(folders):
        path = os.path.join(folder, "zr_written")
        try:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        except OSError as error:
            record_property("err", f"{path}: {error.strerror}")
        else:
            written.append(path)
            os.unlink(path)
    for path in ("/etc/passwd", "/etc/ld.so.preload", sys.executable, os.__file__, __file__):
        try:
            os.close(os.open(path, os.O_WRONLY))
        except OSError as error:
            record_property("err", f"{path}: {error.strerror}")
        else:
            written.append(path)
    record_property("written", str(written))
    assert written, "nothing could be written"
