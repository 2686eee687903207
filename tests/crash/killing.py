"""SIGKILL before every single effect on the disk, one after the other: the next build always ends as if nothing had happened.

A program, not a test module: it forks, which only a process without threads may do (a test worker has some).

The build runs in a forked child that kills itself at its n-th write, rename, removal or row. What is checked afterwards: no action
that had ended runs again, every output is whole, nothing else lies about.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import diskcache
import toy_rules

from zerorepo.events import Event
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
FILES: dict[str, str | bytes] = {"zerorepo.toml": TARGETS, "a": "A", "big": "b" * 40_000, "plan.txt": "p a a\nq a big"}


class Killer:
    """Counts effects and kills the process before the n-th."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """Before each effect: files through the audit hook, rows of the stores and their commits through diskcache."""
        folders = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.utime")

        def hook(event: str, args: tuple[object, ...]) -> None:
            if event in folders and (
                event != "open" or (isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR))
            ):
                self()

        sys.addaudithook(hook)
        insert, update = diskcache.Cache._row_insert, diskcache.Cache._row_update

        def counted(real: Callable[..., None]) -> Callable[..., None]:
            def wrapped(*args: object) -> None:
                self()
                real(*args)
                self()  # within the transaction: it must be rolled back

            return wrapped

        diskcache.Cache._row_insert, diskcache.Cache._row_update = counted(insert), counted(update)


def build_in_child(runner: RuleRunner, at: int, log: Path) -> bool:
    """Build in a fork that dies at its ``at``-th effect; whether it got to the end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            done = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

            def write(event: Event) -> None:
                if event.kind == "action" and event.new == "done":
                    os.write(done, f"{event.id}\n".encode())

            Killer(at).watch()
            runner.build_ok(subscriber=write, jobs=1)
            code = 0
        except BaseException:  # noqa: BLE001  (a forked child must not return into the test runner)
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return not os.WIFSIGNALED(status)


def everything(root: Path) -> set[str]:
    kept = {".zerorepo/state", ".zerorepo/cache"}
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return {path for path in files if not any(path.startswith(each) for each in kept)}


def check(runner: RuleRunner, log: Path, expected: dict[str, bytes], lock: bytes) -> None:
    finished = set(log.read_text().split()) if log.exists() else set()
    run = runner.build_ok()
    executed = {event.id for event in run.events if event.kind == "action" and event.new == "done"}
    assert not executed & finished
    assert run.notes("edited output left alone") == []
    assert runner.outputs() == expected
    assert runner.read("toy.lock") == lock
    assert everything(runner.root) == {*FILES, "toy.lock", *(f"out/{path}" for path in expected)}
    assert runner.build_ok().ran == []


def kill_at_every_effect(tmp_path: Path, after: str) -> None:
    """``after`` is what came before the build that is killed, and perhaps what comes after."""
    at, step = 1, 1 if os.environ.get("ZEROREPO_CRASH_ALL") else 3
    while True:
        runner = RuleRunner(tmp_path / f"ws{at}", FILES, rule_sets=[toy_rules.RULE_SET])
        log = tmp_path / f"log{at}"
        if after == "a build and renames":
            runner.build_ok()
            runner.write("zerorepo.toml", TARGETS.replace('"x"', '"z"').replace(":x", ":z"))
            runner.write("plan.txt", "p a a\nr a big")
        elif after != "nothing":
            runner.build_ok()
            runner.write("a", "C")
            runner.write("plan.txt", "p a a\nr a")
        whole = build_in_child(runner, at, log)
        if after == "a build, a kill and another edit":
            log.unlink(missing_ok=True)
            runner.write("a", "D")
        letter = runner.read("a")
        big = b"b" * 40_000
        expected = {"x": letter, "y": big + letter, "gen/p": letter * 2}
        expected |= {"gen/q": letter + big} if after == "nothing" else {"gen/r": letter}
        if after == "a build and renames":
            expected = {"z": letter, "y": big + letter, "gen/p": letter * 2, "gen/r": letter + big}
        check(runner, log, expected, letter)
        if whole:
            return
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
    if scenario == "at once":
        build_at_once(folder)
    else:
        kill_at_every_effect(folder, scenario)
