"""The tier ``bubblewrap``: user, process, mount, network, IPC and host name namespaces, made without any privilege.

When we are root the world is made by an ordinary user (``setpriv``): bubblewrap as root would hold back less. That user may
be unable to reach what is shown (a Python below ``/root``): see ``staging``. Knows nothing of what runs in the world.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from zerorepo.errors import EnvironmentFailure
from zerorepo_sandbox import environment, seccomp, staging, tree
from zerorepo_sandbox.limits import Limits
from zerorepo_sandbox.process import supervise
from zerorepo_sandbox.resident import start_resident
from zerorepo_sandbox.settings import BUBBLEWRAP
from zerorepo_sandbox.staging import Stage, everyone_reaches
from zerorepo_sandbox.tier import Capture, Ended, Place, Resident, World

_OUTSIDE_ID = 64999
"""The ordinary user and group that we become when we are root; they own nothing."""
_INSIDE_ID = 65532
_MARK = "zerorepo-sandbox"
"""Host name within a world; in the launcher's arguments it shows whose it is."""
_WORK, _TMP, _SHM = "/work", "/tmp", "/dev/shm"
_SHM_MB = 16
_WORKERS_OWN = Limits(disk_mb=1)
"""What a resident worker may write outside the worlds that it makes."""
_PASSWD = f"sandbox:x:{_INSIDE_ID}:{_INSIDE_ID}:sandbox:/tmp:/bin/sh\n".encode()
_INSTALL = (
    "install it with `bash scripts/install-system-packages.sh` (Debian, Ubuntu: the package bubblewrap)\n"
    "or run without isolation, as yourself and at your own risk, with --unsafe"
)


class Bubblewrap:
    """See the head of this file."""

    name = BUBBLEWRAP
    isolate = "namespaces"
    python = environment.python()

    def __init__(self) -> None:
        self._bwrap = shutil.which("bwrap") or ""
        self._setpriv = shutil.which("setpriv") or ""
        self._as_root = os.geteuid() == 0
        self._checked: str | None = None
        self._lock = asyncio.Lock()
        self._stages: dict[tuple[Path, ...], Stage] = {}

    async def close(self) -> None:
        """Let go of the staged folders."""
        while self._stages:
            self._stages.popitem()[1].close()

    async def check(self) -> None:
        """Make one world for real, the first time it is asked; EnvironmentFailure when it cannot be made."""
        async with self._lock:
            if self._checked is None:
                self._checked = await self._try()
        if self._checked:
            raise EnvironmentFailure(self._checked, hint=_INSTALL)

    async def _try(self) -> str:
        """Why it does not work; empty when it does."""
        if not self._bwrap:
            return "The sandbox needs bubblewrap, and there is no `bwrap` on this machine"
        if self._as_root and not self._setpriv:
            return "The sandbox needs `setpriv` (package util-linux) when the build runs as root"
        _sweep_orphans()
        limits = Limits(wall_s=20)
        async with self.place(World(system=SYSTEM), limits) as place:
            ended = await place.run(
                ("/bin/sh", "-c", ":"), stdin=b"", env={}, limits=limits, capture=Capture(1 << 16, 1 << 16)
            )
        if ended.code == 0:
            return ""
        said = ended.stderr.decode("utf-8", "replace").strip() or f"exit code {ended.code}"
        return (
            f"bubblewrap cannot make a sandbox here: {said}\n"
            "  (unprivileged user namespaces may be switched off: kernel.unprivileged_userns_clone,\n"
            "  kernel.apparmor_restrict_unprivileged_userns, or the seccomp profile of a container)"
        )

    @asynccontextmanager
    async def place(self, world: World, limits: Limits) -> AsyncIterator[Place]:
        """The world is made anew by each run and is gone with it; there is nothing to prepare or to clear away."""
        launch, world = await self._launch(world)
        yield _BubblewrapPlace(launch, world, limits)

    async def resident(self, world: World, argv: Sequence[str], env: Mapping[str, str], most: Limits) -> Resident:
        """It makes namespaces within its own for each request, and filters system calls itself once it has."""
        launch, world = await self._launch(world)
        passwd = _as_pipe(_PASSWD)
        try:
            return await start_resident(
                [*launch, *_arguments(world, _WORKERS_OWN, passwd, None), *argv], env, [passwd], isolate="namespaces"
            )
        finally:
            os.close(passwd)

    def entry(self, world: World, folder: Path, limits: Limits) -> str:
        """The same namespaces and filter, with folders of this machine in place of the ones in memory."""
        (folder / "passwd").write_bytes(_PASSWD)
        filter_ = seccomp.program()
        (folder / "filter").write_bytes(filter_ or b"")
        as_root = self._as_root
        shows = {**world.shows, _WORK: folder / "work", _TMP: folder / "tmp"}
        stage: list[str] = []
        if as_root:
            for name in ("work", "tmp"):
                _give_away(folder / name)
            stage, shows = staging.inline(shows)
            stage += [self._setpriv, "--reuid", str(_OUTSIDE_ID), "--regid", str(_OUTSIDE_ID), "--clear-groups"]
            stage.append("--no-new-privs")
        args = _arguments(replace(world, shows={}), limits, 8, 9 if filter_ else None)
        # A shell wants the terminal that a new session would take away; TIOCSTI is filtered.
        args.remove("--new-session")
        at = args.index("--proc")
        args[at:at] = [word for inside in world.shows for word in ("--ro-bind", str(shows[inside]), inside)]
        for inside in (_WORK, _TMP):
            at = args.index(inside) - 3
            args[at : at + 4] = ["--bind", str(shows[inside]), inside]
        small = f"ulimit -v {2 * limits.memory_mb << 10}; ulimit -f {limits.file_mb << 11}; ulimit -c 0"
        command = shlex.join(["/usr/bin/env", "-i", *stage, self._bwrap, *args])
        return f'{small}\nexec 8<"$here/passwd" 9<"$here/filter"\nexec {command} "$@"'

    async def _launch(self, world: World) -> tuple[list[str], World]:
        """The start of a command line that makes such a world, and the world as it is seen from there."""
        launch: list[str] = []
        shows = world.shows
        if self._as_root:
            launch = [self._setpriv, "--reuid", str(_OUTSIDE_ID), "--regid", str(_OUTSIDE_ID), "--clear-groups"]
            launch.append("--no-new-privs")
            if not all(everyone_reaches(path) for path in shows.values()):
                stage = await self._stage(shows)
                launch, shows = [*stage.command, *launch], stage.shows
        return [*launch, self._bwrap], replace(world, shows=shows)

    async def _stage(self, shows: Mapping[str, Path]) -> Stage:
        key = tuple(shows.values())
        async with self._lock:
            if key not in self._stages:
                self._stages[key] = await staging.stage(shows)
        return self._stages[key]


SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
"""Where a machine keeps programs and libraries."""


class _BubblewrapPlace:
    """See ``Place``."""

    work = _WORK
    tmp = _TMP
    # Since Linux 5.14 RLIMIT_NPROC counts within the user namespace, and each run has its own.
    counts_processes = True

    def __init__(self, launch: list[str], world: World, limits: Limits) -> None:
        self._launch = launch
        self._world = world
        self._limits = limits

    def path(self, shown: str) -> str:
        return shown

    async def run(
        self, argv: Sequence[str], *, stdin: bytes, env: Mapping[str, str], limits: Limits, capture: Capture
    ) -> Ended:
        fds = [_as_pipe(_PASSWD)]
        try:
            filter_fd = seccomp.as_descriptor()
            if filter_fd is not None:
                fds.append(filter_fd)
            command = [*self._launch, *_arguments(self._world, self._limits, fds[0], filter_fd), *argv]
            return await supervise(
                command,
                stdin=stdin,
                # All that the launcher is given, for its own environment can be read in the world it makes.
                env=env,
                cwd="/",
                limits=limits,
                capture=capture,
                pass_fds=fds,
                disks=(_WORK, _TMP, _SHM),
            )
        finally:
            for fd in fds:
                os.close(fd)


def _arguments(world: World, limits: Limits, passwd_fd: int, filter_fd: int | None) -> list[str]:
    """Of the bubblewrap that makes the world."""
    # The first process is the runner itself: it cannot be killed from within, and there is no other reaper to attack.
    args = ["--unshare-all", "--die-with-parent", "--new-session", "--as-pid-1", "--hostname", _MARK]
    args += ["--uid", str(_INSIDE_ID), "--gid", str(_INSIDE_ID)]
    for folder in world.system:
        path = Path(folder)
        if path.is_symlink():
            args += ["--symlink", str(path.readlink()), folder]
        elif path.exists():
            args += ["--ro-bind", folder, folder]
    for inside, path in world.shows.items():
        args += ["--ro-bind", str(path), inside]
    for folder in world.hides:
        if Path(folder).is_dir():
            args += ["--size", "4096", "--tmpfs", folder, "--remount-ro", folder]
    args += ["--ro-bind-try", "/etc/alternatives", "/etc/alternatives"]
    args += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--file", str(passwd_fd), "/etc/passwd"]
    disk = str(limits.disk_mb << 20)
    args += ["--proc", "/proc", "--dev", "/dev", "--size", str(_SHM_MB << 20), "--tmpfs", _SHM]
    args += ["--remount-ro", "/dev", "--size", disk, "--tmpfs", _TMP, "--size", disk, "--tmpfs", _WORK]
    # Last, since mount points are made in it; left writable it would be a disk without a size.
    args += ["--remount-ro", "/", "--chdir", _WORK]
    if filter_fd is not None:
        args += ["--seccomp", str(filter_fd)]
    return args


def _give_away(top: Path) -> None:
    """To the user that worlds are made by."""
    for folder, names, files in os.walk(top):
        for name in (".", *names, *files):
            os.chown(Path(folder) / name, _OUTSIDE_ID, _OUTSIDE_ID, follow_symlinks=False)


def _as_pipe(data: bytes) -> int:
    """A pipe holding a few bytes; the caller closes it."""
    read_end, write_end = os.pipe()
    os.write(write_end, data)
    os.close(write_end)
    return read_end


def _sweep_orphans() -> None:
    """End launchers that a killed builder left waiting for their first instruction.

    For about a millisecond a new launcher does not know that it is to die with its parent. Later ones end by themselves.
    """
    for path in Path("/proc").glob("[0-9]*"):
        pid = int(path.name)
        if _is_launcher(pid) and tree.in_namespace(pid) and not _is_launcher(tree.parent(pid)):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _is_launcher(pid: int) -> bool:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return arguments[0].endswith(b"bwrap") and _MARK.encode() in arguments
