"""The action that type-checks the skeleton of a planned package: every signature against every other, before any body exists.

mypy reads code and does not run it, so this needs no sandbox. Third-party modules are taken as they are named.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from zerorepo.action import Action, ActionContext, ActionResult
from zerorepo.errors import TransientFailure

_LIMIT_S = 120.0
_FLAGS = (
    "--config-file=", "--no-site-packages", "--ignore-missing-imports", "--check-untyped-defs", "--no-error-summary",
    "--no-color-output", "--python-version=3.11", "--disable-error-code=empty-body", "--allow-redefinition",
)  # fmt: skip


class TypeProblems(ActionResult):
    """What mypy says, a line each; empty when the signatures fit together."""

    lines: tuple[str, ...] = ()


class CheckTypes(Action):
    """Type-check ``files`` (path to source). ``mypy``: its version, since another one may say otherwise."""

    mnemonic: ClassVar[str] = "CheckTypes"
    result: ClassVar[type[ActionResult]] = TypeProblems

    files: Mapping[str, str]
    package: str
    mypy: str

    async def execute(self, context: ActionContext) -> TypeProblems:
        """Run mypy in a folder of its own, with nothing of the workspace or its settings in reach."""
        cache = context.state_dir / "mypy"
        with TemporaryDirectory(prefix="zerorepo-types-") as folder:
            for path, text in self.files.items():
                target = Path(folder) / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, "utf-8")
            command = [sys.executable, "-m", "mypy", *_FLAGS, f"--cache-dir={cache}", "-p", self.package]
            process = await asyncio.create_subprocess_exec(
                *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MYPYPATH": ""},
            )  # fmt: skip
            try:
                out, err = await asyncio.wait_for(process.communicate(), _LIMIT_S)
            except TimeoutError:
                raise TransientFailure(f"mypy took more than {_LIMIT_S:.0f} s for the skeleton") from None
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if process.returncode not in (0, 1):
            # Not a verdict on the plan: mypy itself could not run.
            raise TransientFailure(
                f"mypy failed on the skeleton: {err.decode(errors='replace').strip()[-500:] or out[-500:]!r}"
            )
        said = [line for line in out.decode(errors="replace").splitlines() if ": error: " in line]
        return TypeProblems(lines=tuple(said) if process.returncode else ())


__all__ = ["CheckTypes", "TypeProblems"]
