"""Source files: their digests, remembered by stat, and globs. Knows nothing of who asks.

A remembered digest counts while size, mtime, ctime and inode are the same and the file had been quiet for a moment when it was
hashed ("racily clean" entries, as git calls them, are hashed again). ctime shows in-place edits that restore the mtime.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

from zerorepo.digest import Digest, DigestFunction
from zerorepo.errors import EnvironmentFailure
from zerorepo.store import Store

_QUIET_NS = 50_000_000  # kernel timestamps tick every few milliseconds; a change inside one tick does not show


class SourceTree:
    """Files of the workspace. Within one build each file is looked at once, so a build sees one version of it."""

    def __init__(self, root: Path, state: Store, function: DigestFunction, hidden: frozenset[str]) -> None:
        self.root = root
        self._state = state
        self._function = function
        self._hidden = hidden
        self._seen: dict[str, Digest | None] = {}
        self._files: list[str] | None = None
        self._folders: list[str] = []

    def digest(self, path: str) -> Digest | None:
        """Digest of a file, None when there is no such regular file. EnvironmentFailure when it cannot be read."""
        if path not in self._seen:
            self._seen[path] = self._digest(path)
        return self._seen[path]

    def read(self, path: str) -> bytes:
        """The bytes that ``digest`` saw; when the file has changed since, those of now, and the digest is corrected."""
        try:
            data = (self.root / path).read_bytes()
        except OSError as error:
            raise EnvironmentFailure(f"Cannot read the source: {error.strerror}", where=path) from error
        now = self._function.of_bytes(data)
        if self._seen.get(path) not in (None, now):
            raise EnvironmentFailure("The file changed while it was being built from", where=path, hint="build again")
        self._seen[path] = now
        return data

    def seen(self) -> dict[str, Digest | None]:
        """Every file that this build asked about."""
        return dict(self._seen)

    def walked(self) -> list[str]:
        """Folders whose names a glob of this build depended on; none without a glob."""
        return list(self._folders)

    def forget(self, path: str) -> None:
        """Look again at the next call: the build itself changed the file."""
        self._seen.pop(path, None)
        self._files = None

    def _digest(self, path: str) -> Digest | None:
        full, looked_at = self.root / path, time.time_ns()
        try:
            stat = full.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise EnvironmentFailure(f"Cannot read the source: {error.strerror}", where=path) from error
        if not full.is_file():
            return None
        now = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        row = self._state.get(b"s" + path.encode())
        known = _known(row, now, self._function) if row is not None else None
        if known is not None:
            return known
        digest = self._hash(full, path)
        if looked_at - max(stat.st_mtime_ns, stat.st_ctime_ns) > _QUIET_NS:
            self._state.put(b"s" + path.encode(), json.dumps([now, str(digest)]).encode())
        return digest

    def _hash(self, full: Path, path: str) -> Digest:
        try:
            return self._function.of_file(full)
        except OSError as error:
            raise EnvironmentFailure(f"Cannot read the source: {error.strerror}", where=path) from error

    def glob(self, include: Sequence[str], exclude: Sequence[str]) -> tuple[str, ...]:
        """Files that match one of ``include`` and none of ``exclude``, sorted; outputs, ``.zerorepo`` and dot folders left out."""
        wanted, unwanted = [_regex(p) for p in include], [_regex(p) for p in exclude]
        if self._files is None:
            self._files = sorted(self._walk(""))
        return tuple(
            f for f in self._files if any(r.fullmatch(f) for r in wanted) and not any(r.fullmatch(f) for r in unwanted)
        )

    def _walk(self, folder: str) -> list[str]:
        found: list[str] = []
        self._folders.append(folder or ".")
        try:
            entries = list(os.scandir(self.root / folder))
        except FileNotFoundError:
            return []  # removed since its name was read
        except OSError as error:
            raise EnvironmentFailure(f"Cannot read the folder: {error.strerror}", where=folder) from error
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if path in self._hidden or (entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)):
                continue
            if entry.is_dir(follow_symlinks=False):
                found += self._walk(path)
            elif entry.is_file():
                found.append(path)
        return found


def _known(row: bytes, now: list[int], function: DigestFunction) -> Digest | None:
    try:
        stat, text = json.loads(row)
        return Digest.parse(text) if stat == now and DigestFunction.that_made(text) is function else None
    except (ValueError, TypeError):
        return None


def _regex(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression: ``*`` and ``?`` within one path part, ``**`` over any number of parts."""
    parts = []
    for piece in re.split(r"(\*\*/|\*\*|\*|\?)", pattern):
        parts.append({"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(piece) or re.escape(piece))
    return re.compile("".join(parts))
