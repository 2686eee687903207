"""One verdict from several runs of the same tests, and what makes a single run not enough. Knows nothing of running.

A test that most runs fail has failed; one that passes in some runs and not in others is flaky, which is never passed.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence

from zerorepo.target import Outcome, TestCase, TestReport

FEWEST, MOST = 3, 5
CONSENSUS = 0.6
FLAKY = "flaky"
_UNSTEADY = {"asyncio", "concurrent", "multiprocessing", "queue", "random", "secrets", "threading", "time", "uuid"}
_NOW = {"now", "today", "urandom", "utcnow"}
_FAILED = (Outcome.FAILED, Outcome.ERROR)


def unsteady(*sources: str) -> bool:
    """Whether code uses what may differ from run to run: clocks, chance, threads."""
    for source in sources:
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module or ''}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _NOW:
                return True
            if any(part in _UNSTEADY for name in names for part in name.split(".")):
                return True
    return False


def agree(reports: Sequence[TestReport]) -> bool:
    """Whether all runs ended in the same way, test by test; what they printed does not count."""
    return len({(each.status, each.passed, _outcomes(each)) for each in reports}) == 1


def _outcomes(report: TestReport) -> frozenset[tuple[str, Outcome]]:
    return frozenset((case.name, case.outcome) for case in report.cases)


def combined(reports: Sequence[TestReport]) -> TestReport:
    """One report of all runs: the first one when they agree."""
    first = reports[0]
    if agree(reports):
        return first
    names = list(dict.fromkeys(case.name for each in reports for case in each.cases))
    cases = tuple(_case(name, reports) for name in names)
    statuses = Counter(each.status for each in reports)
    status, count = statuses.most_common(1)[0]
    if count < CONSENSUS * len(reports) or (status == "ok" and len(statuses) > 1):
        status = FLAKY
    ended = ", ".join(f"{status} {count}" for status, count in sorted(statuses.items()))
    good = sum(each.passed for each in reports)
    told = f"{len(reports)} runs do not agree: {good} passed, {len(reports) - good} did not ({ended})"
    output = next((each.output for each in reports if not each.passed and each.output), "")
    return first.model_copy(
        update={"passed": False, "status": status, "cases": cases, "output": "\n".join(filter(None, (told, output)))}
    )


def _case(name: str, reports: Sequence[TestReport]) -> TestCase:
    found = [case for each in reports for case in each.cases if case.name == name]
    outcomes = Counter(case.outcome for case in found)
    if len(outcomes) == 1 and len(found) == len(reports):
        return found[0]
    bad = [case for case in found if case.outcome in _FAILED]
    lost = len(reports) - len(found)
    ways = [f"{outcome} {count}" for outcome, count in sorted(outcomes.items())] + ([f"not run {lost}"] if lost else [])
    message = f"in {len(reports)} runs: {', '.join(ways)}" + (f"\n{bad[0].message}" if bad and bad[0].message else "")
    failed = len(bad) >= CONSENSUS * len(reports)
    return TestCase(name=name, outcome=bad[0].outcome if failed else Outcome.FLAKY, message=message)


__all__ = ["CONSENSUS", "FEWEST", "FLAKY", "MOST", "agree", "combined", "unsteady"]
