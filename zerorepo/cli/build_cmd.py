"""``zerorepo build`` and ``zerorepo test``: run the engine, show it, sum it up, choose the exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeVar

from zerorepo.analysis import check_declared
from zerorepo.cli.common import current_package, emit, emit_json, load_workspace, patterns, say
from zerorepo.cli.progress import make_display
from zerorepo.cli.summary import Summary
from zerorepo.context import Built
from zerorepo.engine import BuildOptions, BuildResult, Engine
from zerorepo.errors import ExitCode, Interrupted, NoTestsFound, UsageError, ZeroRepoError
from zerorepo.events import EventStream
from zerorepo.label import Label, Pattern
from zerorepo.target import Outcome, TestReport
from zerorepo.workspace import Workspace

T = TypeVar("T")


@dataclass(slots=True)
class Request:
    """One invocation of build or test."""

    targets: list[str]
    options: BuildOptions
    tests_only: bool = False
    as_json: bool = False
    quiet: bool = False
    events_file: Path | None = None


def run(request: Request) -> ExitCode:
    """Build or test, and return the exit code. ZeroRepoError when the request itself is wrong."""
    events, summary = EventStream(), Summary()
    events.subscribe(summary)
    try:
        return _run(request, events, summary)
    except ZeroRepoError as error:
        if request.as_json:  # a machine that reads stdout finds an object there whatever happened
            body = _failure(None, error)
            emit_json({**summary.to_json(), "error": body, "exit_code": int(error.exit_code)})
        raise


def _run(request: Request, events: EventStream, summary: Summary) -> ExitCode:
    workspace = load_workspace()
    workspace.check_settings()
    texts = request.targets or (["//..."] if request.tests_only or not current_package(workspace) else ["..."])
    wanted = patterns(workspace, texts)
    log = _open_log(request.events_file)
    display = make_display(summary, request.options.jobs or os.cpu_count() or 1, quiet=request.as_json or request.quiet)
    if not request.quiet:
        events.subscribe(display)
    if log:
        events.subscribe(lambda event: print(event.to_json(), file=log))
    try:
        result = interruptible(_build(workspace, wanted, request, events))
    finally:
        display.close()
        if log:
            log.close()
    if request.tests_only and not result.matched and not result.build.failed:
        raise NoTestsFound(f"No test targets match {' '.join(texts)}")
    return _report(request, result, summary)


def _open_log(path: Path | None) -> TextIO | None:
    try:
        # Line by line: what a killed build had finished is in the file.
        return path.open("w", encoding="utf-8", buffering=1) if path else None
    except OSError as error:
        raise UsageError(f"Cannot write the events: {error.strerror}", where=str(path)) from None


@dataclass(slots=True)
class _Result:
    build: BuildResult
    matched: list[Label]
    tests: dict[Label, TestReport]
    engine: Engine


async def _build(workspace: Workspace, wanted: Sequence[Pattern], request: Request, events: EventStream) -> _Result:
    async with Engine(workspace, request.options, events) as engine:
        static = [t.label for t in engine.table.static() if any(p.matches(t.label) for p in wanted if not p.negative)]
        check_declared(engine.table, static)
        matched = await engine.match(wanted, tests_only=request.tests_only)
        result = await engine.collect(matched)
        tests = {label: _report_of(built) for label, built in result.built.items() if built.record("TestReport")}
        return _Result(result, matched, tests, engine)


def _report_of(built: Built) -> TestReport:
    return built.provider(TestReport)


_GRACE_S = 1.5  # with the start-up of the interpreter still under the two seconds that are promised


def interruptible(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, or until SIGINT or SIGTERM: then everything is cancelled and Interrupted is raised.

    What is finished is on disk by then, so work that does not end within a moment (a thread that is deep in something) is
    left behind with the process.
    """

    async def main() -> T:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()

        # Not the loop's own signal handling, which waits for its turn: an action may be keeping the loop from turning.
        def stop(number: int, frame: object) -> None:
            if stopped:
                os._exit(ExitCode.INTERRUPTED)  # asked twice: the user wants out now
            stopped.append(number)
            loop.call_soon_threadsafe(task.cancel)
            timer = threading.Timer(_GRACE_S, lambda: os._exit(ExitCode.INTERRUPTED))
            timer.daemon = True
            timer.start()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        return await task

    stopped: list[int] = []
    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise Interrupted("Interrupted", hint="what was finished is kept; build again to go on") from None
    except Exception:
        if stopped:  # what failed while it was being stopped failed because of that
            raise Interrupted("Interrupted", hint="what was finished is kept; build again to go on") from None
        raise


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


def _report(request: Request, result: _Result, summary: Summary) -> ExitCode:
    if request.options.dry_run:
        return _report_dry_run(request, result, summary)
    code = exit_code(result.build, list(result.tests.values()))
    unsafe = bool(request.options.extra.get("unsafe"))
    if request.as_json:
        body: dict[str, Any] = summary.to_json()
        body["failures"] = [_failure(label, error) for label, error in sorted(result.build.failed.items())]
        body["tests"] = {str(label): _test_json(report) for label, report in sorted(result.tests.items())}
        body["unsafe"] = unsafe
        body["exit_code"] = int(code)
        emit_json(body)
    for label, error in sorted(result.build.failed.items()):
        say(f"\nERROR: {label}\n{_indent(error.render() if isinstance(error, ZeroRepoError) else repr(error))}")
    _say_tests(request, result.tests)
    if not request.quiet and not request.as_json:
        say(_last_line(summary, result, unsafe))
    for path in summary.edited:
        say(f"kept your edit of {path} (--overwrite replaces it)")
    return code


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _failure(label: Label | None, error: BaseException) -> dict[str, Any]:
    if isinstance(error, ZeroRepoError):
        return {
            "label": str(label) if label else None,
            "error": error.message,
            "where": error.where,
            "hint": error.hint,
            "origin": str(error.origin),
        }
    return {"label": str(label) if label else None, "error": str(error)}


def _test_json(report: TestReport) -> dict[str, Any]:
    counts = {str(outcome): report.count(outcome) for outcome in Outcome}
    return {"passed": report.passed, "status": report.status, "sandbox": report.sandbox, "cases": counts}


def _say_tests(request: Request, tests: dict[Label, TestReport]) -> None:
    for label, report in sorted(tests.items()):
        if report.passed:
            if request.tests_only and not request.as_json:
                emit(f"PASSED {label} ({report.count(Outcome.PASSED)} tests)")
            continue
        text = f"FAILED {label}: {report.status if report.status != 'ok' else _bad_cases(report)}"
        say(text) if request.as_json or not request.tests_only else emit(text)
        for case in report.cases:
            if case.outcome in (Outcome.FAILED, Outcome.ERROR):
                say(f"  {case.name}: {case.message.strip().splitlines()[-1] if case.message.strip() else case.outcome}")


def _bad_cases(report: TestReport) -> str:
    bad = report.count(Outcome.FAILED) + report.count(Outcome.ERROR)
    return f"{bad} of {len(report.cases)} tests"


def _last_line(summary: Summary, result: _Result, unsafe: bool) -> str:
    built, failed, skipped = summary.count("done", "cached"), summary.count("failed"), summary.count("skipped")
    parts = [f"{built} targets built"]
    if failed or skipped:
        parts.append(f"{failed} failed, {skipped} skipped")
    parts.append(
        f"{summary.executed} actions run, {summary.cached} from cache"
        if summary.executed or summary.cached
        else "nothing to do"
    )
    if result.tests:
        bad = sum(not report.passed for report in result.tests.values())
        parts.append(f"{len(result.tests) - bad} of {len(result.tests)} test targets passed")
    if summary.model_calls:
        parts.append(f"{summary.model_calls} model calls, ${summary.cost_usd:.4f}")
    parts.append(f"{summary.wall_s():.1f}s")
    line = " · ".join(parts)
    return f"{line}\nUNSAFE: tests and commands ran without a sandbox (--unsafe)" if unsafe else line


def _report_dry_run(request: Request, result: _Result, summary: Summary) -> ExitCode:
    build = result.build
    may = dict(build.skipped)
    if request.as_json:
        body = {
            "would_run": {str(label): reasons for label, reasons in sorted(build.would_run.items())},
            "may_run": {str(label): why for label, why in sorted(may.items())},
            "up_to_date": sorted(str(label) for label in build.built),
            "failures": [_failure(label, error) for label, error in sorted(build.failed.items())],
        }
        emit_json(body)
    else:
        for label, reasons in sorted(build.would_run.items()):
            emit(f"would run {label}")
            for reason in reasons:
                emit(f"    {reason}")
        for label, why in sorted(may.items()):
            emit(
                f"may run   {label}\n    {why.replace('could not be built', 'would run').replace('failed', 'would run')}"
            )
        for label, error in sorted(build.failed.items()):
            say(f"ERROR: {label}\n{_indent(str(error))}")
        emit(f"{len(build.would_run)} targets would run, {len(may)} may run, {len(build.built)} are up to date")
    return exit_code(BuildResult(failed=build.failed), [])


def to_options(**given: Any) -> BuildOptions:
    """Options of the command line as the engine's."""
    extra = {name: True for name in ("unsafe", "no_wait") if given.pop(name, False)}
    if "no_wait" in extra:
        given["keep_going"] = True  # so that everything that can be asked now is open at once
    if given.get("locked"):
        extra["locked"] = True
    if given.get("jobs") is not None and given["jobs"] < 1:
        raise UsageError("--jobs must be at least 1")
    return BuildOptions(extra=extra, **given)


__all__ = ["Request", "exit_code", "interruptible", "run", "to_options"]
