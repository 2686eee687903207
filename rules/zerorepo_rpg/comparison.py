"""Two plans or graphs compared by content: added, removed, changed and renamed parts, the tests concerned, what callers lose.

A part that is gone and one that is new under another name, with the same content, are one part renamed. Pure; knows nothing of
files or of how it is shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from zerorepo.values import Value
from zerorepo_rpg import digraph
from zerorepo_rpg.compatibility import breaks
from zerorepo_rpg.graph import EdgeType, RPGGraph
from zerorepo_rpg.lock import Lock

Parts = dict[tuple[str, str], dict[str, Any]]
"""(kind, id) to content."""

CODE = ("interface", "base_class", "node")
"""The kinds that stand for code."""
_NAMING = frozenset({"id", "name", "module", "file", "path", "parent", "file_path", "folder_path", "section"})
_REFERENCES = frozenset({"uses", "inherits", "calls", "after", "takes"})


class What(StrEnum):
    """What became of a part."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    RENAMED = "renamed"


class Change(Value):
    """One part that is not as it was. ``fields`` differ; ``old_id`` is what a renamed part was called."""

    what: What
    kind: str
    id: str
    old_id: str = ""
    fields: Mapping[str, tuple[Any, Any]] = {}


class Comparison(Value):
    """``affected``: labels or ids of tests whose verdict may change. ``regressions``: what users of the old one may trip over."""

    changes: tuple[Change, ...] = ()
    kept: int = 0
    affected: tuple[str, ...] = ()
    regressions: tuple[str, ...] = ()

    def count(self, what: What) -> int:
        """How many parts this became of."""
        return sum(change.what is what for change in self.changes)


def parts_of(source: Lock | RPGGraph) -> Parts:
    """Everything that a lock or a graph says, part by part."""
    if isinstance(source, RPGGraph):
        return _graph_parts(source)
    found: Parts = {}
    flows = source.modules.flows if source.modules else ()
    listed: list[tuple[str, Iterable[Any]]] = [
        ("requirement", source.requirements),
        ("limit", source.limits),
        ("feature", source.features.features if source.features else ()),
        ("module", source.modules.modules if source.modules else ()),
        ("base_class", source.base_classes.classes if source.base_classes else ()),
        ("interface", [node for module in source.interfaces for node in module.interfaces]),
    ]
    for kind, items in listed:
        found |= {(kind, item.id): item.model_dump(mode="json") for item in items}
    found |= {("flow", f"{f.source} -> {f.target} ({f.data_name})"): f.model_dump(mode="json") for f in flows}
    files = source.layout.files if source.layout else ()
    return found | {("file", f.path): f.model_dump(mode="json") for f in files} | _graph_parts(source.existing)


def _graph_parts(graph: RPGGraph) -> Parts:
    found: Parts = {("node", node.id): node.model_dump(mode="json") for node in graph.nodes}
    names = {EdgeType.INHERITANCE: "inherits", EdgeType.INVOCATION: "calls", EdgeType.ORDERING: "after"}
    for edge in graph.edges:
        if edge.type is EdgeType.DATA_FLOW:
            found["node", edge.target].setdefault("takes", []).append([edge.source, edge.data_name, edge.data_type])
        elif edge.type in names:
            user, needed = (edge.target, edge.source) if edge.type.needed_is_source else (edge.source, edge.target)
            found["node", user].setdefault(names[edge.type], []).append(needed)
    return found


def compare(old: Parts, new: Parts) -> Comparison:
    """What changed from ``old`` to ``new``."""
    renamed = _renames(old, new)
    changes = []
    for key in sorted(new.keys() - old.keys()):
        if key in renamed:
            before = renamed[key]
            changes.append(
                Change(
                    what=What.RENAMED, kind=key[0], id=key[1], old_id=before[1], fields=_fields(old[before], new[key])
                )
            )
        else:
            changes.append(Change(what=What.ADDED, kind=key[0], id=key[1]))
    gone = old.keys() - new.keys() - set(renamed.values())
    changes += [Change(what=What.REMOVED, kind=kind, id=name) for kind, name in sorted(gone)]
    same = old.keys() & new.keys()
    differing = [key for key in sorted(same) if old[key] != new[key]]
    changes += [
        Change(what=What.CHANGED, kind=key[0], id=key[1], fields=_fields(old[key], new[key])) for key in differing
    ]
    order = {kind: number for number, kind in enumerate(("requirement", "feature", "module", "flow", "file", *CODE))}
    changes.sort(key=lambda change: (order.get(change.kind, 9), change.id, change.what))
    return Comparison(
        changes=tuple(changes),
        kept=len(same) - len(differing),
        affected=tuple(_affected(changes, old, new)),
        regressions=tuple(text for change in changes for text in _regressions(change, old, new)),
    )


def _fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (old.get(name), new.get(name)) for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)
    }


def _renames(old: Parts, new: Parts) -> dict[tuple[str, str], tuple[str, str]]:
    """New part to the old one whose content it has. Each old part is taken once, by the first new one in order."""
    waiting: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for key in sorted(old.keys() - new.keys(), reverse=True):
        if key[0] != "flow":
            waiting.setdefault((key[0], _neutral(key, old[key])), []).append(key)
    found = {}
    for key in sorted(new.keys() - old.keys()):
        candidates = waiting.get((key[0], _neutral(key, new[key]))) if key[0] != "flow" else None
        if candidates:
            found[key] = candidates.pop()
    return found


def _neutral(key: tuple[str, str], content: Mapping[str, Any]) -> str:
    """Content without what only says its name or place."""
    kind, name = key
    own = str(content.get("name") or last_name(name)) if kind in CODE else ""
    word = re.compile(rf"\b{re.escape(own)}\b") if own else None

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return word.sub("·", value) if word else value
        return [clean(each) for each in value] if isinstance(value, list) else value

    # A feature's or module's name is part of what it is; that of code stands in its signature, too.
    naming = _NAMING if kind in CODE else _NAMING - {"name"}
    kept: dict[str, Any] = {}
    for field, value in content.items():
        if field in _REFERENCES:
            kept[field] = sorted(last_name(each if isinstance(each, str) else each[1]) for each in value)
        elif field not in naming:
            kept[field] = clean(value)
    return json.dumps(kept, sort_keys=True)


def last_name(text: str) -> str:
    """``request`` of ``http/client.py::HTTPConnection.request``, ``slugify`` of ``slug/slugify``."""
    return re.split(r"::|/|\.(?!py$)", text)[-1]


def _users(parts: Parts) -> dict[str, tuple[str, ...]]:
    """Code to the code that uses it directly."""
    needs = {
        name: [*content.get("uses", ()), *content.get("calls", ()), *content.get("inherits", ())]
        for (kind, name), content in parts.items()
        if kind in CODE
    }
    return digraph.reverse(needs)


def _affected(changes: Iterable[Change], old: Parts, new: Parts) -> list[str]:
    """Tests of what changed and of everything that uses it, directly or not."""
    touched = {change.id for change in changes}
    start: set[str] = set()
    before, after = _users(old), _users(new)
    for change in changes:
        if change.kind in CODE:
            start |= {change.id} if change.what is not What.REMOVED else set(before.get(change.id, ()))
            start |= set(before.get(change.old_id, ()))
    for (kind, name), content in new.items():
        serving = {*content.get("requirements", ())} if kind == "feature" else set()
        if serving & touched:
            touched = touched | {name}
    for (kind, name), content in new.items():
        if kind == "interface" and touched & set(content.get("features", ())):
            start.add(name)
    code = {name: kind for (kind, name) in new if kind in CODE}
    reached = (start | digraph.reachable(after, start)) & code.keys()
    return sorted(filter(None, (_test_of(code[name], name, new) for name in reached)))


def _test_of(kind: str, name: str, parts: Parts) -> str:
    if kind != "node":
        return "//" + name.replace("/", ":") + ".test"
    content = parts["node", name]
    path = PurePosixPath(content.get("file_path") or "")
    in_tests = path.name.startswith("test_") or path.stem.endswith("_test") or path.stem in ("test", "tests")
    is_test = content.get("interface_type") in ("FUNCTION", "METHOD") and str(content.get("name", "")).startswith(
        "test"
    )
    return name if in_tests and is_test else ""


def _regressions(change: Change, old: Parts, new: Parts) -> list[str]:
    if change.what is What.ADDED or _private(change):
        return []
    if change.what is What.REMOVED:
        return [f"{change.kind} {change.id} is gone"] if change.kind in (*CODE, "feature", "requirement") else []
    if change.kind not in CODE:
        return []
    if change.what is What.RENAMED:
        return [f"{change.kind} {change.old_id} is called {change.id} now"]
    before, after = old[change.kind, change.id].get("signature", ""), new[change.kind, change.id].get("signature", "")
    return [f"{change.kind} {change.id}: {text}" for text in breaks(before, after)]


def _private(change: Change) -> bool:
    """Nobody outside relies on a name with an underscore, or on tests."""
    name = (change.old_id or change.id).rpartition("::")[2]
    words = [part for part in re.split(r"[./]", name) if part]
    in_tests = change.kind == "node" and re.search(r"(^|/)tests?/|(^|/)test_", change.old_id or change.id) is not None
    return in_tests or any(word.startswith("_") and not word.startswith("__") for word in words[-2:])


__all__ = ["CODE", "Change", "Comparison", "Parts", "What", "compare", "last_name", "parts_of"]
