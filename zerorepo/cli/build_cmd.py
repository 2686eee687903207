"""``zerorepo build`` and ``zerorepo test``: run the engine, show it, sum it up, choose the exit code."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import os
import signal
import threading
import traceback
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from zerorepo import snapshot
from zerorepo.cli import watched
from zerorepo.cli.build_report import Report, exit_code, failure_json, report_dry_run
from zerorepo.cli.common import GLOBALS, current_package, emit, emit_json, load_workspace, patterns, say, start_folder
from zerorepo.cli.progress import make_display
from zerorepo.cli.records import Records
from zerorepo.cli.summary import Summary
from zerorepo.cli.test_summary import Output, TestSummary, summary_of
from zerorepo.context import Built
from zerorepo.engine import BuildOptions, BuildResult, Engine
from zerorepo.errors import ExitCode, Interrupted, NoTestsFound, UsageError, ZeroRepoError
from zerorepo.estimate import Estimate, estimate, learn
from zerorepo.events import EventStream
from zerorepo.label import Label, Pattern, chosen
from zerorepo.looked_at import Look, LookedAt
from zerorepo.redaction import mask, redact
from zerorepo.settled import QUIET_NS
from zerorepo.target import TestReport
from zerorepo.workspace import Workspace, find_root

T = TypeVar("T")


@dataclass(slots=True)
class Request:
    """One invocation of build or test."""

    targets: list[str]
    options: BuildOptions
    refresh: list[str] = field(default_factory=list)
    tests_only: bool = False
    output: Output = Output.TEXT
    as_json: bool = False
    quiet: bool = False
    events_file: Path | None = None
    profile_file: Path | None = None


def run(request: Request) -> ExitCode:
    """Build or test, and return the exit code. ZeroRepoError when the request itself is wrong."""
    events, summary = EventStream(), Summary()
    events.subscribe(summary)
    try:
        return _run(request, events, summary)
    except ZeroRepoError as error:
        if request.as_json:  # a machine that reads stdout finds an object there whatever happened
            body = failure_json(None, error)
            emit_json({**summary.to_json(), "error": body, "exit_code": int(error.exit_code)})
        raise


def _run(request: Request, events: EventStream, summary: Summary) -> ExitCode:
    collect_less()
    look = Look(find_root(start_folder()), GLOBALS.began_ns) if _snapshot_key() is not None else None
    workspace = load_workspace()
    workspace.check_settings()
    texts = request.targets or (["//..."] if request.tests_only or not current_package(workspace) else ["..."])
    wanted = patterns(workspace, texts)
    request.options = dataclasses.replace(request.options, refresh=patterns(workspace, request.refresh))
    records = Records(events, request.events_file, request.profile_file)
    display = make_display(summary, request.options.jobs or os.cpu_count() or 1, quiet=request.as_json or request.quiet)
    if not request.quiet:
        events.subscribe(display)
    built: Mapping[Label, Built] | None = None
    try:
        result = interruptible(_build(workspace, wanted, request, events, summary, look))
        built = result.build.built
    finally:
        display.close()
        records.close(built)
    seen = [*result.build.built, *result.build.failed, *result.build.skipped, *result.build.would_run]
    if request.refresh and not any(chosen(label, request.options.refresh) for label in seen):
        say(f"--refresh {' '.join(request.refresh)}: no target of this build matches")
    if request.tests_only and not result.matched and not result.build.failed:
        raise NoTestsFound(f"No test targets match {' '.join(texts)}")
    as_text = not request.as_json and not request.quiet
    verdicts = request.tests_only and request.output is Output.TEXT
    if request.options.dry_run:
        return report_dry_run(result.build, result.estimate, as_json=request.as_json)
    report = Report(result.build, result.tests, summary, request.options)
    text = ""
    try:
        code = report.show(as_json=request.as_json, as_text=as_text, tests_only=verdicts)
        if request.tests_only and not request.as_json and (request.output is not Output.TEXT or not request.quiet):
            text = mask(_summary(result).render(request.output))
            if text:
                emit(text.removesuffix("\n"))
    except BrokenPipeError:  # whoever reads has seen enough; the verdict stands
        return exit_code(result.build, list(result.tests.values()))
    if code is ExitCode.OK and not request.refresh and result.looked_at is not None:
        _save_snapshot(workspace, request, report, result.looked_at, text)
    # Who asked for a record and did not get it must not take it for one.
    return ExitCode.BUILD_FAILED if code is ExitCode.OK and not records.complete else code


def _summary(result: _Result) -> TestSummary:
    """The verdicts of all tests that were asked for; one that could not be built has failed, and says why."""
    built = result.build.built
    missing = [label for label in result.matched if label not in built]
    why = {label: str(result.build.failed.get(label, "not built: it needs what failed")) for label in missing}
    unbuilt = {label: TestReport(passed=False, status="not built", output=redact(text)) for label, text in why.items()}
    return summary_of(built.values(), {**unbuilt, **result.tests}, result.seconds)


def collect_less() -> None:
    """A build makes many objects that stay: with Python's own thresholds a tenth of its time goes into looking at them again."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@dataclass(slots=True)
class _Result:
    build: BuildResult
    matched: list[Label]
    tests: dict[Label, TestReport]
    looked_at: LookedAt | None
    estimate: Estimate | None = None
    seconds: Mapping[Label, float] = field(default_factory=dict)
    """How long the actions of each test target took when they last ran."""


async def _build(
    workspace: Workspace,
    wanted: Sequence[Pattern],
    request: Request,
    events: EventStream,
    summary: Summary,
    look: Look | None,
) -> _Result:
    if look:
        look.begin()
    async with Engine(workspace, request.options, events) as engine:
        if look:
            look.begun(engine)
        engine.look_at(wanted)
        matched = await engine.match(wanted, tests_only=request.tests_only)
        result = await engine.collect(matched)
        looked = look.at(engine, result, matched) if look and not summary.edited and not summary.stale else None
        if request.options.dry_run:
            cost = estimate(engine, result, summary.cached_keys)
        else:
            cost = None
            if summary.meters and summary.cached_targets():
                learn(engine, result, summary.acted(), summary.new)
        if watched.is_watched():
            watched.report(engine, result)
        tests = {each.label: each.provider(TestReport) for each in result.built.values() if each.record("TestReport")}
        seconds = {label: _seconds(engine, result.built[label]) for label in tests} if request.tests_only else {}
    if result.ok and result.updated:
        looked = await _settle(workspace, wanted, request, result)
    return _Result(result, matched, tests, looked, cost, seconds)


def _seconds(engine: Engine, built: Built) -> float:
    """What the actions of a target took when they ran, be it now or in an earlier build."""
    requests = [request for group in built.trace.groups for request in group if request.kind == "action"]
    keys = {request.name.rpartition(" ")[2] for request in requests}
    return sum((engine.executor.meters(key) or {}).get("wall_s", 0.0) for key in sorted(keys))


def _snapshot_key() -> bytes | None:
    return snapshot.key_of(list(GLOBALS.argv), str(Path.cwd()))


def _save_snapshot(workspace: Workspace, request: Request, report: Report, looked: LookedAt, summary: str) -> None:
    """Let the next build of the same command line answer by looking at files alone, for as long as none of them changes.

    ``summary``: what ``test`` says after the verdicts.
    """
    key = _snapshot_key()
    if key is None or watched.uses_kept_configuration():
        return
    out, err = report.when_nothing_is_to_do(
        snapshot.WALL, as_json=request.as_json, quiet=request.quiet, tests_only=request.tests_only
    )
    with contextlib.suppress(OSError):  # a snapshot saves time and nothing else
        snapshot.write(
            str(workspace.root),
            key,
            looked.chunks,
            absent=looked.absent,
            kept=looked.kept,
            environment=looked.environment,
            out=out + summary,
            err=err,
        )


async def _settle(
    workspace: Workspace, wanted: Sequence[Pattern], request: Request, first: BuildResult
) -> LookedAt | None:
    """A checked-in file that this build wrote is an input of the next one: take it in now, so that that one does nothing.

    Runs no action: should the file call for one, the next build will say so. Answers what this second pass depended on.
    """
    await asyncio.sleep(QUIET_NS * 1.1 / 1e9)  # until the state of what was just written can be trusted
    look = Look(workspace.root, GLOBALS.began_ns) if _snapshot_key() is not None else None
    if look:
        look.begin()
    events, told = EventStream(), Summary()
    events.subscribe(told)
    async with Engine(workspace, dataclasses.replace(request.options, settling=True, refresh=()), events) as engine:
        if look:
            look.begun(engine)
        matched = await engine.match(wanted, tests_only=request.tests_only)
        result = await engine.collect(matched)
        if look is None or result.would_run or told.edited or _verdicts(result) != _verdicts(first):
            return None
        return look.at(engine, result, matched)


def _verdicts(result: BuildResult) -> dict[Label, object]:
    return {label: built.record("TestReport") for label, built in result.built.items()}


_GRACE_S = 1.5  # with the start-up of the interpreter still under the two seconds that are promised


def _stray(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An error that nobody waits for any more, of a library's background task: asyncio would print it with its traceback and
    unredacted. What concerns the build has been raised where it is waited for.
    """
    if GLOBALS.debug:
        error = context.get("exception")
        lines = traceback.format_exception(error) if isinstance(error, BaseException) else []
        say(f"{context.get('message', 'stray error')}\n{''.join(lines)}".rstrip())


def interruptible(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, or until SIGINT or SIGTERM: then everything is cancelled and Interrupted is raised.

    What is finished is on disk by then, so work that does not end within a moment (a thread that is deep in something) is
    left behind with the process.
    """

    async def main() -> T:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_stray)

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


def to_options(**given: Any) -> BuildOptions:
    """Options of the command line as the engine's."""
    extra = {name: True for name in ("unsafe", "no_wait", "sandbox_debug") if given.pop(name, False)}
    if "no_wait" in extra:
        given["keep_going"] = True  # so that everything that can be asked now is open at once
    if given.get("locked"):
        extra["locked"] = True
    if given.get("jobs") is not None and given["jobs"] < 1:
        raise UsageError("--jobs must be at least 1")
    return BuildOptions(extra=extra, **given)


__all__ = ["Request", "collect_less", "interruptible", "run", "to_options"]
