"""The generated repository's report on its own tests: verdicts and line coverage, as Markdown. Knows nothing of running tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from zerorepo.target import Outcome, TestReport
from zerorepo_rpg.plan_model import Plan

Lines = tuple[Sequence[int], Sequence[int]]
"""Executed and missing line numbers of a file."""


def coverage_report(plan: Plan, report: TestReport, coverage: Mapping[str, Lines], failed: Sequence[str]) -> str:
    """Totals, a table of files, and what every node serves. Free of dates, times and paths of a machine."""
    counts = {outcome: report.count(outcome) for outcome in Outcome}
    shown = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "none"
    lines = [
        "# Tests and coverage",
        "",
        f"Tests: {shown}. Coverage: {percent(coverage.values())} of lines.",
        "",
        "| file | lines | covered | missing |",
        "|---|--:|--:|---|",
    ]
    for path, (executed, missing) in sorted(coverage.items()):
        total = len(executed) + len(missing)
        lines.append(f"| `{path}` | {total} | {percent([(executed, missing)])} | {ranges(missing)} |")
    lines += ["", "| feature | implemented by | state |", "|---|---|---|"]
    names = {feature.id: feature.name for feature in plan.features.features}
    for node in plan.nodes():
        served = ", ".join(names.get(feature, feature) for feature in node.features) or "(shared)"
        lines.append(f"| {served} | `{node.import_path}.{node.name}` | {'FAILED' if node.id in failed else 'passed'} |")
    return "\n".join(lines) + "\n"


def percent(files: Iterable[Lines]) -> str:
    """Share of executed lines; ``-`` when there are none."""
    pairs = list(files)
    executed = sum(len(each[0]) for each in pairs)
    total = executed + sum(len(each[1]) for each in pairs)
    return f"{100 * executed / total:.0f} %" if total else "-"


def ranges(numbers: Sequence[int]) -> str:
    """``3–5, 9`` of 3, 4, 5, 9."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in found)
