"""``zerorepo explain``: why a target would run, or why it is a hit. A dry run of the target, told in words.

One label, or an expression of the query language, each of whose targets is explained.
"""

from __future__ import annotations

import re
from typing import Any

from zerorepo.action_key import manifest
from zerorepo.analysis import check_declared
from zerorepo.cli.build_cmd import interruptible
from zerorepo.cli.common import current_package, emit, emit_json, load_workspace, say
from zerorepo.cli.query_cmd import chosen_targets, known_graph
from zerorepo.engine import BuildOptions, BuildResult, Engine
from zerorepo.errors import ExitCode, UsageError, did_you_mean
from zerorepo.executors.local import WouldRun
from zerorepo.explaining import Shown
from zerorepo.label import Label, Pattern, parse_pattern
from zerorepo.query.graph import SOURCE_FILE
from zerorepo.rebuilder import compare_manifests
from zerorepo.workspace import Workspace

_WORD = re.compile(r"[^\s()'\"+^$,=]+")
"""A command line that is one word is a label, whatever is in it that an expression would have to quote."""

HIT, REPLAY, RUNS, FAILS, MAY, REMOVED = (
    "hit",
    "would run, but every action is in the cache",
    "would run",
    "fails",
    "may run: it depends on targets that would run",
    "removed: no target of this name is declared any more",
)


def run(text: str, *, as_json: bool, unsafe: bool = False) -> ExitCode:
    """Explain a label, or the targets of an expression. JSON is one object for a label, a list for an expression."""
    workspace = load_workspace()
    workspace.check_settings()
    label = _one_label(text, current_package(workspace))
    if label is not None:
        body = _explained_or_maker(workspace, label, unsafe=unsafe)
        if as_json:
            emit_json(body)
        else:
            _show(body)
        return ExitCode.OK
    answer, code = chosen_targets(text)
    bodies = [_explained(workspace, parse_pattern(each), unsafe=unsafe) for each in answer.labels]
    if as_json:
        emit_json(bodies)
    for body in () if as_json else bodies:
        _show(body)
    if not bodies:
        say(f"There is no target in `{text}`")
    return ExitCode(code)


def _one_label(text: str, package: str) -> Pattern | None:
    """The pattern of a single label; None for an expression. A label need not be one that is known now."""
    if not _WORD.fullmatch(text):
        return None
    pattern = parse_pattern(text, package)
    return None if pattern.wildcard else pattern


def _explained_or_maker(workspace: Workspace, pattern: Pattern, *, unsafe: bool) -> dict[str, Any]:
    """As `_explained`; of an output, the target that makes it. UsageError that says so for a source file."""
    label = str(pattern.label)
    if (workspace.root / pattern.label.path).is_file() and _kind(label)[0] == SOURCE_FILE:
        raise UsageError(
            f"`{label}` is a source file, which no build makes",
            hint=f"zerorepo explain 'owner_of(\"{pattern.label.path}\")' explains the targets that read it",
        )
    try:
        return _explained(workspace, pattern, unsafe=unsafe)
    except UsageError:
        maker = _kind(label)[1]
        if maker is None:
            raise
        say(f"note: `{label}` is made by `{maker}`")
        return _explained(workspace, parse_pattern(maker), unsafe=unsafe)


def _kind(label: str) -> tuple[str, str | None]:
    """What a label is in the target graph, "" when it is not there, and what makes it."""
    graph = known_graph().graph
    node = graph.find(label)
    return ("", None) if node is None else (graph.infos[node].kind, graph.infos[node].generated_by)


def _explained(workspace: Workspace, pattern: Pattern, *, unsafe: bool) -> dict[str, Any]:
    async def work() -> dict[str, Any]:
        options = BuildOptions(dry_run=True, extra={"unsafe": True} if unsafe else {})
        async with Engine(workspace, options) as engine:
            if engine.table.get(pattern.label):
                check_declared(engine.table, [pattern.label])
            return await _explain(engine, pattern)

    return interruptible(work())


async def _explain(engine: Engine, pattern: Pattern) -> dict[str, Any]:
    label, last = pattern.label, engine.traces.last(pattern.label)
    try:
        await engine.match([pattern])
    except UsageError as error:
        if last is None:
            raise _unknown(engine, label, error) from None
        return _removed(engine, label, last)
    target = engine.table.get(label)
    result = await engine.collect([label] if target else [])
    if target is None:
        return _not_declared_yet(engine, label, last, result)
    decision = engine.decisions.get(label)
    body = _body(label, last)
    body.update(rule=target.rule.name, where=target.where)
    if target.adopted:
        body["adopted"] = {"files": dict(target.adopted.files), "where": target.adopted.where}
    shown = Shown(engine, result)
    if decision:
        body["reasons"] = decision.reasons()
        body["differences"] = [
            {"kind": d.kind, "name": d.name, "old": d.old, "new": d.new, "diff": shown.of_input(d)}
            for d in decision.differences
        ]
    if label in result.built:
        body["verdict"] = HIT if decision and decision.trace else REPLAY
    elif label in result.would_run:
        body["verdict"] = RUNS
        body["actions"] = _actions(engine, label, last, shown)
    elif label in result.failed:
        body["verdict"] = FAILS
        body["reasons"] = [*body["reasons"], str(result.failed[label])]
    else:
        body["verdict"] = MAY
        body["waits_for"] = {str(each): reasons for each, reasons in sorted(result.would_run.items())}
        failing = {str(each): [str(error)] for each, error in sorted(result.failed.items())}
        body["waits_for"].update(failing)
        if failing and not result.would_run:
            body["verdict"] = "cannot be built: it depends on targets that fail"
    return body


def _body(label: Label, last: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"label": str(label), "verdict": "", "reasons": [], "differences": [], "actions": []}
    if last:
        body["last_ran_because"] = last.reasons
        body["inputs"] = [
            {"kind": kind, "name": name, "digest": answer} for kind, name, answer in last.requests if kind != "action"
        ]
        body["outputs"] = last.outputs
    return body


def _unknown(engine: Engine, label: Label, error: UsageError) -> UsageError:
    """The same error, with near misses among what was built in the past, too."""
    hint = error.hint or ""
    if "did you mean" not in hint and (near := did_you_mean(str(label), engine.traces.labels())):
        hint = f"{hint}\n{near}" if hint else near
    return UsageError(error.message, where=error.where, hint=hint or None)


def _removed(engine: Engine, label: Label, last: Any) -> dict[str, Any]:
    body = _body(label, last)
    body["verdict"] = REMOVED
    out = engine.workspace.workspace.output
    for path in last.outputs:
        owner = engine.outputs.owner(path)
        if owner == str(label):
            body["reasons"].append(f"its output {out}/{path} is removed by the next build, unless it was edited")
        elif owner is not None:
            body["reasons"].append(f"its output {out}/{path} is made by {owner} now")
    return body


def _not_declared_yet(engine: Engine, label: Label, last: Any, result: BuildResult) -> dict[str, Any]:
    """A label that an expansion may declare once it has run."""
    body = _body(label, last)
    declared_by = [str(each) for each, labels in result.unexpanded.items() if str(label) in labels]
    asked = sorted({*result.would_run, *result.failed})
    if not asked:
        raise _unknown(engine, label, engine.table.unknown(label))
    body["verdict"] = MAY
    body["waits_for"] = {
        str(each): result.would_run[each] if each in result.would_run else [str(result.failed[each])] for each in asked
    }
    names = ", ".join(declared_by or [str(each) for each in sorted(result.unexpanded)])
    body["reasons"] = [
        f"{names} declared it when last built, and has to be built again first"
        if declared_by
        else f"whether there is such a target, {names} will say"
    ]
    return body


def _actions(engine: Engine, label: Label, last: Any, shown: Shown) -> list[dict[str, Any]]:
    """The action that is not in the cache, compared with the last one of its kind that this target asked for."""
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
            "changes": [
                {"field": d.name, "old": d.old, "new": d.new, "diff": shown.of_field(d.name, d.old, d.new)}
                for d in changes
            ],
        }
    ]


def _show(body: dict[str, Any]) -> None:
    emit(f"{body['label']}: {body['verdict']}")
    if "adopted" in body:
        for name, source in body["adopted"]["files"].items():
            emit(f"  {name} was adopted: its source is {source} ({body['adopted']['where']})")
    diffs = [each["diff"] for each in body["differences"]]
    for number, reason in enumerate(body["reasons"]):
        emit(f"  because {_indented(reason, '  ')}")
        for line in diffs[number] if number < len(diffs) else ():
            emit(f"      {line}")
    for action in body["actions"]:
        emit(f"  action {action['mnemonic']} {action['key'][:12]} is not in the cache")
        for change in action["changes"]:
            if change["diff"][2:] and change["diff"][2:] in [diff[2:] for diff in diffs]:
                emit(f"    {change['field']}: as above")
            elif change["diff"]:
                emit(f"    {change['field']}:")
                emit("\n".join(f"      {line}" for line in change["diff"]))
            else:
                emit(
                    f"    {change['field']}:\n      - {change['old'] or '(none)'}\n      + {change['new'] or '(none)'}"
                )
    for label, reasons in body.get("waits_for", {}).items():
        emit(f"  {label}: {_indented('; '.join(reasons), '  ')}")
    if body["verdict"] == HIT:
        emit(f"  all {len(body.get('inputs', []))} inputs are as they were")
    if body["verdict"] in (HIT, MAY, REPLAY):
        for line in body.get("last_ran_because", []):
            emit(f"  it last ran because {line}")


def _indented(text: str, by: str) -> str:
    return text.replace("\n", f"\n{by}  ")
