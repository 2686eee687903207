"""What ``build`` and ``test`` say at the end: verdicts, failures, one line of sums, the JSON object, the exit code.

Knows nothing of how anything was built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zerorepo.cli.common import emit, emit_json, json_text, many, say
from zerorepo.cli.summary import Summary
from zerorepo.engine import BuildOptions, BuildResult
from zerorepo.errors import ExitCode, ZeroRepoError
from zerorepo.estimate import Estimate
from zerorepo.label import Label
from zerorepo.redaction import redact
from zerorepo.target import Outcome, TestReport


def exit_code(result: BuildResult, tests: Sequence[TestReport]) -> ExitCode:
    """The documented exit code of a build."""
    codes = {getattr(error, "exit_code", ExitCode.BUILD_FAILED) for error in result.failed.values()}
    if ExitCode.BUDGET in codes:
        return ExitCode.BUDGET
    if codes:
        return ExitCode.USAGE if codes == {ExitCode.USAGE} else ExitCode.BUILD_FAILED
    if result.skipped:
        return ExitCode.BUILD_FAILED
    return ExitCode.OK if all(report.passed for report in tests) else ExitCode.TESTS_FAILED


@dataclass(frozen=True, slots=True)
class Report:
    """The end of one build."""

    build: BuildResult
    tests: Mapping[Label, TestReport]
    summary: Summary
    options: BuildOptions

    def show(self, *, as_json: bool, as_text: bool, tests_only: bool) -> ExitCode:
        """Say it, and return the exit code. Errors are always said."""
        code = exit_code(self.build, list(self.tests.values()))
        if as_json:
            emit_json(self.to_json(code))
        for label, error in sorted(self.build.failed.items()):
            text = error.render() if isinstance(error, ZeroRepoError) else repr(error)
            say(f"\nERROR: {label}\n{_indent(text)}")
        debugging = bool(self.options.extra.get("sandbox_debug"))
        to_stdout = tests_only and not as_json
        _say_tests(self.tests, tests_only=tests_only, to_stdout=to_stdout, debugging=debugging)
        if as_text:
            say(self.last_line(f"{self.summary.wall_s():.1f}"))
        for path in self.summary.edited:
            owner = self.summary.owners[path]
            say(f"kept your edit of {path} (--overwrite replaces it); `zerorepo adopt {owner}` makes it the source")
        for each in self.summary.replaced:
            say(f"replaced your edit of {each['path']}; it is kept as {each['kept']}")
        for each in self.summary.stale:
            say(
                f"`{each['label']}` was adopted ({each['where']}), and there is no such target any more;"
                f" `zerorepo adopt --undo {each['label']}` forgets it"
            )
        return code

    def when_nothing_is_to_do(self, wall: str, *, as_json: bool, quiet: bool, tests_only: bool) -> tuple[str, str]:
        """What the next build will say to stdout and stderr when nothing changes: these targets and verdicts, and no work."""
        states = dict.fromkeys(map(str, self.build.built), "cached")
        next_time = Report(self.build, self.tests, Summary(targets=states), self.options)
        if as_json:
            body = json_text({**next_time.to_json(ExitCode.OK), "wall_s": wall})
            return body.replace(f'"{wall}"', wall) + "\n", ""
        verdicts = "".join(f"{_passed(label, each)}\n" for label, each in sorted(self.tests.items()))
        return verdicts if tests_only else "", "" if quiet else next_time.last_line(wall) + "\n"

    def to_json(self, code: ExitCode) -> dict[str, Any]:
        """The object that ``--json`` ends with."""
        return {
            **self.summary.to_json(),
            "failures": [failure_json(label, error) for label, error in sorted(self.build.failed.items())],
            "tests": {str(label): _test_json(report) for label, report in sorted(self.tests.items())},
            "unsafe": bool(self.options.extra.get("unsafe")),
            "exit_code": int(code),
        }

    def last_line(self, wall: str) -> str:
        """The sums; ``wall`` are the seconds that it took."""
        summary = self.summary
        built, failed, skipped = summary.count("done", "cached"), summary.count("failed"), summary.count("skipped")
        parts = [f"{many(built, 'target')} built"]
        if failed or skipped:
            parts.append(f"{failed} failed, {skipped} skipped")
        if summary.executed or summary.cached:
            parts.append(f"{many(summary.executed, 'action')} run, {summary.cached} from cache")
        elif not failed and not summary.ran:
            parts.append("nothing to do")
        if self.tests:
            bad = sum(not report.passed for report in self.tests.values())
            parts.append(f"{len(self.tests) - bad} of {many(len(self.tests), 'test target')} passed")
        if summary.model_calls:
            parts.append(f"{many(summary.model_calls, 'model call')}, ${summary.cost_usd:.4f}")
        parts.append(f"{wall}s")
        line = " · ".join(parts)
        unsafe = self.options.extra.get("unsafe")
        return f"{line}\nUNSAFE: tests and commands ran without a sandbox (--unsafe)" if unsafe else line


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def failure_json(label: Label | None, error: BaseException) -> dict[str, Any]:
    """An error for machines."""
    if isinstance(error, ZeroRepoError):
        return {
            "label": str(label) if label else None,
            "error": redact(error.message),
            "where": error.where,
            "hint": redact(error.hint) if error.hint else None,
            "origin": str(error.origin),
        }
    return {"label": str(label) if label else None, "error": redact(str(error))}


def _test_json(report: TestReport) -> dict[str, Any]:
    counts = {str(outcome): report.count(outcome) for outcome in Outcome}
    return {"passed": report.passed, "status": report.status, "sandbox": report.sandbox, "cases": counts}


def _say_tests(tests: Mapping[Label, TestReport], *, tests_only: bool, to_stdout: bool, debugging: bool) -> None:
    for label, report in sorted(tests.items()):
        if report.passed:
            if to_stdout:
                emit(_passed(label, report))
            continue
        text = f"FAILED {label}: {report.status if report.status != 'ok' else _bad_cases(report)}"
        emit(text) if to_stdout else say(text)
        for case in report.cases:
            if case.bad:
                said = case.message.strip()
                flaky = "flaky, " if case.outcome is Outcome.FLAKY else ""
                say(f"  {case.name}: {flaky}{said.splitlines()[0 if flaky else -1] if said else case.outcome}")
        # Why there is no complete result; or what a debugging option added.
        if report.output.strip() and (debugging or report.status != "ok"):
            say(f"  {report.output.strip().splitlines()[-1]}")


def _passed(label: Label, report: TestReport) -> str:
    return f"PASSED {label} ({many(report.count(Outcome.PASSED), 'test')})"


def _bad_cases(report: TestReport) -> str:
    bad, flaky = sum(case.bad for case in report.cases), report.count(Outcome.FLAKY)
    return f"{bad} of {many(len(report.cases), 'test')}" + (f", {flaky} of them flaky" if flaky else "")


def report_dry_run(build: BuildResult, cost: Estimate | None, *, as_json: bool) -> ExitCode:
    """What would run, what may run because of it, and what is up to date."""
    roots = {label: build.skipped_by.get(label, label) for label in build.skipped}
    if as_json:
        emit_json(
            {
                "would_run": {str(label): reasons for label, reasons in sorted(build.would_run.items())},
                "may_run": {str(label): f"needs {root}" for label, root in sorted(roots.items())},
                "up_to_date": sorted(str(label) for label in build.built),
                "unknown_expansions": {str(label): sorted(last) for label, last in sorted(build.unexpanded.items())},
                "failures": [failure_json(label, error) for label, error in sorted(build.failed.items())],
                "estimate": _estimate_json(cost or Estimate()),
            }
        )
        return exit_code(BuildResult(failed=build.failed), [])
    for label, reasons in sorted(build.would_run.items()):
        emit(f"would run {label}")
        for reason in reasons:
            emit(f"    {reason}")
    for label, root in sorted(roots.items()):
        emit(f"may run   {label}  (needs {root})")
    for label, last in sorted(build.unexpanded.items()):
        emit(f"may run   what {label} declares{', which was last time:' if last else ''}")
        for declared in sorted(last):
            emit(f"    {declared}")
    for label, error in sorted(build.failed.items()):
        say(f"ERROR: {label}\n{_indent(str(error))}")
    emit(f"{many(len(build.would_run), 'target')} would run, {len(roots)} may run, {len(build.built)} are up to date")
    for line in _estimate_lines(cost or Estimate()):
        emit(line)
    return exit_code(BuildResult(failed=build.failed), [])


_METERS = {"wall_s": "seconds of actions"}


def _estimate_json(cost: Estimate) -> dict[str, Any]:
    bounds = {
        name: {"at_least": round(b.at_least, 6), "expected": round(b.expected, 6), "at_most": round(b.at_most, 6)}
        for name, b in sorted(cost.meters.items())
    }
    return {"meters": bounds, "unknown": cost.unknown, "learned_from": cost.learned}


def _estimate_lines(cost: Estimate) -> list[str]:
    lines = []
    for name, bounds in sorted(
        cost.meters.items(), key=lambda item: (item[0] == "wall_s", item[0] != "model_calls", item[0])
    ):
        if bounds.at_most:
            low, middle, high = (_amount(each) for each in (bounds.at_least, bounds.expected, bounds.at_most))
            lines.append(
                f"{_METERS.get(name, name.replace('_', ' '))}: at least {low}, expected {middle}, at most {high}"
            )
    if lines:
        lines.append(
            f"(from past runs; expected is weighted by what ran after {many(cost.learned, 'change')} before it)"
            if cost.learned
            else "(from past runs; no build with an edit has shown yet how much of it a change really calls for)"
        )
    if cost.unknown:
        lines.append(f"nothing is known of what {many(len(cost.unknown), 'target')} may take")
    return lines


def _amount(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or abs(value - round(value)) < 1e-9 else f"{value:.4g}"
