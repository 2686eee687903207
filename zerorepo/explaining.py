"""Two versions of an input side by side: what the digests of a difference stand for, as far as it is still known.

Old bytes come from the CAS, old providers from traces; what is lost is left out. Reads and writes nothing else. Knows nothing of
how a difference was found.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from zerorepo.cas import BlobMissing
from zerorepo.digest import Digest
from zerorepo.engine import BuildResult, Engine
from zerorepo.errors import UsageError, ZeroRepoError
from zerorepo.label import parse_label
from zerorepo.rebuilder import Difference

_LARGEST = 256 * 1024  # bytes; what is larger nobody reads as a diff
_MOST_LINES = 60
_SHORT = 200


class Shown:
    """Shows differences of one workspace in one state."""

    def __init__(self, engine: Engine, result: BuildResult) -> None:
        self._engine = engine
        self._result = result

    def of_input(self, difference: Difference) -> list[str]:
        """Lines under a difference of a request or an attribute."""
        if difference.kind == "source":
            return self._bytes(difference.old, difference.new, f"{difference.name} (as built)", difference.name)
        if difference.kind == "provider":
            return self._provider(difference)
        if difference.kind in ("setting", "glob", "option", "resource"):
            return []  # a line says it all
        return _values(difference.old, difference.new)

    def of_field(self, name: str, old: str, new: str) -> list[str]:
        """Lines under a field of an action: a text diff when both values are content that is known, or are short texts."""
        if _digest(old) and _digest(new):
            return self._bytes(old, new, f"{name} (last time)", f"{name} (now)")
        return _values(old, new)

    def _bytes(self, old: str, new: str, old_name: str, new_name: str) -> list[str]:
        before, after = self._content(old), self._content(new, new_name)
        if before is None or after is None:
            return []
        return text_diff(before, after, old_name, new_name)

    def _content(self, text: str, path: str = "") -> bytes | None:
        digest = _digest(text)
        if digest is None or digest.size > _LARGEST:
            return None
        try:
            return self._engine.cas.get(digest)
        except BlobMissing:
            pass
        try:
            data = self._engine.sources.read(path) if path else b""
        except ZeroRepoError:
            return None
        return data if self._engine.cas.function.of_bytes(data) == digest else None

    def _provider(self, difference: Difference) -> list[str]:
        text, _, type_name = difference.name.rpartition(" ")
        label = parse_label(text)
        built = self._result.built.get(label)
        record = built.record(type_name) if built else None
        old = self._old_provider(text, type_name, difference.old)
        if record is None or old is None:
            return []
        lines = []
        for path, before, after in changes(old, json.loads(record.json)):
            lines.append(f"{path}: {_cut(before) if before else '(none)'} -> {_cut(after) if after else '(none)'}")
            inner_old, inner_new = _plain(before), _plain(after)
            if _digest(inner_old) and _digest(inner_new):
                lines += [f"  {line}" for line in self._bytes(inner_old, inner_new, f"{path} (as built)", path)]
        return lines

    def _old_provider(self, label: str, type_name: str, digest: str) -> Any:
        try:
            target = self._engine.table.get(parse_label(label))
        except UsageError:
            return None
        if target is None:
            return None
        for trace in self._engine.traces.get(self._engine.identity(target)):
            for record in trace.providers:
                if record.type == type_name and record.digest == digest:
                    return json.loads(record.json)
        return None


def changes(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str, str]]:
    """(path, old, new) of the leaves in which two JSON values differ; "" for one that is not there."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*new, *(key for key in old if key not in new)]:
            inner = f"{path}[{key!r}]" if path else str(key)
            if key not in old:
                yield inner, "", _json(new[key])
            elif key not in new:
                yield inner, _json(old[key]), ""
            else:
                yield from changes(old[key], new[key], inner)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from changes(before, after, f"{path}[{index}]")
    elif old != new:
        yield path or "(value)", _json(old), _json(new)


def text_diff(old: bytes, new: bytes, old_name: str, new_name: str) -> list[str]:
    """A unified diff of two texts, bounded; one line saying so when they are no texts."""
    try:
        before, after = old.decode().splitlines(), new.decode().splitlines()
    except UnicodeDecodeError:
        return [f"(not text: {len(old)} bytes -> {len(new)} bytes)"]
    lines = list(difflib.unified_diff(before, after, old_name, new_name, lineterm="", n=1))
    if not lines:
        return ["(only line ends differ)"]
    more = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], f"… {more} more lines"] if more > 0 else lines


def _values(old: str, new: str) -> list[str]:
    """A diff of two shown values when it says more than both beside each other: texts of several lines."""
    before, after = _plain(old), _plain(new)
    if "\n" not in before + after:
        return []
    return text_diff(before.encode(), after.encode(), "as built", "now")


def _plain(shown: str) -> str:
    try:
        value = json.loads(shown)
    except ValueError:
        return shown
    return value if isinstance(value, str) else shown


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[:60]}… ({len(text)} characters)"


def _digest(text: str) -> Digest | None:
    try:
        return Digest.parse(text)
    except ValueError:
        return None


__all__ = ["Shown", "changes", "text_diff"]
