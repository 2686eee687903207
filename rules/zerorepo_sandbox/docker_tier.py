"""The tiers ``docker`` and ``gvisor``: a container without network, capabilities or writable disk, with a resident first process.

The container holds its own Debian (``image``); of this machine it sees the folders that a world shows, read-only. Its first process
(``inside/worker`` for tests, ``inside/docker_worker`` for commands) serves one request after another, each as a user that never was
before. gVisor is the same with a kernel of its own between the container and that of this machine. Knows nothing of tests and
commands.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from zerorepo.errors import EnvironmentFailure
from zerorepo_sandbox import environment, image, seccomp
from zerorepo_sandbox.docker_engine import Engine, Spec
from zerorepo_sandbox.limits import Limits, Verdict
from zerorepo_sandbox.resident import StreamResident
from zerorepo_sandbox.settings import DOCKER, GVISOR
from zerorepo_sandbox.tier import Capture, Ended, Gone, Place, Resident, World

_PARENT, _WORK, _TMP = "/work", "/work/w", "/tmp"
_OWN = "/opt/zerorepo/own"
_START = "from zerorepo_inside.docker_worker import main; main()"
_FLAGS = ("-s", "-S", "-B", "-P", "-c")
_REQUESTS = 200
"""A container for commands is replaced after as many."""
_DEBUG_USER = 65532
_GRACE_S = 10.0
_READY_S = 60.0
_LARGEST_CHUNK = 1 << 17
_OVERHEAD_MB, _OVERHEAD_PROCESSES, _OVERHEAD_INODES = 192, 8, 4096
_GVISOR_PROCESSES = 4096
"""gVisor's own threads count, too: with 64 its containers died after a few requests, with 512 in a fork bomb."""


class Docker:
    """See the head of this file."""

    name = DOCKER
    isolate = "users"
    caps: tuple[str, ...] = ("SETUID", "SETGID", "KILL")
    """Of the first process; whom it starts has none."""
    python = environment.python()

    def __init__(self) -> None:
        self._engine = Engine()
        self._runtime = ""
        self._lock = asyncio.Lock()
        self._cores = os.cpu_count() or 1
        self._slots = asyncio.Semaphore(self._cores)
        self._idle: list[_Worker] = []

    async def check(self) -> None:
        """EnvironmentFailure, saying what to install, when there is no engine, runtime or image."""
        async with self._lock:
            if not self._runtime:
                runtime = await self._find_runtime()
                await self._engine.bring_image()
                await self._engine.sweep()
                self._runtime = runtime

    async def _find_runtime(self) -> str:
        await self._engine.connect()
        return "runc"

    async def describe(self) -> str:
        """What runs the containers, for people."""
        await self.check()
        return f"runtime {self._runtime}"

    async def close(self) -> None:
        """Remove the containers."""
        await asyncio.gather(*(worker.resident.end() for worker in self._idle))
        self._idle.clear()
        self._engine.close()

    async def resident(self, world: World, argv: Sequence[str], env: Mapping[str, str], most: Limits) -> Resident:
        """A container of that size; its input closes with this process, and it ends with its input."""
        container = await self._engine.start(self._spec(world, argv, env, most))
        return StreamResident(
            self.isolate,
            container.stdout,
            container.stdin,
            container.remove,
            lambda: container.alive,
            lambda: container.stderr.decode("utf-8", "replace").strip(),
        )

    @asynccontextmanager
    async def place(self, world: World, limits: Limits) -> AsyncIterator[Place]:
        """A container that serves nobody else meanwhile."""
        async with self._slots:
            worker = await self._take(_key(world, limits)) or await self._start(world, limits)
            try:
                yield _DockerPlace(worker)
            except BaseException:
                worker.usable = False
                raise
            finally:
                if worker.usable and worker.resident.alive() and worker.served < _REQUESTS:
                    self._idle.append(worker)
                else:
                    await worker.resident.end()

    async def _take(self, key: tuple[Any, ...]) -> _Worker | None:
        while worker := next((each for each in reversed(self._idle) if each.key == key), None):
            self._idle.remove(worker)
            if worker.resident.alive():
                return worker
            await worker.resident.end()
        while len(self._idle) >= self._cores:  # one that waits for commands of another kind makes room
            await self._idle.pop(0).resident.end()
        return None

    async def _start(self, world: World, limits: Limits) -> _Worker:
        shown = World({**world.shows, f"{_OWN}/{environment.INSIDE_PACKAGE}": Path(__file__).parent / "inside"})
        env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": _OWN, "LANG": "C.UTF-8"}
        resident = await self.resident(shown, (self.python, *_FLAGS, _START), env, limits)
        try:
            await resident.receive(_READY_S, 1)
        except BaseException as error:
            await resident.end()
            if not isinstance(error, Gone):
                raise
            raise EnvironmentFailure(
                f"A container of the sandbox did not start: {resident.last_words() or error}",
                hint="`zerorepo doctor` looks at each part of it",
            ) from error
        return _Worker(resident, _key(world, limits))

    def entry(self, world: World, folder: Path, limits: Limits) -> str:
        """The same container, by the command line, as an ordinary user."""
        for name in ("work", "tmp"):
            for top, names, files in os.walk(folder / name):
                for each in (".", *names, *files):
                    os.chown(Path(top) / each, _DEBUG_USER, _DEBUG_USER, follow_symlinks=False)
        options = ["--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        options += ["--user", f"{_DEBUG_USER}:{_DEBUG_USER}", "--hostname", "sandbox", "--runtime", self._runtime]
        options += ["--memory", f"{limits.memory_mb + _OVERHEAD_MB}m", "--pids-limit", str(self._processes(limits))]
        for inside, path in world.shows.items():
            options += ["--volume", f"{path.resolve()}:{inside}:ro"]
        options += [
            "--volume",
            f"{folder / 'work'}:{_WORK}",
            "--volume",
            f"{folder / 'tmp'}:{_TMP}",
            "--workdir",
            _WORK,
        ]
        where = os.environ.get("DOCKER_HOST")
        export = f"export DOCKER_HOST={shlex.quote(where)}\n" if where else ""
        command = shlex.join([*options, image.need().tag])
        return f'{export}tty=\nif [ -t 0 ]; then tty=--tty; fi\nexec docker run --rm --interactive $tty {command} "$@"'

    def _spec(self, world: World, argv: Sequence[str], env: Mapping[str, str], most: Limits) -> Spec:
        size = f"size={most.disk_mb}m,nr_inodes={most.inodes + _OVERHEAD_INODES},mode=1777,exec,nosuid,nodev"
        return Spec(
            command=argv,
            env=env,
            shows=world.shows,
            folders={_PARENT: size, _TMP: size},
            memory_mb=most.memory_mb + 2 * most.disk_mb + _OVERHEAD_MB,
            processes=self._processes(most),
            runtime=self._runtime,
            caps=self.caps,
        )

    def _processes(self, most: Limits) -> int:
        return most.processes + _OVERHEAD_PROCESSES


class Gvisor(Docker):
    """The same under gVisor's own kernel, for hostile input."""

    name = GVISOR
    # All of them rights in gVisor's kernel, none in the machine's: to hide the first process, and to count files.
    caps = (*Docker.caps, "SYS_ADMIN", "DAC_READ_SEARCH")

    async def _find_runtime(self) -> str:
        return await self._engine.gvisor()

    def _processes(self, most: Limits) -> int:
        return most.processes + _GVISOR_PROCESSES


def _key(world: World, limits: Limits) -> tuple[Any, ...]:
    return (tuple(world.shows.items()), limits.memory_mb, limits.disk_mb, limits.inodes, limits.processes)


class _Worker:
    """The first process of a container for commands, seen from here."""

    def __init__(self, resident: Resident, key: tuple[Any, ...]) -> None:
        self.resident = resident
        self.key = key
        self.served = 0
        self.usable = True


class _DockerPlace:
    """See ``Place``."""

    work = _WORK
    tmp = _TMP
    counts_processes = True

    def __init__(self, worker: _Worker) -> None:
        self._worker = worker

    def path(self, shown: str) -> str:
        return shown

    async def run(
        self, argv: Sequence[str], *, stdin: bytes, env: Mapping[str, str], limits: Limits, capture: Capture
    ) -> Ended:
        worker = self._worker
        worker.served += 1
        request = {
            "argv": list(argv),
            "env": dict(env),
            "limits": limits.model_dump(),
            "filter": base64.b64encode(seccomp.program(shared_ipc=True) or b"").decode(),
            "stdout_cap": capture.stdout,
            "stderr_cap": capture.stderr,
        }
        streams = {b"o": bytearray(), b"e": bytearray()}
        code, stopped = -9, None
        try:
            async with asyncio.timeout(limits.wall_s + _GRACE_S):
                await worker.resident.send(json.dumps(request).encode())
                await worker.resident.send(stdin)
                while (frame := await worker.resident.receive(limits.wall_s + _GRACE_S, _LARGEST_CHUNK))[:1] != b"x":
                    streams[frame[:1]] += frame[1:]
            answer = json.loads(frame[1:])
            code, stopped = int(answer["code"]), Verdict(answer["stopped"]) if answer["stopped"] else None
        except TimeoutError:
            worker.usable, stopped = False, Verdict.TIMEOUT
        except Gone:
            # The kernel takes the whole container only for its memory, where what is in it cannot be told apart (gVisor).
            worker.usable, stopped = False, Verdict.MEMORY
        except BaseException:
            worker.usable = False
            raise
        return Ended(code, stopped, bytes(streams[b"o"]), bytes(streams[b"e"][-capture.keep :]))
