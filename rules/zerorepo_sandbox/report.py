"""From what a runner said to a verdict. Fails closed: what is missing, doubtful or contradicts itself does not pass.

Knows nothing of how the runner was run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, ValidationError

from zerorepo.errors import EnvironmentFailure
from zerorepo.target import Outcome, TestCase
from zerorepo_sandbox.limits import Verdict
from zerorepo_sandbox.tier import Ended

_SHOWN = 16 << 10
_TESTS_FAILED = 1
"""pytest's exit code when tests failed, as the canaries always do."""
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,16}\b")
_SECONDS = re.compile(r"\bin \d+\.\d+s\b")


class _Event(BaseModel):
    model_config = ConfigDict(extra="forbid")
    event: str
    name: str = ""
    outcome: str = ""
    message: str = ""
    count: int = 0
    code: int = 0
    canaries: list[str] = []
    files: dict[str, tuple[list[int], list[int]]] = {}


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    entered: bool
    trouble: str
    stopped: Verdict | None
    starved: bool
    code: int
    intact: bool
    secret: str
    events: list[_Event]
    output: str
    work: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict with what supports it. ``why`` is for people, empty when the run was complete."""

    verdict: Verdict
    why: str = ""
    cases: tuple[TestCase, ...] = ()
    output: str = ""
    coverage: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    """File to (executed, missing) line numbers."""
    apart: str | None = None
    """Empty when the tests ran in a process of their own and all they did could cross; else why it could not; None: not tried."""
    starved: bool = False
    """The time limit was reached while the machine was too busy to run it: this says nothing of the code."""

    @property
    def passed(self) -> bool:
        """The run was complete, and no test went wrong."""
        return self.verdict is Verdict.OK and all(c.outcome in (Outcome.PASSED, Outcome.SKIPPED) for c in self.cases)


def judge_run(ended: Ended, hidden: Mapping[str, str]) -> Judged:
    """The verdict of a run in a place of its own: the worker's greeting, and one answer."""
    stderr = _clean(ended.stderr.decode("utf-8", "replace"), hidden)
    if ended.stopped is not None:
        return Judged(ended.stopped, WHY[ended.stopped], output=stderr)
    found = _frames(ended.stdout)
    if not found:
        raise EnvironmentFailure(
            f"The sandbox could not be entered (exit code {ended.code}): {stderr.strip() or 'it said nothing'}",
            hint=_HINT,
        )
    if len(found) != 2:
        return Judged(Verdict.CRASH, f"the test runner was killed (exit code {ended.code})", output=stderr)
    return judge(found[1], hidden)


def judge(answer: bytes, hidden: Mapping[str, str]) -> Judged:
    """The verdict of a worker's answer. ``hidden`` maps texts that differ from run to run to what is shown instead.

    EnvironmentFailure when the world could not even be entered: that says nothing of the tests.
    """
    try:
        read = _Answer.model_validate(json.loads(answer))
    except (ValidationError, ValueError):
        return Judged(Verdict.TAMPERED, "the report is malformed")
    if read.trouble or (not read.entered and read.stopped is None):
        said = read.trouble or read.output.strip() or f"it said nothing ({_exit(read.code)})"
        raise EnvironmentFailure(f"The sandbox could not be entered: {said}", hint=_HINT)
    return _judge_answer(read, {read.work: "/work", **hidden})


def _frames(data: bytes) -> list[bytes]:
    """Whole frames; empty when it does not start with one, and a last one that is cut short is left out."""
    found = []
    while len(data) >= 4:
        size = int.from_bytes(data[:4], "big")
        if len(data) < 4 + size:
            break
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found


_HINT = "`zerorepo info` shows which isolation works on this machine"
WHY = {
    Verdict.TIMEOUT: "the time limit was reached",
    Verdict.CPU: "the processes together used more processor time than allowed",
    Verdict.PROCESSES: "as many processes and threads ran at once as are allowed",
    Verdict.MEMORY: "the processes together used more memory than allowed",
    Verdict.DISK: "more was written, or more files were made, than allowed",
    Verdict.OUTPUT: "more was printed or reported than allowed",
}


_CUT_SHORT = frozenset(WHY) | {Verdict.CRASH}


def _judge_answer(answer: _Answer, hidden: Mapping[str, str]) -> Judged:
    ends = [event for event in answer.events if event.event == "end"]
    canaries = set(ends[0].canaries) if ends else set()
    cases, coverage, running, apart = [], {}, "", None
    for event in answer.events:
        if event.event == "start":
            running = event.name
        elif event.event == "apart":
            apart = event.message
        elif event.event == "coverage":
            coverage = {path: (tuple(done), tuple(missing)) for path, (done, missing) in sorted(event.files.items())}
        elif event.event == "case" and event.name not in canaries and answer.secret not in event.message:
            message = _clean(event.message, hidden)
            cases.append(TestCase(name=event.name, outcome=_outcome(event.outcome), message=message))
            running = ""
    verdict, why = _verdict(answer, ends, canaries, cases)
    if running and running not in canaries and verdict in _CUT_SHORT:
        why += f", while `{running}` was running"
    output = _clean(answer.output, hidden)
    return Judged(verdict, why, tuple(cases), output, coverage if verdict is Verdict.OK else {}, apart, answer.starved)


def _verdict(answer: _Answer, ends: list[_Event], canaries: set[str], cases: list[TestCase]) -> tuple[Verdict, str]:
    if answer.stopped is not None:
        return answer.stopped, WHY[answer.stopped]
    if not answer.intact:
        return Verdict.TAMPERED, "something else wrote into the report"
    if tripped := [event.message for event in answer.events if event.event == "tripped"]:
        return Verdict.TAMPERED, tripped[0]
    if not ends:
        return Verdict.CRASH, f"the tests ended without a report ({_exit(answer.code)})"
    if len(ends) > 1 or answer.events[-1] is not ends[0]:
        return Verdict.TAMPERED, "the report goes on after its end"
    collected = [event.count for event in answer.events if event.event == "collected"]
    if ends[0].code != _TESTS_FAILED and len(collected) != 1:
        return Verdict.CRASH, f"pytest gave up (exit code {ends[0].code})"
    failed = {
        event.name
        for event in answer.events
        if event.event == "case" and event.outcome == "failed" and answer.secret in event.message
    }
    if ends[0].code == 2:
        return Verdict.CRASH, "a test interrupted pytest"
    if len(canaries) != 2 or failed != canaries or ends[0].code != _TESTS_FAILED:
        return Verdict.TAMPERED, "a test that must fail did not"
    names = [event.name for event in answer.events if event.event == "start"]
    if len(set(names)) != len(names) or len(names) != collected[0] + len(canaries):
        return Verdict.TAMPERED, "not every test that was found was run once"
    if all(case.outcome is Outcome.SKIPPED for case in cases):
        return Verdict.NO_TESTS, "every test was skipped" if cases else "no test was found"
    return Verdict.OK, ""


def _outcome(text: str) -> Outcome:
    """What one run can end with; anything else, also what only several runs can show, is no outcome."""
    known = (Outcome.PASSED, Outcome.FAILED, Outcome.ERROR, Outcome.SKIPPED)
    return next((each for each in known if each == text), Outcome.ERROR)


def _exit(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _clean(text: str, hidden: Mapping[str, str]) -> str:
    """Without what differs from run to run (temporary paths, addresses, times): equal behaviour has equal results."""
    for found, shown in hidden.items():
        text = text.replace(found, shown)
    return _SECONDS.sub("in …s", _ADDRESS.sub("0x…", text))[-_SHOWN:]
