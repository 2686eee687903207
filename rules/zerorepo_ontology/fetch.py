"""``FetchDistribution``: one wheel, exactly as pinned, through pip: the only action of this rule set that uses the network.

pip takes a wheel with the hash that the pin names, downloads and runs nothing of it. Knows nothing of what is in it.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Annotated, ClassVar

from zerorepo.action import Action, ActionContext, ActionResult
from zerorepo.digest import Digest
from zerorepo.errors import ActionFailed, EnvironmentFailure, TransientFailure, UsageError
from zerorepo.values import COSMETIC

_LONGEST_S = 600.0
_PIP_ENVIRONMENT = re.compile(r"PIP_\w+|\w*_proxy|\w*_PROXY|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|HOME|PATH|LANG")
_NO_CONNECTION = re.compile(r"Connection|timed out|Temporary failure|Max retries|Network is unreachable|50[0-9] ")
_SHOWN_LINES = 8


class Fetched(ActionResult):
    """The wheel's bytes."""

    wheel: Digest


class FetchDistribution(Action):
    """Have pip download one wheel. ActionFailed when there is none of that name with that hash."""

    mnemonic: ClassVar[str] = "FetchDistribution"
    result: ClassVar[type[ActionResult]] = Fetched
    pool: ClassVar[str] = "fetch"

    name: str
    version: str
    wheel: str
    """The file's name: it says which platform's wheel it is."""
    sha256: str
    # The hash says what comes, so it does not matter where from.
    folder: Annotated[str, COSMETIC] = ""
    """A folder of wheels to take it from instead of an index."""

    async def execute(self, context: ActionContext) -> Fetched:
        with tempfile.TemporaryDirectory(prefix="zerorepo-fetch-") as made:
            lock = Path(made) / "requirements.txt"
            lock.write_text(f"{self.name}=={self.version} --hash=sha256:{self.sha256}\n")
            target = Path(made) / "wheels"
            arguments = ["--require-hashes", "--requirement", str(lock), *platform_arguments(self.wheel)]
            where = str(context.workspace / self.folder) if self.folder else ""
            await download(f"{self.name}=={self.version}", arguments, target, where)
            found = [path for path in target.iterdir() if path.suffix == ".whl"]
            if len(found) != 1:
                raise ActionFailed(f"pip fetched {len(found)} wheels for {self.name}=={self.version}, not one")
            return Fetched(wheel=context.write(found[0].read_bytes()))

    def describe(self) -> str:
        return f"fetch {self.name} {self.version}"


def platform_arguments(wheel: str) -> list[str]:
    """pip's flags for the platform that a wheel's name tells, whatever this machine is: it is read and not run."""
    parts = wheel.removesuffix(".whl").split("-")
    if len(parts) < 5:
        raise UsageError(f"`{wheel}` is no name of a wheel", hint="name-version-python-abi-platform.whl")
    python, abi, platforms = parts[-3:]
    if platforms == "any":
        # Any interpreter will do for pip's choice: pure wheels fit all of Python 3.
        return []
    version = re.search(r"cp(\d+)", python)
    arguments = [
        "--implementation",
        "cp",
        "--python-version",
        "311" if abi == "abi3" or not version else version.group(1),
    ]
    for each in (abi, "abi3", "none"):
        arguments += ["--abi", each]
    for each in platforms.split("."):
        arguments += ["--platform", each]
    return arguments


async def download(what: str, arguments: list[str], target: Path, folder: str = "") -> None:
    """Run pip into ``target``. TransientFailure, ActionFailed or EnvironmentFailure when it does not work."""
    target.mkdir(exist_ok=True)
    command = [sys.executable, "-I", "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(target), *arguments]
    if folder:
        command += ["--no-index", "--find-links", folder]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={name: value for name, value in os.environ.items() if _PIP_ENVIRONMENT.fullmatch(name)},
        cwd=target,
    )
    try:
        async with asyncio.timeout(_LONGEST_S):
            said, _ = await process.communicate()
    except TimeoutError as error:
        raise TransientFailure(f"pip did not fetch {what} within {_LONGEST_S:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await asyncio.shield(process.wait())
    if process.returncode == 0:
        return
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if not line.startswith("WARNING")]
    text = "\n".join(lines[-_SHOWN_LINES:])
    if "No module named pip" in text:
        raise EnvironmentFailure("Fetching needs pip beside zerorepo", hint=f"{sys.executable} -m ensurepip")
    if _NO_CONNECTION.search(text) and not folder:
        raise TransientFailure(f"pip could not reach the package index for {what}:\n{text}")
    raise ActionFailed(f"pip cannot fetch {what}:\n{text}", hint="is the version still offered, with this hash?")
