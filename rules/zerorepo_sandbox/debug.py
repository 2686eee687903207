"""Looking around in a target's world: kept after a failure (``--sandbox-debug``), or opened on purpose (``zerorepo shell``).

A world is laid out in a folder of this machine: the declared inputs in ``work``, an empty ``tmp``, and ``enter``, a script that
makes the same isolation around these two and runs its arguments there, or a shell. After a failure the request has run once more
in it, so that what it left is there. Limits on the size of a disk do not hold for such a folder. Knows nothing of how an isolation
is made.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from zerorepo.action import Action, ActionContext, ActionResult, CachePolicy
from zerorepo.digest import Digest
from zerorepo.errors import ActionFailed, TargetFailed
from zerorepo.rule import RuleContext
from zerorepo_sandbox import archive, environment
from zerorepo_sandbox.bubblewrap import SYSTEM
from zerorepo_sandbox.limits import Limits, Verdict
from zerorepo_sandbox.run_tests import RunTests, TestRun
from zerorepo_sandbox.service import Sandbox

OPTION = "sandbox_debug"
FOLDER = "sandbox-debug"
"""Below the state folder."""
_NOT_AGAIN = (Verdict.MEMORY, Verdict.DISK, Verdict.OUTPUT, Verdict.PROCESSES, Verdict.REFUSED)
"""What used up something is not done again where less is bounded."""
_OUTPUT = "output.txt"


class Laid(ActionResult):
    """Where the world is."""

    enter: str


class LayOut(Action):
    """Lay a world out in a folder, and run ``again`` in it, if it says anything."""

    mnemonic: ClassVar[str] = "SandboxDebug"
    result: ClassVar[type[ActionResult]] = Laid
    cache: ClassVar[CachePolicy] = CachePolicy.VOLATILE

    files: Mapping[str, Digest]
    executable: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    """Folders that exist besides those of the files."""
    env: Mapping[str, str]
    wheels: Mapping[str, Digest] = Field(default_factory=dict)
    tests: bool
    """Whether it is a world for tests, and not for commands."""
    tier: str
    limits: Limits
    again: tuple[str, ...] = ()
    where: str = ""
    """The folder; empty: one of its own below the state folder."""

    async def execute(self, context: ActionContext) -> Laid:
        """Write it all. A folder of the same name, from an earlier failure, is replaced."""
        sandbox = await context.service(Sandbox)
        tier = await sandbox.tier(self.tier, context)
        name = f"{context.label.package}-{context.label.name}".replace("/", "-").strip("-")
        folder = Path(self.where) if self.where else context.state_dir / FOLDER / name
        if self.tests:
            layer = await sandbox.packages(self.wheels, context.read)
            world = environment.test_world(await sandbox.site(), layer)
        else:
            world = environment.command_world(SYSTEM)
        await asyncio.to_thread(self._write, folder, context)
        entry = tier.entry(world, folder, self.limits)
        own = {**self.env, "HOME": "/tmp", "TMPDIR": "/tmp"}
        script = folder / "enter"
        script.write_text(_script(str(context.label), self.tier, own, entry, self.again), encoding="utf-8")
        script.chmod(0o755)
        if self.again:
            await _run_again(script, self.again, folder / _OUTPUT, self.limits.wall_s)
        return Laid(enter=str(script))

    def _write(self, folder: Path, context: ActionContext) -> None:
        remove(folder)
        for name in ("work", "tmp"):
            (folder / name).mkdir(parents=True)
        work = folder / "work"
        for inner in archive.parents((*self.files, *(f"{folder}/x" for folder in self.folders))):
            (work / inner).mkdir(parents=True, exist_ok=True)
        for path, digest in self.files.items():
            target = work / path
            target.write_bytes(context.read(digest))
            target.chmod(0o555 if path in self.executable else 0o444)


def remove(folder: Path) -> None:
    """Remove a world that was laid out, whatever permissions were taken away in it."""
    import shutil

    for top, names, _ in os.walk(folder):
        for name in names:
            path = Path(top) / name
            if not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _script(label: str, tier: str, env: Mapping[str, str], entry: str, again: tuple[str, ...]) -> str:
    assignments = " ".join(shlex.quote(f"{name}={value}") for name, value in sorted(env.items()))
    did = f"# What ran: {shlex.join(again)}\n".replace("\n", "\n# ").rstrip("# ") if again else ""
    return (
        f"#!/bin/sh\n# Enters the world of {label} ({tier}); with arguments, runs them there.\n{did}"
        'here=$(CDPATH= cd "$(dirname "$0")" && pwd)\n'
        # Without job control: it cannot see the process groups outside its namespace.
        "if [ $# -eq 0 ]; then set -- /bin/sh -i +m; fi\n"
        f'set -- /usr/bin/env -i {assignments} "TERM=${{TERM:-dumb}}" "$@"\n'
        f"{entry}\n"
    )


async def _run_again(script: Path, argv: tuple[str, ...], output: Path, wall_s: float) -> None:
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", str(script), *argv),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        try:
            await asyncio.wait_for(asyncio.shield(process.wait()), wall_s)
        except (TimeoutError, asyncio.CancelledError) as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            if isinstance(error, asyncio.CancelledError):
                raise


def shell_option(ctx: RuleContext[Any]) -> str:
    """The option under which ``zerorepo shell`` names the folder for this target's world: no other target sees it."""
    return f"shell {ctx.label}"


async def entered(ctx: RuleContext[Any], layout: LayOut) -> None:
    """When somebody wants a shell in this target's world: lay it out, and run nothing. Never returns then."""
    where = await ctx.option(shell_option(ctx))
    if where:
        laid = await ctx.run(layout.model_copy(update={"where": str(where)}))
        raise TargetFailed(f"`{ctx.label}` was laid out for a shell", hint=laid.enter)


async def run_tests(ctx: RuleContext[Any], action: RunTests) -> TestRun:
    """Run an action for tests, keeping its world when it fails and the build was told to."""
    layout = LayOut(
        files=action.files,
        env=action.debug_env(),
        wheels=action.wheels,
        tests=True,
        tier=action.tier,
        limits=action.limits,
    )
    await entered(ctx, layout)
    run: TestRun = await ctx.run(action)
    return await kept(ctx, run, layout, ("python3", "-P", "-m", "pytest", "-p", "no:cacheprovider", *action.tests))


async def kept(ctx: RuleContext[Any], run: TestRun, layout: LayOut, again: tuple[str, ...]) -> TestRun:
    """A failed run with the command that enters its world, when the build was told to keep it."""
    if run.report.passed or not await ctx.option(OPTION):
        return run
    if run.report.status in _NOT_AGAIN:
        again = ()
    laid: Laid = await ctx.run(layout.model_copy(update={"again": again}))
    output = f"{run.report.output}\n{hint(laid)}".lstrip("\n")
    return run.model_copy(update={"report": run.report.model_copy(update={"output": output})})


def hint(laid: Laid) -> str:
    """What to do with it, for people."""
    return f"its world is kept; to look around in it: {shlex.quote(laid.enter)}"


async def keep_failed(
    context: ActionContext, layout: LayOut, again: tuple[str, ...], error: ActionFailed
) -> ActionFailed:
    """The error of a command that failed, with the command that enters its world, when the build was told to keep it."""
    if not context.option(OPTION):
        return error
    laid = await layout.model_copy(update={"again": again}).execute(context)
    return ActionFailed(
        error.message, where=error.where, hint=f"{error.hint}\n{hint(laid)}" if error.hint else hint(laid)
    )
