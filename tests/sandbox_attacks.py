"""Run hostile tests through the product's own sandbox: ``python tests/sandbox_attacks.py FOLDER --tier TIER``.

Each file is a test that passes only if its attack succeeds, and says in its first line what it attacks: ``# kind: A`` is an
escape, ``I`` a forged verdict, ``R`` exhaustion of a resource, ``S`` poisoned files. Every one runs twice: as the product runs
it, screen first, which decides the row; and without the screen, to see what the sandbox itself withstands. Exit code 1 when any
row says ``escaped``. Knows nothing of how the sandbox works.
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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "sandbox"))
from sandbox_harness import MemoryContext

from zerorepo.target import Outcome
from zerorepo_sandbox.environment import environment_id
from zerorepo_sandbox.limits import Limits, Verdict
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


def _header(source: str) -> tuple[str, float]:
    first = "\n".join(source.splitlines()[:3])
    kind = re.search(r"# kind: (\w)", first)
    timeout = re.search(r"timeout: (\d+)", first)
    return kind.group(1) if kind else "A", float(timeout.group(1)) if timeout else 10.0


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
    kind, timeout = _header(source)
    timeout = min(timeout, longest)
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
    as_product = await action.execute(context)
    between = time.monotonic()
    result = classify(kind, as_product, limits, between - begin, _ours() - before)
    if as_product.report.status == Verdict.REFUSED:
        bare = await action.run_unscreened(context, {"test_attack.py": source.encode()}, capture=kind not in "RS")
        behind = classify(kind, bare, limits, time.monotonic() - between, _ours() - before)
        status = bare.report.status
    else:
        # The same run again, with what it prints in sight: that is how these attacks say how far they came.
        bare = as_product
        if kind in "RS":
            bare = await action.run_unscreened(context, {"test_attack.py": source.encode()}, capture=False)
        behind, status = classify(kind, bare, limits, time.monotonic() - between, _ours() - before), bare.report.status
        result = "escaped" if behind == "escaped" else result
    return Row(file.stem, kind, result, as_product.report.status, behind, status, time.monotonic() - begin)


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


async def run(folder: Path, tier: str) -> int:
    """Run all, print the table; the number of rows that failed."""
    failed = passed = 0
    print(f"{'attack':22} {'kind':4} {'result':10} {'status':10} {'without the screen':24} seconds")
    with tempfile.TemporaryDirectory() as state, bait():
        context = MemoryContext(Path(state), unsafe=tier == "unsafe")
        for file in sorted(folder.glob("*.py")):
            row = await attack(file, tier, context)
            behind = f"{row.behind} ({row.behind_status})"
            print(
                f"{row.name:22} {row.kind:4} {row.result:10} {row.status:10} {behind:24} {row.seconds:.1f}", flush=True
            )
            failed += row.result == "escaped"
            passed += row.result != "escaped"
        await context.close()
    print(f"{passed} passed, {failed} failed")
    return failed


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tier", default="bubblewrap")
    arguments = parser.parse_args()
    if not any(arguments.folder.glob("*.py")):
        print(f"no attacks in {arguments.folder}", file=sys.stderr)
        return 2
    return 1 if asyncio.run(run(arguments.folder, arguments.tier)) else 0


if __name__ == "__main__":
    sys.exit(main())
