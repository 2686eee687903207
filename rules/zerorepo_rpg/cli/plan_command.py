"""``zerorepo plan``: bring the lock up to date with the specification, and say what became of the plan.

Knows nothing of how a stage plans, nor of what is foreseen (``dry_run``).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from zerorepo.commands import build, provided, workspace_root
from zerorepo.errors import UsageError, ZeroRepoError
from zerorepo.fileio import write_atomic
from zerorepo.redaction import mask
from zerorepo_rpg.cli.chosen import target_of
from zerorepo_rpg.cli.diff_command import lines as comparison_lines
from zerorepo_rpg.cli.dry_run import dry_run
from zerorepo_rpg.cli.grouping_text import grouping_lines
from zerorepo_rpg.comparison import compare, parts_of
from zerorepo_rpg.degrees import candidates
from zerorepo_rpg.delta import State, delta
from zerorepo_rpg.existing import files_of
from zerorepo_rpg.lock import Lock, parse_lock, render
from zerorepo_rpg.lock_checks import limit_problems, located
from zerorepo_rpg.plan_metrics import WeightedEdge, break_cycles
from zerorepo_rpg.spec_model import RepositorySpec
from zerorepo_rpg.spec_reading import by_rule
from zerorepo_rpg.tracing import trace
from zerorepo_rpg.type_checks import plan_notes
from zerorepo_rpg.validate import validate_plan


def plan(
    target: Annotated[str, typer.Argument(metavar="LABEL", help="Whose plan; default: the only one.")] = "",
    only_show: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Show what would change, why, and the expected cost; ask nothing.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Plan anew instead of changing the plan; existing code in the lock stays.")
    ] = False,
    locked: Annotated[bool, typer.Option("--locked", help="Fail rather than change the plan (CI).")] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Do not wait for answers of people: list what is open and stop.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Run the named checks on the lock as it is, and measure it; exit 1 when one fails."
        ),
    ] = False,
) -> None:
    """Plan: ask for what the specification's changes call for, and keep the rest of the lock."""
    if check and (fresh or locked or only_show):
        raise UsageError("--check only looks", hint="give it alone")
    if fresh and (locked or only_show):
        raise UsageError(
            "--fresh changes the whole plan", hint="without --locked and --dry-run; the old lock is restored on failure"
        )
    label, attrs = target_of("rpg_plan", target)
    path = workspace_root() / attrs.lock_path
    _restore(path)
    old = _read(path, attrs.lock_path)
    if check:
        raise typer.Exit(_check(old, path, attrs.lock_path, attrs.spec))
    if only_show:
        code = dry_run(label, attrs, old)
        print(mask("\n".join(_delta_lines(old))), end="\n" if old.existing.nodes else "")
        raise typer.Exit(code)
    if fresh:
        _set_aside(path, old)
    try:
        code = build([str(label)], locked=locked, no_wait=no_wait)
    except BaseException:
        _restore(path)
        raise
    if code != 0:
        _restore(path)
        raise typer.Exit(code)
    _aside(path).unlink(missing_ok=True)
    new = _read(path, attrs.lock_path)
    told = [*comparison_lines(compare(parts_of(old), parts_of(new))), *_carried_lines(old, new), *_delta_lines(new)]
    planned = new.plan()
    if planned is not None and planned != old.plan():
        told += grouping_lines(planned)
    print(mask("\n".join(told)))


def _check(lock: Lock, path: Path, where: str, spec_label: object) -> int:
    planned = lock.plan()
    if planned is None:
        raise UsageError("The lock holds no whole plan", where=where, hint="`zerorepo plan` makes one")
    spec = _parsed(spec_label) or _by_rule(spec_label)
    problems = validate_plan(
        planned, spec.model_copy(update={"requirements": lock.requirements}), files_of(lock.existing)
    )
    # The checks above are of the plan by itself; this, of the plan beside the specification as it is now.
    parsed = _parsed(spec_label)
    problems += [*limit_problems(lock), *(trace(parsed, lock).problems() if parsed else ())]
    text = path.read_text("utf-8")
    listed = [f"{where}:{line}: {each}" for line, each in located(problems, text)] or ["every check passes"]
    if parsed is None:
        listed.append("not compared with the specification, which has changed since it was parsed: zerorepo spec parse")
    flows = Counter((flow.source, flow.target) for flow in planned.modules.flows)
    edges = [WeightedEdge(source=a, target=b, weight=count) for (a, b), count in flows.items()]
    listed += [
        f"the weakest link of a circle is {edge.source} -> {edge.target} (flows: {edge.weight:g}); remove or turn it"
        for edge in break_cycles(edges)[1]
    ]
    listed += [f"note: {where}:{line}: {each}" for line, each in located(plan_notes(planned), text)]
    listed += [f"note: {each}" for each in candidates(planned)]
    print(mask("\n".join([*listed, *grouping_lines(planned)])))
    return 1 if problems else 0


def _read(path: Path, where: str) -> Lock:
    try:
        return parse_lock(path.read_bytes().decode("utf-8"), where)
    except FileNotFoundError:
        return Lock()
    except UnicodeDecodeError as error:
        raise UsageError(f"The lock is not UTF-8 (byte {error.start})", where=where) from None


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.before-fresh")


def _set_aside(path: Path, old: Lock) -> None:
    """Plan from nothing, with the old lock at hand until there is a new one, whatever ends this process."""
    if not path.exists():
        return
    write_atomic(_aside(path), path.read_bytes())
    if old.existing.nodes:
        write_atomic(path, render(Lock(existing=old.existing)).encode())
    else:
        path.unlink()


def _restore(path: Path) -> None:
    """Put back the lock that a planning anew which did not come to its end had set aside."""
    if _aside(path).exists():
        _aside(path).replace(path)
        print(f"restored {path.name}: planning anew had not come to its end", file=sys.stderr)


def _by_rule(label_attr: object) -> RepositorySpec:
    attrs = target_of("rpg_spec", str(label_attr))[1]
    try:
        return by_rule((workspace_root() / attrs.src).read_bytes().decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        return RepositorySpec(title="", description="", package_name="")


def _parsed(label_attr: object) -> RepositorySpec | None:
    """The specification as parsed; None when it has changed since, since rules cannot say which sentence is a requirement."""
    try:
        return provided(target_of("rpg_spec", str(label_attr))[0], RepositorySpec)
    except ZeroRepoError:
        return None


def _carried_lines(old: Lock, new: Lock) -> Iterator[str]:
    """Renames of this change that keep what was written under the old name."""
    for rename in new.renames:
        if rename not in old.renames:
            users = [name for name in rename.nodes if name != rename.id]
            also = f", and so do {', '.join(users)}, which use it" if users else ""
            yield f"{rename.id} keeps the tests and the code of {rename.was}{also}"


def _delta_lines(lock: Lock) -> Iterator[str]:
    """How the plan stands to the code that exists, in building order."""
    planned = lock.plan()
    if planned is None or not lock.existing.nodes:
        return
    try:
        found = delta(planned, lock.existing)
    except ValueError:
        return  # the plan's own checks tell of the cycle
    counts = ", ".join(f"{sum(each.state is state for each in found)} {state}" for state in State)
    yield f"beside existing code: {counts}"
    for each in found:
        if each.state is not State.EXISTING:
            yield f"  {each.state} {each.id}: {each.why}" + (f" ({each.found})" if each.found else "")


__all__ = ["plan"]
