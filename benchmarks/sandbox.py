"""Fresh worlds a second: resident workers beside a cold ``bwrap … python -m pytest`` and a cold ``docker run``, in the same run.

Each request is a module and its test of two cases (or eight), in a world that nothing else has been in. Beside the clock it tells
the processor time of a request, that of this process and of all below it; what docker's engine uses is not seen. Contenders take
turns, so that noise of the machine meets all alike. docker takes part where an engine runs and its image is there. numpy is fetched
from the index.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.harness import table
from zerorepo.digest import Digest, DigestFunction
from zerorepo.label import Label
from zerorepo_sandbox import environment, image
from zerorepo_sandbox.limits import Limits
from zerorepo_sandbox.packages import PACKAGES, FetchWheels, platform_tag
from zerorepo_sandbox.run_tests import RunTests
from zerorepo_sandbox.service import Sandbox
from zerorepo_sandbox.tier import Capture

_TEST = "from mod import f\n\ndef test_a():\n    assert f(1) == 2\n\ndef test_b():\n    assert f(2) == 3\n"
# Importing it makes tests and code share a process, as numpy does.
_TOGETHER = "import os\n" + _TEST
BARE = {"mod.py": "def f(x):\n    return x + 1\n", "test_mod.py": _TEST}
BARE_TOGETHER = {**BARE, "test_mod.py": _TOGETHER}
_EIGHT = "import pytest\nfrom mod import f\n\n" + "".join(
    f"def test_{n}():\n    with pytest.raises(TypeError, match='str'):\n        f('a')\n    assert [f({n})] == [{n} + 1]\n\n"
    for n in range(8)
)
EIGHT = {**BARE, "test_mod.py": _EIGHT}
# Once apart, and once more together, to tell what went wrong as pytest tells it.
EIGHT_FAIL = {"mod.py": "def f(x):\n    return x + 2\n", "test_mod.py": _EIGHT}
NUMPY = {
    "mod.py": "import numpy as np\n\ndef f(x):\n    return int(np.array([x]).sum()) + 1\n",
    "test_mod.py": _TOGETHER,
}
_NUMPY = "numpy==2.2.6"
_DOCKER = (
    *("docker", "run", "--rm", "-i", "--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt"),
    *("no-new-privileges", "--pids-limit", "64", "--memory", "768m", "--log-driver", "none", "--ipc", "none"),
    *("--tmpfs", "/tmp:rw,nosuid,nodev,size=64m,mode=1777"),
)
_COLD = "cd /tmp && tar -xf - && exec {python} -B -m pytest -q -p no:cacheprovider test_mod.py"


class MemoryContext:
    """An ``ActionContext`` in memory."""

    def __init__(self, state_dir: Path) -> None:
        self.label, self.key = Label("", "benchmark"), Digest("0" * 32, 0)
        self.workspace = self.state_dir = state_dir
        self._blobs: dict[Digest, bytes] = {}
        self._services: dict[type, Any] = {}

    def read(self, digest: Digest) -> bytes:
        return self._blobs[digest]

    def write(self, data: bytes) -> Digest:
        digest = DigestFunction.XXH3.of_bytes(data)
        self._blobs[digest] = data
        return digest

    def settings(self, section: str, model: type[Any]) -> Any:
        return model()

    def option(self, name: str) -> Any:
        return None

    async def service(self, service: type[Any]) -> Any:
        if service not in self._services:
            self._services[service] = await service.open(self)
        return self._services[service]

    def progress(self, text: str) -> None: ...

    def meter(self, **amounts: float) -> None: ...

    async def close(self) -> None:
        for service in self._services.values():
            await service.close()


def _archive(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def _resident(
    context: MemoryContext, files: Mapping[str, str], wheels: Mapping[str, Digest], *, passes: bool = True
) -> Callable[[], Awaitable[None]]:
    action = RunTests(
        files={path: context.write(text.encode()) for path, text in files.items()},
        tests=("test_mod.py",),
        tier="bubblewrap",
        environment=environment.environment_id(),
        wheels=wheels,
    )

    async def one() -> None:
        run = await action.execute(context)
        if run.report.passed is not passes:
            raise RuntimeError(str(run))

    return one


def _cold_bwrap(
    context: MemoryContext, files: Mapping[str, str], wheels: Mapping[str, Digest]
) -> Callable[[], Awaitable[None]]:
    stdin, limits = _archive(files), Limits()

    async def one() -> None:
        sandbox: Sandbox = await context.service(Sandbox)
        tier = await sandbox.tier("bubblewrap", context)
        world = environment.test_world(await sandbox.site(), await sandbox.packages(wheels, context.read))
        env = {"PATH": environment.search_path(), "HOME": "/tmp", "PYTHONPATH": f"{environment.SITE}:{PACKAGES}"}
        async with tier.place(world, limits) as place:
            command = ("/bin/sh", "-c", _COLD.format(python=environment.python()))
            ended = await place.run(command, stdin=stdin, env=env, limits=limits, capture=Capture(1 << 20, 1 << 20))
        if ended.code:
            raise RuntimeError((ended.stdout + ended.stderr).decode())

    return one


def _cold_docker(context: MemoryContext, tag: str, files: Mapping[str, str]) -> Callable[[], Awaitable[None]]:
    stdin = _archive(files)

    async def one() -> None:
        sandbox: Sandbox = await context.service(Sandbox)
        site = ("-v", f"{await sandbox.site()}:/site:ro", "-e", "PYTHONPATH=/site")
        command = (*_DOCKER, *site, tag, "sh", "-c", _COLD.format(python="python3"))
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said, _ = await process.communicate(stdin)
        if process.returncode:
            raise RuntimeError(said.decode())

    return one


def _docker_image() -> str:
    """The sandbox's image in the engine of this machine; empty when there is none, or no engine."""
    made = image.find()
    if made is None:
        return ""
    have, bring = ("docker", "image", "inspect", made.tag), ("docker", "import", str(made.tar), made.tag)
    try:
        for command in (have, bring):
            if not subprocess.run(command, capture_output=True, timeout=120).returncode:
                return made.tag
    except (OSError, subprocess.TimeoutExpired):
        pass
    return ""


class _Taken(NamedTuple):
    """Of one round: requests a second, milliseconds of processor time a request, the latency of each in seconds."""

    rate: float
    cpu_ms: float
    times: list[float]


async def _round(one: Callable[[], Awaitable[None]], at_once: int, count: int) -> _Taken:
    """Requests, with that many at once."""
    times: list[float] = []
    left = iter(range(count))

    async def worker() -> None:
        for _ in left:
            begin = time.monotonic()
            await one()
            times.append(time.monotonic() - begin)

    begin, cpu = time.monotonic(), _cpu_s()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return _Taken(count / (time.monotonic() - begin), (_cpu_s() - cpu) / count * 1000, times)


def _cpu_s() -> float:
    """Processor time of this process and of all that it started, of those that are still there as well."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    below: dict[int, list[tuple[int, int]]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(") ")[2].split()
            below.setdefault(int(fields[1]), []).append((int(path.parent.name), sum(map(int, fields[11:15]))))
    ticks, parents = 0, [os.getpid()]
    while parents:
        for pid, spent in below.get(parents.pop(), ()):
            ticks += spent
            parents.append(pid)
    return sum(each.ru_utime + each.ru_stime for each in used) + ticks / os.sysconf("SC_CLK_TCK")


async def _measure(quick: bool) -> None:
    rounds, count = (1, 4) if quick else (5, 20)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        context = MemoryContext(Path(folder))
        docker_image = _docker_image()
        contenders: dict[str, Callable[[], Awaitable[None]]] = {
            "resident, tests apart": _resident(context, BARE, {}),
            "resident, together": _resident(context, BARE_TOGETHER, {}),
            "resident, eight tests apart": _resident(context, EIGHT, {}),
            "resident, eight tests that fail": _resident(context, EIGHT_FAIL, {}, passes=False),
            "bwrap, cold": _cold_bwrap(context, BARE, {}),
        }
        if docker_image:
            contenders["docker run, cold"] = _cold_docker(context, docker_image, BARE)
        if not quick:
            lock = context.write((await asyncio.to_thread(_numpy_lock)).encode())
            wheels = (await FetchWheels(lock=lock, platform=platform_tag()).execute(context)).wheels  # type: ignore[arg-type]
            contenders["resident, numpy"] = _resident(context, NUMPY, wheels)
            contenders["bwrap, cold, numpy"] = _cold_bwrap(context, NUMPY, wheels)
        rows = [("", "at once", "requests/s", "p50", "p99", "processor")]
        for at_once in (1, 2):
            taken: dict[str, list[_Taken]] = {name: [] for name in contenders}
            for _ in range(rounds):
                for name, one in contenders.items():
                    # A pool has a worker a core: those with numpy had to make room for those without, and start again.
                    await _round(one, at_once, at_once)
                    taken[name].append(await _round(one, at_once, count))
            for name in contenders:
                times = [took for each in taken[name] for took in each.times]
                p = statistics.quantiles(times, n=100, method="inclusive")
                rate = statistics.median(each.rate for each in taken[name])
                cpu = f"{statistics.median(each.cpu_ms for each in taken[name]):.0f} ms"
                if name.startswith("docker"):
                    cpu = ""
                cells = (f"{rate:.1f}", f"{p[49] * 1000:.0f} ms", f"{p[98] * 1000:.0f} ms", cpu)
                rows.append((name, str(at_once), *cells))
        await context.close()
    table("Fresh worlds", rows)
    if not docker_image:
        print("docker: not measured, no engine runs here, or `zerorepo sandbox image` has not been run")


def _numpy_lock() -> str:
    """A lock of one line, made here."""
    pip = (sys.executable, "-m", "pip")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run((*pip, "download", "-q", "--only-binary=:all:", "--no-deps", "-d", folder, _NUMPY), check=True)
        (path,) = Path(folder).iterdir()
        hashed = subprocess.run((*pip, "hash", str(path)), check=True, capture_output=True, text=True)
    return f"{_NUMPY} {hashed.stdout.split()[-1]}\n"


def main(quick: bool = False) -> None:
    """Print the table."""
    asyncio.run(_measure(quick))
