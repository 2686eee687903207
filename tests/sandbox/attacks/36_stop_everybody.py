# kind: R  timeout: 6   stops itself, the runner and the first process, and takes the limits away that it can reach
import os
import resource
import signal


def test_attack():
    for kind in (resource.RLIMIT_NPROC, resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU):
        try:
            resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            os.write(1, f"PRLIMIT_SET {kind}\n".encode())
        except (OSError, ValueError):
            pass
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("-1000")
    except OSError:
        pass
    for pid in (1, os.getppid(), -1, os.getpid()):
        try:
            os.kill(pid, signal.SIGSTOP)
        except OSError:
            pass
