"""``FetchDistribution``: one wheel, exactly as pinned, through pip: the only action of this rule set that uses the network.

pip takes a wheel with the hash that the pin names, downloads and runs nothing of it. Knows nothing of what is in it.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Annotated, ClassVar

from zerorepo.action import Action, ActionContext, ActionResult
from zerorepo.digest import Digest
from zerorepo.errors import ActionFailed, UsageError
from zerorepo.values import COSMETIC
from zerorepo_sandbox.pip import download

LONGEST_S = 600.0
HINT = "is the version still offered, with this hash?"


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
            target.mkdir()
            folder = context.workspace / self.folder if self.folder else None
            what = f"{self.name}=={self.version}"
            await download(what, ["--no-deps", *arguments], target, folder=folder, longest_s=LONGEST_S, hint=HINT)
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
