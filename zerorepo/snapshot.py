"""The answer to "is there anything to do?" without asking anyone: what a build that did nothing had looked at.

When a build found every target up to date and ran nothing, the state of each file and folder that it depended on is written down:
sources, outputs, build files, the rule sets' own code. While all of these are the same, the same command line has the same answer,
and neither the engine nor any rule set is imported. Anything different, and the ordinary build decides.

Knows nothing of targets or traces: it compares ``stat`` results. Imports nothing heavy, for this is the path that must be fast.
"""

from __future__ import annotations

import marshal
import os
import sys
import time
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from zerorepo import __version__

_FORMAT = 1
_QUIET_NS = 50_000_000  # a change within one tick of the kernel's clock does not show in a stat
_FLAGS = frozenset(
    {"--json", "--quiet", "-q", "--keep-going", "-k", "--locked", "--unsafe", "--no-wait", "--overwrite"}
)
_VALUED = frozenset({"--jobs", "-j"})
_CONFIG = "zerorepo.toml"

WALL = "@WALL@"
"""Stands in the text for the seconds that the answer took."""

Looked = tuple[int, int, int, int, int]
"""Mode, size, mtime, ctime and inode; what changes when a file is written, replaced or swapped, even with its mtime restored."""


def key_of(argv: Sequence[str], start: str) -> bytes | None:
    """What a snapshot is filed under; None for a command line that a snapshot cannot answer."""
    if not argv or argv[0] != "build":
        return None
    words = iter(argv[1:])
    for word in words:
        if word in _VALUED:
            next(words, None)
        elif word.startswith("-") and not word.startswith("-//") and word not in _FLAGS:
            return None
    return "\0".join([str(_FORMAT), __version__, sys.version, sys.prefix, start, *argv]).encode()


def answer(argv: Sequence[str]) -> tuple[str, bool] | None:
    """What the build would say when a snapshot shows that it would do nothing, and whether to stdout.

    None when the build must decide.
    """
    started = time.perf_counter()
    start = os.getcwd()
    key = key_of(argv, start)
    root = _root(start)
    if key is None or root is None:
        return None
    body = _load(_path(root, key), key)
    if body is None:
        return None
    _, files, states, folders, folder_states, absent, text, to_stdout = body
    os.chdir(root)
    try:
        if not _same(files, states, os.lstat) or not _same(folders, folder_states, os.stat):
            return None
    finally:
        os.chdir(start)
    if any(os.path.lexists(os.path.join(root, path)) for path in absent):
        return None
    return str(text).replace(WALL, f"{time.perf_counter() - started:.{3 if to_stdout else 1}f}"), bool(to_stdout)


def _same(paths: Sequence[str], states: Sequence[Looked], look: Any) -> bool:
    try:
        for path, state in zip(paths, states, strict=True):
            found = look(path)
            if (found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino) != state:
                return False
    except (OSError, ValueError):
        return False
    return True


def save(
    root: str,
    key: bytes,
    began_ns: int,
    *,
    files: Iterable[str],
    folders: Iterable[str],
    absent: Iterable[str],
    text: str,
    to_stdout: bool,
) -> bool:
    """Write a snapshot of a build that began at ``began_ns`` and did nothing.

    ``files`` and ``folders`` are relative to ``root`` or absolute. False, and nothing written, when one of them has changed since
    (or too shortly before) the build began: then what the build saw may not be what is there.
    """
    limit = began_ns - _QUIET_NS
    listed, listed_folders = sorted(set(files)), sorted(set(folders))
    try:
        states = [_settled(os.lstat(os.path.join(root, path)), limit) for path in listed]
        folder_states = [_settled(os.stat(os.path.join(root, path)), limit) for path in listed_folders]
    except OSError:
        return False
    if None in states or None in folder_states:
        return False
    data = marshal.dumps((key, listed, states, listed_folders, folder_states, sorted(set(absent)), text, to_stdout))
    path = _path(root, key)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    scratch = f"{path}.{os.getpid()}"
    try:
        with open(scratch, "wb") as file:
            file.write(zlib.crc32(data).to_bytes(4, "big") + data)
        os.replace(scratch, path)
    except OSError:
        return False  # a snapshot saves time and nothing else
    return True


def _settled(stat: os.stat_result, limit: int) -> Looked | None:
    if max(stat.st_mtime_ns, stat.st_ctime_ns) > limit or (stat.st_mode & 0o170000) == 0o120000:
        return None  # too young; or a link, whose target this would not see
    return stat.st_mode, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _load(path: str, key: bytes) -> tuple[Any, ...] | None:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return None
    if len(data) < 5 or zlib.crc32(data[4:]) != int.from_bytes(data[:4], "big"):
        return None
    try:
        body = marshal.loads(data[4:])  # our own bytes, intact by their checksum
    except (ValueError, EOFError, TypeError):
        return None
    return body if isinstance(body, tuple) and len(body) == 8 and body[0] == key else None


def _path(root: str, key: bytes) -> str:
    return os.path.join(root, ".zerorepo", "snapshots", f"{zlib.crc32(key):08x}")


def _root(start: str) -> str | None:
    folder = start
    while True:
        if os.path.exists(os.path.join(folder, _CONFIG)):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent
