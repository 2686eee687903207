"""The action that type-checks the skeleton of a planned package: every signature against every other, before any body exists.

mypy reads code and does not run it, so this needs no sandbox. Third-party modules are taken as they are named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from zerorepo.action import Action, ActionContext, ActionResult
from zerorepo.errors import TransientFailure
from zerorepo_rpg.rules.type_checker import TypeChecker


class TypeProblems(ActionResult):
    """What mypy says, a line each; empty when the signatures fit together."""

    lines: tuple[str, ...] = ()


class CheckTypes(Action):
    """Type-check ``files`` (path to source). ``mypy``: its version, since another one may say otherwise."""

    mnemonic: ClassVar[str] = "CheckTypes"
    result: ClassVar[type[ActionResult]] = TypeProblems
    pool: ClassVar[str] = "processor"

    files: Mapping[str, str]
    package: str
    mypy: str

    async def execute(self, context: ActionContext) -> TypeProblems:
        """Run mypy, with nothing of the workspace or its settings in reach."""
        checker = await context.service(TypeChecker)
        code, out, err = await checker.check(self.files, self.package)
        if code not in (0, 1):
            # Not a verdict on the plan: mypy itself could not run.
            raise TransientFailure(f"mypy failed on the skeleton: {err.strip()[-500:] or out[-500:]!r}")
        said = [line for line in out.splitlines() if ": error: " in line]
        return TypeProblems(lines=tuple(said) if code else ())


__all__ = ["CheckTypes", "TypeProblems"]
