"""SIGKILL before every single effect on the disk, one after the other: the next build always ends as if nothing had happened.

A program, not a test module: it forks, which only a process without threads may do (a test worker has some).

The build runs in a forked child that kills itself at its n-th effect: an action, a file that is opened, written (or half written),
cut, synced, renamed or removed, a row, a commit. What is checked afterwards: no action that had ended runs again, every output is
whole, nothing else lies about.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import toy_rules

from zerorepo.events import Event
from zerorepo.store import Store
from zerorepo.testing import RuleRunner

TARGETS = """
[[target]]
name = "x"
rule = "cat"
srcs = ["a"]

[[target]]
name = "y"
rule = "cat"
srcs = ["big"]
deps = [":x"]

[[target]]
name = "plan"
rule = "expand"
plan = "plan.txt"

[[target]]
name = "l"
rule = "lock"
src = "a"
"""
BUILD = "one build"
FILES: dict[str, str | bytes] = {"zerorepo.toml": TARGETS, "a": "A", "big": "b" * 40_000, "plan.txt": "p a a\nq a big"}


class Killer:
    """Counts effects and kills the process before the n-th."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self) -> None:
        if self.is_now():
            os.kill(os.getpid(), signal.SIGKILL)

    def is_now(self) -> bool:
        """Whether this effect is the one."""
        self.left -= 1
        return self.left == 0

    def watch(self) -> None:
        """Before, after and within each effect: files through the audit hook and ``os``, rows and commits through the stores."""
        folders = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.utime")

        def hook(event: str, args: tuple[object, ...]) -> None:
            if event in folders and (
                event != "open" or (isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR))
            ):
                self()

        sys.addaudithook(hook)
        write = os.write

        def torn(handle: int, data: bytes) -> int:
            self()
            if self.is_now():
                write(handle, data[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            count = write(handle, data)
            self()
            return count

        os.write = torn
        os.ftruncate, os.fsync = self.around(os.ftruncate), self.around(os.fsync)
        os.rename, os.replace, os.unlink = (self.after(each) for each in (os.rename, os.replace, os.unlink))
        connection = Store._con.fget
        assert connection is not None
        Store._con = property(lambda store: Counted(connection(store), self))  # type: ignore[assignment]
        toy_rules.Cat.execute = self.within(toy_rules.Cat.execute)  # type: ignore[method-assign]

    def around(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **more: Any) -> Any:
            self()
            found = real(*args, **more)
            self()
            return found

        return counted

    def after(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **more: Any) -> Any:
            found = real(*args, **more)
            self()
            return found

        return counted

    def within(self, real: Callable[..., Any]) -> Callable[..., Any]:
        async def counted(*args: Any) -> Any:
            self()
            found = await real(*args)
            self()
            return found

        return counted


class Counted:
    """A connection of a store: before and after each statement that changes something, the commit among them."""

    def __init__(self, real: Any, killer: Killer) -> None:
        self._real = real
        self._killer = killer

    def execute(self, query: str, *args: Any) -> Any:
        if query.startswith(("SELECT", "PRAGMA")):
            return self._real.execute(query, *args)
        return self._killer.around(self._real.execute)(query, *args)

    def executemany(self, query: str, *args: Any) -> Any:
        return self._killer.around(self._real.executemany)(query, *args)


def build_logged(runner: RuleRunner, log: Path, killer: Killer | None = None) -> None:
    """Build, and write down each action that has ended."""
    done, append = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), os.write

    def write(event: Event) -> None:
        if event.kind == "action" and event.new == "done":
            append(done, f"{event.id}\n".encode())

    if killer:
        killer.watch()
    runner.build_ok(subscriber=write, jobs=1)


def build_in_child(runner: RuleRunner, at: int, log: Path) -> bool:
    """Build in a fork that dies at its ``at``-th effect; whether it got to the end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            build_logged(runner, log, Killer(at))
            code = 0
        except BaseException:  # noqa: BLE001  (a forked child must not return into the test runner)
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return not os.WIFSIGNALED(status)


def build_until_system_call(runner: RuleRunner, at: int, log: Path) -> bool:
    """Build in a process that strace kills as it enters its ``at``-th call by which SQLite writes; whether it got to the end."""
    calls = "pwrite64,fdatasync,fsync,ftruncate"
    traced = [
        "strace",
        "-f",
        "-qq",
        "-o",
        os.devnull,
        "-e",
        f"trace={calls}",
        "-e",
        f"inject={calls}:signal=SIGKILL:when={at}",
    ]
    status = subprocess.run(
        [*traced, sys.executable, __file__, str(runner.root), BUILD, str(log)], check=False
    ).returncode
    assert status in (0, -signal.SIGKILL, 128 + signal.SIGKILL), status
    return status == 0


def everything(root: Path) -> set[str]:
    kept = {".zerorepo/state", ".zerorepo/cache"}
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return {path for path in files if not any(path.startswith(each) for each in kept)}


def check(runner: RuleRunner, log: Path, expected: dict[str, bytes], lock: bytes, where: str) -> None:
    finished = set(log.read_text().split()) if log.exists() else set()
    run = runner.build_ok()
    executed = {event.id for event in run.events if event.kind == "action" and event.new == "done"}
    assert not executed & finished, where
    assert run.notes("edited output left alone") == [], where
    assert runner.outputs() == expected, where
    assert runner.read("toy.lock") == lock
    assert everything(runner.root) == {*FILES, "toy.lock", *(f"out/{path}" for path in expected)}, where
    assert not [*(runner.root / ".zerorepo").rglob(".zr-*"), *(runner.root / ".zerorepo").rglob("journal-*")], where
    assert runner.build_ok().ran == [], where


def edited_workspace(folder: Path) -> RuleRunner:
    """A workspace that was built, and then changed in several ways."""
    runner = RuleRunner(folder, FILES, rule_sets=[toy_rules.RULE_SET])
    runner.build_ok()
    runner.write("a", "C")
    runner.write("plan.txt", "p a a\nr a")
    return runner


def kill_at_every_system_call(tmp_path: Path) -> int:
    """As below, from outside and at calls that no Python makes: in the middle of SQLite's transactions and checkpoints."""
    everywhere = bool(os.environ.get("ZEROREPO_CRASH_ALL"))
    at = 1
    while True:
        runner, log = edited_workspace(tmp_path / f"ws{at}"), tmp_path / f"log{at}"
        whole = build_until_system_call(runner, at, log)
        expected = {"x": b"C", "y": b"b" * 40_000 + b"C", "gen/p": b"CC", "gen/r": b"C"}
        check(runner, log, expected, b"C", f"killed at system call {at}")
        shutil.rmtree(runner.root)
        if whole:
            assert at > 1, "strace has killed nothing"
            return at
        at += 1 if everywhere else 11


STRIDE = 11  # a prime, so that no scenario meets always the same kind of effect


def kill_at_every_effect(tmp_path: Path, after: str) -> int:
    """``after`` is what came before the build that is killed, and perhaps what comes after. Returns the number of effects."""
    everywhere = bool(os.environ.get("ZEROREPO_CRASH_ALL"))
    at, step = (1, 1) if everywhere else (1 + len(after) % STRIDE, STRIDE)
    while True:
        runner = RuleRunner(tmp_path / f"ws{at}", FILES, rule_sets=[toy_rules.RULE_SET])
        log = tmp_path / f"log{at}"
        if after == "a build and renames":
            runner.build_ok()
            runner.write("zerorepo.toml", TARGETS.replace('"x"', '"z"').replace(":x", ":z"))
            runner.write("plan.txt", "p a a\nr a big")
        elif after not in ("nothing", "nothing, killed again and again"):
            runner = edited_workspace(runner.root)
        whole = build_in_child(runner, at, log)
        if after.endswith("again and again"):
            for part in (2, 3, 2):
                build_in_child(runner, at // part + 1, log)
        if after == "a build, a kill and another edit":
            log.unlink(missing_ok=True)
            runner.write("a", "D")
        letter = runner.read("a")
        big = b"b" * 40_000
        expected = {"x": letter, "y": big + letter, "gen/p": letter * 2}
        expected |= {"gen/q": letter + big} if after.startswith("nothing") else {"gen/r": letter}
        if after == "a build and renames":
            expected = {"z": letter, "y": big + letter, "gen/p": letter * 2, "gen/r": letter + big}
        check(runner, log, expected, letter, f"killed at effect {at} after {after}")
        shutil.rmtree(runner.root)
        if whole:
            return at
        at += step


def build_at_once(tmp_path: Path) -> None:
    """Four builds of one workspace at the same time."""
    targets = "".join(f'[[target]]\nname = "t{n}"\nrule = "cat"\nsrcs = ["a", "s{n % 7}"]\n' for n in range(60))
    files = {"zerorepo.toml": targets, "a": "A", **{f"s{n}": str(n) * 20_000 for n in range(7)}}
    runner = RuleRunner(tmp_path, files, rule_sets=[toy_rules.RULE_SET])
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                runner.build_ok()
                code = 0
            except BaseException:  # noqa: BLE001  (a forked child must not return into the test runner)
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    run = runner.build_ok()
    assert (run.ran, run.notes("edited output left alone")) == ([], [])
    assert runner.outputs() == {f"t{n}": b"A" + (str(n % 7) * 20_000).encode() for n in range(60)}


if __name__ == "__main__":
    folder, scenario = Path(sys.argv[1]), sys.argv[2]
    if scenario == BUILD:
        build_logged(RuleRunner(folder, {"zerorepo.toml": TARGETS}, rule_sets=[toy_rules.RULE_SET]), Path(sys.argv[3]))
    elif scenario == "at once":
        build_at_once(folder)
    elif scenario == "system calls":
        print(kill_at_every_system_call(folder), "system calls")
    else:
        print(kill_at_every_effect(folder, scenario), "effects")
