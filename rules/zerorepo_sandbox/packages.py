"""What the code under test needs installed: a lock file with hashes becomes a set of wheels, and that a folder that worlds show.

Fetching is an action of its own, the only one of this rule set with a network, and runs nothing of what it fetches: pip takes
wheels alone, each with the hash that the lock names, and they are unpacked here without running a script. The folder is made once
for each set of wheels and shared, read-only, by all requests. Knows nothing of tests.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import py_compile
import shutil
import stat
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar

from zerorepo.action import Action, ActionContext, ActionResult
from zerorepo.digest import Digest
from zerorepo.errors import ActionFailed, EnvironmentFailure
from zerorepo.values import COSMETIC
from zerorepo_sandbox.pip import download

PACKAGES = "/opt/zerorepo/packages"
"""Where the folder is seen in a world."""
_LAYOUT = "1"
_LONGEST_S = 900.0
_LARGEST = 4 << 30
"""Bytes of all wheels of a set, unpacked."""
_HINT = "each must be pinned with ==, carry --hash=sha256:…, and exist as a wheel: pip-compile --generate-hashes"


def platform_tag() -> str:
    """What wheels must fit: ``cpython-311 linux-x86_64``."""
    return f"{sys.implementation.cache_tag} {sysconfig.get_platform()}"


class WheelSet(ActionResult):
    """File name to content."""

    wheels: Mapping[str, Digest]


class FetchWheels(Action):
    """Have pip fetch what a lock file names. ActionFailed when the lock has no hashes, or something does not fit them."""

    mnemonic: ClassVar[str] = "FetchWheels"
    result: ClassVar[type[ActionResult]] = WheelSet

    lock: Digest
    """Requirements, each pinned and with ``--hash``, as ``pip-compile --generate-hashes`` or ``uv export`` writes them."""
    platform: str
    """From ``platform_tag()``."""
    # The hashes say what comes, so it does not matter where from.
    folder: Annotated[str, COSMETIC] = ""
    """A folder of wheels, relative to the workspace, to take them from instead of an index."""

    async def execute(self, context: ActionContext) -> WheelSet:
        """Fetch, and put each wheel into the CAS."""
        with tempfile.TemporaryDirectory(prefix="zerorepo-wheels-") as made:
            lock, target = Path(made) / "requirements.txt", Path(made) / "wheels"
            lock.write_bytes(context.read(self.lock))
            target.mkdir()
            await download(
                "the requirements",
                ["--require-hashes", "--requirement", str(lock)],
                target,
                folder=context.workspace / self.folder if self.folder else None,
                longest_s=_LONGEST_S,
                hint=_HINT,
            )
            return WheelSet(wheels={path.name: context.write(path.read_bytes()) for path in sorted(target.iterdir())})


def layer(state_dir: Path, wheels: Mapping[str, Digest], read: Callable[[Digest], bytes]) -> Path:
    """The folder with what these wheels hold, made if need be. ActionFailed when one is no wheel.

    Made under another name and renamed, so that it is whole or not there; two builds at once make one.
    """
    lines = [f"{_LAYOUT} {platform_tag()}", *(f"{name} {digest.hex}" for name, digest in sorted(wheels.items()))]
    folder = state_dir / "sandbox-packages" / hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        left = _LARGEST
        for name, digest in sorted(wheels.items()):
            archive = made / ".wheel"
            archive.write_bytes(read(digest))
            left = _unpack(archive, name, made, left)
            archive.unlink()
        compileall.compile_dir(made, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        for top, folders, files in os.walk(made):
            for each in (*folders, *files):
                path = Path(top) / each
                path.chmod(0o755 if path.is_dir() else 0o644)
        made.chmod(0o755)
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    except OSError as error:
        raise EnvironmentFailure(
            f"The packages for tests could not be unpacked: {error}", where=str(folder), hint="is the disk full?"
        ) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


def _unpack(archive: Path, name: str, target: Path, left: int) -> int:
    """Modules and data of one wheel; its scripts and headers are left out. How many bytes may still come."""
    try:
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                path = _place(entry, name)
                if path is None:
                    continue
                left -= entry.file_size
                if left < 0:
                    raise ActionFailed(f"The wheels unpack to more than {_LARGEST >> 30} GB")
                place = target / path
                place.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(entry) as source, place.open("wb") as file:
                    shutil.copyfileobj(source, file)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ActionFailed(f"`{name}` is no wheel: {error}") from error
    return left


def _place(entry: zipfile.ZipInfo, name: str) -> PurePosixPath | None:
    """Where an entry goes; None for what is not taken."""
    path = PurePosixPath(entry.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in entry.filename:
        raise ActionFailed(f"`{name}` has an entry outside of itself: {entry.filename!r}")
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ActionFailed(f"`{name}` has an entry that is no plain file: {entry.filename!r}")
    if entry.is_dir():
        return None
    if path.parts[0].endswith(".data"):
        kept = len(path.parts) > 2 and path.parts[1] in ("purelib", "platlib")
        return PurePosixPath(*path.parts[2:]) if kept else None
    return path
