"""How many questions a change of the plan takes, stage by stage: at least, likely, at most. Pure; knows nothing of prices.

What is likely follows from what the stages look at: names of features for modules, base classes and files, sentences for
interfaces, interfaces for those further down the data flow. An answer that does not fit is asked for again; that is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zerorepo.values import Value
from zerorepo_rpg.foresight import Foreseen, leaving
from zerorepo_rpg.lock import Lock
from zerorepo_rpg.plan_metrics import cosine, lexical_vectors
from zerorepo_rpg.plan_model import Feature, Plan
from zerorepo_rpg.spec_model import Requirement
from zerorepo_rpg.staged import stages
from zerorepo_rpg.validate import LARGE, MODULES, SMALL

STAGES = (
    "rpg_spec", "rpg_features", "rpg_limits", "rpg_modules", "rpg_base_classes", "rpg_files", "rpg_interfaces", "rpg_plan",
)  # fmt: skip
"""Rules that plan, in their order."""
_MENDS = 3


class Asked(Value):
    """Questions of the targets of one rule (``stage``)."""

    stage: str
    what: str
    low: int
    likely: int
    high: int


class _Reach(Value):
    """What of the plan a change reaches. Module ids, but for ``nodes``."""

    reworded: frozenset[str]
    regrouped: frozenset[str]
    """Modules that features are likely to come into or to leave."""
    below: frozenset[str]
    """Modules that may use nodes of those."""
    nodes: frozenset[str]
    """Nodes that serve what changes."""


def planning(lock: Lock, change: Foreseen, pending: Mapping[str, int]) -> tuple[Asked, ...]:
    """What planning asks. ``pending``: how many questions of a stage are surely next; without any, nothing is asked."""
    known = [stage for stage in STAGES if pending.get(stage)]
    if not known:
        return ()
    first = STAGES.index(known[0])
    guessed = _anew(change) if lock.modules is None else _changed(lock, change, parsed="rpg_spec" not in pending)
    found = []
    for number, stage in enumerate(STAGES):
        what, low, likely, high = guessed[stage]
        sure = pending.get(stage, 0)
        if number < first:
            continue
        if stage in ("rpg_limits", "rpg_files", "rpg_interfaces", "rpg_plan"):
            low, likely, high = max(low, sure), max(likely, sure), max(high, sure)
        elif sure:
            low = likely = high = sure
        if high:
            found.append(Asked(stage=stage, what=what, low=low, likely=likely, high=high))
    return tuple(found)


_Guess = dict[str, tuple[str, int, int, int]]
_WHAT = {
    "rpg_spec": "parse the sections that changed",
    "rpg_features": "features",
    "rpg_limits": "what meets the limits, when these change or features go or get other names",
    "rpg_modules": "modules, when features come, go or get other names",
    "rpg_base_classes": "base classes, for the same reason",
    "rpg_files": "files of the modules whose features come, go or get other names",
    "rpg_interfaces": "interfaces of the modules concerned, and of those that use what changes",
    "rpg_plan": "mending what does not fit together",
}


def _anew(change: Foreseen) -> _Guess:
    wanted = len(change.added)
    few = wanted < SMALL
    likely = 1 if few else min(max(MODULES[0], round(wanted / 5)), MODULES[1])
    most = MODULES[1] if wanted <= LARGE else wanted
    amounts = dict.fromkeys(STAGES, (1, 1, 1))
    amounts["rpg_limits"] = (0, 1, 2)
    amounts["rpg_files"] = amounts["rpg_interfaces"] = (1, likely, most)
    amounts["rpg_plan"] = (0, 0, _MENDS)
    return {stage: (_WHAT[stage], *amount) for stage, amount in amounts.items()}


def _changed(lock: Lock, change: Foreseen, *, parsed: bool) -> _Guess:
    reach = _reach(lock, change)
    count = len(lock.modules.modules) if lock.modules else 0
    most = count + len(change.added)
    touched = bool(change.touched or change.added)
    regrouping = int(bool(change.added) or bool(reach.regrouped))
    interfaces = len(reach.reworded | reach.regrouped | reach.below)
    amounts = {
        "rpg_spec": (0, 0, 0),
        "rpg_features": (int(parsed and touched), int(touched), 1),
        # Twice for one that must be met and that nothing is said to meet.
        "rpg_limits": (0, int(bool(change.limits)) or (regrouping if lock.limits else 0), 2),
        "rpg_modules": (0, regrouping, 1),
        "rpg_base_classes": (0, regrouping, 1),
        "rpg_files": (0, len(reach.regrouped), most),
        "rpg_interfaces": (int(parsed and bool(reach.reworded)), interfaces, most),
        "rpg_plan": (0, 0, _MENDS),
    }
    return {stage: (_WHAT[stage], *amount) for stage, amount in amounts.items()}


def writing(lock: Lock, change: Foreseen, *, integration: bool = False) -> tuple[Asked, ...]:
    """What a build asks after planning: tests and code of the nodes concerned, and tests of several nodes together.

    At most: every node of a module whose interfaces are asked about is different, with all that use it.
    """
    plan = lock.plan()
    if plan is None:
        count = len(change.added)
        bounds = (1, count, 2 * count)
        flows: tuple[int, int, int] = (0, 0, 0)
    else:
        reach = _reach(lock, change)
        new = len(change.added)
        likely = len(reach.nodes) + new
        modules = reach.reworded | reach.regrouped | reach.below
        wide = {node.id for node in plan.nodes() if node.module in modules}
        bounds = (0, likely, len(_with_users(plan, wide)) + 2 * new)
        flows = _flows(plan, modules) if integration else (0, 0, 0)
    found = [
        Asked(stage="node_tests", what="tests of the nodes concerned", low=bounds[0], likely=bounds[1], high=bounds[2]),
        Asked(stage="node_code", what="their code", low=bounds[0], likely=bounds[1], high=bounds[2]),
        Asked(stage="integration_tests", what="tests of several nodes", low=flows[0], likely=flows[1], high=flows[2]),
    ]
    return tuple(each for each in found if each.high)


def _flows(plan: Plan, modules: frozenset[str]) -> tuple[int, int, int]:
    all_ = stages(plan)
    return 0, sum(bool({each.module, each.source} & modules) for each in all_), len(all_) + 1


def _with_users(plan: Plan, wanted: set[str]) -> set[str]:
    uses = plan.uses()
    found = set(wanted)
    for layer in _layers(plan):
        found |= {node for node in layer if set(uses[node]) & found}
    return found


def _layers(plan: Plan) -> Sequence[Sequence[str]]:
    try:
        return plan.order()
    except ValueError:
        return [[node.id for node in plan.nodes()]]  # a circle is told by the checks


def _reach(lock: Lock, change: Foreseen) -> _Reach:
    assert lock.modules is not None
    features = lock.features.features if lock.features else ()
    home = {name: module.id for module in lock.modules.modules for name in module.features}
    going = frozenset().union(*leaving(change, features))
    touched = {each.id for each in change.touched}
    asked = [each for each in features if touched & set(each.requirements)]
    regrouped = {home[name] for name in going if name in home}
    regrouped |= {home[name] for each in change.added if (name := _nearest(each, features)) in home}
    needs = lock.modules.upstream()
    ids = {each.id for each in asked}
    nodes = [node for module in lock.interfaces for node in module.interfaces if ids & set(node.features)]
    return _Reach(
        reworded=frozenset(home[each.id] for each in asked if each.id in home),
        regrouped=frozenset(regrouped),
        below=frozenset(name for name, upstream in needs.items() if regrouped & set(upstream)),
        nodes=frozenset(node.id for node in nodes if not set(node.features) <= going),
    )


def _nearest(wanted: Requirement, features: Sequence[Feature]) -> str:
    """The feature that speaks most like a new requirement: where it is likely to belong."""
    if not features:
        return ""
    texts = {each.id: f"{each.name} {each.description}" for each in features}
    vectors = lexical_vectors({**texts, "": wanted.text})
    return max(sorted(texts), key=lambda name: cosine(vectors[name], vectors[""]))


__all__ = ["STAGES", "Asked", "planning", "writing"]
