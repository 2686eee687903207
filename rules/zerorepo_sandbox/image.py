"""The root folder of the docker and gvisor tiers: made once per machine from Debian's packages, kept as a tar file, no registry.

Where: ``$ZEROREPO_SANDBOX_DIR``, else ``zerorepo/sandbox`` in the user's cache folder. It is called by what is in it: the digest of
the recipe and of every package's version. Knows nothing of containers; imports nothing heavy.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zerorepo.errors import EnvironmentFailure

NAME = "zerorepo-sandbox"
BUILD_COMMAND = "zerorepo sandbox image"
_RECIPE = Path(__file__).with_name("image_recipe.sh")
_RECORD = "image.json"
_SUITE = "bookworm"
_BUILD_LIMIT_S = 1800


@dataclass(frozen=True, slots=True)
class Image:
    """A root folder as a tar file."""

    digest: str
    tar: Path
    suite: str

    @property
    def tag(self) -> str:
        """Its name in a docker engine."""
        return f"{NAME}:{self.digest}"


def folder() -> Path:
    """Where it is kept."""
    if chosen := os.environ.get("ZEROREPO_SANDBOX_DIR"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zerorepo" / "sandbox"


def find() -> Image | None:
    """The image of this machine, when it has been made with the present recipe."""
    try:
        record = json.loads((folder() / _RECORD).read_text(encoding="utf-8"))
        image = Image(str(record["digest"]), folder() / str(record["tar"]), str(record["suite"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return image if record.get("recipe") == _recipe_digest() and image.tar.is_file() else None


def need() -> Image:
    """The image; EnvironmentFailure, saying how to make it, when there is none."""
    image = find()
    if image is None:
        raise EnvironmentFailure(
            "The root folder of the docker sandbox has not been made on this machine",
            where=str(folder()),
            hint=f"make it once, as root, in about a minute: {BUILD_COMMAND}  (needs debootstrap: apt-get install debootstrap)",
        )
    return image


def make(say: Callable[[str], None], *, again: bool = False) -> Image:
    """Make it, unless it is there. EnvironmentFailure with what to install when it cannot be made."""
    if not again and (found := find()):
        return found
    if os.geteuid() != 0:
        raise EnvironmentFailure("debootstrap takes root", hint=f"as root: {BUILD_COMMAND}")
    if shutil.which("debootstrap", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
        raise EnvironmentFailure("There is no `debootstrap` on this machine", hint="apt-get install debootstrap")
    suite = os.environ.get("ZEROREPO_SANDBOX_SUITE") or _host_suite()
    kept = folder()
    kept.mkdir(parents=True, exist_ok=True)
    say(f"making the sandbox's root folder from Debian {suite}, about a minute")
    with tempfile.TemporaryDirectory(dir=kept, prefix=".making-") as scratch:
        tar, packages = Path(scratch) / "root.tar", Path(scratch) / "packages"
        _run(["sh", str(_RECIPE), str(tar), str(packages), suite, str(kept / "debs")])
        digest = hashlib.sha256(f"{_recipe_digest()}\n".encode() + packages.read_bytes()).hexdigest()[:16]
        final = kept / f"{digest}.tar"
        tar.rename(final)
        packages.rename(kept / f"{digest}.packages")
        record = Path(scratch) / _RECORD
        record.write_text(
            json.dumps({"digest": digest, "tar": final.name, "suite": suite, "recipe": _recipe_digest()}),
            encoding="utf-8",
        )
        record.replace(kept / _RECORD)
    for other in kept.glob("*.tar"):
        if other != final:
            other.unlink()
            other.with_suffix(".packages").unlink(missing_ok=True)
    return Image(digest, final, suite)


def _run(command: list[str]) -> None:
    with tempfile.TemporaryFile() as log:
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=_BUILD_LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise EnvironmentFailure(
                "The sandbox's root folder was not made in half an hour", hint="is the Debian mirror reachable?"
            ) from None
        if done.returncode:
            log.seek(0)
            said = log.read().decode("utf-8", "replace").strip().splitlines()[-8:]
            raise EnvironmentFailure(
                "The sandbox's root folder could not be made:\n  " + "\n  ".join(said),
                hint="is the Debian mirror reachable? ZEROREPO_DEBIAN_MIRROR names another",
            )


def _recipe_digest() -> str:
    return hashlib.sha256(_RECIPE.read_bytes()).hexdigest()[:16]


def _host_suite() -> str:
    """The release of this machine when it is a Debian: an interpreter that is shown from outside then finds its libraries."""
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return _SUITE
    release = dict(line.partition("=")[::2] for line in lines if "=" in line)
    if release.get("ID", "").strip('"') == "debian":
        return release.get("VERSION_CODENAME", _SUITE).strip('"') or _SUITE
    return _SUITE
