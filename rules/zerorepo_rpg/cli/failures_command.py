"""``zerorepo failures``: the nodes that failed for good, why, what they have cost, and how to try one again. Runs nothing."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Any

import typer

from zerorepo.commands import provided, provided_all, workspace_root
from zerorepo.errors import ExitCode
from zerorepo.label import Label
from zerorepo.redaction import mask, visible
from zerorepo_llm.files import state_dir
from zerorepo_llm.ledger import Ledger, usd
from zerorepo_rpg.cli.chosen import target_of
from zerorepo_rpg.plan_model import Plan
from zerorepo_rpg.providers import NodeCode, NodeTests, Why
from zerorepo_rpg.rules.plan import node_label

_LINES = 12
_HINTS = {
    Why.REPAIRS: "state its requirements more clearly, raise `max_repairs`, or write it: `zerorepo adopt {label} --from FILE`",
    Why.NO_REPAIR: "give the tier `strong` a stronger model, or write it: `zerorepo adopt {label} --from FILE`",
    Why.UNDECIDED: "give the tier `strong` a stronger model, or write it: `zerorepo adopt {label} --from FILE`",
    Why.INTERFACE: "`zerorepo build {label}` plans by the corrected interface (not with --locked)",
    Why.ENVIRONMENT: "`zerorepo build {label}` runs its tests again in fresh worlds",
}


def failures(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    target: Annotated[
        str, typer.Option("--target", metavar="LABEL", help="The repository, if there are several.")
    ] = "",
) -> None:
    """List the nodes that failed for good: cause, attempts, cost, last output, how to retry. Exit code 3 when there are any."""
    plan_label, _ = target_of("rpg_plan", target)
    plan = provided(plan_label, Plan)
    if plan is None:
        _nothing(as_json, "The plan is not up to date, so nothing is known of its nodes: run `zerorepo build` first.")
        return
    failed, skipped, unknown, hollow = _looked_at(plan_label, plan)
    if as_json:
        body = {"failures": failed, "skipped": skipped, "not_built": unknown, "pass_without_code": hollow}
        print(visible(mask(json.dumps(body, indent=1, ensure_ascii=False))))
    else:
        print(visible(mask("\n".join(_report(failed, skipped, unknown, hollow)))))
    if failed:
        raise typer.Exit(ExitCode.TESTS_FAILED)


def _nothing(as_json: bool, why: str) -> None:
    body: dict[str, Any] = {"failures": [], "skipped": [], "not_built": None, "pass_without_code": {}, "note": why}
    print(json.dumps(body, indent=1) if as_json else why)


def _looked_at(
    plan_label: Label, plan: Plan
) -> tuple[list[dict[str, Any]], list[str], list[str], dict[str, list[str]]]:
    """Failures; nodes that were not run because of them; nodes of which no result is known; tests that pass without code.

    What is known is of the last build of each node, which may be older than the plan.
    """
    ledger = Ledger(state_dir(workspace_root()))
    try:
        spent = {each.group[0]: each for each in ledger.sums("target")}
    finally:
        ledger.close()
    nodes = {node.id: node_label(plan_label, node.id, ".code") for node in plan.nodes()}
    tests = {name: node_label(plan_label, name, ".tests") for name in nodes}
    codes = provided_all(list(nodes.values()), NodeCode, last=True)
    firsts = provided_all(list(tests.values()), NodeTests, last=True)
    failed, skipped, unknown = [], [], []
    for name, label in nodes.items():
        code = codes.get(label)
        if code is None:
            unknown.append(name)
        elif isinstance(code, BaseException):
            failed.append(_entry(label, name, "error", str(code), (), 0, [spent.get(str(label))]))
        elif code.why is Why.DEPENDENCY:
            skipped.append(name)
        elif not code.passed:
            sums = [spent.get(str(each)) for each in (label, tests[name])]
            cause = str(code.why or "failed")
            failed.append(_entry(label, name, cause, code.failure, code.history, code.rounds, sums))
    found = {name: firsts.get(label) for name, label in tests.items()}
    hollow = {name: list(each.hollow) for name, each in found.items() if isinstance(each, NodeTests) and each.hollow}
    return failed, skipped, unknown, hollow


def _entry(
    label: Label, node: str, cause: str, output: str, history: tuple[str, ...], attempts: int, sums: list[Any]
) -> dict[str, Any]:
    known = [each for each in sums if each is not None]
    hint = next(
        (text for why, text in _HINTS.items() if str(why) == cause), "mend what it says, then `zerorepo build {label}`"
    )
    return {
        "node": node,
        "label": str(label),
        "cause": cause,
        "attempts": attempts,
        "questions": sum(each.calls for each in known),
        "cost_usd": round(sum(usd(each.spent_nusd) for each in known), 6),
        "history": list(history),
        "output": output,
        "retry": hint.format(label=label),
    }


def many(count: int, word: str) -> str:
    """``1 test``, ``2 tests``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _report(
    failed: list[dict[str, Any]], skipped: list[str], unknown: list[str], hollow: dict[str, list[str]]
) -> list[str]:
    lines = []
    for each in failed:
        spent = f"{many(each['attempts'], 'round')} of mending, {many(each['questions'], 'question')}, ${each['cost_usd']:.4f}"
        lines.append(f"{each['label']}: {each['cause']} ({spent})")
        lines += [f"  {line}" for line in each["history"]]
        lines += [f"  | {line}" for line in each["output"].strip().splitlines()[:_LINES]]
        lines += [f"  retry: {each['retry']}", ""]
    for name, tests in sorted(hollow.items()):
        # Cases of one test function in one word.
        counts = Counter(each.rpartition("::")[2].partition("[")[0] for each in tests)
        listed = ", ".join(f"{test} ({count} cases)" if count > 1 else test for test, count in counts.items())
        lines.append(f"{name}: {many(len(tests), 'test')} would pass without its code: {listed}")
    if unknown:
        lines.append(f"not built: {', '.join(unknown)}")
    if skipped:
        lines.append(f"not run because of a failure below them: {len(skipped)} ({', '.join(skipped)})")
    if failed:
        lines.append(f"{len(failed)} failed")
    else:
        lines.append("no node that was built has failed" if unknown else "no node has failed")
    return lines


__all__ = ["failures"]
