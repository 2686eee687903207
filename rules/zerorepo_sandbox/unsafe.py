"""The tier ``unsafe``: a temporary folder and resource limits, nothing else. What runs can do all that the user can.

Used only in a build that was given ``--unsafe``. Knows nothing of what runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from zerorepo_sandbox import environment, tree
from zerorepo_sandbox.limits import Limits
from zerorepo_sandbox.process import supervise
from zerorepo_sandbox.settings import UNSAFE
from zerorepo_sandbox.tier import Capture, Ended, Place, World

_PREFIX = "zerorepo-unsafe-"
_MARK = "ZEROREPO_PLACE"
_GONE_S = 5.0


class Unsafe:
    """See the head of this file."""

    name = UNSAFE
    isolate = "none"
    python = environment.python()

    def __init__(self) -> None:
        self._swept = False

    async def check(self) -> None:
        """Works everywhere."""

    async def close(self) -> None:
        """Nothing is kept."""

    async def resident(self, world: World, argv: Sequence[str], env: Mapping[str, str], most: Limits) -> None:
        """None: requests that share a process could spoil each other's verdicts, with nothing to hold them apart."""

    def entry(self, world: World, folder: Path, limits: Limits) -> str:
        """The folder, and nothing around it."""
        return 'cd "$here/work" && exec "$@"'

    @asynccontextmanager
    async def place(self, world: World, limits: Limits) -> AsyncIterator[Place]:
        """A temporary folder, removed afterwards together with every process that was started in it."""
        if not self._swept:
            self._swept = True
            _sweep_orphans()
        root = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        try:
            for name in ("work", "tmp"):
                (root / name).mkdir()
            yield _UnsafePlace(root, world)
        finally:
            _kill_marked(str(root))
            await asyncio.shield(asyncio.to_thread(_remove, root))


class _UnsafePlace:
    """See ``Place``."""

    # For an ordinary user RLIMIT_NPROC counts every process of that user on the machine.
    counts_processes = False

    def __init__(self, root: Path, world: World) -> None:
        self.work = str(root / "work")
        self.tmp = str(root / "tmp")
        self._root = root
        self._world = world

    def path(self, shown: str) -> str:
        return str(self._world.shows[shown])

    async def run(
        self, argv: Sequence[str], *, stdin: bytes, env: Mapping[str, str], limits: Limits, capture: Capture
    ) -> Ended:
        marked = {**env, _MARK: str(self._root)}
        return await supervise(argv, stdin=stdin, env=marked, cwd=self.work, limits=limits, capture=capture)


def _kill_marked(mark: str) -> None:
    """Kill processes that left our session: what was started in a place carries the place's name in its environment."""
    needle = f"{_MARK}={mark}\0".encode()
    end = time.monotonic() + _GONE_S
    while time.monotonic() < end:
        left = [int(path.name) for path in Path("/proc").glob("[0-9]*") if _has_mark(int(path.name), needle)]
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def _has_mark(pid: int, needle: bytes) -> bool:
    try:
        return needle in Path(f"/proc/{pid}/environ").read_bytes() and tree.started(pid) is not None
    except OSError:
        return False


def _sweep_orphans() -> None:
    """Remove the folders of builders that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and tree.started(int(owner)) is None:
            _kill_marked(str(folder))
            _remove(folder)


def _remove(root: Path) -> None:
    """Remove a folder in which a test may have taken away its own write permissions."""
    for folder, names, _ in os.walk(root):
        for name in names:
            path = Path(folder) / name
            if not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.chmod(0o700)
    shutil.rmtree(root, ignore_errors=True)
