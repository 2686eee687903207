"""Which question was asked for an action that goes by its gist: a log of pairs of keys beside the journal.

For whoever looks at a question or counts what it cost, not for a build: a line that is lost loses no answer.
"""

from __future__ import annotations

import os
from pathlib import Path

_KEY_LENGTHS = (32, 64)
_read: dict[str, tuple[int, int, dict[str, str]]] = {}
"""Path of a log to its inode, how much of it was read, and what that says."""


class Gists:
    """The log of one journal. Processes may write to it at once: a line is written as a whole."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".behind"

    def note(self, gist: str, key: str) -> None:
        """Remember that the question ``key`` was asked for the action ``gist``."""
        if self._known().get(gist) == key:
            return
        line = f"{gist} {key}\n".encode("ascii")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(file, line)
        finally:
            os.close(file)

    def behind(self, gist: str) -> str | None:
        """The key of the question that was asked last for the action ``gist``; None when none is known."""
        return self._known().get(gist)

    def _known(self) -> dict[str, str]:
        path = str(self._path)
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return {}
        inode, read, found = _read.get(path, (0, 0, {}))
        if (inode, read) == (there.st_ino, there.st_size):
            return found
        if inode != there.st_ino or there.st_size < read:  # another log in its place
            read, found = 0, {}
        with self._path.open("rb") as file:
            file.seek(read)
            whole = file.read().rpartition(b"\n")[0]
        for line in whole.decode("ascii", "replace").splitlines():
            gist, _, key = line.partition(" ")
            if {len(gist), len(key)} <= {*_KEY_LENGTHS}:
                found[gist] = key
        _read[path] = there.st_ino, read + len(whole) + bool(whole), found
        return found
