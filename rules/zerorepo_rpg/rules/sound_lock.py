"""A lock that does not hold together is refused when it is read, before anybody is asked anything."""

from __future__ import annotations

from importlib.metadata import version

from zerorepo.errors import TargetFailed
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.target import Provider
from zerorepo_rpg.lock import Lock, parse_lock
from zerorepo_rpg.lock_checks import is_whole, lock_problems, told
from zerorepo_rpg.rules.skeleton_types import CheckTypes, TypeProblems
from zerorepo_rpg.skeleton import skeleton


class SoundLock(Provider):
    """That the lock holds together. Always the same, so whoever asks for it runs again only when it did not and now does."""


class LockTypesAttrs(Attrs):
    """Attributes of ``rpg_lock_types``. ``path`` is a string, not a source: the file need not exist."""

    path: str


def refuse_unsound(lock: Lock, text: str, where: str) -> None:
    """TargetFailed with everything that is wrong with a lock by the named checks, and its lines."""
    if problems := lock_problems(lock):
        raise TargetFailed(
            f"The plan does not hold together:\n{told(problems, text, where)}",
            where=where,
            hint=f"mend `{where}` by hand, or remove the part in question to have it planned anew",
        )


@rule("rpg_lock_types", attrs=LockTypesAttrs, provides=[SoundLock])
async def rpg_lock_types(ctx: RuleContext[LockTypesAttrs]) -> SoundLock:
    """That mypy accepts the signatures of a lock of which nothing is missing; asked for before planning asks anyone."""
    found = await ctx.source_or_none(ctx.attrs.path)
    if found is None:
        return SoundLock()
    lock = parse_lock(ctx.read(found).decode("utf-8", "replace"), ctx.attrs.path)
    plan = lock.plan()
    if plan is None or lock_problems(lock) or not is_whole(lock):
        return SoundLock()
    checked: TypeProblems = await ctx.run(
        CheckTypes(files=skeleton(plan), package=plan.package_name, mypy=version("mypy"))
    )
    if checked.lines:
        listed = "\n".join(f"- {line}" for line in checked.lines)
        raise TargetFailed(
            f"The interfaces do not fit together (check skeleton_types, by mypy on the package without bodies):\n{listed}",
            where=ctx.attrs.path,
            hint=f"mend the signatures in `{ctx.attrs.path}` by hand, or remove them to have them planned anew",
        )
    return SoundLock()


__all__ = ["SoundLock", "refuse_unsound", "rpg_lock_types"]
