"""``zerorepo info``: what this workspace is and what this machine offers. Rule sets answer for their own parts."""

from __future__ import annotations

import asyncio
import platform
from typing import Any

from zerorepo import __version__
from zerorepo.buildfile import find_packages
from zerorepo.cli.common import emit, emit_json, load_workspace
from zerorepo.errors import ExitCode, ZeroRepoError
from zerorepo.plugins import load_object
from zerorepo.read_only_store import ReadOnlyStore

_PROBE_LIMIT_S = 20.0


def run(*, as_json: bool) -> ExitCode:
    """Print it; JSON when asked."""
    workspace = load_workspace()
    store = ReadOnlyStore(workspace.cache_dir / str(workspace.cache.digest))
    body: dict[str, Any] = {
        "version": __version__,
        "python": platform.python_version(),
        "workspace": str(workspace.root),
        "output": workspace.workspace.output,
        "packages": len(find_packages(workspace)),
        "cache": {"dir": str(workspace.cache_dir), "digest": str(workspace.cache.digest), "bytes": store.size()},
        "rule_sets": {rule_set.name: sorted(rule_set.rules) for rule_set in workspace.registry.rule_sets},
        "probes": asyncio.run(_probe_all(workspace)),
    }
    store.close()
    if as_json:
        emit_json(body)
    else:
        _show(body, 0)
    return ExitCode.OK


async def _probe_all(workspace: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for rule_set in workspace.registry.rule_sets:
        for name, path in rule_set.probes.items():
            try:
                found[name] = await asyncio.wait_for(load_object(path)(workspace.root), _PROBE_LIMIT_S)
            except TimeoutError:
                found[name] = {"error": f"no answer within {_PROBE_LIMIT_S:.0f} s"}
            except ZeroRepoError as error:
                found[name] = {"error": error.render()}
    return found


def _show(value: Any, depth: int) -> None:
    pad = "  " * depth
    for key, item in value.items():
        if isinstance(item, dict) and item:
            emit(f"{pad}{key}:")
            _show(item, depth + 1)
        else:
            text = ", ".join(str(each) for each in item) if isinstance(item, (list, tuple)) else str(item)
            emit(f"{pad}{key}: {text or '-'}")
