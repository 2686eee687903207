"""Checks of the declared graph before anything runs: unknown labels, missing files, cycles. Each is exit code 2, nothing changed.

Sees only what attributes declare; what rules ask for while they run is checked then. Knows nothing of traces or actions.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from zerorepo.errors import CycleError, ExitCode, UsageError, did_you_mean
from zerorepo.label import Label
from zerorepo.table import Target, TargetTable
from zerorepo.target import SourcePath


class DeclaredCycle(CycleError):
    """A cycle that the build files themselves declare."""

    exit_code = ExitCode.USAGE


@dataclass(slots=True)
class Declared:
    """The declared graph below some labels: each label's place in an order in which dependencies come first, and the sources."""

    order: dict[Label, int] = field(default_factory=dict)
    sources: dict[str, None] = field(default_factory=dict)


def check_declared(table: TargetTable, labels: Iterable[Label]) -> Declared:
    """Check the closure of ``labels`` over attribute labels. UsageError or DeclaredCycle for the first thing wrong."""
    found = Declared()
    state: dict[Label, bool] = {}  # False while on the path, True when done
    for start in labels:
        if start in state:
            continue
        path: list[tuple[Label, list[Label]]] = []
        _enter(table, start, None, state, path, found)
        while path:
            label, rest = path[-1]
            if not rest:
                state[label] = True
                found.order[label] = len(found.order)
                path.pop()
                continue
            nxt = rest.pop(0)
            if state.get(nxt) is False:
                ring = [each for each, _ in path]
                ring = ring[ring.index(nxt) :]
                start_at = ring.index(min(ring))
                ordered = ring[start_at:] + ring[:start_at]
                target = table.get(ordered[0])
                raise DeclaredCycle(
                    [str(each) for each in [*ordered, ordered[0]]], where=target.where if target else None
                )
            if nxt not in state:
                _enter(table, nxt, table.get(label), state, path, found)
    _check_outputs([target for label in state if (target := table.get(label))])
    return found


def _check_outputs(targets: Iterable[Target]) -> None:
    """Two targets may not make one file, nor one of them a file and the other a folder of that name."""
    owners: dict[str, Target] = {}
    for target in targets:
        for path in target.outputs():
            if path in target.sources():
                raise UsageError(f"`{path}` is a source and an output of `{target.label}`", where=target.where)
            other = owners.setdefault(path, target)
            if other is not target:
                raise UsageError(
                    f"`{target.label}` and `{other.label}` both make `{path}`",
                    where=target.where,
                    hint=f"give one of them another output; the other one is at {other.where}",
                )
    for path, owner in owners.items():
        parts = path.split("/")
        for number in range(1, len(parts)):
            if above := owners.get("/".join(parts[:number])):
                folder = "/".join(parts[:number])
                raise UsageError(
                    f"`{owner.label}` makes `{path}`, but `{above.label}` makes a file `{folder}`",
                    where=owner.where,
                    hint=f"give one of them another output; the other one is at {above.where}",
                )


def _enter(
    table: TargetTable,
    label: Label,
    asker: Target | None,
    state: dict[Label, bool],
    path: list[tuple[Label, list[Label]]],
    found: Declared,
) -> None:
    target = table.get(label)
    if target is None:
        # An expansion may declare it once it is built; without one in reach nobody will.
        if table.expanders_for(label.package):
            state[label] = True
            return
        raise table.unknown(
            label, where=asker.where_of(label) if asker else None, asked_by=str(asker.label) if asker else None
        )
    _check_sources(table, target, found)
    state[label] = False
    path.append((label, target.labels()))


def _check_sources(table: TargetTable, target: Target, found: Declared) -> None:
    if target.declared_by is not None:
        return
    root = table.workspace.root
    for path in target.sources():
        if path.startswith(table.workspace.workspace.output.strip("/") + "/"):
            raise UsageError(
                f"`{target.label}` names the output `{path}` as a source",
                where=target.where_of(SourcePath(path)),
                hint="name the target that makes it instead",
            )
        if "*" in path or "?" in path or os.path.isfile(f"{root}/{path}"):  # noqa: PTH113  (once for every source)
            found.sources[path] = None
            continue
        if (root / path).is_dir():
            raise UsageError(
                f"`{target.label}` names the folder `{path}` as a source file",
                where=target.where_of(SourcePath(path)),
                hint=f"name its files, for example `{path}/**`",
            )
        if os.path.lexists(root / path):
            what = "neither file nor folder" if (root / path).exists() else "a link that leads nowhere"
            raise UsageError(
                f"`{target.label}` needs the file `{path}`, which is {what}",
                where=target.where_of(SourcePath(path)),
                hint="put a regular file, or a link to one, in its place",
            )
        folder = (root / path).parent
        names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        near = did_you_mean(folder.joinpath(path).name, names)
        raise UsageError(
            f"`{target.label}` needs the file `{path}`, which does not exist",
            where=target.where_of(SourcePath(path)),
            hint=near,
        )
