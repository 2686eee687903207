"""``zerorepo aquery``: the actions of targets, those that the last build asked for and those that the next one would run.

A dry run: runs no action and changes nothing. Knows nothing of what an action does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from zerorepo.action_key import manifest
from zerorepo.cli.build_cmd import interruptible
from zerorepo.cli.common import emit, emit_json, load_workspace, say
from zerorepo.cli.query_cmd import chosen_targets
from zerorepo.engine import BuildOptions, Engine
from zerorepo.errors import did_you_mean
from zerorepo.label import Label, parse_label
from zerorepo.query.errors import QuerySyntaxError
from zerorepo.query.run import Answer
from zerorepo.target_graph import expand_known

FORMATS = ("text", "json", "jsonl")
_MOST = 24
"""Inputs of an action that its text shows."""
_LONGEST = 100
"""Characters of an input that a line of text shows."""


def run(expression: str, *, output: str, keep_going: bool) -> int:
    """Print the actions; the exit code is the query's own (0, 2, 3, 7)."""
    if output not in FORMATS:
        raise QuerySyntaxError(
            f"There is no output format `{output}`",
            hint=did_you_mean(output, FORMATS) or f"there are: {', '.join(FORMATS)}",
        )
    workspace = load_workspace()
    answer, code = chosen_targets(expression, keep_going=keep_going)

    async def work() -> list[dict[str, Any]]:
        async with Engine(workspace, BuildOptions(dry_run=True)) as engine:
            return await _actions(engine, answer)

    found = interruptible(work())
    if output == "json":
        emit_json(found)
    elif output == "jsonl":
        for each in found:
            emit(json.dumps(each, ensure_ascii=False))
    else:
        _show(found)
    return code


async def _actions(engine: Engine, answer: Answer) -> list[dict[str, Any]]:
    engine.table.tolerate()
    await expand_known(engine)
    labels = [label for text in answer.labels if engine.table.get(label := parse_label(text)) is not None]
    result = await engine.collect(labels)
    found: list[dict[str, Any]] = []
    for label in labels:
        pending = engine.executor.would_run.get(label, {})
        asked = [] if label in result.would_run and pending else _asked(engine, label)
        known = {each["key"] for each in asked}
        found += asked
        for waiting in pending.values():
            if waiting.key.hex not in known:
                inputs = manifest(waiting.action, engine.cas.function)
                found.append(_action(engine, label, type(waiting.action).mnemonic, waiting.key.hex, inputs))
    return found


def _asked(engine: Engine, label: Label) -> list[dict[str, Any]]:
    last = engine.traces.last(label)
    return [_action(engine, label, mnemonic, key, inputs) for mnemonic, key, inputs in (last.actions if last else ())]


def _action(engine: Engine, label: Label, mnemonic: str, key: str, inputs: Mapping[str, str]) -> dict[str, Any]:
    cost = engine.actions.meters(key)
    return {
        "target": str(label),
        "mnemonic": mnemonic,
        "key": key,
        "cached": engine.actions.has(key),
        "cost": dict(cost),
        "inputs": dict(inputs),
    }


def _show(actions: Sequence[Mapping[str, Any]]) -> None:
    for action in actions:
        emit(f"{action['mnemonic']} of {action['target']}")
        emit(f"  key     {action['key']}")
        emit(f"  cached  {'yes' if action['cached'] else 'no: a build would run it'}")
        if cost := _cost(action["cost"]):
            emit(f"  cost    {cost}")
        shown = _outline(action["inputs"])
        for number, (name, value) in enumerate(shown[:_MOST]):
            emit(f"  {'inputs' if not number else '':6}  {name} = {_short(value)}")
        if len(action["inputs"]) > len(shown[:_MOST]):
            emit(f"          … {len(action['inputs']) - len(shown[:_MOST])} more: --output json has them all")
    if not actions:
        say("These targets ask for no action, or none is known before others are built.")


def _outline(inputs: Mapping[str, str]) -> list[tuple[str, str]]:
    """What a person wants to see first: fields, and what is directly in them; not the type, which the mnemonic says."""
    return [(name, value) for name, value in inputs.items() if name.count("[") < 2 and name != "(value)"]


def _cost(meters: Mapping[str, float]) -> str:
    parts = []
    for name, value in meters.items():
        if not value:
            continue
        unit = name.rpartition("_")[2]
        if unit == "usd":
            parts.append(f"${value:.4f}")
        elif unit == "s":
            parts.append(
                f"{value:.2f} s" if name == "wall_s" else f"{name.removesuffix('_s').replace('_', ' ')} {value:.2f} s"
            )
        else:
            what = name.replace("_", " ")
            parts.append(f"{value:g} {what.removesuffix('s') if value == 1 else what}")
    return ", ".join(parts)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}… ({len(text):,} characters)"
