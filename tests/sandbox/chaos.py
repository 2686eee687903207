"""Many requests while workers and the builder are killed at random: ``python tests/sandbox/chaos.py FOLDER [--requests N]``.

A builder (a process of its own) answers the requests and writes each verdict to a journal; it is killed with SIGKILL again and
again, and started anew for what is not in the journal. In it, workers are killed meanwhile. At the end each request must have its
one right verdict, and nothing may be left: no process that descends from here, no mount, control group or temporary file that was
not there before. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from sandbox_harness import MemoryContext

from zerorepo.errors import TransientFailure
from zerorepo_sandbox import tree
from zerorepo_sandbox.environment import environment_id
from zerorepo_sandbox.limits import Limits
from zerorepo_sandbox.run_tests import RunTests

_PR_SET_CHILD_SUBREAPER = 36
_SETTLE_S = 10.0
_AT_ONCE = 4


def _request(number: int) -> tuple[dict[str, str], str]:
    """Files, and the right verdict: some pass, some fail, some leave processes behind, some never end."""
    code = "def f(x):\n    return x + 1\n"
    bodies = {
        0: (f"from code_ import f\ndef test_a(): assert f({number}) == {number + 1}\n", "ok passed"),
        1: (f"from code_ import f\ndef test_a(): assert f({number}) == {number}\n", "ok failed"),
        2: (
            "import subprocess\ndef test_a(): subprocess.Popen(['sleep', '600'], start_new_session=True)\n",
            "ok passed",
        ),
        3: (
            "import os\ndef test_a():\n    open('/tmp/x', 'w').write('x' * 100000)\n    assert os.getpid()\n",
            "ok passed",
        ),
    }
    test, expected = (
        ("def test_a():\n    while True: pass\n", "timeout failed")
        if number % 50 == 49
        else bodies[number % len(bodies)]
    )
    return {"code_.py": code, "test_it.py": test}, expected


async def _answer(context: MemoryContext, number: int, journal: int) -> None:
    files, _ = _request(number)
    action = RunTests(
        files=context.put(files),
        tests=("test_it.py",),
        tier="bubblewrap",
        environment=environment_id(),
        limits=Limits(wall_s=1.5 if number % 50 == 49 else 30, disk_mb=16),
    )
    try:
        report = (await action.execute(context)).report
    except (
        TransientFailure
    ):  # several of its workers were killed in a row: nothing is known, so nothing is written down
        return
    line = f"{number} {report.status} {'passed' if report.passed else 'failed'}\n"
    os.write(journal, line.encode())


async def _kill_workers(seed: int, answered: list[int]) -> None:
    """After every few answers end a launcher, or the worker that it launched, with SIGKILL."""
    chance = random.Random(seed)
    next_ = chance.randrange(1, 5)
    while True:
        await asyncio.sleep(chance.uniform(0.0, 0.2))
        launchers = [pid for pid in tree.descendants(os.getpid())[1:] if tree.parent(pid) == os.getpid()]
        if launchers and len(answered) >= next_:
            next_ = len(answered) + chance.randrange(2, 8)
            below = tree.descendants(chance.choice(launchers))
            with contextlib.suppress(OSError):
                os.kill(below[min(chance.randrange(2), len(below) - 1)], signal.SIGKILL)


async def _build(folder: Path, numbers: list[int], seed: int) -> None:
    context = MemoryContext(folder / "state")
    journal = os.open(folder / "journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    answered: list[int] = []
    killer = asyncio.ensure_future(_kill_workers(seed, answered))
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> None:
        async with gate:
            await _answer(context, number, journal)
            answered.append(number)

    await asyncio.gather(*(one(number) for number in numbers))
    killer.cancel()
    await context.close()


def _journal(folder: Path) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    path = folder / "journal"
    for line in path.read_text().splitlines() if path.exists() else []:
        number, _, verdict = line.partition(" ")
        found.setdefault(int(number), []).append(verdict)
    return found


def _left_behind(folder: Path) -> dict[str, list[str]]:
    """What may be left: descendants, mounts, groups and temporary files of builders that are ours."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    processes = [f"{pid} {_command(pid)}" for pid in tree.descendants(os.getpid())[1:]]
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if "zerorepo" in line]
    groups = [str(path) for path in Path("/sys/fs/cgroup").glob("**/zerorepo-*") if _is_of(path.name, _builders)]
    files = [str(path) for path in (folder / "tmp").iterdir()]
    files += [str(path) for path in (folder / "state").glob("*/.making-*")]
    return {"processes": processes, "mounts": mounts, "groups": groups, "files": files}


_builders: set[int] = set()


def _is_of(name: str, pids: set[int]) -> bool:
    return name.removeprefix("zerorepo-").partition("-")[0] in {str(pid) for pid in pids}


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")[:120]
    return "?"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--requests", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--builder", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if arguments.builder:
        asyncio.run(_build(folder, json.loads(sys.stdin.read()), arguments.seed))
        return 0
    # Whoever loses a parent below us becomes our child: a leak cannot hide behind the machine's first process.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for name in ("tmp", "state"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    before = _left_behind(folder)
    chance, kills, begin = random.Random(arguments.seed), 0, time.monotonic()
    while open_ := [n for n in range(arguments.requests) if n not in _journal(folder)]:
        command = [sys.executable, __file__, str(folder), "--builder", "--seed", str(chance.randrange(10**6))]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, env={**os.environ, "TMPDIR": str(folder / "tmp")}
        ) as builder:
            _builders.add(builder.pid)
            assert builder.stdin is not None
            builder.stdin.write(json.dumps(open_).encode())
            builder.stdin.close()
            # Long enough to answer some, so that it comes to an end on a slow machine, too.
            answered, enough = len(_journal(folder)), chance.randrange(5, 60)
            while builder.poll() is None and len(_journal(folder)) < answered + enough:
                time.sleep(0.02)
            if builder.poll() is None:
                time.sleep(chance.uniform(0, 0.3))
                builder.kill()
                kills += 1
    # What a killed builder could not clear away, the next start does.
    asyncio.run(_build(folder, [], 0))
    end = time.monotonic() + _SETTLE_S
    while (after := _left_behind(folder)) != before and time.monotonic() < end:
        time.sleep(0.05)
    journal = _journal(folder)
    wrong = {n: verdicts for n, verdicts in journal.items() if set(verdicts) != {_request(n)[1]}}
    lost = [n for n in range(arguments.requests) if n not in journal]
    left = {kind: sorted(set(after[kind]) - set(before[kind])) for kind in after}
    result = {
        "requests": arguments.requests,
        "builders_killed": kills,
        "seconds": round(time.monotonic() - begin, 1),
        "lost": lost,
        "wrong": wrong,
        "left": {kind: names for kind, names in left.items() if names},
    }
    print(json.dumps(result))
    return 1 if lost or wrong or result["left"] else 0


if __name__ == "__main__":
    sys.exit(main())
