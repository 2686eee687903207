"""How good a plan's grouping into modules is, and what would make it better, as lines of text. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from zerorepo_rpg.grouping import Step, refine
from zerorepo_rpg.plan_metrics import feature_weights, measure
from zerorepo_rpg.plan_model import Plan

_SHOWN = 5


def grouping_lines(plan: Plan) -> Iterator[str]:
    """Cohesion and coupling of each module, those of the whole with modularity, and the moves that improve them."""
    features, weights = plan.features.features, feature_weights(plan)
    found = measure(plan.modules, features, weights)
    yield (
        f"{len(found.modules)} modules: cohesion {found.cohesion:.2f}, coupling {found.coupling:.1f}, "
        f"modularity {found.modularity:.2f} (features compared by words, and by the uses of their interfaces)"
    )
    width = max((len(each.id) for each in found.modules), default=0)
    for each in found.modules:
        count = f"{each.features} feature{'s' if each.features != 1 else ''}"
        yield f"  {each.id:<{width}}  {count}, cohesion {each.cohesion:.2f}, coupling {each.coupling}"
    steps = refine(plan.modules, features, weights=weights)[1]
    for step in steps[:_SHOWN]:
        yield f"  a move would improve it: {', '.join(step.move.features)} into {step.move.into} ({_gain(step)})"
    if len(steps) > _SHOWN:
        yield f"  and {len(steps) - _SHOWN} more after these"
    if not steps:
        yield "  no move, merge or split by rule improves it"


def _gain(step: Step) -> str:
    def changed(name: str) -> str:
        before, after = (f"{getattr(each, name):.3f}" for each in (step.before, step.after))
        return f"{name} {before} to {after}" if before != after else ""

    return ", ".join(filter(None, map(changed, ("modularity", "cohesion", "coupling")))) or "by less than 0.001"


__all__ = ["grouping_lines"]
