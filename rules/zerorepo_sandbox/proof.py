"""Whether a tier holds on this machine, found out by attacking it; and the best one that does.

A handful of real attacks, as small as they can be, through the same pool and worker as every test. What held is written down for
this machine, boot and user (``record_file``), so that it is found out once and not in each build; what did not hold is tried again.
Knows nothing of how a tier keeps its promise.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zerorepo.digest import Digest
from zerorepo.errors import EnvironmentFailure, InternalError, ZeroRepoError
from zerorepo_sandbox import environment, image
from zerorepo_sandbox.limits import Limits, Verdict
from zerorepo_sandbox.settings import BUBBLEWRAP, DOCKER, GVISOR
from zerorepo_sandbox.tier import Tier

if TYPE_CHECKING:
    from zerorepo_sandbox.run_tests import TestRun

BEST_FIRST = (BUBBLEWRAP, DOCKER, GVISOR)
"""What an unconfigured workspace may get: the first that holds. gVisor comes last since it is several times slower."""
_LIMIT_S = 240.0
_SECRET = "ZEROREPO_PROOF_SECRET"
_SMALL = Limits(wall_s=15.0, cpu_s=15, memory_mb=160, processes=24, disk_mb=16)
_ESCAPES = {
    "environment of the builder": """
    for path in glob.glob("/proc/[0-9]*/environ"):
        with contextlib.suppress(OSError):
            found.append(SECRET.encode() in open(path, "rb").read())
    found.append(any(SECRET in value for value in os.environ.values()))
""",
    "files of the machine": """
    with contextlib.suppress(OSError):
        found.append(bool(open(BAIT).read()))
""",
    "writing outside the work folder": """
    for folder in ("/", "/etc", "/usr", "/root", os.path.dirname(os.__file__), os.path.dirname(pytest.__file__)):
        with contextlib.suppress(OSError):
            os.close(os.open(folder + "/zr_proof", os.O_CREAT | os.O_WRONLY))
            found.append(True)
""",
    "network": """
    for family, address in ((socket.AF_INET, ("192.0.2.1", 53)), (socket.AF_INET6, ("2001:db8::1", 53))):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as udp:
            udp.connect(address)
            found.append(True)
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.connect(SERVICE)
        found.append(True)
""",
    "namespaces": """
    found.append(libc.unshare(0x10000000) == 0)
""",
    "looking into the runner": """
    for pid in {os.getppid(), 1} - {os.getpid()}:
        for name, mode in (("mem", os.O_RDWR), ("environ", os.O_RDONLY), ("fd/1", os.O_WRONLY | os.O_NONBLOCK)):
            with contextlib.suppress(OSError):
                os.close(os.open(f"/proc/{pid}/{name}", mode))
                found.append(True)
        found.append(libc.ptrace(16, pid, None, None) == 0)
""",
    "killing the runner": """
    for pid in {os.getppid(), 1} - {os.getpid()}:
        with contextlib.suppress(OSError):
            os.kill(pid, 9)
""",
}
_HEAD = """
import contextlib, ctypes, glob, os, socket
import pytest
SECRET, BAIT, SERVICE = {secret!r}, {bait!r}, {service!r}
libc = ctypes.CDLL(None)
"""
_MEMORY = """
import os, time
def test_memory():
    for _ in range(6):
        if os.fork() == 0:
            kept = b"x" * (60 << 20)
            time.sleep(20)
    time.sleep(20)
"""
_LEAVE = """
import os
def test_leave():
    for folder in ("/tmp", "/dev/shm"):
        open(folder + "/zr_proof_left", "w").close()
    if os.fork() == 0:
        os.setsid()
        os.execv("/bin/sleep", ["sleep", "7317"])
"""
_LOOK = """
import contextlib, glob
def test_look():
    found = glob.glob("/tmp/zr_proof_left") + glob.glob("/dev/shm/zr_proof_left")
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += [path] if b"7317" in open(path, "rb").read() else []
    assert not found, found
"""
MEMORY_ATTACK = "memory of several processes"
RESIDUE_ATTACK = "residue for the next request"
ATTACKS = (*_ESCAPES, MEMORY_ATTACK, RESIDUE_ATTACK)


@dataclass(frozen=True, slots=True)
class Withstood:
    """What came of it: attack to an empty text when it was stopped, or to what it reached."""

    attacks: Mapping[str, str]

    @property
    def failed(self) -> tuple[str, ...]:
        """Attacks that were not stopped."""
        return tuple(name for name, why in self.attacks.items() if why)


class _Bench:
    """A sandbox with one tier and a pool of its own, and the context that an action sees; see ``ActionContext``."""

    def __init__(self, tier: Tier, site: Path) -> None:
        from zerorepo_sandbox.pool import Pool

        self._tier = tier
        self._site = site
        self.pool = Pool(1)

    async def tier(self, name: str, context: Any) -> Tier:
        return self._tier

    async def site(self) -> Path:
        return self._site

    def read(self, digest: Digest) -> bytes:
        raise InternalError("a proof has no inputs")

    async def packages(self, wheels: Any, read: Any) -> None:
        """None are shown."""

    async def service(self, service: type[Any]) -> Any:
        return self


async def prove(tier: Tier, site: Path) -> Withstood:
    """Attack a tier that works. EnvironmentFailure when it does not work after all or answers nonsense."""
    bench = _Bench(tier, site)
    try:
        async with asyncio.timeout(_LIMIT_S), _bait() as (secret, bait, service):
            head = _HEAD.format(secret=secret, bait=bait, service=service)
            tests = [
                f"def test_{n}():\n    found = []{body}    assert not any(found), 'reached'\n"
                for n, body in enumerate(_ESCAPES.values())
            ]
            run = await _run(bench, head + "\n".join(tests))
            if run.report.status != Verdict.OK or len(run.report.cases) != len(_ESCAPES):
                raise EnvironmentFailure(
                    f"The sandbox `{tier.name}` gives no proper answer ({run.report.status}): {run.report.output[-500:]}"
                )
            by_name = {case.name.rpartition("_")[2]: case for case in run.report.cases}
            attacks = {
                name: "" if by_name[str(n)].outcome.value == "passed" else by_name[str(n)].message
                for n, name in enumerate(_ESCAPES)
            }
            memory = await _run(bench, _MEMORY)
            attacks[MEMORY_ATTACK] = (
                "" if memory.report.status == Verdict.MEMORY else f"ended as {memory.report.status}"
            )
            left = await _run(bench, _LEAVE)
            looked = await _run(bench, _LOOK)
            attacks[RESIDUE_ATTACK] = (
                "" if left.report.passed and looked.report.passed else looked.report.output or "left"
            )
            return Withstood(attacks)
    except TimeoutError:
        raise EnvironmentFailure(f"The sandbox `{tier.name}` did not answer within {_LIMIT_S:.0f} s") from None
    finally:
        await bench.pool.close()


async def _run(bench: _Bench, source: str) -> TestRun:
    from zerorepo_sandbox.run_tests import RunTests

    tier = await bench.tier("", None)
    action = RunTests(files={}, tests=("test_proof.py",), tier=tier.name, environment="", limits=_SMALL)
    context: Any = bench
    return await action.run_unscreened(context, {"test_proof.py": source.encode()})


@asynccontextmanager
async def _bait() -> AsyncIterator[tuple[str, str, str]]:
    """What a test must not find: a secret in our environment, in a file, and a service behind an abstract socket."""
    secret, before = os.urandom(8).hex(), os.environ.get(_SECRET)
    service = f"\0zerorepo-proof-{os.urandom(8).hex()}"
    server = await asyncio.start_unix_server(lambda _, writer: writer.close(), path=service)
    try:
        with tempfile.NamedTemporaryFile("w", dir=_bait_folder()) as file:
            file.write(secret)
            file.flush()
            Path(file.name).chmod(0o644)
            os.environ[_SECRET] = secret
            yield secret, file.name, service
    finally:
        server.close()
        if before is None:
            os.environ.pop(_SECRET, None)
        else:
            os.environ[_SECRET] = before


def _bait_folder() -> str:
    """Not ``/tmp``, which every world has one of its own of."""
    return "/var/tmp" if os.access("/var/tmp", os.W_OK) else tempfile.gettempdir()


async def ensure(tier: Tier, site: Callable[[], Coroutine[Any, Any, Path]]) -> None:
    """Nothing when the tier has been shown to hold; else attack it now. EnvironmentFailure when it does not hold."""
    await tier.check()
    key = _fingerprint(tier.name)
    if key in _recorded():
        return
    proof = await prove(tier, await site())
    if proof.failed:
        raise EnvironmentFailure(
            f"The sandbox `{tier.name}` does not hold on this machine; not stopped: {', '.join(proof.failed)}",
            hint="`zerorepo doctor` shows what each tier stops; choose another: [sandbox] tier = …",
        )
    _record(key)


def make(name: str) -> Tier:
    """A tier by its name."""
    if name == BUBBLEWRAP:
        from zerorepo_sandbox.bubblewrap import Bubblewrap

        return Bubblewrap()
    from zerorepo_sandbox.docker_tier import Docker, Gvisor

    return Docker() if name == DOCKER else Gvisor()


async def choose() -> str:
    """The best tier that works and holds here. EnvironmentFailure, with every reason, when there is none."""
    recorded = _recorded()
    reasons = []
    for name in BEST_FIRST:
        tier = make(name)
        try:
            if _fingerprint(name) in recorded and name == BUBBLEWRAP and shutil.which("bwrap"):
                return name
            await ensure(tier, _own_site)
            return name
        except ZeroRepoError as error:
            reasons.append((name, error))
        finally:
            await tier.close()
    raise EnvironmentFailure(
        "No sandbox works on this machine:\n" + "\n".join(f"  {name}: {error.message}" for name, error in reasons),
        hint=reasons[0][1].hint,
    )


def choose_now() -> str:
    """The same, from inside a running event loop: settings are read where nothing can be awaited."""
    answer: list[str] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            answer.append(asyncio.run(choose()))
        except BaseException as error:  # noqa: BLE001  (the edge of a thread: it goes on in the other)
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return answer[0]


async def _own_site() -> Path:
    return await asyncio.to_thread(environment.prepare, image.folder())


def record_file() -> Path:
    """Where it is written down which tiers hold."""
    return image.folder() / "proved.json"


def _fingerprint(name: str) -> str:
    """What the answer depends on: this boot, this user, these programs, this code."""
    parts = [name, str(os.geteuid()), *map(_stamp, ("bwrap", "setpriv", "dockerd", "runsc"))]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    if name != BUBBLEWRAP:
        found = image.find()
        parts += [os.environ.get("DOCKER_HOST", ""), found.digest if found else ""]
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        parts.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _stamp(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        return ""
    stat = Path(found).stat()
    return f"{found} {stat.st_mtime_ns} {stat.st_size}"


def _recorded() -> frozenset[str]:
    try:
        return frozenset(map(str, json.loads(record_file().read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError):
        return frozenset()


def _record(key: str) -> None:
    """A folder that cannot be written to only means that it is found out again."""
    with contextlib.suppress(OSError):
        path = record_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f".{path.name}.{os.getpid()}")
        made.write_text(json.dumps(sorted({*list(_recorded())[-30:], key})), encoding="utf-8")
        made.replace(path)
