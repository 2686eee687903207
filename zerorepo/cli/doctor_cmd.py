"""``zerorepo doctor``: how every part outside is, and what to do about those that are not well. Rule sets answer for their own.

All checks run at once, each within its own time limit; none changes anything or spends anything. Exit code 1 when something that is
configured does not work.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from zerorepo import __version__
from zerorepo.cas import Cas
from zerorepo.checks import Check, Finding, Health, SettingsT
from zerorepo.cli.common import emit_json, load_workspace, many
from zerorepo.errors import ExitCode, InternalError, ZeroRepoError
from zerorepo.plugins import load_object
from zerorepo.read_only_store import ReadOnlyStore
from zerorepo.workspace import Workspace

_LOW_BYTES, _FULL_BYTES = 2 << 30, 200 << 20
_SAMPLE = 200
_STYLES = {Health.OK: "green", Health.WARN: "yellow", Health.FAIL: "bold red"}
_OWN_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class _Row:
    group: str
    finding: Finding
    seconds: float


class _Context:
    """See ``CheckContext``."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @property
    def workspace(self) -> Path:
        return self._workspace.root

    @property
    def state_dir(self) -> Path:
        return self._workspace.state_dir

    def settings(self, section: str, model: type[SettingsT]) -> SettingsT:
        found = self._workspace.settings(section)
        if not isinstance(found, model):
            raise InternalError(f"[{section}] is a {type(found).__name__}, not a {model.__name__}")
        return found


def run(*, as_json: bool) -> ExitCode:
    """Check, print, and answer 1 when something configured does not work."""
    workspace = load_workspace()
    rows = asyncio.run(_check_all(workspace))
    failed = sum(row.finding.health is Health.FAIL for row in rows)
    if as_json:
        emit_json(
            {
                "version": __version__,
                "ok": failed == 0,
                "checks": [
                    {
                        "group": row.group,
                        "part": row.finding.part,
                        "health": row.finding.health.value,
                        "found": row.finding.found,
                        "fix": row.finding.fix,
                        "seconds": round(row.seconds, 3),
                    }
                    for row in rows
                ],
            }
        )
    else:
        _show(rows, failed)
    return ExitCode.BUILD_FAILED if failed else ExitCode.OK


async def _check_all(workspace: Workspace) -> list[_Row]:
    context = _Context(workspace)
    work: list[Awaitable[list[_Row]]] = [
        _timed("engine", name, _OWN_LIMIT_S, _in_thread(check, workspace)) for name, check in _OWN.items()
    ]
    for rule_set in workspace.registry.rule_sets:
        for name, check in rule_set.checks.items():
            work.append(_timed(rule_set.name, name, check.limit_s, _of_rule_set(check, context)))
    return [row for rows in await asyncio.gather(*work) for row in rows]


async def _in_thread(check: Callable[[Workspace], list[Finding]], workspace: Workspace) -> list[Finding]:
    return await asyncio.to_thread(check, workspace)


async def _of_rule_set(check: Check, context: _Context) -> list[Finding]:
    found: list[Finding] = await load_object(check.path)(context)
    return found


async def _timed(group: str, name: str, limit_s: float, check: Awaitable[list[Finding]]) -> list[_Row]:
    began = time.monotonic()
    try:
        findings = await asyncio.wait_for(check, limit_s)
    except TimeoutError:
        findings = [Finding(name, Health.FAIL, f"no answer within {limit_s:.0f} s", "is it overloaded, or stuck?")]
    except ZeroRepoError as error:
        findings = [Finding(name, Health.FAIL, error.message, error.hint or "")]
    except Exception as error:  # noqa: BLE001  (the edge between checks: a broken one is a finding, the others go on)
        findings = [Finding(name, Health.FAIL, f"the check broke: {type(error).__name__}: {error}", "report this bug")]
    seconds = time.monotonic() - began
    return [_Row(group, finding, seconds) for finding in findings]


# ---------------------------------------------------------------------- the engine's own


def _disk(workspace: Workspace) -> list[Finding]:
    findings = []
    for name, folder in (("workspace disk", workspace.root), ("cache disk", workspace.cache_dir)):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        usage, inodes = shutil.disk_usage(there), os.statvfs(there)
        health, fix = Health.OK, ""
        if usage.free < _LOW_BYTES or (inodes.f_files and inodes.f_favail < 10_000):
            health = Health.FAIL if usage.free < _FULL_BYTES else Health.WARN
            fix = f"free some space on {there}, or move the cache: [cache] dir"
        try:
            with tempfile.TemporaryFile(dir=there) as file:
                file.write(b"zerorepo")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            health, fix = Health.FAIL, f"{there} cannot be written to ({error.strerror}): mend its permissions"
        findings.append(Finding(name, health, f"{usage.free / (1 << 30):.1f} GB free, {there}", fix))
    return findings


def _cache(workspace: Workspace) -> list[Finding]:
    """The store as it is, and some of its blobs against their digests. Nothing is written."""
    function = workspace.cache.digest
    folder = workspace.cache_dir / str(function)
    database = folder / "cache.db"
    if not database.exists():
        return [Finding("cache", Health.OK, "empty: nothing was built yet")]
    fix = "`zerorepo check` mends it; what is lost is only work that is done again"
    try:
        # As the store itself is read: without a log beside it, SQLite must not make one.
        mode = "mode=ro" if Path(f"{database}-wal").exists() else "mode=ro&immutable=1"
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?{mode}", uri=True, timeout=5)) as connection:
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return [Finding("cache", Health.FAIL, f"the store cannot be read: {error}", fix)]
    if said != "ok":
        return [Finding("cache", Health.FAIL, f"the store is damaged: {said}", fix)]
    store = ReadOnlyStore(folder)
    try:
        damaged, looked, total = _sample(store, Cas(store, folder / "blobs", function))
        size = store.size()
    finally:
        store.close()
    found = f"{many(total, 'blob')}, {size / (1 << 20):.1f} MB"
    if damaged:
        return [Finding("cache", Health.WARN, f"{found}; {damaged} of {looked} looked at are damaged", fix)]
    return [Finding("cache", Health.OK, f"{found}; {looked} of them compared with their digests")]


def _sample(store: ReadOnlyStore, cas: Cas) -> tuple[int, int, int]:
    """Damaged, looked at, and all blobs."""
    rows, files = store.keys(b"b"), list(cas.files())
    damaged = 0
    for key in random.sample(rows, min(len(rows), _SAMPLE)):
        data = store.get(key)
        damaged += data is None or cas.function.of_bytes(data).hex != key[1:].decode()
    for name, path in random.sample(files, min(len(files), _SAMPLE)):
        try:
            damaged += cas.function.of_bytes(path.read_bytes()).hex != name
        except OSError:
            damaged += 1
    return damaged, min(len(rows), _SAMPLE) + min(len(files), _SAMPLE), len(rows) + len(files)


_OWN: dict[str, Callable[[Workspace], list[Finding]]] = {"disk": _disk, "cache": _cache}


# ---------------------------------------------------------------------- for people


def _show(rows: list[_Row], failed: int) -> None:
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("part", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("found", overflow="fold")
    for row in rows:
        finding = row.finding
        health = f"[{_STYLES[finding.health]}]{finding.health.value}[/]"
        table.add_row(f"{row.group}: {finding.part}", health, _plain(finding.found))
        if finding.fix:
            table.add_row("", "", f"[dim]{_plain(finding.fix)}[/]")
    console.print(table)
    warned = sum(row.finding.health is Health.WARN for row in rows)
    console.print(f"{many(len(rows), 'part')}: {failed} failed, {warned} with a warning", highlight=False)


def _plain(text: str) -> Any:
    return text.replace("[", "\\[")
