"""What every kind of isolation offers: a fresh place with processes run to their end in it, and resident workers.

Knows nothing of tests, commands, or how a tier keeps its promise. A tier must leave nothing behind, whatever ends the run:
no process, no mount, no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from zerorepo_sandbox.limits import Limits, Verdict


@dataclass(frozen=True, slots=True)
class World:
    """What can be seen in a place besides an empty work folder, an empty ``/tmp`` and a bare ``/dev`` and ``/proc``."""

    shows: Mapping[str, Path] = field(default_factory=dict)
    """Path inside to folder of this machine, read-only."""
    system: tuple[str, ...] = ()
    """Folders of this machine shown at their own path, read-only; those that do not exist are left out."""
    hides: tuple[str, ...] = ()
    """Folders below the shown ones that appear empty."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended. ``stopped`` is the limit that ended it, None when it ended by itself."""

    code: int
    stopped: Verdict | None
    stdout: bytes
    stderr: bytes
    """The last part of it; see ``Capture.keep``."""


@dataclass(frozen=True, slots=True)
class Capture:
    """Bytes a run may write: a stream beyond its cap ends the run; of stderr only the last ``keep`` bytes are kept."""

    stdout: int
    stderr: int
    keep: int = 64 << 10


class Place(Protocol):
    """One fresh world. Paths are as the processes in it see them."""

    work: str
    """The empty, writable work folder, which is also the current one."""
    tmp: str
    counts_processes: bool
    """Whether a limit on processes counts those of this place only."""

    def path(self, shown: str) -> str:
        """Where something of ``World.shows`` is seen."""

    async def run(
        self, argv: Sequence[str], *, stdin: bytes, env: Mapping[str, str], limits: Limits, capture: Capture
    ) -> Ended:
        """Run to the end or to a limit; afterwards none of its processes is left. Cancelling kills at once."""


class Gone(Exception):
    """A resident worker ended, or said something that is no frame, before its answer was complete."""


class Resident(Protocol):
    """A process in a world of the tier that serves one request after another (``inside/worker.py``).

    Both directions carry frames: four bytes of length, most significant first, and as many bytes. The first frame that comes is
    the worker's greeting; then each frame sent is answered by one. Within its world the worker makes a fresh one for each
    request; ``isolate`` says how (``inside/worlds.py``).
    """

    isolate: str
    """``namespaces``: it may make user, process, mount and IPC namespaces. ``users``: it is root within its world, with the
    capabilities SETUID, SETGID and KILL, and gives each request a user of its own. ``processes``: neither; it kills and
    clears away."""

    async def send(self, frame: bytes) -> None:
        """One frame. Gone when nobody reads any more."""

    async def receive(self, longest_s: float, largest: int) -> bytes:
        """One frame. Gone when none comes in time, it is larger than ``largest`` bytes, or the worker has ended."""

    async def end(self) -> None:
        """Kill it at once with all that it started, and wait until nothing is left. May be called twice, and cancelled."""

    def alive(self) -> bool:
        """Whether it has not ended, as far as can be known without asking it."""

    def last_words(self) -> str:
        """What it, or what started it, wrote to its error stream; known after ``end``."""


class Tier(Protocol):
    """A kind of isolation."""

    name: str
    python: str
    """The interpreter as it is called within the tier's worlds."""
    isolate: str
    """How a resident worker makes a fresh world for each request (see ``Resident``); ``none``: there is no resident worker."""

    async def check(self) -> None:
        """EnvironmentFailure, saying what to install, when it does not work on this machine."""

    async def close(self) -> None:
        """Release what is kept between places."""

    def place(self, world: World, limits: Limits) -> AbstractAsyncContextManager[Place]:
        """A fresh place, gone when the context is left."""

    def entry(self, world: World, folder: Path, limits: Limits) -> str:
        """The end of a shell script that runs ``"$@"`` in such a world, with ``$here/work`` and ``$here/tmp`` to be written to.

        ``$here`` is ``folder``, in which it may put what it needs. For debugging: it needs a person, and no builder, to run it.
        """

    async def resident(
        self, world: World, argv: Sequence[str], env: Mapping[str, str], most: Limits
    ) -> Resident | None:
        """Start a resident worker; ``most`` is the most that any of its requests may use.

        It must end when this process ends, however that ends. None: this tier runs each request in a place of its own.
        EnvironmentFailure when it cannot be started.
        """
