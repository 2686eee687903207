"""A lock that does not hold together is refused when it is read: before anybody is asked anything."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from zerorepo.errors import TargetFailed
from zerorepo.rule import RuleContext
from zerorepo_rpg.lock import Lock
from zerorepo_rpg.lock_checks import is_whole, lock_problems, told
from zerorepo_rpg.rules.skeleton_types import CheckTypes, TypeProblems
from zerorepo_rpg.skeleton import skeleton


async def refuse_unsound(ctx: RuleContext[Any], lock: Lock, text: str, where: str) -> None:
    """TargetFailed with everything that is wrong with a lock and its lines; also, when nothing of it is missing, with what mypy
    says of its signatures."""
    if problems := lock_problems(lock):
        raise TargetFailed(
            f"The plan does not hold together:\n{told(problems, text, where)}",
            where=where,
            hint=f"mend `{where}` by hand, or remove the part in question to have it planned anew",
        )
    plan = lock.plan()
    if plan is None or not is_whole(lock):
        return
    checked: TypeProblems = await ctx.run(
        CheckTypes(files=skeleton(plan), package=plan.package_name, mypy=version("mypy"))
    )
    if checked.lines:
        listed = "\n".join(f"- {line}" for line in checked.lines)
        raise TargetFailed(
            f"The interfaces do not fit together (check skeleton_types, by mypy on the package without bodies):\n{listed}",
            where=where,
            hint=f"mend the signatures in `{where}` by hand, or remove them to have them planned anew",
        )


__all__ = ["refuse_unsound"]
