"""Run hostile tests through the product's own sandbox: ``python tests/sandbox_attacks.py FOLDER --tier TIER``.

Each file is a test that passes only if its attack succeeds, and says in its first line what it attacks: ``# kind: A`` is an
escape, ``I`` a forged verdict, ``R`` exhaustion of a resource, ``S`` poisoned files; ``timeout: N`` seconds; ``runs: N`` times in
a row, since it looks for what an earlier run left. Every one runs as the product runs it, screen first, which decides the row; and
without the screen, to see what the sandbox itself withstands. After each, ordinary requests must have their ordinary results in
worlds as fresh as the first, and no process may be left. Exit code 1 when any row says ``escaped``. Knows nothing of how the
sandbox works.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "sandbox"))
from sandbox_harness import MemoryContext

from zerorepo.errors import ActionFailed, EnvironmentFailure, TransientFailure
from zerorepo.target import Outcome, TestReport
from zerorepo_sandbox.environment import environment_id
from zerorepo_sandbox.limits import Limits, Verdict
from zerorepo_sandbox.run_command import RunCommand
from zerorepo_sandbox.run_tests import RunTests, TestRun

SECRET = "CANARYKEY-of-the-host"
_SECRET_FILE = Path("/var/tmp/zr_home/.config/zr_canary")
_PORT = 18765
_SANDBOX_UID = 64999
_SLACK_S = 8.0
_AMOUNT = re.compile(r"\b(\w+_MB|INODES|FORKS) (\d+)")


@dataclass(frozen=True)
class Row:
    """What came of one attack: ``contained``, ``detected`` or ``escaped``, as the product runs it and without the screen."""

    name: str
    kind: str
    result: str
    status: str
    behind: str
    behind_status: str
    seconds: float


@dataclass(frozen=True)
class Header:
    """What the first lines of an attack say."""

    kind: str
    timeout_s: float
    runs: int

    @staticmethod
    def of(source: str) -> Header:
        """Read it."""
        first = "\n".join(source.splitlines()[:3])

        def find(pattern: str, default: str) -> str:
            found = re.search(pattern, first)
            return found.group(1) if found else default

        return Header(find(r"# kind: (\w)", "A"), float(find(r"timeout: (\d+)", "10")), int(find(r"runs: (\d+)", "1")))


def _ours() -> set[int]:
    """Processes of sandboxes that are ours or nobody's: other builds of this machine use the same user."""
    parents: dict[int, int] = {}
    sandboxed = set()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            status = (path / "status").read_text()
            parents[int(path.name)] = int(status.partition("\nPPid:\t")[2].partition("\n")[0])
            if f"\nUid:\t{_SANDBOX_UID}\t" in status:
                sandboxed.add(int(path.name))
    sandboxed |= {pid for pid, parent in parents.items() if parent == os.getpid()}
    found = set()
    for pid in sandboxed:
        top = pid
        while parents.get(top, 0) in sandboxed:
            top = parents[top]
        # A resident worker and its launcher are meant to stay; what the worker forked is not.
        resident = pid == top or parents.get(pid) == top
        if parents.get(top, 0) in (0, 1, os.getpid()) and not (resident and _is_worker(top)):
            found.add(pid)
    return found


def _is_worker(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return parent_is_us(pid) and b"zerorepo_inside.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def parent_is_us(pid: int) -> bool:
    """Whether this process started it: a worker of a builder that ended is a leftover."""
    return f"\nPPid:\t{os.getpid()}\n" in Path(f"/proc/{pid}/status").read_text()


def classify(kind: str, run: TestRun, limits: Limits, seconds: float, leftovers: set[int]) -> str:
    """What the result of a run says about the attack."""
    report = run.report
    shown = report.output + "".join(case.message for case in report.cases)
    if SECRET in shown or leftovers or seconds > limits.wall_s + _SLACK_S or (report.passed and kind in "AI"):
        return "escaped"
    if kind == "A" and any(case.outcome is Outcome.PASSED for case in report.cases):
        return "escaped"
    if kind == "R":
        caps = {"INODES": 2 * limits.inodes, "FORKS": limits.processes}
        for what, amount in _AMOUNT.findall(shown):
            if int(amount) > caps.get(what, limits.memory_mb + 3 * limits.disk_mb):
                return "escaped"
        if shown.count("KID_ALLOC_800") * 800 > limits.memory_mb or "PRLIMIT_SET" in shown:
            return "escaped"
    return "contained" if report.status in (Verdict.OK, Verdict.NO_TESTS) else "detected"


async def attack(file: Path, tier: str, context: MemoryContext, longest: float = 60.0) -> Row:
    """Run one attack both ways, each for at most ``longest`` seconds or what its header asks for."""
    source = file.read_text()
    header = Header.of(source)
    kind, timeout = header.kind, min(header.timeout_s, longest)
    limits = Limits(wall_s=timeout, cpu_s=int(timeout) + 5, memory_mb=1024, disk_mb=64, processes=32)
    action = RunTests(
        files=context.put({"test_attack.py": source}),
        tests=("test_attack.py",),
        tier=tier,
        environment=environment_id(),
        limits=limits,
    )
    await _warm_up(context, tier)
    before = _ours()
    begin = time.monotonic()
    as_product = await _as_run(action.execute(context), tier)
    result = classify(kind, as_product, limits, time.monotonic() - begin, await _left(before))
    behind, bare = result, as_product
    # What these print says how far they came, so they run once more with it in sight; others only if they did not run at all.
    if as_product.report.status == Verdict.REFUSED or kind in "RS" or header.runs > 1:
        for _ in range(header.runs):
            again = time.monotonic()
            run = action.run_unscreened(context, {"test_attack.py": source.encode()}, capture=kind not in "RS")
            bare = await _as_run(run, tier)
            behind = classify(kind, bare, limits, time.monotonic() - again, await _left(before))
            if behind == "escaped":
                break
    if kind == "S" and await _poisoned_outputs(source, tier, context):
        behind = "escaped"
    if as_product.report.status != Verdict.REFUSED and behind == "escaped":
        result = behind
    seconds = time.monotonic() - begin
    return Row(file.stem, kind, result, as_product.report.status, behind, bare.report.status, seconds)


async def _as_run(run: Coroutine[Any, Any, TestRun], tier: str) -> TestRun:
    """Its result; that it ended every worker that it was given to is one, too."""
    try:
        return await run
    except TransientFailure as error:
        return TestRun(report=TestReport(passed=False, status="gone", output=error.message, sandbox=tier))


async def _left(before: set[int]) -> set[int]:
    """Processes that are there still and were not before; the kernel may need a moment to end them."""
    end = time.monotonic() + 3
    while (left := _ours() - before) and time.monotonic() < end:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    return left


async def _poisoned_outputs(source: str, tier: str, context: MemoryContext) -> bool:
    """Whether something came out of a command that prepared its declared outputs as the attack does."""
    cmd = "python3 -c 'import test_attack; test_attack.test_attack(lambda *a: None)'; echo > ok"
    for out in ("result.json", "reports", "coverage.json", "log.txt", "dev", "hl"):
        files = context.put({"test_attack.py": source})
        action = RunCommand(cmd=cmd, files=files, outs=("ok", out), tier=tier, limits=Limits(wall_s=30, file_mb=16))
        with contextlib.suppress(ActionFailed):
            made = await action.execute(context)
            # An empty file or its own passwd is what a plain file of that name holds.
            if SECRET.encode() in context.read(made.outputs[out]) or made.outputs[out].size > 4096:
                return True
    return False


_HEALTH = """
import os

def test_passes(tmp_path):
    (tmp_path / "x").write_text("y")

def test_fails():
    status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
    processes = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    seen = len(processes), sorted(os.listdir("/dev/shm")), len(os.listdir("/tmp")), status["Threads"].strip()
    assert False, f"WORLD {seen}"
"""
_WORLD = re.compile(r"WORLD .*\)")


@dataclass
class Health:
    """Ordinary requests before and between attacks."""

    context: MemoryContext
    tier: str
    world: str = ""

    async def why_not(self) -> str:
        """What is wrong; empty when all is well."""
        action = RunTests(
            files=self.context.put({"test_health.py": _HEALTH}),
            tests=("test_health.py",),
            tier=self.tier,
            environment=environment_id(),
            limits=Limits(wall_s=30, memory_mb=1024, disk_mb=64, processes=32),
        )
        command = RunCommand(cmd="cat in > out", files=self.context.put({"in": "x"}), outs=("out",), tier=self.tier)
        # As many at once as the pool has workers, so that each has its turn.
        runs = await asyncio.gather(*(action.execute(self.context) for _ in range(os.cpu_count() or 1)))
        await command.execute(self.context)
        for run in runs:
            outcomes = [(case.name.rpartition("::")[2], case.outcome.value) for case in run.report.cases]
            if run.report.status != Verdict.OK or outcomes != [("test_passes", "passed"), ("test_fails", "failed")]:
                return f"an ordinary run had the result {run.report.status}: {outcomes} {run.report.output[:200]}"
            found = _WORLD.search(run.report.cases[1].message)
            world = found.group(0) if found else run.report.cases[1].message
            self.world = self.world or world
            if world != self.world:
                return f"the world is not fresh: {world}, and {self.world} before"
        return ""


async def _warm_up(context: MemoryContext, tier: str) -> None:
    """Have the environment and the worker there, so that an attack's time is its own."""
    trivial = context.put({"test_warm_up.py": "def test_a(): pass\n"})
    await RunTests(files=trivial, tests=("test_warm_up.py",), tier=tier, environment=environment_id()).execute(context)


@contextlib.contextmanager
def bait() -> Iterator[None]:
    """What the attacks look for: a key in our environment, a secret file, a TCP and an abstract unix service."""
    os.environ["ZEROREPO_BAIT_API_KEY"] = SECRET
    _SECRET_FILE.parent.mkdir(parents=True, exist_ok=True)
    _SECRET_FILE.write_text(SECRET)
    servers = []
    for family, address in ((socket.AF_INET, ("127.0.0.1", _PORT)), (socket.AF_UNIX, "\0zr_canary_abstract")):
        server = socket.socket(family)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            server.bind(address)
            server.listen()
            threading.Thread(target=_serve, args=(server,), daemon=True).start()
        servers.append(server)
    try:
        yield
    finally:
        for server in servers:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        _SECRET_FILE.unlink(missing_ok=True)
        for folder in (_SECRET_FILE.parent, _SECRET_FILE.parent.parent):
            with contextlib.suppress(OSError):
                folder.rmdir()
        del os.environ["ZEROREPO_BAIT_API_KEY"]


def _serve(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            connection.sendall(SECRET.encode())
            connection.close()


async def run(folder: Path, tier: str, context: MemoryContext) -> int:
    """Run all, print the table; the number of rows that failed."""
    failed = passed = 0
    health = Health(context, tier)
    if why := await health.why_not():
        print(f"before any attack {why}")
        return 1
    print(f"{'attack':24} {'kind':4} {'result':10} {'status':10} {'without the screen':24} seconds")
    for file in sorted(folder.glob("*.py")):
        row = await attack(file, tier, context)
        unwell = await health.why_not()
        behind = f"{row.behind} ({row.behind_status})"
        result = "unwell" if unwell else row.result
        print(f"{row.name:24} {row.kind:4} {result:10} {row.status:10} {behind:24} {row.seconds:.1f}", flush=True)
        if unwell:
            print(f"  after it {unwell}", flush=True)
        failed += result in ("escaped", "unwell")
        passed += result not in ("escaped", "unwell")
    print(f"{passed} passed, {failed} failed")
    return failed


async def _run(folder: Path, tier: str) -> int:
    with tempfile.TemporaryDirectory() as state, bait():
        context = MemoryContext(Path(state), unsafe=tier == "unsafe")
        try:
            return await run(folder, tier, context)
        finally:
            await context.close()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tier", default="bubblewrap", choices=["bubblewrap", "docker", "gvisor", "unsafe"])
    arguments = parser.parse_args()
    if not any(arguments.folder.glob("*.py")):
        print(f"no attacks in {arguments.folder}", file=sys.stderr)
        return 2
    try:
        return 1 if asyncio.run(_run(arguments.folder, arguments.tier)) else 0
    except EnvironmentFailure as error:
        print(f"the tier {arguments.tier} is not available here: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
