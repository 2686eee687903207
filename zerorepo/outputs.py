"""The output folder: writes what targets made, restores what is missing, and never overwrites what a person edited.

For each file it wrote it remembers digest and stat, so that an untouched file costs one ``stat``. Knows nothing of targets but
their labels.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from zerorepo.digest import Digest, DigestFunction
from zerorepo.errors import EnvironmentFailure, TargetFailed
from zerorepo.fileio import write_atomic
from zerorepo.store import Store


@dataclass(frozen=True, slots=True)
class _Record:
    digest: str
    stat: tuple[int, int, int, int]
    owner: str


class OutputTree:
    """Files below ``root``. ``reader`` gets bytes from the CAS; ``on_edited`` hears of each edited file left alone."""

    def __init__(
        self,
        root: Path,
        state: Store,
        function: DigestFunction,
        reader: Callable[[Digest], bytes],
        on_edited: Callable[[str, str], None],
        *,
        overwrite: bool = False,
    ) -> None:
        self.root = root
        self._state = state
        self._function = function
        self._reader = reader
        self._on_edited = on_edited
        self._overwrite = overwrite
        self._owners: dict[str, str] = {}

    def claim(self, label: str, paths: Iterable[str]) -> None:
        """Two targets may not write the same file: TargetFailed for the second."""
        for path in paths:
            other = self._owners.setdefault(path, label)
            if other != label:
                raise TargetFailed(
                    f"`{label}` and `{other}` both write `{path}`", hint="give one of them another output"
                )

    def intact(self, files: Mapping[str, Digest]) -> bool:
        """Whether every file is there as wanted, by stat alone."""
        for path, digest in files.items():
            record = self._record(path)
            if record is None or record.digest != str(digest) or _stat(self.root / path) != record.stat:
                return False
        return True

    def ensure(
        self, label: str, files: Mapping[str, Digest], executable: Iterable[str], previous: Iterable[str]
    ) -> None:
        """Bring the files of one target about: write, restore, adopt equal ones; remove those of ``previous`` that are no more."""
        self.claim(label, files)
        modes = frozenset(executable)
        for path, digest in files.items():
            self._ensure_one(label, path, digest, 0o755 if path in modes else 0o644)
        for path in previous:
            if path not in files and self._owners.get(path, label) == label:
                self.remove(label, path)

    def _ensure_one(self, label: str, path: str, digest: Digest, mode: int) -> None:
        target = self.root / path
        record, stat = self._record(path), _stat(target)
        if record is not None and record.digest == str(digest) and record.stat == stat:
            return
        if stat is not None:
            if not target.is_file() or target.is_symlink():
                raise EnvironmentFailure(
                    "An output is in the way of something that is no regular file",
                    where=str(target),
                    hint="move it away",
                )
            present = str(self._function.of_file(target))
            if present == str(digest):
                self._remember(label, path, digest)
                return
            ours = record is not None and record.digest == present
            if not ours and not self._overwrite:
                self._on_edited(label, path)
                return
        write_atomic(target, self._reader(digest), mode=mode)
        self._remember(label, path, digest)

    def remove(self, label: str, path: str) -> None:
        """Remove an output that no target makes any more, unless someone edited it."""
        record, target = self._record(path), self.root / path
        if record is None:
            return
        if _stat(target) is not None:
            if _stat(target) != record.stat and str(self._function.of_file(target)) != record.digest:
                self._on_edited(label, path)
                return
            with contextlib.suppress(FileNotFoundError):
                target.unlink()
            for parent in target.parents:
                if parent == self.root or any(parent.iterdir()):
                    break
                parent.rmdir()
        self._state.delete(b"o" + path.encode())

    def _record(self, path: str) -> _Record | None:
        row = self._state.get(b"o" + path.encode())
        if row is None:
            return None
        try:
            digest, stat, owner = json.loads(row)
            return _Record(digest, tuple(stat), owner)
        except (ValueError, TypeError):
            return None

    def _remember(self, label: str, path: str, digest: Digest) -> None:
        stat = _stat(self.root / path)
        self._state.put(b"o" + path.encode(), json.dumps([str(digest), stat, label]).encode())


def _stat(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
