"""The graph that ``zerorepo query`` asks: declared targets, those of expansions that are up to date, and their files.

Edges are the labels and sources in attributes, and what the last build of a target asked for beyond these. Nothing is built: an
expansion whose targets are not known is named instead. A package whose build file is wrong is one with an error. Knows nothing of
the query language, nor of where a graph is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from zerorepo.buildfile import BUILD_NAME
from zerorepo.declarations import EXPANDED, Asked, Declaration, Details, Kept, asked, declaration, declarations
from zerorepo.engine import Engine
from zerorepo.label import Label, parse_label
from zerorepo.query.builder import GraphBuilder
from zerorepo.saved_graph import TargetGraph
from zerorepo.table import Target
from zerorepo.workspace import CONFIG_NAME

_NOTHING: Asked = ([], [], [])


async def target_graph(engine: Engine, kept: Kept | None = None) -> TargetGraph:
    """The graph of a workspace. ``engine`` must be in dry-run mode. What is ``kept`` is used, and brought up to date."""
    kept = kept or Kept()
    declared = declarations(engine, kept)
    unknown = await expand_known(engine)
    expanded = {target.label: target for target in engine.table.expanded()}
    declared = {**declared, EXPANDED: [declaration(engine, target) for target in expanded.values()]}
    rows = [row for found in declared.values() for row in found]
    names = {*engine.table.packages, *(label.package for label in expanded)}
    graph = _Assembly(engine, names, unknown, {row[0] for row in rows}, {str(t.label): t for t in expanded.values()})
    for package in sorted(names):
        broken = engine.table.broken.get(package)
        graph.builder.add_package(
            package, build_file=_build_file(engine, package), error=broken.render() if broken else None
        )
    graph.add(rows, asked(engine, declared, kept))
    return graph.finish()


class _Assembly:
    """Joins declarations and last builds to a graph."""

    def __init__(
        self,
        engine: Engine,
        packages: set[str],
        unknown: set[Label],
        taken: set[str],
        expanded: Mapping[str, Target],
    ) -> None:
        self.builder = GraphBuilder()
        self._engine = engine
        self._packages = packages
        self._unknown = unknown
        self._taken = taken
        self._expanded = expanded
        self._files: dict[str, str] = {}
        """Label of each file to its path."""
        self._labels: dict[str, str] = {}
        """The other way round."""
        self._outs: set[str] = set()
        self._made: dict[str, list[str]] = {}
        """What each target wrote when it was last built, as far as nobody else is known for it."""

    def add(self, rows: Iterable[Declaration], last: Mapping[str, Asked]) -> None:
        """Add targets, with what their last builds say of them."""
        added: dict[str, Details] = {}
        expanded, unknown = self._expanded, self._unknown
        for label, details, paths, _, _ in rows:
            asked = last.get(label, _NOTHING)
            if paths or unknown or asked is not _NOTHING or label in expanded:
                details = self._joined(label, details, paths, asked)
            added[label] = details
        self.builder.add_rows(added, {label: self._made[label] for label in added if label in self._made})

    def finish(self) -> TargetGraph:
        """The graph of what was added."""
        for label, path in self._files.items():
            name = path.rpartition("/")[2]
            if label not in self._outs and label not in self._taken and name not in (BUILD_NAME, CONFIG_NAME):
                self.builder.add_source_file(label, location=path)
        return TargetGraph(self.builder.freeze(), tuple(sorted(str(label) for label in self._unknown)))

    def _joined(self, label: str, details: Details, paths: Mapping[str, list[str]], last: Asked) -> Details:
        references: dict[str, list[str]] = {}
        known = {label}
        for name, labels in details[5].items():
            files = _expand_globs(self._engine, paths.get(name, ()))
            known.update(labels, files)
            references[name] = [*self._declared(labels), *self._file_labels(files)]
        target = self._expanded.get(label)
        if target is not None and (by := str(target.declared_by)) not in known:
            known.add(by)
            references["$declared_by"] = self._declared([by])  # what it is depends on what that expansion says
        labels = self._declared([each for each in last[0] if each not in known])
        files = self._file_labels([each for each in last[1] if each not in known])
        if labels or files:
            references["$asked"] = [*labels, *files]
        if own := [each for each in last[2] if each not in self._taken and each not in self._outs]:
            self._outs.update(own)
            self._made[label] = own
        return (*details[:5], references, None)

    def _declared(self, labels: list[str]) -> list[str]:
        """Those that exist, or that cannot be what an expansion declares that is not built."""
        if not self._unknown:
            return labels
        return [
            each for each in labels if each in self._taken or not _may_be_declared(parse_label(each), self._unknown)
        ]

    def _file_labels(self, paths: Iterable[str]) -> list[str]:
        found: dict[str, None] = {}
        for path in paths:
            label = self._labels.get(path)
            if label is None:
                label = self._labels[path] = str(file_label(path, self._packages))
                self._files[label] = path
            found[label] = None
        return list(found)


async def expand_known(engine: Engine) -> set[Label]:
    """Declare what up-to-date expansions declare; returns the others."""
    asked: set[Label] = set()
    while todo := [target.label for target in engine.table.expanding() if target.label not in asked]:
        asked.update(todo)
        await asyncio.gather(*(engine.scheduler.demand(label) for label in todo), return_exceptions=True)
    failed = {job.key for job in engine.scheduler.jobs() if job.error is not None}
    return {label for label in asked if label in failed}


def _may_be_declared(label: Label, unknown: Iterable[Label]) -> bool:
    """Whether one of these expansions may declare it: those in its package or above."""
    return any(
        not each.package or label.package == each.package or label.package.startswith(f"{each.package}/")
        for each in unknown
    )


def _expand_globs(engine: Engine, paths: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    for path in paths:
        found.update(dict.fromkeys(engine.sources.glob([path], []) if "*" in path or "?" in path else [path]))
    return list(found)


def file_label(path: str, packages: Iterable[str]) -> Label:
    """The label of a file: its package is the nearest folder above it that is one."""
    names = packages if isinstance(packages, set | frozenset) else set(packages)
    folder = path
    while folder:
        folder = folder.rpartition("/")[0]
        if folder in names:
            break
    return Label(folder, path[len(folder) + 1 :] if folder else path)


def _build_file(engine: Engine, package: str) -> str | None:
    if not package:
        return str(Label("", CONFIG_NAME))
    return str(Label(package, BUILD_NAME)) if package in engine.table.packages else None
