"""Pictures of a workspace: what each file looks like to ``stat``, and what differs between two of them.

A picture is the truth that ``watch`` goes by; what the system tells of changes only says when to take the next one. Knows nothing
of building.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

YOUNG_NS = 100_000_000
"""A file that changed so recently may change again within one tick of the kernel's clock, which no ``stat`` shows."""

_SKIPPED = frozenset({"__pycache__", "node_modules"})

Look = tuple[int, int, int, int, int]
"""Mode, size, mtime, ctime and inode."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Files by path relative to the root (or absolute, outside it), and the folders that were walked."""

    files: dict[str, Look] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    asked: frozenset[str] = frozenset()
    """Paths that were looked for beside the walk."""
    taken_ns: int = 0
    young: bool = False
    """Whether anything had changed within the last moment."""

    def changes(self, later: Picture) -> dict[str, str]:
        """Path to ``added``, ``changed`` or ``removed``, of what is different in a later picture."""
        found = dict.fromkeys(self.files.keys() - later.files.keys() - (self.asked - later.asked), "removed")
        for path, look in later.files.items():
            before = self.files.get(path)
            if before is not None and before != look:
                found[path] = "changed"
            elif before is None and path not in later.asked - self.asked:
                found[path] = "added"
            elif (
                before is None and look[3] >= self.taken_ns
            ):  # not looked for then; its ctime says that it has changed since
                found[path] = "changed"
        return found


def take(root: str, *, extra: Iterable[str] = (), skip: frozenset[str] = frozenset()) -> Picture:
    """A picture of all files below ``root`` and of ``extra`` ones.

    Folders whose names begin with a dot, Python's caches, and the paths in ``skip`` are passed over; links to folders are not
    followed. A link stands for the file that it leads to. What cannot be read is as good as not there.
    """
    taken = time.time_ns() - YOUNG_NS
    files: dict[str, Look] = {}
    folders: list[str] = []
    newest = _walk(root, skip, files, folders)
    asked = frozenset(extra).difference(files)
    for path in asked:
        try:
            found = os.stat(os.path.join(root, path))
        except OSError:
            continue
        if stat.S_ISREG(found.st_mode):
            files[path] = _look(found)
            newest = _younger(newest, found.st_ctime_ns)
    return Picture(files, folders, asked, taken, newest > time.time_ns() - YOUNG_NS)


def _walk(root: str, skip: frozenset[str], files: dict[str, Look], folders: list[str]) -> int:
    """Fill in ``files`` and ``folders``; the latest change of anything seen."""
    newest = 0
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            newest = _younger(newest, os.stat(os.path.join(root, folder)).st_ctime_ns)
            entries = list(os.scandir(os.path.join(root, folder)))
        except OSError:
            continue
        folders.append(folder)
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    if not (entry.name.startswith(".") or entry.name in _SKIPPED or path in skip):
                        waiting.append(path)
                    continue
                found = entry.stat()
            except OSError:
                continue  # gone since its name was read, or a link to nowhere
            if stat.S_ISREG(found.st_mode):
                files[path] = _look(found)
                newest = _younger(newest, found.st_ctime_ns)
    return newest


def _younger(one: int, other: int) -> int:
    """The later of two times; what lies ahead of this machine's clock (network file systems) says nothing of how recent it is."""
    return max(one, other) if other < time.time_ns() + YOUNG_NS else one


def _look(found: os.stat_result) -> Look:
    return found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


__all__ = ["YOUNG_NS", "Look", "Picture", "take"]
