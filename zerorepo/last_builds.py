"""What builds left behind, asked about many targets at once: which would run now, and which failed last.

Opens the engine for a dry run, which changes nothing. Knows nothing of the query language.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import msgspec

from zerorepo.digest import Digest
from zerorepo.engine import BuildOptions, Engine
from zerorepo.label import Label, parse_label
from zerorepo.target_graph import expand_known
from zerorepo.workspace import Workspace


def stale(workspace: Workspace, labels: Sequence[str]) -> tuple[set[str], set[str]]:
    """Those that a build of ``labels`` would not find up to date, and which of them only wait for others that it would run.

    The second ones may be spared, when what they wait for turns out as before.
    """

    async def work() -> tuple[set[str], set[str]]:
        async with Engine(workspace, BuildOptions(dry_run=True)) as engine:
            wanted = await _known(engine, labels)
            result = await engine.collect(wanted)
            waiting = {str(label) for label in wanted if label in result.skipped}
            return {str(label) for label in wanted if label not in result.built}, waiting

    return asyncio.run(work())


def asked_for(workspace: Workspace, labels: Sequence[str], sections: Collection[str]) -> set[str]:
    """Those whose last build asked for one of these sections of the settings."""

    async def work() -> set[str]:
        async with Engine(workspace, BuildOptions(dry_run=True)) as engine:
            lasts = {text: engine.traces.last(parse_label(text)) for text in labels}
            return {
                text
                for text, last in lasts.items()
                if last and any(kind == "setting" and name in sections for kind, name, _ in last.requests)
            }

    return asyncio.run(work())


def failed(workspace: Workspace, labels: Sequence[str]) -> set[str]:
    """Those whose last build failed, and those whose last test did not pass."""

    async def work() -> set[str]:
        async with Engine(workspace, BuildOptions(dry_run=True)) as engine:
            noted = engine.traces.failures()
            return {text for text in labels if text in noted or _test_failed(engine, parse_label(text))}

    return asyncio.run(work())


def owner(workspace: Workspace, path: str) -> str | None:
    """The target that made an output, ``path`` below the output folder; None when none is on record."""

    async def work() -> str | None:
        async with Engine(workspace, BuildOptions(dry_run=True)) as engine:
            return engine.outputs.owner(path)

    return asyncio.run(work())


async def _known(engine: Engine, labels: Sequence[str]) -> list[Label]:
    engine.table.tolerate()
    await expand_known(engine)
    return [label for text in labels if engine.table.get(label := parse_label(text)) is not None]


def _test_failed(engine: Engine, label: Label) -> bool:
    last = engine.traces.last(label)
    if last is None:
        return False
    for trace in engine.traces.get(Digest.parse(last.identity)):
        asked = [(each.kind, each.name, each.answer) for group in trace.groups for each in group]
        if asked == list(last.requests):
            report = next((each for each in trace.providers if each.type == "TestReport"), None)
            return report is not None and not msgspec.json.decode(report.json).get("passed", False)
    return False
