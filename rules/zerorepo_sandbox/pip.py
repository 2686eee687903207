"""pip as fetching actions use it: it takes wheels whose hashes are given, and runs nothing of them.

Knows nothing of what is fetched, or what for.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from zerorepo.errors import ActionFailed, EnvironmentFailure, TransientFailure

_ENVIRONMENT = re.compile(r"PIP_\w+|\w*_proxy|\w*_PROXY|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|HOME|PATH|LANG")
_NO_CONNECTION = re.compile(r"Connection|timed out|Temporary failure|Max retries|Network is unreachable|50[0-9] ")
_COMMAND = (sys.executable, "-I", "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check")
_SHOWN_LINES = 15


async def download(
    what: str, arguments: Sequence[str], target: Path, *, folder: Path | None = None, longest_s: float, hint: str
) -> None:
    """``pip download`` of wheels into ``target``, from ``folder`` instead of an index when there is one.

    ``what`` is fetched, as messages name it. TransientFailure when the index cannot be reached, ActionFailed with ``hint`` when it
    has not what is asked for, EnvironmentFailure without a pip.
    """
    command = [*_COMMAND, "--only-binary=:all:", "--dest", str(target), *arguments]
    if folder is not None:
        command += ["--no-index", "--find-links", str(folder)]
    code, said = await run_client(command, what, target, longest_s, _ENVIRONMENT)
    if code == 0:
        return
    # The folder is a temporary one, which says nothing to anybody.
    said = said.replace(f"{target.parent}/", "")
    text = "\n".join([line for line in said.splitlines() if not line.startswith("WARNING")][-_SHOWN_LINES:])
    if "No module named pip" in text:
        raise EnvironmentFailure("Fetching needs pip beside zerorepo", hint=f"{sys.executable} -m ensurepip")
    if _NO_CONNECTION.search(text) and folder is None:
        raise TransientFailure(f"pip could not reach the package index for {what}:\n{text}")
    raise ActionFailed(f"pip cannot fetch {what}:\n{text}", hint=hint)


async def run_client(
    command: Sequence[str], what: str, folder: Path, longest_s: float, environment: re.Pattern[str]
) -> tuple[int | None, str]:
    """Run a registry's client: its exit code, and what it said. TransientFailure when it takes longer than ``longest_s``.

    ``what`` is fetched into ``folder``; of this process's environment the client sees what ``environment`` matches by name.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={name: value for name, value in os.environ.items() if environment.fullmatch(name)},
        cwd=folder,
    )
    try:
        async with asyncio.timeout(longest_s):
            said, _ = await process.communicate()
    except TimeoutError as error:
        raise TransientFailure(f"{what} was not fetched within {longest_s:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await asyncio.shield(process.wait())
    return process.returncode, said.decode("utf-8", "replace")
