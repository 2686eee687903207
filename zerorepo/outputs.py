"""The output folder: writes what targets made, restores what is missing, and never overwrites what a person edited.

For each file it wrote it remembers digest and stat, so that an untouched file costs one ``stat``. Knows nothing of targets but
their labels.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat as stat_bits
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from zerorepo.digest import Digest, DigestFunction
from zerorepo.errors import EnvironmentFailure, TargetFailed
from zerorepo.fileio import write_atomic
from zerorepo.store import Store

_KEY = b"o"
# Outputs are dated a little into the past, further than kernel clocks tick: a later edit in place then always shows in the mtime,
# even one that follows within the same tick.
_BACKDATE_NS = 20_000_000
_QUIET_NS = 50_000_000

_Stat = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Record:
    digest: str
    stat: _Stat | None
    """As the file was when it had this digest; None when that must be found out by hashing."""
    owner: str
    earlier: tuple[str, ...]
    """Other content that is ours too: what a write, perhaps interrupted, was to replace."""


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
        scratch: Path | None = None,
        overwrite: bool = False,
    ) -> None:
        self.root = root
        self._state = state
        self._function = function
        self._reader = reader
        self._on_edited = on_edited
        self._scratch = scratch
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

    def intact(self, files: Mapping[str, Digest], executable: Iterable[str] = ()) -> bool:
        """Whether every file is there as wanted, by stat alone."""
        modes = frozenset(executable)
        return all(self._is_intact(path, str(digest), _mode(path in modes)) for path, digest in files.items())

    def _is_intact(self, path: str, digest: str, mode: int) -> bool:
        record = self._record(path)
        if record is None or record.digest != digest or record.stat is None:
            return False
        return record.stat[-1] == mode and _stat(self.root / path) == record.stat

    def ensure(
        self, label: str, files: Mapping[str, Digest], executable: Iterable[str], previous: Iterable[str]
    ) -> None:
        """Bring the files of one target about: remove those of ``previous`` that are no more; write, restore, adopt equal ones."""
        self.claim(label, files)
        # First, because a folder may take the place of a file, or a file that of a folder.
        for path in previous:
            if path not in files and self._owners.get(path, label) == label:
                self.remove(label, path)
        modes = frozenset(executable)
        for path, digest in files.items():
            self._ensure_one(label, path, digest, _mode(path in modes))

    def _ensure_one(self, label: str, path: str, digest: Digest, mode: int) -> None:
        target = self.root / path
        record, stat = self._record(path), _stat(target)
        if record is not None and self._is_intact(path, str(digest), mode):
            if record.owner != label:
                self._remember(label, path, str(digest), stat)
            return
        earlier: tuple[str, ...] = ()
        if stat is not None:
            if not _is_regular(target):
                raise EnvironmentFailure(
                    "An output is in the way of something that is no regular file",
                    where=str(target),
                    hint="move it away",
                )
            present = str(self._function.of_file(target))
            if present == str(digest):
                self._adopt(label, path, str(digest), mode)
                return
            if not self._overwrite and not (record is not None and self._is_ours(target, record)):
                self._on_edited(label, path)
                return
            earlier = (present,)
        data = self._reader(digest)
        # Before the write, so that a build killed right after it knows both contents for its own.
        self._remember(label, path, str(digest), None, earlier)
        write_atomic(target, data, mode=mode, scratch=self._scratch, mtime_ns=time.time_ns() - _BACKDATE_NS)
        self._remember(label, path, str(digest), _stat(target))

    def _adopt(self, label: str, path: str, digest: str, mode: int) -> None:
        target = self.root / path
        stat = _stat(target)
        if stat is not None and stat[-1] != mode:
            target.chmod(mode)
            stat = _stat(target)
        # Whoever wrote it may still be writing within the same tick of the clock.
        racy = stat is None or time.time_ns() - max(stat[1], stat[2]) < _QUIET_NS
        self._remember(label, path, digest, None if racy else stat)

    def remove(self, label: str, path: str) -> None:
        """Remove an output that ``label`` does not make any more; one that someone edited stays and is theirs from now on."""
        record, target = self._record(path), self.root / path
        if record is None or record.owner != label:
            return
        stat = _stat(target)
        if stat is not None:
            if stat != record.stat and not self._is_ours(target, record):
                self._on_edited(label, path)
                self._state.delete(_KEY + path.encode())
                return
            with contextlib.suppress(FileNotFoundError):
                target.unlink()
            self._remove_empty_folders(target)
        self._state.delete(_KEY + path.encode())

    def _remove_empty_folders(self, target: Path) -> None:
        for parent in target.parents:
            if parent == self.root:
                return
            try:
                parent.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                return  # not empty

    def remove_all(self) -> int:
        """Remove everything that was written and not edited; how many files that were."""
        removed = 0
        for path, record in self._records():
            there = _stat(self.root / path) is not None
            self.remove(record.owner, path)
            removed += there and _stat(self.root / path) is None
        return removed

    def prune(self, gone: Callable[[str], bool]) -> None:
        """Remove the outputs of targets that are ``gone``; those claimed in this build are not asked about."""
        known: dict[str, bool] = {}
        for path, record in self._records():
            if record.owner not in known:
                known[record.owner] = gone(record.owner)
            if known[record.owner]:
                self.remove(record.owner, path)

    def bytes_of(self, path: str, digest: Digest) -> bytes | None:
        """The bytes of an output when they still have this digest: a second home of a blob that the CAS lost."""
        try:
            data = (self.root / path).read_bytes()
        except OSError:
            return None
        return data if self._function.of_bytes(data) == digest else None

    def _records(self) -> list[tuple[str, _Record]]:
        paths = [key[len(_KEY) :].decode() for key in self._state.keys(_KEY)]
        return [(path, record) for path in paths if path not in self._owners and (record := self._record(path))]

    @staticmethod
    def _is_ours(target: Path, record: _Record) -> bool:
        if not _is_regular(target):
            return False
        # A digest remembered under another digest function is compared under that one.
        return any(
            str(DigestFunction.that_made(digest).of_file(target)) == digest
            for digest in (record.digest, *record.earlier)
        )

    def _record(self, path: str) -> _Record | None:
        row = self._state.get(_KEY + path.encode())
        if row is None:
            return None
        try:
            digest, stat, owner, earlier = json.loads(row)
            return _Record(digest, tuple(stat) if stat else None, owner, tuple(earlier))
        except (ValueError, TypeError):
            return None

    def _remember(self, label: str, path: str, digest: str, stat: _Stat | None, earlier: tuple[str, ...] = ()) -> None:
        self._state.put(_KEY + path.encode(), json.dumps([digest, stat, label, earlier]).encode())


def _mode(executable: bool) -> int:
    return 0o755 if executable else 0o644


def _is_regular(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _stat(path: Path) -> _Stat | None:
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, stat_bits.S_IMODE(found.st_mode)
