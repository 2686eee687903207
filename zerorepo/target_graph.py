"""The graph that ``zerorepo query`` asks: declared targets, those of expansions that are up to date, and their files.

Edges are the labels and sources in attributes, and what the last build of a target asked for beyond these. Nothing is built: an
expansion whose targets are not known is named instead. A package whose build file is wrong is one with an error. Knows nothing of
the query language, nor of where a graph is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from zerorepo.buildfile import BUILD_NAME
from zerorepo.engine import Engine
from zerorepo.label import Label, parse_label
from zerorepo.query.builder import GraphBuilder
from zerorepo.saved_graph import TargetGraph
from zerorepo.table import Target
from zerorepo.workspace import CONFIG_NAME


async def target_graph(engine: Engine) -> TargetGraph:
    """The graph of a workspace. ``engine`` must be in dry-run mode."""
    engine.table.tolerate()
    unknown = await expand_known(engine)
    builder = GraphBuilder()
    targets = engine.table.all()
    names = {*engine.table.packages, *(target.label.package for target in targets)}
    taken = {target.label for target in targets}
    for package in sorted(names):
        broken = engine.table.broken.get(package)
        build_file = _build_file(engine, package)
        builder.add_package(package, build_file=build_file, error=broken.render() if broken else None)
    files: dict[str, Label] = {}
    outs: set[str] = set()
    for target in targets:
        references: dict[str, list[str]] = {}
        for attribute, labels, paths in _edges(engine, target):
            inside = {str(label): label for label in (file_label(path, names) for path in paths)}
            files.update(inside)
            known = [str(label) for label in labels if label in taken or not _may_be_declared(label, unknown)]
            references[attribute] = [*known, *inside]
        made = [_out_label(target, path) for path in _outputs(engine, target)]
        own = [str(label) for label in made if label not in taken and str(label) not in outs]
        outs.update(own)
        builder.add_target(
            str(target.label),
            target.rule.name,
            references,
            outs=own,
            attrs=lambda target=target: target.attrs.model_dump(mode="json"),  # type: ignore[misc]
            location=target.where,
            tags=target.attrs.tags,
            is_test=target.rule.test,
        )
    for text, label in files.items():
        if text not in outs and label not in taken and label.name not in (BUILD_NAME, CONFIG_NAME):
            builder.add_source_file(text, location=label.path)
    return TargetGraph(builder.freeze(), tuple(sorted(str(label) for label in unknown)))


async def expand_known(engine: Engine) -> set[Label]:
    """Declare what up-to-date expansions declare; returns the others."""
    asked: set[Label] = set()
    while todo := [t.label for t in engine.table.all() if t.rule.expands and t.label not in asked]:
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


def _edges(engine: Engine, target: Target) -> Iterator[tuple[str, list[Label], list[str]]]:
    """What a target depends on: the attribute, labels in it, and source paths. A dollar sign marks what no attribute says."""
    known: set[Label | str] = {target.label}
    for name, values in target.references().items():
        labels = list(dict.fromkeys(each for each in values if isinstance(each, Label) and each != target.label))
        paths = list(
            dict.fromkeys(_expand_globs(engine, [str(each) for each in values if not isinstance(each, Label)]))
        )
        known.update(labels, paths)
        yield name, labels, paths
    if target.declared_by is not None and target.declared_by not in known:
        known.add(target.declared_by)
        yield "$declared_by", [target.declared_by], []  # what it is depends on what that expansion says
    last = engine.traces.last(target.label)
    if last is not None and last.identity == str(engine.identity(target)):
        asked = [parse_label(name.rpartition(" ")[0]) for kind, name, _ in last.requests if kind == "provider"]
        read = [name for kind, name, _ in last.requests if kind == "source"]
        labels = [label for label in dict.fromkeys(asked) if label not in known]
        paths = [path for path in dict.fromkeys(read) if path not in known]
        if labels or paths:
            yield "$asked", labels, paths


def _expand_globs(engine: Engine, paths: list[str]) -> list[str]:
    found: list[str] = []
    for path in paths:
        found += engine.sources.glob([path], []) if "*" in path or "?" in path else [path]
    return found


def _outputs(engine: Engine, target: Target) -> list[str]:
    last = engine.traces.last(target.label)
    return list(last.outputs) if last else []


def _out_label(target: Target, path: str) -> Label:
    package = target.label.package
    if package and path.startswith(package + "/"):
        return Label(package, path[len(package) + 1 :])
    return Label("", path)


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
