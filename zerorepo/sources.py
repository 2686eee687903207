"""Source files: their digests, remembered by stat, and globs. Knows nothing of who asks.

A remembered digest counts while size, mtime, ctime and inode are the same and the file had been quiet for a moment when it was
hashed ("racily clean" entries, as git calls them, are hashed again). ctime shows in-place edits that restore the mtime.
"""

from __future__ import annotations

import os
import re
import stat as stat_bits
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from zerorepo.digest import Digest, DigestFunction
from zerorepo.errors import EnvironmentFailure
from zerorepo.store import Store

_SMALL = 64 * 1024  # read at once; whoever asks for the bytes next need not read them again
_TRIES = 5
_QUIET_NS = 50_000_000  # kernel timestamps tick every few milliseconds; a change inside one tick does not show


_Stat = tuple[int, int, int, int]


class SourceTree:
    """Files of the workspace. Within one build each file is looked at once, so a build sees one version of it."""

    def __init__(self, root: Path, state: Store, function: DigestFunction, hidden: frozenset[str]) -> None:
        self.root = root
        self._state = state
        self._function = function
        self._hidden = hidden
        self._seen: dict[str, Digest | None] = {}
        self._prefix = f"{root}/"
        self._last: tuple[str, bytes] | None = None
        self._files: list[str] | None = None
        self._folders: list[str] = []

    def digest(self, path: str) -> Digest | None:
        """Digest of a file, None when there is no such regular file. EnvironmentFailure when it cannot be read."""
        try:
            return self._seen[path]
        except KeyError:
            found = self._seen[path] = self._digest(path)
            return found

    def look_at(self, paths: Iterable[str]) -> None:
        """Find out the digests of many files that will be asked for. Large ones that have changed are hashed in threads."""
        changed: dict[str, _Stat] = {}
        for path in paths:
            if path in self._seen or (now := self._stat(path)) is None:
                continue
            row = self._state.get(b"s" + path.encode())
            known = _known(row, now, self._function) if row is not None else None
            if known is not None:
                self._seen[path] = known
            elif now[0] > _SMALL:
                changed[path] = now
        began = time.time_ns()
        digests = self._function.of_files([self._prefix + path for path in changed]) if len(changed) > 1 else []
        for (path, before), digest in zip(changed.items(), digests, strict=False):
            if isinstance(digest, Digest) and self._stat(path) == before:  # else whoever asks for it meets the error
                self._seen[path] = digest
                self._remember(path, before, digest, began)

    def path_of(self, path: str) -> str:
        """Where the file is, as the operating system is asked for it."""
        return f"{self._prefix}{path}"

    def is_fresh(self, path: str) -> bool:
        """Whether the file was hashed just now, so that nothing of an earlier build is to be expected of it."""
        return self._last is not None and self._last[0] == path

    def read(self, path: str) -> bytes:
        """The bytes that ``digest`` saw. EnvironmentFailure when the file has changed since."""
        if self._last is not None and self._last[0] == path:
            return self._last[1]
        try:
            with open(self._prefix + path, "rb") as file:
                data = file.read()
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
        self._files = self._last = None

    def _digest(self, path: str) -> Digest | None:
        for _ in range(_TRIES):
            looked_at = time.time_ns()
            before = self._stat(path)
            if before is None:
                return None
            row = self._state.get(b"s" + path.encode())
            known = _known(row, before, self._function) if row is not None else None
            if known is not None:
                return known
            digest = self._hash(path, before[0])
            if self._stat(path) == before:
                self._remember(path, before, digest, looked_at)
                return digest
        raise EnvironmentFailure("The file keeps changing while it is read", where=path, hint="build when it is done")

    def _remember(self, path: str, stat: _Stat, digest: Digest, looked_at: int) -> None:
        if looked_at - max(stat[1], stat[2]) > _QUIET_NS:
            self._state.put_soon(b"s" + path.encode(), b"%d %d %d %d %s" % (*stat, str(digest).encode()))

    def _stat(self, path: str) -> _Stat | None:
        """Size, mtime, ctime and inode; None when there is no such regular file."""
        try:
            found = os.stat(self._prefix + path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise EnvironmentFailure(f"Cannot read the source: {error.strerror}", where=path) from error
        if not stat_bits.S_ISREG(found.st_mode):
            return None
        return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino

    def _hash(self, path: str, size: int) -> Digest:
        self._last = None
        try:
            if size > _SMALL:
                return self._function.of_file(self._prefix + path)
            with open(self._prefix + path, "rb") as file:
                data = file.read()
        except OSError as error:
            raise EnvironmentFailure(f"Cannot read the source: {error.strerror}", where=path) from error
        self._last = path, data
        return self._function.of_bytes(data)

    def glob(self, include: Sequence[str], exclude: Sequence[str]) -> tuple[str, ...]:
        """Files that match one of ``include`` and none of ``exclude``, sorted; outputs, ``.zerorepo`` and dot folders left out."""
        wanted, unwanted = [_regex(p) for p in include], [_regex(p) for p in exclude]
        if self._files is None:
            self._files = sorted(self._walk(""))
        found = tuple(
            f for f in self._files if any(r.fullmatch(f) for r in wanted) and not any(r.fullmatch(f) for r in unwanted)
        )
        for path in found:
            if not path.isascii() and path.encode(errors="ignore").decode() != path:
                shown = path.encode(errors="backslashreplace").decode()
                raise EnvironmentFailure(
                    "The name of a source file is not UTF-8", where=shown, hint="rename it, or leave it out of the glob"
                )
        return found

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


def _known(row: bytes, now: _Stat, function: DigestFunction) -> Digest | None:
    head, _, text = row.rpartition(b" ")
    if head != b"%d %d %d %d" % now:
        return None
    try:
        digest = Digest.parse(text.decode())
    except ValueError:
        return None
    return digest if DigestFunction.that_made(str(digest)) is function else None


def _regex(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression: ``*`` and ``?`` within one path part, ``**`` over any number of parts."""
    parts = []
    for piece in re.split(r"(\*\*/|\*\*|\*|\?)", pattern):
        parts.append({"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(piece) or re.escape(piece))
    return re.compile("".join(parts))
