"""The message of a commit of a generated repository, by rule: a conventional one, from the difference of two planning graphs.

Knows nothing of git.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from zerorepo_rpg.graph import Level

_LISTED = 3


def commit_message(old: str | None, new: str, changed: Collection[str], name: str, target: str) -> str:
    """``old`` and ``new``: ``docs/rpg.json`` before (None: never committed) and now; ``changed``: paths that differ.

    New nodes are ``feat``, removed ones and other signatures ``feat!``; code alone is ``fix``, tests ``test``, else ``docs`` or
    ``build``. The module is the scope when there is only one.
    """
    before, after = _nodes(old), _nodes(new)
    added = [each for each in after if each not in before]
    removed = [each for each in before if each not in after]
    resigned = [each for each in after if each in before and after[each]["signature"] != before[each]["signature"]]
    files = {path for path in changed if path.endswith(".py") and not path.startswith("tests/")}
    reworked = [each for each in after if after[each]["file_path"] in files and each not in {*added, *resigned}]
    if old is None:
        subject = f"feat: first version of {name}"
    elif removed or resigned:
        said = [f"remove {_names(removed)}"] if removed else []
        said += [f"change the interface of {_names(resigned)}"] if resigned else []
        subject = f"feat{_scope([*removed, *resigned])}!: {' and '.join(said)}"
    elif added:
        subject = f"feat{_scope(added)}: add {_names(added)}"
    elif reworked:
        subject = f"fix{_scope(reworked)}: rework {_names(reworked)}"
    elif any(path.startswith("tests/") for path in changed):
        subject = "test: change tests"
    else:
        subject = "build: change the project's settings" if "pyproject.toml" in changed else "docs: change documents"
    lists = (
        ("Added", added),
        ("Removed", removed),
        ("Other interface", resigned),
        ("Other code in the file", reworked),
    )
    body = "".join(f"{word}: {', '.join(ids)}\n" for word, ids in lists if ids and old is not None)
    gap = "\n" if body else ""
    return f"{subject}\n\n{body}{gap}ZeroRepo-Target: {target}\n"


def _nodes(text: str | None) -> Mapping[str, Mapping[str, Any]]:
    if text is None:
        return {}
    return {node["id"]: node for node in json.loads(text)["nodes"] if node.get("level") == Level.FEATURE}


def _scope(ids: Collection[str]) -> str:
    modules = {each.partition("/")[0] for each in ids}
    return f"({modules.pop()})" if len(modules) == 1 else ""


def _names(ids: list[str]) -> str:
    names = [each.rpartition("/")[2] for each in ids]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


__all__ = ["commit_message"]
