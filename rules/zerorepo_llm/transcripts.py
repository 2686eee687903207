"""Transcripts: recorded answers as JSON lines, to be checked in and moved between machines. Knows nothing of who
answered.

A line's key is recomputed from what was asked, so that an edited or mixed-up line is found when it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from zerorepo.digest import DigestFunction
from zerorepo.errors import UsageError
from zerorepo_llm.journal import Entry, Journal


def dump(entries: Iterable[Entry]) -> bytes:
    """The bytes of a transcript: a line an answer, sorted by key."""
    return b"".join(entry.to_json().encode() + b"\n" for entry in sorted(entries, key=lambda entry: entry.key))


def read(path: Path) -> list[Entry]:
    """The answers in one file; UsageError with file and line for a bad line or one whose key is not its content's."""
    try:
        # Not splitlines: an answer may hold U+2028 and the like unescaped.
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(f"Cannot read the transcript `{path}`: {error.strerror}") from None
    entries = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            entry = Entry.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            raise UsageError(
                f"Not a transcript line: {f'`{field}`: ' if field else ''}{first['msg']}", where=where
            ) from None
        if entry.true_key() != entry.key:
            raise UsageError(
                f"The key `{entry.key[:12]}` of this answer does not belong to what it says was asked",
                where=where,
                hint="the line was edited, or recorded by another version of zerorepo; record it again",
            )
        entries.append(entry)
    return entries


def files_of(workspace: Path, paths: Sequence[str]) -> list[Path]:
    """The transcript files behind the setting ``transcripts``; UsageError for a path that does not exist."""
    files: list[Path] = []
    for text in paths:
        path = workspace / text
        if path.is_dir():
            files.extend(sorted(path.rglob("*.jsonl")))
        elif path.is_file():
            files.append(path)
        else:
            raise UsageError(
                f"The transcripts `{text}` do not exist",
                where="zerorepo.toml [llm] transcripts",
                hint="make the file with: zerorepo transcripts export FILE",
            )
    return files


class Index:
    """Recorded answers by action key, under whichever digest function the workspace uses."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._entries = [(entry, path) for path in files for entry in read(path)]
        self._by_function: dict[DigestFunction, dict[str, Entry]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str, function: DigestFunction) -> Entry | None:
        """The answer recorded for ``key``; UsageError when two files disagree about any answer."""
        if function not in self._by_function:
            self._by_function[function] = self._build(function)
        return self._by_function[function].get(key)

    def _build(self, function: DigestFunction) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for entry, path in self._entries:
            key = entry.true_key(function)
            before = found.setdefault(key, entry)
            if not before.same_answer(entry):
                raise UsageError(
                    f"Two recorded answers differ for `{entry.key[:12]}` ({entry.target}, {entry.purpose})",
                    where=str(path),
                    hint="remove one of them",
                )
        return found


def import_into(journal: Journal, entries: Sequence[Entry], *, replace: bool = False) -> tuple[int, int]:
    """Put ``entries`` into the journal; how many were new and how many it had.

    UsageError, with nothing changed, when an answer differs from the journal's, unless ``replace``.
    """
    new, known, conflicts = [], 0, []
    seen: dict[str, Entry] = {}
    for entry in entries:
        if not seen.setdefault(entry.key, entry).same_answer(entry):
            raise UsageError(f"The file has two different answers for `{entry.key[:12]}` ({entry.target})")
        before = journal.get(entry.key)
        if before is not None and before.same_answer(entry):
            known += 1
        elif before is not None and not replace:
            conflicts.append(entry)
        else:
            new.append(entry)
    if conflicts:
        names = "\n".join(f"{entry.key[:12]}  {entry.target}  {entry.purpose}" for entry in conflicts[:10])
        raise UsageError(
            f"{len(conflicts)} answers differ from those in the journal; nothing was imported",
            hint=f"{names}\ntake the file's answers with --replace",
        )
    for entry in new:
        journal.put(entry, replace=True)
    return len(new), known
