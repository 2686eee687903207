"""For a builder that is root: folders put where the ordinary user that makes the worlds can reach them.

Done once in a mount namespace of its own, which lives as long as a descriptor of it is open in this process: no mount is seen on
the machine, and none is left when the builder is killed. (An outer bubblewrap in front of each world would be simpler, but its
monitor gives up its privileges and can then not end a process of another user when it dies itself.)
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

from zerorepo.errors import EnvironmentFailure

_PLACES = ("/mnt", "/srv", "/media", "/opt")
_SCRIPT = """
mount -t tmpfs -o mode=755 zerorepo "$1"; place=$1; shift
for folder; do mkdir "$place/$#"; mount --bind "$folder" "$place/$#"; shift; done
echo ready; read end || :
"""


class Stage:
    """The namespace; ``close`` lets go of it. ``shows`` are the folders as they are found within it."""

    def __init__(self, fd: int, shows: Mapping[str, Path]) -> None:
        self._fd = fd
        self.shows = shows

    @property
    def command(self) -> list[str]:
        """The start of a command line that runs the rest of it in the namespace."""
        # By our own pid: a descriptor that is handed down would be open in the world too.
        return [_tool("nsenter"), f"--mount=/proc/{os.getpid()}/fd/{self._fd}"]

    def close(self) -> None:
        """Worlds that are still running keep theirs."""
        os.close(self._fd)


async def stage(shows: Mapping[str, Path]) -> Stage:
    """Make one that holds these folders. EnvironmentFailure when this machine does not let us."""
    place = next((path for path in _PLACES if Path(path).is_dir()), "/tmp")
    folders = [str(path) for path in shows.values()]
    moved = {inside: Path(place) / str(len(folders) - index) for index, inside in enumerate(shows)}
    process = await asyncio.create_subprocess_exec(
        *(_tool("unshare"), "--mount", "--propagation", "private", "/bin/sh", "-eu", "-c", _SCRIPT, "sh", place),
        *folders,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert process.stdout is not None
    fd = -1
    try:
        if await process.stdout.readline() == b"ready\n":
            fd = os.open(f"/proc/{process.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        _, stderr = await asyncio.shield(process.communicate(b"\n"))
    if fd < 0:
        said = stderr.decode("utf-8", "replace").strip()
        raise EnvironmentFailure(
            f"The sandbox cannot show its folders to an ordinary user: {said}",
            hint="root without the capability SYS_ADMIN? Run the build as an ordinary user, or with --unsafe",
        )
    return Stage(fd, moved)


def inline(shows: Mapping[str, Path]) -> tuple[list[str], dict[str, Path]]:
    """The same as the start of a command line that makes a stage of its own; the rest of it runs on the stage."""
    place = next((path for path in _PLACES if Path(path).is_dir()), "/tmp")
    moved = {inside: Path(place) / str(index) for index, inside in enumerate(shows)}
    mounts = "".join(
        f'mkdir "{new}"; mount --bind "${index + 1}" "{new}"; ' for index, new in enumerate(moved.values())
    )
    script = f'mount -t tmpfs -o mode=755 zerorepo {place}; {mounts}shift {len(shows)}; exec "$@"'
    command = [_tool("unshare"), "--mount", "--propagation", "private", "/bin/sh", "-eu", "-c", script, "sh"]
    return [*command, *(str(path.resolve()) for path in shows.values())], moved


def everyone_reaches(path: Path) -> bool:
    """Whether an unrelated user may enter ``path`` and all folders above it."""
    try:
        return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))
    except OSError:
        return False


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise EnvironmentFailure(
            f"The sandbox needs `{name}` (package util-linux) when the build runs as root",
            hint="bash scripts/install-system-packages.sh",
        )
    return found
