"""The output folder: writes what targets made, restores what is missing, and never overwrites what a person edited.

For each file it wrote it remembers digest and stat, so that an untouched file costs one ``stat``. Paths are plain strings here:
this runs once for every output of every build. Knows nothing of targets but their labels.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path

from zerorepo.digest import Digest, DigestFunction
from zerorepo.errors import EnvironmentFailure, TargetFailed
from zerorepo.fileio import replace_file
from zerorepo.output_record import OutputRecord, Stat, as_remembered, decoded, encoded, is_regular, stat_of
from zerorepo.store import Store

_KEY = b"o"
# Outputs are dated a little into the past, further than kernel clocks tick: a later edit in place then always shows in the mtime,
# even one that follows within the same tick.
_BACKDATE_NS = 20_000_000
_QUIET_NS = 50_000_000


class Condition(StrEnum):
    """How an output is, compared with how it was written."""

    INTACT = "intact"
    MISSING = "missing"
    EDITED = "edited"


class OutputTree:
    """Files below ``root``. ``reader`` gets bytes from the CAS; ``on_edited`` hears of each edited file left alone.

    With ``overwrite`` an edited file is moved to ``replaced`` first, and ``on_replaced`` hears of label, path and where it is now.
    ``gone`` says whether a label is surely nobody's any more: what such a target made is moved to whoever makes the same now.
    """

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
        replaced: Path | None = None,
        on_replaced: Callable[[str, str, str], None] | None = None,
        gone: Callable[[str], bool] | None = None,
    ) -> None:
        self.root = root
        self._base = f"{root}/"
        self._state = state
        self._function = function
        self._reader = reader
        self._on_edited = on_edited
        self._scratch = str(scratch or root)
        self._overwrite = overwrite
        self._replaced = replaced
        self._on_replaced = on_replaced
        self._gone = gone
        self._owners: dict[str, str] = {}
        self._told: set[str] = set()
        self._checked: dict[str, tuple[str, int, str]] = {}
        self._by_digest: dict[str, list[str]] | None = None

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
        for path, digest in files.items():
            text, mode, record = str(digest), 0o755 if path in modes else 0o644, self._record(path)
            if record is None or not as_remembered(record, text, mode, stat_of(self._base + path)):
                return False
            self._checked[path] = (text, mode, record.owner)
        return True

    def ensure(
        self,
        label: str,
        files: Mapping[str, Digest],
        executable: Iterable[str],
        previous: Iterable[str],
        made: Callable[[str], Container[str]] = lambda path: (),
    ) -> None:
        """Bring the files of one target about: remove those of ``previous`` that are no more; write, restore, adopt equal ones.

        ``made`` says which digests of a path the target is known to have made at any time; it is asked about a file of which
        nothing is remembered here, since the state may have been lost.
        """
        self.claim(label, files)
        # First, because a folder may take the place of a file, or a file that of a folder.
        for path in previous:
            if path not in files and self._owners.get(path, label) == label:
                self._give_up(label, path, files)
        modes = frozenset(executable)
        for path, digest in files.items():
            text, mode = str(digest), 0o755 if path in modes else 0o644
            # What ``intact`` has just seen is not looked at twice.
            if self._checked.pop(path, None) != (text, mode, label):
                self._ensure_one(label, path, digest, text, mode, made)

    def _ensure_one(
        self, label: str, path: str, digest: Digest, text: str, mode: int, made: Callable[[str], Container[str]]
    ) -> None:
        target = self._base + path
        record, stat = self._record(path), stat_of(target)
        if record is not None and as_remembered(record, text, mode, stat):
            if record.owner != label:
                self._remember(label, path, text, stat)
            return
        earlier: tuple[str, ...] = ()
        if stat is not None:
            present = self._digest_of(target)
            if present == text:
                self._take_over(label, path, text, mode)
                return
            if record is None and not is_regular(target):
                raise EnvironmentFailure(
                    "An output is in the way of something that is no regular file", where=target, hint="move it away"
                )
            known = self._is_ours(target, record) if record is not None else present in made(path)
            if not known and not self._is_another_builders(path, target):
                if not self._overwrite:
                    self._tell(label, path)
                    return
                self._set_aside(label, path)
            elif present is not None:
                earlier = (present,)
        elif record is None and self._move_here(label, path, text, mode):
            return
        data = self._reader(digest)
        # Before the write, so that a build killed right after it knows both contents for its own.
        self._remember(label, path, text, None, earlier)
        self._note(label, path, text, self._write(target, data, mode))

    def _write(self, target: str, data: bytes, mode: int) -> Stat | None:
        replace_file(target, data, mode=mode, scratch=self._scratch, mtime_ns=time.time_ns() - _BACKDATE_NS)
        stat = stat_of(target)
        if stat is not None and stat[4] != mode:  # the umask took something away
            os.chmod(target, mode)
            stat = stat_of(target)
        return stat

    def _take_over(self, label: str, path: str, text: str, mode: int) -> None:
        target = self._base + path
        stat = stat_of(target)
        if stat is not None and stat[4] != mode:
            os.chmod(target, mode)
            stat = stat_of(target)
        # Whoever wrote it may still be writing within the same tick of the clock.
        racy = stat is None or time.time_ns() - max(stat[1], stat[2]) < _QUIET_NS
        self._remember(label, path, text, None if racy else stat)

    def _tell(self, label: str, path: str) -> None:
        if path not in self._told:
            self._told.add(path)
            self._on_edited(label, path)

    def _set_aside(self, label: str, path: str) -> None:
        """Keep a copy of what ``overwrite`` is to replace: it was asked for, but it is somebody's work."""
        if self._replaced is None:
            return
        number = 1
        while os.path.lexists(kept := f"{self._replaced}/{path}.{number}"):
            number += 1
        try:
            os.makedirs(os.path.dirname(kept), exist_ok=True)
            shutil.move(self._base + path, kept)
        except OSError as error:
            raise EnvironmentFailure(
                f"Cannot keep a copy of the edited output: {error.strerror}",
                where=self._base + path,
                hint="move it away yourself",
            ) from error
        if self._on_replaced:
            self._on_replaced(label, path, kept)

    # --- files that change hands

    def _give_up(self, label: str, path: str, files: Mapping[str, Digest]) -> None:
        """What ``label`` does not make any more goes to the new name of the same content, or away."""
        record = self._record(path)
        if record is not None and record.owner == label:
            for heir, digest in files.items():
                wanted = str(digest) == record.digest and stat_of(self._base + heir) is None
                if wanted and self._record(heir) is None and self._move(path, record, label, heir):
                    return
        self.remove(label, path)

    def _move_here(self, label: str, path: str, text: str, mode: int) -> bool:
        """Whether the same content, made by a target that is gone, could be moved here."""
        if self._gone is None:
            return False
        if self._by_digest is None:
            self._by_digest = {}
            for other, record in self._records():
                self._by_digest.setdefault(record.digest, []).append(other)
        candidates = self._by_digest.get(text, [])
        while candidates:  # each is tried once, so that a thousand empty files cost a thousand looks
            other = candidates.pop(0)
            found = None if other in self._owners else self._record(other)
            if found is not None and self._gone(found.owner) and self._move(other, found, label, path):
                self._take_over(label, path, text, mode)
                return True
        return False

    def _move(self, old: str, record: OutputRecord, label: str, new: str) -> bool:
        if record.stat is None or stat_of(self._base + old) != record.stat:
            return False
        # Before the move, as before a write.
        self._remember(label, new, record.digest, None)
        try:
            os.makedirs(os.path.dirname(self._base + new), exist_ok=True)
            os.rename(self._base + old, self._base + new)
        except OSError:
            self._state.delete(_KEY + new.encode())
            return False
        self._remember(label, new, record.digest, stat_of(self._base + new))
        self._state.delete(_KEY + old.encode())
        self._remove_empty_folders(old)
        return True

    def remove(self, label: str, path: str) -> None:
        """Remove an output that ``label`` does not make any more; one that someone edited stays and is theirs from now on."""
        record, target = self._record(path), self._base + path
        if record is None or record.owner != label:
            return
        stat = stat_of(target)
        if stat is not None:
            if (
                stat != record.stat
                and not self._is_ours(target, record)
                and not self._is_another_builders(path, target)
            ):
                self._tell(label, path)
                self._state.delete(_KEY + path.encode())
                return
            with contextlib.suppress(FileNotFoundError):
                os.unlink(target)
            self._remove_empty_folders(path)
        self._state.delete(_KEY + path.encode())

    def _remove_empty_folders(self, path: str) -> None:
        parent = os.path.dirname(path)
        while parent:
            try:
                os.rmdir(self._base + parent)
            except FileNotFoundError:
                pass
            except OSError:
                return  # not empty
            parent = os.path.dirname(parent)

    def remove_all(self) -> int:
        """Remove everything that was written and not edited; how many files that were."""
        removed = 0
        for path, record in self._records():
            there = stat_of(self._base + path) is not None
            self.remove(record.owner, path)
            removed += there and stat_of(self._base + path) is None
        return removed

    def prune(self, gone: Callable[[str], bool]) -> None:
        """Remove the outputs of targets that are ``gone``; those claimed in this build are not asked about."""
        known: dict[str, bool] = {}
        for path, record in self._records():
            if record.owner not in known:
                known[record.owner] = gone(record.owner)
            if known[record.owner]:
                self.remove(record.owner, path)

    # --- what is known of a file

    def bytes_of(self, path: str, digest: Digest) -> bytes | None:
        """The bytes of an output when they still have this digest: a second home of a blob that the CAS lost."""
        try:
            data = (self.root / path).read_bytes()
        except OSError:
            return None
        return data if self._function.of_bytes(data) == digest else None

    def edited(self) -> dict[str, str]:
        """Path to label of every output that is there and is not as it was written; reads what looks touched."""
        found = {}
        for path, record in self._records():
            target = self._base + path
            stat = stat_of(target)
            if stat is not None and stat != record.stat and not self._is_ours(target, record):
                found[path] = record.owner
        return found

    def conditions(self) -> Iterator[tuple[str, Condition]]:
        """Path and condition of every output of earlier builds; reads what looks touched."""
        for path, record in self._records():
            target = self._base + path
            stat = stat_of(target)
            if stat is None:
                yield path, Condition.MISSING
            elif stat == record.stat or self._is_ours(target, record):
                yield path, Condition.INTACT
            else:
                yield path, Condition.EDITED

    def restore(self, path: str) -> None:
        """Write a missing output as it was. The reader's error when its bytes are gone."""
        record = self._record(path)
        if record is None or stat_of(self._base + path) is not None:
            return
        data = self._reader(Digest.parse(record.digest))
        mode = record.stat[4] if record.stat else 0o644
        self._remember(record.owner, path, record.digest, None)
        self._note(record.owner, path, record.digest, self._write(self._base + path, data, mode))

    def recorded(self, path: str, digest: str) -> tuple[int, int, int, int, int] | None:
        """Size, mtime, ctime, inode and mode of an output as it was when it had this digest; None when that is not known."""
        record = self._record(path)
        return record.stat if record is not None and record.digest == digest else None

    def owner(self, path: str) -> str | None:
        """The label that made an output, as far as is remembered."""
        record = self._record(path)
        return record.owner if record else None

    def release(self, path: str) -> None:
        """What is there now may be replaced: whoever edited it has it elsewhere."""
        record, present = self._record(path), self._digest_of(self._base + path)
        if record is not None and present is not None:
            self._remember(record.owner, path, record.digest, None, (*record.earlier, present))

    def _records(self) -> list[tuple[str, OutputRecord]]:
        paths = [key[len(_KEY) :].decode() for key in self._state.keys(_KEY)]
        return [(path, record) for path in paths if path not in self._owners and (record := self._record(path))]

    def _digest_of(self, target: str) -> str | None:
        """None for what is no regular file, or cannot be read."""
        if not is_regular(target):
            return None
        try:
            return str(self._function.of_file(target))
        except OSError:
            return None

    @staticmethod
    def _is_ours(target: str, record: OutputRecord) -> bool:
        if not is_regular(target):
            return False
        try:
            # A digest remembered under another digest function is compared under that one.
            return any(
                str(DigestFunction.that_made(digest).of_file(target)) == digest
                for digest in (record.digest, *record.earlier)
            )
        except OSError:
            return False  # what cannot be read cannot be known for ours

    def _is_another_builders(self, path: str, target: str) -> bool:
        """Whether a process beside this one, or one that was killed since this one began, wrote what is there."""
        records = map(decoded, self._state.elsewhere(_KEY + path.encode()))
        return any(record is not None and self._is_ours(target, record) for record in records)

    def _record(self, path: str) -> OutputRecord | None:
        return decoded(self._state.get(_KEY + path.encode()))

    def _remember(self, label: str, path: str, digest: str, stat: Stat | None, earlier: tuple[str, ...] = ()) -> None:
        self._state.put(_KEY + path.encode(), encoded(OutputRecord(digest, stat, label, earlier)))

    def _note(self, label: str, path: str, digest: str, stat: Stat | None) -> None:
        """The same after a write that had been remembered before: if this is lost, the file is hashed once more."""
        self._state.put_with_next(_KEY + path.encode(), encoded(OutputRecord(digest, stat, label, ())))
