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
from dataclasses import dataclass, field

from zerorepo.snapshot import Chunk, State, packed, state_of

QUIET_NS = 50_000_000
"""More than a tick: kernel clocks of files advance every 1 to 10 ms."""

Recorded = Callable[[str], tuple[int, int, int, int, int] | None]
"""Size, mtime, ctime, inode and permission bits that an output has on record; None when there is no such record."""


class Unsettled(Exception):
    """The state of this path says nothing about its content."""


@dataclass(slots=True)
class _Folder:
    """States of the files that were taken in one folder."""

    path: str
    newest_link: int
    """When the youngest of the symbolic links on the way was made, in nanoseconds; 0 when there is none."""
    states: dict[str, State] = field(default_factory=dict)


class States:
    """Collects states below ``root`` (or absolute) and packs them. Each method raises Unsettled, or OSError."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._followed: dict[str, _Folder] = {}
        self._as_they_are: dict[str, _Folder] = {}

    def take(self, paths: Iterable[str], before_ns: int) -> None:
        """Files and folders that nobody changed since ``before_ns``, links followed."""
        limit, folders, lstat = before_ns - QUIET_NS, self._followed, os.lstat
        for path in paths:
            head, slash, name = path.rpartition("/")
            folder = folders.get(head or slash) or self._add(folders, head or slash)
            full = f"{folder.path}/{name}"
            found = lstat(full)
            if found.st_mode & 0o170000 == stat_bits.S_IFLNK:
                if _newest_link(full) > limit:
                    raise Unsettled(path)
                found = os.stat(full)
            if found.st_ctime_ns > limit or found.st_mtime_ns > limit or folder.newest_link > limit:
                raise Unsettled(path)
            folder.states[name] = state_of(found)

    def take_outputs(self, out: str, paths: Iterable[str], before_ns: int, recorded: Recorded) -> None:
        """Files below the folder ``out`` that nobody changed since ``before_ns``, or that are as ``recorded`` says."""
        limit, folders, lstat = before_ns - QUIET_NS, self._as_they_are, os.lstat
        for path in paths:
            head, _, name = f"{out}/{path}".rpartition("/")
            folder = folders.get(head) or self._add(folders, head)
            found = lstat(f"{folder.path}/{name}")
            young = found.st_ctime_ns > limit or found.st_mtime_ns > limit or folder.newest_link > limit
            if young and recorded(path) != _as_recorded(found):
                raise Unsettled(path)
            folder.states[name] = state_of(found)

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
        self._add(self._followed, "").states["."] = state_of(found)

    def take_same(self, path: str, state: State) -> None:
        """A file (absolute) that is replaced but never written to, in the state that it had."""
        if state_of(os.lstat(path)) != state:
            raise Unsettled(path)
        head, slash, name = path.rpartition("/")
        self._add(self._as_they_are, head or slash).states[name] = state

    def packed(self) -> list[Chunk]:
        """Everything taken, a chunk a folder."""
        return [
            (
                folders is self._followed,
                os.fsencode(folder.path or "/"),
                os.fsencode("\0".join(folder.states)),
                packed(list(folder.states.values())),
            )
            for folders in (self._followed, self._as_they_are)
            for folder in folders.values()
            if folder.states
        ]

    def _add(self, folders: dict[str, _Folder], head: str) -> _Folder:
        if head not in folders:
            full = head.rstrip("/") if head.startswith("/") else f"{self._root}/{head}".rstrip("/")
            folders[head] = _Folder(full, _newest_link(full))
        return folders[head]


def _newest_link(path: str) -> int:
    return max((os.lstat(link).st_ctime_ns for link in links(path)), default=0)


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
