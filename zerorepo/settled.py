"""States of files, as far as they can be trusted: what a later ``stat`` must show so that the file is what the build saw.

A build looks at a file and, at its end, its state is taken. Two things could go wrong: the file changed in between, and the state
is that of content which the build did not see; or it changes afterwards without a change of its state, within one tick of the
kernel's clock. So a state counts in one of these cases only:

- *Old*: neither mtime nor ctime is later than some time before the build looked, by more than a tick. ctime cannot be set, so the
  file has not changed since; and whatever changes it from now on gets a ctime of now, which is more than a tick later.
- *On record*: an output, in exactly the state that the output tree remembers for this content, taken right after the write. The
  ordinary build asks nothing more of an output than to be in that state, so a look that asks the same is content with nothing less.
  (The file is dated back by more than a tick, so an edit in place always shows in its mtime, and one that restores the mtime
  in its ctime, unless it comes within the very tick of the write: then the ordinary build does not see it either.)
- *Listed*: the workspace's own folder, in which a first build makes ``.zerorepo`` and the output folder: when its names are those
  of before the build but for these, taken more than a tick after its last change.

A symbolic link is followed, and each link on the way must itself be old. Knows nothing of what the files are.
"""

from __future__ import annotations

import os
import stat as stat_bits
import time
from collections.abc import Callable, Iterable

from zerorepo.snapshot import Chunk, State, packed, state_of

QUIET_NS = 50_000_000
"""More than a tick: kernel clocks of files advance every 1 to 10 ms."""

Recorded = Callable[[str], tuple[int, int, int, int, int] | None]
"""Size, mtime, ctime, inode and permission bits that an output has on record; None when there is no such record."""


class Unsettled(Exception):
    """The state of this path says nothing about its content."""


class States:
    """Collects states below ``root`` (or absolute) and packs them. Each method raises Unsettled, or OSError."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._states: dict[tuple[bool, str], dict[str, State]] = {}
        self._links: dict[str, int] = {}

    def take(self, paths: Iterable[str], before_ns: int) -> None:
        """Files and folders that nobody changed since ``before_ns``, links followed."""
        limit = before_ns - QUIET_NS
        for path in paths:
            folder, name = self._split(path)
            found = os.lstat(f"{folder}/{name}")
            if stat_bits.S_ISLNK(found.st_mode):
                if self._newest_link(f"{folder}/{name}") > limit:
                    raise Unsettled(path)
                found = os.stat(f"{folder}/{name}")
            if max(found.st_mtime_ns, found.st_ctime_ns, self._newest_link(folder)) > limit:
                raise Unsettled(path)
            self._add(True, folder, name, found)

    def take_outputs(self, out: str, paths: Iterable[str], before_ns: int, recorded: Recorded) -> None:
        """Files below the folder ``out`` that nobody changed since ``before_ns``, or that are as ``recorded`` says."""
        limit = before_ns - QUIET_NS
        for path in paths:
            folder, name = self._split(f"{out}/{path}")
            found = os.lstat(f"{folder}/{name}")
            young = max(found.st_mtime_ns, found.st_ctime_ns, self._newest_link(folder)) > limit
            if young and recorded(path) != _as_recorded(found):
                raise Unsettled(path)
            self._add(False, folder, name, found)

    def take_root(self, before_ns: int, names_before: frozenset[str], ours: Iterable[str]) -> None:
        """The folder itself: old, or with the names that it had before the build and perhaps ``ours``."""
        try:
            self.take(["."], before_ns)
            return
        except Unsettled:
            pass
        found = os.lstat(self._root)
        young = max(found.st_mtime_ns, found.st_ctime_ns) + QUIET_NS + 1_000_000 - time.time_ns()
        if 0 < young <= 2 * QUIET_NS:
            time.sleep(young / 1e9)
            found = os.lstat(self._root)
            young = max(found.st_mtime_ns, found.st_ctime_ns) + QUIET_NS - time.time_ns()
        if young > 0 or names_before.symmetric_difference(os.listdir(self._root)).difference(ours):
            raise Unsettled(self._root)
        self._add(True, self._root, ".", found)

    def take_same(self, path: str, state: State) -> None:
        """A file that is replaced but never written to, in the state that it had."""
        folder, name = self._split(path)
        found = os.lstat(path)
        if state_of(found) != state:
            raise Unsettled(path)
        self._add(False, folder, name, found)

    def packed(self) -> list[Chunk]:
        """Everything taken, a chunk a folder."""
        return [
            (follow, os.fsencode(folder), b"\0".join(map(os.fsencode, states)), packed(list(states.values())))
            for (follow, folder), states in self._states.items()
        ]

    def _add(self, follow: bool, folder: str, name: str, found: os.stat_result) -> None:
        self._states.setdefault((follow, folder), {})[name] = state_of(found)

    def _split(self, path: str) -> tuple[str, str]:
        folder, _, name = (path if path.startswith("/") else f"{self._root}/{path}").rpartition("/")
        return folder or "/", name or "."

    def _newest_link(self, path: str) -> int:
        """When the youngest of the symbolic links on the way to ``path`` was made, in nanoseconds; 0 when there is none."""
        if path not in self._links:
            self._links[path] = max((os.lstat(link).st_ctime_ns for link in links(path)), default=0)
        return self._links[path]


def _as_recorded(found: os.stat_result) -> tuple[int, int, int, int, int]:
    mode = stat_bits.S_IMODE(found.st_mode)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, mode


def links(path: str) -> list[str]:
    """Every symbolic link that is followed to find ``path``, which is absolute."""
    found: list[str] = []
    at, ahead = "", path.split("/")[::-1]
    while ahead:
        part = ahead.pop()
        if part in ("", "."):
            continue
        if part == "..":
            at = at.rpartition("/")[0]
            continue
        here = f"{at}/{part}"
        try:
            target = os.readlink(here)
        except OSError:
            at = here
            continue
        found.append(here)
        if len(found) > 40:  # the kernel's own limit
            raise Unsettled(path)
        if target.startswith("/"):
            at = ""
        ahead += target.split("/")[::-1]
    return found
