"""The actions ``RunCommand`` and ``TestCommand``: one shell command in a fresh world that holds its declared inputs.

Inputs go in and outputs come out as a tar stream that the same shell unpacks and packs, so that a run costs one process start
and leaves nothing on this machine. Knows nothing of where inputs come from or outputs go.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Annotated, ClassVar

from zerorepo.action import Action, ActionContext, ActionResult
from zerorepo.digest import Digest
from zerorepo.errors import ActionFailed, EnvironmentFailure
from zerorepo.target import Outcome, TestCase, TestReport
from zerorepo.values import COSMETIC
from zerorepo_sandbox import archive, debug, environment
from zerorepo_sandbox.bubblewrap import SYSTEM
from zerorepo_sandbox.limits import COMMAND_LIMITS, Limits, Verdict
from zerorepo_sandbox.run_tests import TestRun
from zerorepo_sandbox.service import Sandbox
from zerorepo_sandbox.tier import Capture, Ended

_SHOWN_LINES = 30
_KEPT = 64 << 10
_ENTERED = b"\x1ezerorepo\x1e\n"
"""The shell's first words: without them the world was never entered, and an exit code says nothing of the command."""
_SCRIPT = r"""
printf '\036zerorepo\036\n' >&2
limit() { ulimit "$@" 2>/dev/null; }
limit -c 0; limit -t "$1"; limit -f "$2"; [ "$3" = 0 ] || limit -u "$3" || limit -p "$3"
echo 1000 2>/dev/null >/proc/self/oom_score_adj
[ "$4" = 0 ] || tar -xf - || exit 125
exec </dev/null
command=$5
shift 5
sh -eu -c "$command" >&2
code=$?
[ $code = 0 ] || exit $code
for path; do shift; if [ -e "$path" ] || [ -h "$path" ]; then set -- "$@" "$path"; fi; done
[ $# = 0 ] || exec tar --format=ustar --no-recursion -cf - -- "$@"
"""


class CommandResult(ActionResult):
    """Outputs of a command: path to content, and which of them may be executed. ``output`` is the last of what it printed."""

    outputs: Mapping[str, Digest]
    executable: tuple[str, ...] = ()
    output: str = ""


class _Shell(Action):
    """What the two actions share. ``cmd`` runs under ``sh -eu`` in the folder that stands for the workspace."""

    cmd: str
    files: Mapping[str, Digest]
    """Workspace-relative path to content: sources and outputs of dependencies."""
    srcs: tuple[str, ...] = ()
    """``$SRCS``: those of ``files`` that are sources."""
    deps_paths: tuple[str, ...] = ()
    """``$DEPS``: those that are outputs of dependencies."""
    executable: tuple[str, ...] = ()
    """Those that may be executed."""
    tier: str

    def describe(self) -> str:
        """The start of the command."""
        return " ".join(self.cmd.split())[:60]

    async def _run(self, context: ActionContext, limits: Limits, outs: tuple[str, ...]) -> Ended:
        sandbox = await context.service(Sandbox)
        tier = await sandbox.tier(self.tier, context)
        stdin = archive.pack(self.files, context.read, self.executable, archive.parents((*outs, *self.files)))
        async with tier.place(environment.command_world(SYSTEM), limits) as place:
            processes = limits.processes if place.counts_processes else 0
            # ulimit -f counts blocks of 512 bytes.
            numbers = (limits.cpu_s, limits.file_mb << 11, processes, int(bool(stdin)))
            ended = await place.run(
                ("/bin/sh", "-c", _SCRIPT, "sh", *map(str, numbers), self.cmd, *outs),
                stdin=stdin,
                env=self._env(place.tmp, outs),
                limits=limits,
                capture=Capture(stdout=(limits.disk_mb << 20) + (1 << 20), stderr=limits.output_kb << 10, keep=_KEPT),
            )
        if _ENTERED not in ended.stderr and ended.stopped is None and len(ended.stderr) < _KEPT:
            said = ended.stderr.decode("utf-8", "replace").strip() or f"exit code {ended.code}"
            raise EnvironmentFailure(
                f"The sandbox could not be entered: {said}",
                hint="`zerorepo info` shows which isolation works on this machine",
            )
        return ended

    def layout(self, limits: Limits, outs: tuple[str, ...]) -> debug.LayOut:
        """Its world, for debugging."""
        return debug.LayOut(
            files=self.files,
            executable=self.executable,
            folders=tuple(archive.parents(outs)),
            env=self._env("/tmp", outs),
            tests=False,
            tier=self.tier,
            limits=limits,
        )

    def again(self) -> tuple[str, ...]:
        """The command alone, for debugging."""
        return ("/bin/sh", "-eu", "-c", self.cmd)

    def _env(self, tmp: str, outs: tuple[str, ...]) -> dict[str, str]:
        return {
            "PATH": environment.search_path(),
            "HOME": tmp,
            "TMPDIR": tmp,
            "USER": "sandbox",
            "LOGNAME": "sandbox",
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "SRCS": " ".join(self.srcs),
            "DEPS": " ".join(self.deps_paths),
            "OUTS": " ".join(outs),
        }


def _printed(ended: Ended) -> str:
    """The last lines of what the command printed."""
    text = ended.stderr.rpartition(_ENTERED)[2].decode("utf-8", "replace")
    return "\n".join(text.rstrip().splitlines()[-_SHOWN_LINES:])


_STOPPED = {
    Verdict.TIMEOUT: "did not end within {0.wall_s:g} s",
    Verdict.MEMORY: "used more than {0.memory_mb} MB of memory",
    Verdict.DISK: "made more than {0.inodes} files",
    Verdict.OUTPUT: "printed more than {0.output_kb} KB, or its outputs are larger than {0.disk_mb} MB",
}


def _went_wrong(ended: Ended, limits: Limits) -> str:
    """What the command did wrong, as the end of a sentence; empty when nothing."""
    if ended.stopped is not None:
        return _STOPPED[ended.stopped].format(limits)
    if ended.code == 128 + signal.SIGXFSZ:
        return f"wrote a file of more than {limits.file_mb} MB"
    if ended.code == 128 + signal.SIGXCPU:
        return f"used more than {limits.cpu_s} s of processor time"
    if ended.code > 128:
        return f"was ended by signal {ended.code - 128}"
    return f"exited with code {ended.code}" if ended.code else ""


class RunCommand(_Shell):
    """A build command. ActionFailed when it exits with another code than 0, reaches a limit, or leaves an output out."""

    mnemonic: ClassVar[str] = "Command"
    result: ClassVar[type[ActionResult]] = CommandResult

    outs: tuple[str, ...]
    """``$OUTS``: paths of the files it must make; the folders above them exist."""
    # Reaching a limit is a failure and never remembered, so another limit is no other action.
    limits: Annotated[Limits, COSMETIC] = COMMAND_LIMITS

    async def execute(self, context: ActionContext) -> CommandResult:
        """Run it, and take what it was to make."""
        try:
            return await self._make(context)
        except ActionFailed as error:
            layout = self.layout(self.limits, self.outs)
            raise await debug.keep_failed(context, layout, self.again(), error) from error

    async def _make(self, context: ActionContext) -> CommandResult:
        ended = await self._run(context, self.limits, self.outs)
        if wrong := _went_wrong(ended, self.limits):
            raise ActionFailed(f"The command {wrong}", hint=_printed(ended) or "it printed nothing")
        try:
            taken = archive.unpack(ended.stdout, self.outs, self.limits.file_mb << 20) if ended.stdout else {}
        except archive.Refused as error:
            raise ActionFailed(f"An output of the command is refused: {error}", hint=_printed(ended) or None) from error
        if missing := [path for path in self.outs if path not in taken]:
            names = ", ".join(f"`{path}`" for path in missing)
            raise ActionFailed(f"The command did not make its output {names}", hint=_printed(ended) or None)
        return CommandResult(
            outputs={path: context.write(taken[path].data) for path in self.outs},
            executable=tuple(path for path in self.outs if taken[path].executable),
            output=_printed(ended),
        )


class TestCommand(_Shell):
    """A command that is a test: exit code 0 passes, all else is a failing verdict."""

    __test__ = False
    mnemonic: ClassVar[str] = "TestCommand"
    result: ClassVar[type[ActionResult]] = TestRun

    limits: Limits = COMMAND_LIMITS

    async def execute(self, context: ActionContext) -> TestRun:
        """Run it, and report on it as one test case."""
        ended = await self._run(context, self.limits, ())
        wrong, output = _went_wrong(ended, self.limits), _printed(ended)
        outcome = Outcome.FAILED if wrong else Outcome.PASSED
        message = f"the command {wrong}\n{output}".rstrip() if wrong else ""
        return TestRun(
            report=TestReport(
                passed=not wrong,
                status=(ended.stopped or Verdict.OK).value,
                cases=(TestCase(name="command", outcome=outcome, message=message),),
                output=output,
                sandbox=self.tier,
            )
        )
