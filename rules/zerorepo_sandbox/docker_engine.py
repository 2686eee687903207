"""The docker engine as the docker and gvisor tiers use it: find it, bring the image there, start and remove containers.

The SDK is imported when the first of these is asked for. Everything that waits for the engine runs in a thread. Knows nothing of
what runs in a container.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zerorepo.errors import EnvironmentFailure
from zerorepo_sandbox import image, tree

LABEL = "zerorepo.sandbox.owner"
_TIMEOUT_S = 60
_INSTALL = (
    "install one and start it: apt-get install docker.io  (or, as root, for this machine only:\n"
    "bash scripts/sandbox-engine.sh start, then export DOCKER_HOST as it says)"
)
_GVISOR_INSTALL = (
    "apt-get install runsc, add to /etc/docker/daemon.json\n"
    '  "runtimes": {"runsc": {"path": "/usr/bin/runsc", "runtimeArgs": ["--platform=ptrace", "--network=none"]}}\n'
    "and restart the docker engine (scripts/sandbox-engine.sh starts one that has it)"
)
_STDERR_KEPT = 64 << 10
_HEADER = struct.Struct(">BxxxI")
_STDERR = 2


@dataclass(frozen=True, slots=True)
class Spec:
    """One container: what runs in it, what it sees, what it may use."""

    command: Sequence[str]
    env: Mapping[str, str]
    shows: Mapping[str, Path]
    """Path inside to folder of this machine, read-only."""
    folders: Mapping[str, str]
    """Path inside to the options of an empty file system in memory."""
    memory_mb: int
    processes: int
    runtime: str = "runc"
    caps: tuple[str, ...] = ()
    writable: Mapping[str, Path] = field(default_factory=dict)
    """The same as ``shows``, to be written to (debugging only)."""
    user: str = "0:0"


class Engine:
    """A connection to the docker engine. EnvironmentFailure, saying what to do, when there is none."""

    def __init__(self) -> None:
        self._client: Any = None
        self._lock = asyncio.Lock()

    async def connect(self) -> Any:
        """The SDK's low-level client."""
        async with self._lock:
            if self._client is None:
                self._client = await asyncio.to_thread(_connect)
        return self._client

    async def runtimes(self) -> dict[str, list[str]]:
        """Name to arguments of every runtime that is gVisor's."""
        client = await self.connect()
        info = await asyncio.to_thread(client.info)
        found = {}
        for name, runtime in (info.get("Runtimes") or {}).items():
            if Path(runtime.get("path") or name).name.startswith("runsc"):
                found[name] = list(runtime.get("runtimeArgs") or [])
        return found

    async def gvisor(self) -> str:
        """The runtime for gVisor, on the platform ``systrap`` where there is one. EnvironmentFailure when there is none."""
        found = await self.runtimes()
        if not found:
            raise EnvironmentFailure("The docker engine has no runtime `runsc` (gVisor)", hint=_GVISOR_INSTALL)
        return min(found, key=lambda name: ("--platform=systrap" not in found[name], name != "runsc", name))

    async def bring_image(self) -> str:
        """The tag of the image, imported when the engine does not have it yet."""
        client = await self.connect()
        wanted = image.need()
        async with self._lock:
            await asyncio.to_thread(_bring, client, wanted)
        return wanted.tag

    async def start(self, spec: Spec) -> Container:
        """Start a container; it ends when this process does."""
        client = await self.connect()
        tag = image.need().tag
        starting = asyncio.ensure_future(asyncio.to_thread(_start, client, tag, spec))
        try:
            name, raw = await asyncio.shield(starting)
        except asyncio.CancelledError:
            with contextlib.suppress(EnvironmentFailure):
                name, raw = await starting
                raw.close()
                await asyncio.to_thread(_remove, client, name)
            raise
        raw.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=raw)
        return Container(client, name, reader, writer)

    async def sweep(self) -> None:
        """Remove the containers of builders that were killed in the moment before their container would have noticed."""
        client = await self.connect()
        await asyncio.to_thread(_sweep, client)

    def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None


class Container:
    """A running container: ``stdout`` is what it writes, ``stdin`` takes what it reads."""

    def __init__(self, client: Any, name: str, raw: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._client = client
        self.name = name
        self.stdin = writer
        self.stdout = asyncio.StreamReader()
        self.stderr = bytearray()
        """The last part of it."""
        self._removed = False
        self._pump = asyncio.ensure_future(self._sort(raw))

    async def _sort(self, raw: asyncio.StreamReader) -> None:
        """The engine sends both streams in pieces with a header each."""
        try:
            while True:
                kind, size = _HEADER.unpack(await raw.readexactly(_HEADER.size))
                data = await raw.readexactly(size)
                if kind == _STDERR:
                    self.stderr = (self.stderr + data)[-_STDERR_KEPT:]
                else:
                    self.stdout.feed_data(data)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self.stdout.feed_eof()

    @property
    def alive(self) -> bool:
        """Whether it has not ended, as far as is known."""
        return not self._removed and not self._pump.done()

    async def ran_out_of_memory(self) -> bool:
        """Whether the kernel ended it for its memory."""
        return await asyncio.to_thread(_was_oom, self._client, self.name)

    async def remove(self) -> None:
        """Kill it with all that is in it, and return when it is gone."""
        if self._removed:
            return
        self._removed = True
        self.stdin.close()
        await asyncio.shield(asyncio.to_thread(_remove, self._client, self.name))
        self._pump.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._pump


def owner() -> str:
    """This process, told from a later one with its number."""
    return f"{os.getpid()}:{(tree.started(os.getpid()) or b'').decode()}"


def _connect() -> Any:
    try:
        import docker
    except ImportError as error:
        raise EnvironmentFailure(
            "The sandbox tiers docker and gvisor need the Python package `docker`",
            hint="pip install 'zerorepo[docker]'",
        ) from error
    where = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not where.startswith("unix://"):
        raise EnvironmentFailure(
            f"The sandbox needs a docker engine on this machine, not `{where}`: it shows it folders of this machine",
            hint="unset DOCKER_HOST, or set it to a unix:// socket",
        )
    try:
        # First without the SDK, which leaves its socket open when nobody answers.
        with socket.socket(socket.AF_UNIX) as first:
            first.settimeout(_TIMEOUT_S)
            first.connect(where.removeprefix("unix://"))
        client = docker.APIClient(base_url=where, version="auto", timeout=_TIMEOUT_S)
        client.ping()
    except (docker.errors.DockerException, OSError) as error:
        raise EnvironmentFailure(f"No docker engine answers at {where}", hint=_INSTALL) from error
    return client


def _bring(client: Any, wanted: image.Image) -> None:
    import docker

    try:
        client.inspect_image(wanted.tag)
    except docker.errors.ImageNotFound:
        try:
            answer = client.import_image_from_file(str(wanted.tar), repository=image.NAME, tag=wanted.digest)
            client.inspect_image(wanted.tag)
        except (docker.errors.DockerException, OSError) as error:
            raise EnvironmentFailure(
                f"The docker engine does not take the sandbox's image: {error}",
                where=str(wanted.tar),
                hint="disk full?",
            ) from error
        if "error" in str(answer):
            raise EnvironmentFailure(f"The docker engine does not take the sandbox's image: {answer}") from None


def _start(client: Any, tag: str, spec: Spec) -> tuple[str, socket.socket]:
    import docker

    mounts = [
        docker.types.Mount(inside, str(path.resolve()), type="bind", read_only=inside not in spec.writable)
        for inside, path in {**spec.shows, **spec.writable}.items()
    ]
    ulimits = [
        docker.types.Ulimit(name="core", soft=0, hard=0),
        docker.types.Ulimit(name="nofile", soft=1024, hard=1024),
    ]
    try:
        host_config = client.create_host_config(
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            cap_add=list(spec.caps),
            security_opt=["no-new-privileges"],
            pids_limit=spec.processes,
            mem_limit=f"{spec.memory_mb}m",
            memswap_limit=f"{spec.memory_mb}m",
            log_config=docker.types.LogConfig(type="none"),
            ipc_mode="private",
            shm_size="16m",
            ulimits=ulimits,
            tmpfs=dict(spec.folders),
            mounts=mounts,
            auto_remove=True,
            runtime=spec.runtime,
        )
        name = client.create_container(
            tag,
            command=list(spec.command),
            environment=dict(spec.env),
            user=spec.user,
            hostname="sandbox",
            working_dir="/",
            stdin_open=True,
            labels={LABEL: owner()},
            host_config=host_config,
        )["Id"]
        try:
            # Before it starts, so that no byte is missed. Its input closes with this socket, and it ends when its input does.
            attached = client.attach_socket(name, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            # Taken out of the SDK's connection, which would close it with the next collection of garbage.
            raw = socket.socket(fileno=attached._sock.detach())
            client.start(name)
        except BaseException:
            _remove(client, name)
            raise
    except (docker.errors.DockerException, OSError) as error:
        said = getattr(error, "explanation", None) or error
        raise EnvironmentFailure(f"A container of the sandbox could not be started: {said}", hint=_INSTALL) from error
    return name, raw


def _remove(client: Any, name: str) -> None:
    import docker

    # It removes itself, too: being told that this goes on already is no error.
    with contextlib.suppress(docker.errors.APIError):
        client.remove_container(name, force=True, v=True)
    with contextlib.suppress(docker.errors.APIError, OSError):
        client.wait(name, timeout=20, condition="removed")


def _was_oom(client: Any, name: str) -> bool:
    import docker

    try:
        return bool(client.inspect_container(name)["State"].get("OOMKilled"))
    except docker.errors.APIError:
        return False


def _sweep(client: Any) -> None:
    import docker

    with contextlib.suppress(docker.errors.DockerException):
        for container in client.containers(all=True, filters={"label": LABEL}):
            pid, _, started = container["Labels"][LABEL].partition(":")
            if not pid.isdigit() or (tree.started(int(pid)) or b"").decode() != started:
                _remove(client, container["Id"])
