"""The target graph of the last query, kept in ``.zerorepo/query`` with the state of everything that it was made from.

While all of that is the same (build files, folders, settings, code of the rule sets, what builds remembered and the sources that
expansions read), the next query reads the graph instead of making it, without loading the engine. A graph that may be stale is
never answered from: what has another state, another version, or is damaged counts as not there. Knows nothing of expressions.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zerorepo import __version__, snapshot
from zerorepo.query.graph import QueryGraph
from zerorepo.query.stored import FORMAT, pack, unpack

FOLDER = ".zerorepo/query"
MOST = 4
"""Graphs of one workspace that are kept, the latest: there is one for each set of ``--set`` options."""


@dataclass(frozen=True, slots=True)
class TargetGraph:
    """``unknown``: expansions that would have to be built before the targets that they declare are known."""

    graph: QueryGraph
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """The state of what a graph was made from, as ``snapshot.unchanged`` compares it."""

    chunks: list[snapshot.Chunk]
    absent: list[bytes]
    kept: list[tuple[bytes, int]]
    environment: list[tuple[bytes, bytes | None]]


def load(root: str, overrides: tuple[str, ...]) -> TargetGraph | None:
    """The graph that a query of this workspace kept, when nothing that it was made from has changed."""
    key = key_of(root, overrides)
    cwd = os.getcwd()
    try:
        with open(_path(root, key), "rb") as file:
            data = file.read()
        if snapshot.checksum(memoryview(data)[8:]) != data[:8]:
            return None
        found, made_from, unknown, parts = marshal.loads(
            memoryview(data)[8:]
        )  # our own bytes, intact by their checksum
        if found != key or not snapshot.unchanged(*made_from):
            return None
        return TargetGraph(unpack(parts), tuple(unknown))
    except (OSError, ValueError, TypeError, EOFError, KeyError):
        return None
    finally:
        os.chdir(cwd)


def make_room(root: str) -> None:
    """Make the folder, before the state of the workspace's own folder is taken. OSError when that cannot be."""
    os.makedirs(f"{root}/{FOLDER}", exist_ok=True)


def save(root: str, overrides: tuple[str, ...], known: TargetGraph, made_from: MadeFrom) -> None:
    """Keep a graph for the next query. What cannot be written is no loss."""
    key = key_of(root, overrides)
    state = (made_from.chunks, made_from.absent, made_from.kept, made_from.environment)
    with contextlib.suppress(OSError, ValueError):
        body: Any = (key, state, list(known.unknown), pack(known.graph))
        data = marshal.dumps(body, 2)
        write_private(f"{root}/{FOLDER}/.{os.getpid()}", _path(root, key), data)
        remove_oldest(Path(root, FOLDER))


def write_private(scratch: str, path: str, data: bytes) -> None:
    """Write bytes and their checksum for the user alone: attributes may be more private than the workspace's other state."""
    with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(snapshot.checksum(data))
        file.write(data)
    os.replace(scratch, path)


def remove_oldest(folder: Path) -> None:
    """Leave the ``MOST`` latest files of a folder of what was kept."""
    files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    for path in files[:-MOST]:
        path.unlink(missing_ok=True)


def key_of(root: str, overrides: tuple[str, ...]) -> bytes:
    """What decides, beside files, which graph a workspace has: versions, the interpreter, where modules are found, options."""
    # With ``python -m`` modules and plugins are also found in the working folder.
    here = os.getcwd() if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()] else ""
    shown = (str(FORMAT), __version__, sys.version, sys.executable, here, root, *overrides)
    paths = (os.environb.get(name, b"") for name in (b"PYTHONPATH", b"PYTHONHOME"))
    return b"\0".join([*paths, *(text.encode("utf-8", "surrogateescape") for text in shown)])


def _path(root: str, key: bytes) -> str:
    return f"{root}/{FOLDER}/{snapshot.checksum(key).hex()}"
