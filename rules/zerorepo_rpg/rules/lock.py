"""The lock's slices: ``zerorepo.lock`` read once, handed on stage by stage, so that no stage depends on another one's part."""

from __future__ import annotations

from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.target import Provider
from zerorepo_rpg.lock import Lock, parse_lock
from zerorepo_rpg.plan_model import BaseClasses, FeatureSet, ModuleInterfaces, ModuleSet
from zerorepo_rpg.providers import (
    LockedBaseClasses,
    LockedExisting,
    LockedFeatures,
    LockedLimits,
    LockedModule,
    LockedModulePlans,
    LockedModules,
)
from zerorepo_rpg.renames import LockedRenames
from zerorepo_rpg.rules.sound_lock import SoundLock, refuse_unsound


class LockAttrs(Attrs):
    """Attributes of ``rpg_lock``. ``path`` is a string, not a source: the file need not exist."""

    path: str


_SLICES: tuple[type[Provider], ...] = (
    LockedFeatures,
    LockedLimits,
    LockedModules,
    LockedBaseClasses,
    LockedModulePlans,
    LockedExisting,
    LockedRenames,
)


@rule(
    "rpg_lock",
    version=3,
    attrs=LockAttrs,
    provides=[*_SLICES, SoundLock],
)
async def rpg_lock(ctx: RuleContext[LockAttrs]) -> list[Provider]:
    """Read the lock. Without one every slice is empty."""
    found = await ctx.source_or_none(ctx.attrs.path)
    if found is None:
        return [*(each() for each in _SLICES), SoundLock()]
    text = ctx.read(found).decode("utf-8", "replace")
    lock = parse_lock(text, ctx.attrs.path)
    refuse_unsound(lock, text, ctx.attrs.path)
    stages = lock.stages
    return [
        LockedFeatures(
            inputs=stages.get("features", ""), requirements=lock.requirements, value=lock.features or FeatureSet()
        ),
        LockedLimits(inputs=stages.get("limits", ""), limits=lock.limits),
        LockedModules(inputs=stages.get("modules", ""), value=lock.modules or ModuleSet()),
        LockedBaseClasses(inputs=stages.get("base_classes", ""), value=lock.base_classes or BaseClasses()),
        LockedModulePlans(modules=_modules(lock)),
        LockedExisting(value=lock.existing),
        LockedRenames(renames=lock.renames),
        SoundLock(),
    ]


def _modules(lock: Lock) -> dict[str, LockedModule]:
    files = lock.layout.files if lock.layout else ()
    interfaces = {each.module: each for each in lock.interfaces}
    names = sorted({file.module for file in files} | set(interfaces))
    return {
        name: LockedModule(
            files_inputs=lock.stages.get(f"files/{name}", ""),
            files=tuple((file.path, file.features, file.description) for file in files if file.module == name),
            interfaces_inputs=lock.stages.get(f"interfaces/{name}", ""),
            interfaces=interfaces.get(name, ModuleInterfaces(module=name)),
        )
        for name in names
    }
