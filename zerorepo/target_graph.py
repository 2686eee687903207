"""The graph that ``zerorepo query`` asks: declared targets, those of expansions that are up to date, and their files.

Edges are the labels and sources in attributes, and what the last build of a target asked for beyond these. Nothing is built: an
expansion whose targets are not known is named instead. Knows nothing of the query language.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from zerorepo.buildfile import BUILD_NAME
from zerorepo.engine import Engine
from zerorepo.label import Label, parse_label
from zerorepo.query.builder import GraphBuilder
from zerorepo.query.graph import QueryGraph
from zerorepo.table import Target
from zerorepo.workspace import CONFIG_NAME


@dataclass(frozen=True, slots=True)
class TargetGraph:
    """``unknown``: expansions that would have to be built before the targets that they declare are known."""

    graph: QueryGraph
    unknown: tuple[str, ...]


async def target_graph(engine: Engine) -> TargetGraph:
    """The graph of a workspace. ``engine`` must be in dry-run mode."""
    unknown = await _expand_known(engine)
    builder = GraphBuilder()
    packages = sorted({*engine.table.packages, *(target.label.package for target in engine.table.all())})
    taken = {target.label for target in engine.table.all()}
    for package in packages:
        builder.add_package(package, build_file=_build_file(engine, package))
    files: dict[str, None] = {}
    outs: dict[str, str] = {}
    for target in engine.table.all():
        deps, sources = _edges(engine, target)
        deps = [label for label in deps if label in taken]
        source_labels = [str(file_label(path, packages)) for path in sources]
        files.update(dict.fromkeys(source_labels))
        made = [_out_label(target, path) for path in _outputs(engine, target)]
        own = [str(label) for label in made if label not in taken and str(label) not in outs]
        outs.update(dict.fromkeys(own, str(target.label)))
        builder.add_target(
            str(target.label),
            target.rule.name,
            {"deps": [str(label) for label in deps]},
            srcs=source_labels,
            outs=own,
            attrs=lambda target=target: target.attrs.model_dump(mode="json"),  # type: ignore[misc]
            location=target.where,
            tags=target.attrs.tags,
            is_test=target.rule.test,
        )
    for label in files:
        if label not in outs and parse_label(label) not in taken and not _is_build_file(label):
            builder.add_source_file(label, location=parse_label(label).path)
    return TargetGraph(builder.freeze(), tuple(sorted(str(label) for label in unknown)))


async def _expand_known(engine: Engine) -> set[Label]:
    """Declare what up-to-date expansions declare; returns the others."""
    asked: set[Label] = set()
    while todo := [t.label for t in engine.table.all() if t.rule.expands and t.label not in asked]:
        asked.update(todo)
        await asyncio.gather(*(engine.scheduler.demand(label) for label in todo), return_exceptions=True)
    failed = {job.key for job in engine.scheduler.jobs() if job.error is not None}
    return {label for label in asked if label in failed}


def _edges(engine: Engine, target: Target) -> tuple[list[Label], list[str]]:
    labels, sources = dict.fromkeys(target.labels()), dict.fromkeys(_expand_globs(engine, target.sources()))
    if target.declared_by is not None:
        labels[target.declared_by] = None  # what it is depends on what that expansion says
    last = engine.traces.last(target.label)
    if last is not None and last.identity == str(engine.identity(target)):
        for kind, name, _ in last.requests:
            if kind == "provider":
                labels[parse_label(name.rpartition(" ")[0])] = None
            elif kind == "source":
                sources[name] = None
    labels.pop(target.label, None)
    return list(labels), list(sources)


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


def file_label(path: str, packages: list[str]) -> Label:
    """The label of a file: its package is the nearest folder above it that is one."""
    best = max((p for p in packages if not p or path.startswith(p + "/")), key=len, default="")
    return Label(best, path[len(best) + 1 :] if best else path)


def _build_file(engine: Engine, package: str) -> str | None:
    if not package:
        return str(Label("", CONFIG_NAME))
    return str(Label(package, BUILD_NAME)) if package in engine.table.packages else None


def _is_build_file(label: str) -> bool:
    return parse_label(label).name in (BUILD_NAME, CONFIG_NAME)
