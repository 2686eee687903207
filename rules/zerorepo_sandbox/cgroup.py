"""Control groups around workers, where the builder may make them (root): the kernel itself then bounds memory and processes.

The second line behind what is watched from the worker, for what grows faster than it is looked at. Where groups cannot be made
there are none, and the watch is all there is. Both versions of the kernel's interface. Knows nothing of what runs in a group.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from pathlib import Path

from zerorepo_sandbox import tree
from zerorepo_sandbox.limits import Limits

_ROOT = Path("/sys/fs/cgroup")
_PREFIX = "zerorepo-"
_SHM_MB, _WORKER_MB, _WORKER_TASKS = 16, 256, 16
_GONE_S = 2.0
_counter = itertools.count()
_JOIN = 'for file in $1; do echo 0 > "$file"; done; shift; exec "$@"'


class Group:
    """One group; ``make`` makes it, ``remove`` removes it when nothing is in it any more."""

    def __init__(self, folders: list[Path], events: Path) -> None:
        self._folders = folders
        self._events = events
        self._kills = 0

    @classmethod
    def make(cls, most: Limits) -> Group | None:
        """A group for requests that may each use this much; None where none can be made."""
        if os.geteuid() != 0:
            return None
        name = f"{_PREFIX}{os.getpid()}-{next(_counter)}"
        # What is in the file systems of a request is in memory, too.
        memory = (most.memory_mb + 2 * most.disk_mb + _SHM_MB + _WORKER_MB) << 20
        tasks = most.processes + _WORKER_TASKS
        made: list[Path] = []
        try:
            if (_ROOT / "cgroup.controllers").exists():
                (_ROOT / "cgroup.subtree_control").write_text("+memory +pids")
                made.append(_made(_ROOT / name))
                (made[0] / "memory.max").write_text(str(memory))
                (made[0] / "pids.max").write_text(str(tasks))
                return cls(made, made[0] / "memory.events")
            for controller, file, value in (("memory", "memory.limit_in_bytes", memory), ("pids", "pids.max", tasks)):
                made.append(_made(_ROOT / controller / name))
                (made[-1] / file).write_text(str(value))
            return cls(made, made[0] / "memory.oom_control")
        except OSError:  # in a container, or with other controllers
            for folder in made:
                _remove(folder)
            return None

    @property
    def command(self) -> list[str]:
        """The start of a command line that runs the rest of it in the group."""
        files = " ".join(str(folder / "cgroup.procs") for folder in self._folders)
        return ["/bin/sh", "-c", _JOIN, "sh", files]

    def ran_out(self) -> bool:
        """Whether the kernel ended something in the group for want of memory since this was last asked."""
        try:
            lines = self._events.read_text().splitlines()
        except OSError:
            return False
        before, self._kills = self._kills, sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
        return self._kills > before

    def remove(self) -> None:
        """Remove it. Who is still on the way out is waited for."""
        for folder in self._folders:
            _remove(folder)


def sweep() -> None:
    """Empty and remove the groups of builders that were killed before they could."""
    for parent in (_ROOT, _ROOT / "memory", _ROOT / "pids"):
        for folder in parent.glob(f"{_PREFIX}*-*"):
            owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
            if not owner.isdigit() or tree.started(int(owner)) is not None:
                continue
            with contextlib.suppress(OSError):
                for pid in (folder / "cgroup.procs").read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
            _remove(folder)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _remove(folder: Path) -> None:
    end = time.monotonic() + _GONE_S
    while True:
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > end:
                return
            time.sleep(0.005)
