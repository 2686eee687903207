"""``zerorepo explain``: why a target would run, or why it is a hit. A dry run of the one target, told in words."""

from __future__ import annotations

from typing import Any

from zerorepo.analysis import check_declared
from zerorepo.cli.build_cmd import interruptible
from zerorepo.cli.common import current_package, emit, emit_json, load_workspace, say
from zerorepo.engine import BuildOptions, Engine
from zerorepo.errors import ExitCode, UsageError
from zerorepo.label import Label, parse_pattern
from zerorepo.rebuilder import compare_manifests


def run(text: str, *, as_json: bool, unsafe: bool = False) -> ExitCode:
    """Explain one label."""
    workspace = load_workspace()
    workspace.check_settings()
    pattern = parse_pattern(text, current_package(workspace))
    if pattern.wildcard or pattern.negative:
        raise UsageError(f"`{text}` is a pattern; explain takes one label")

    async def work() -> dict[str, Any]:
        options = BuildOptions(dry_run=True, extra={"unsafe": True} if unsafe else {})
        async with Engine(workspace, options) as engine:
            if engine.table.get(pattern.label):
                check_declared(engine.table, [pattern.label])
            await engine.match([pattern])
            return await _explain(engine, pattern.label)

    body = interruptible(work())
    if as_json:
        emit_json(body)
    else:
        _show(body)
    return ExitCode.OK


async def _explain(engine: Engine, label: Label) -> dict[str, Any]:
    result = await engine.collect([label])
    decision, last = engine.decisions.get(label), engine.traces.last(label)
    body: dict[str, Any] = {
        "label": str(label),
        "verdict": "",
        "reasons": decision.reasons() if decision else [],
        "actions": [],
    }
    body["differences"] = (
        [{"kind": d.kind, "name": d.name, "old": d.old, "new": d.new} for d in decision.differences] if decision else []
    )
    if last:
        body["last_ran_because"] = last.reasons
        body["inputs"] = [
            {"kind": kind, "name": name, "digest": answer} for kind, name, answer in last.requests if kind != "action"
        ]
    if label in result.built:
        body["verdict"] = "hit" if decision and decision.trace else "would run, but every action is in the cache"
    elif label in result.would_run:
        body["verdict"] = "would run"
        body["actions"] = _actions(engine, label, last)
    elif label in result.failed:
        body["verdict"] = "fails"
        body["reasons"] = [*body["reasons"], str(result.failed[label])]
    else:
        waiting = {str(each): reasons for each, reasons in sorted(result.would_run.items())}
        body["verdict"] = "may run: it depends on targets that would run"
        body["waits_for"] = waiting
    return body


def _actions(engine: Engine, label: Label, last: Any) -> list[dict[str, Any]]:
    """The action that is not in the cache, compared with the last one of its kind that this target asked for."""
    from zerorepo.action_key import manifest
    from zerorepo.executors.local import WouldRun

    error = next((job.error for job in engine.scheduler.jobs() if job.key == label), None)
    if not isinstance(error, WouldRun):
        return []
    mnemonic = type(error.action).mnemonic
    now = manifest(error.action, engine.cas.function)
    earlier = [before for kind, _, before in (last.actions if last else []) if kind == mnemonic]
    nearest = min(earlier, key=lambda before: len(compare_manifests(before, now)), default=None)
    changes = compare_manifests(nearest, now) if nearest is not None else ()
    return [
        {
            "mnemonic": mnemonic,
            "key": error.key.hex,
            "changes": [{"field": d.name, "old": d.old, "new": d.new} for d in changes],
        }
    ]


def _show(body: dict[str, Any]) -> None:
    emit(f"{body['label']}: {body['verdict']}")
    for reason in body["reasons"]:
        emit(f"  because {reason}")
    for action in body["actions"]:
        emit(f"  action {action['mnemonic']} {action['key'][:12]} is not in the cache")
        for change in action["changes"]:
            emit(f"    {change['field']}:")
            emit(f"      - {change['old']}")
            emit(f"      + {change['new']}")
    for label, reasons in body.get("waits_for", {}).items():
        emit(f"  {label} would run: {'; '.join(reasons)}")
    if body["verdict"] == "hit":
        emit(f"  all {len(body.get('inputs', []))} inputs are as they were")
        for line in body.get("last_ran_because", []):
            emit(f"  it last ran because {line}")
    elif not body["reasons"] and "waits_for" not in body:
        say("  nothing is recorded of an earlier build")
