"""``FetchNpmPackage``: one package of npm, exactly as pinned, through npm itself. npm unpacks and runs nothing of it.

Knows nothing of what is in it.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, ClassVar

from zerorepo.action import Action, ActionContext, ActionResult
from zerorepo.digest import Digest
from zerorepo.errors import ActionFailed, EnvironmentFailure, TransientFailure
from zerorepo.values import COSMETIC
from zerorepo_sandbox.pip import run_client

LONGEST_S = 300.0
_ENVIRONMENT = re.compile(
    r"(npm_config|NPM_CONFIG)_\w+|\w*_proxy|\w*_PROXY|SSL_CERT_\w+|NODE_EXTRA_CA_CERTS|HOME|PATH|LANG"
)
_NOT_THERE = re.compile(r"\b(E404|ETARGET|ENOVERSIONS)\b")


class FetchedPackage(ActionResult):
    """The package's archive (``.tgz``)."""

    archive: Digest


class FetchNpmPackage(Action):
    """Have npm download one package. ActionFailed when there is none of that version with that hash."""

    mnemonic: ClassVar[str] = "FetchNpmPackage"
    result: ClassVar[type[ActionResult]] = FetchedPackage
    pool: ClassVar[str] = "fetch"

    name: str
    version: str
    sha256: str
    folder: Annotated[str, COSMETIC] = ""
    """A folder that has the archive, as ``npm pack`` names it, instead of a registry."""

    async def execute(self, context: ActionContext) -> FetchedPackage:
        data = await self._from_folder(context.workspace / self.folder) if self.folder else await self._from_registry()
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise ActionFailed(
                f"{self.name} {self.version} is not the pinned archive: its hash is another one",
                hint="was it damaged on its way, or published anew?",
            )
        return FetchedPackage(archive=context.write(data))

    async def _from_folder(self, folder: Path) -> bytes:
        file = folder / archive_name(self.name, self.version)
        try:
            return file.read_bytes()
        except OSError as error:
            raise ActionFailed(
                f"The archive of {self.name} cannot be read: {error.strerror}", where=str(file)
            ) from None

    async def _from_registry(self) -> bytes:
        npm = shutil.which("npm")
        if npm is None:
            raise EnvironmentFailure(
                f"Fetching {self.name} needs npm, which is not on this machine",
                hint="install Node.js, or name a folder that has its archive: [ontology] wheels",
            )
        with tempfile.TemporaryDirectory(prefix="zerorepo-npm-") as made:
            what = f"{self.name}@{self.version}"
            code, said = await run_client(
                [npm, "pack", "--silent", "--ignore-scripts", what], what, Path(made), LONGEST_S, _ENVIRONMENT
            )
            found = list(Path(made).glob("*.tgz"))
            if code == 0 and len(found) == 1:
                return found[0].read_bytes()
        if _NOT_THERE.search(said):
            raise ActionFailed(f"npm has no {what}", hint="is the version still offered?")
        raise TransientFailure(f"npm could not fetch {what}:\n{said.strip()[-1000:]}")

    def describe(self) -> str:
        return f"fetch {self.name} {self.version}"


def archive_name(name: str, version: str) -> str:
    """What ``npm pack`` calls the archive: ``@scope/name`` is ``scope-name-version.tgz``."""
    return f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"
