"""Changes of a plan: an answer names only what is new or different, and the rest stays as it was, to the byte.

That nodes which a change does not touch keep their digests is so by construction, not by a model's care in copying. Pure
functions; knows nothing of asking.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from zerorepo.values import Value
from zerorepo_rpg.plan_model import (
    BaseClasses,
    BaseClassPlan,
    Feature,
    FeatureSet,
    ModuleInterfaces,
    ModulePlan,
    NodeInterface,
    Plan,
)


class FeatureChange(Value):
    """Features that are new or changed, in full, and the ids of those that are no longer needed."""

    features: tuple[Feature, ...] = ()
    removed: tuple[str, ...] = ()


class InterfaceChange(Value):
    """Interfaces of one module that are new or changed, in full. The others stay as they are."""

    interfaces: tuple[NodeInterface, ...] = ()


class InterfaceMend(Value):
    """What mends a plan whose interfaces do not fit together: those that must be different, in full, whatever their module.

    ``removed``: ids of base classes that nothing needs after all.
    """

    interfaces: tuple[NodeInterface, ...] = ()
    base_classes: tuple[BaseClassPlan, ...] = ()
    removed: tuple[str, ...] = ()


def merge_features(old: Sequence[Feature], change: FeatureChange, requirements: Collection[str]) -> FeatureSet:
    """The features after a change, sorted by id.

    Requirements that are gone are taken off every feature; a feature that served only these is gone too.
    """
    given = {feature.id: feature for feature in change.features}
    kept: list[Feature] = []
    for feature in old:
        if feature.id in given or feature.id in change.removed:
            continue
        left = tuple(each for each in feature.requirements if each in requirements)
        if left == feature.requirements:
            kept.append(feature)
        elif left:
            kept.append(feature.model_copy(update={"requirements": left}))
    return FeatureSet(features=tuple(sorted([*kept, *given.values()], key=lambda feature: feature.id)))


def merge_interfaces(old: Sequence[NodeInterface], change: InterfaceChange, module: ModulePlan) -> ModuleInterfaces:
    """The interfaces of a module after a change, sorted by id.

    An interface whose features have left the module, or are now served by a changed one, is gone.
    """
    given = {node.id: node for node in change.interfaces}
    taken = {feature for node in change.interfaces for feature in node.features}
    kept: list[NodeInterface] = []
    for node in old:
        if node.id in given:
            continue
        left = tuple(each for each in node.features if each in module.features and each not in taken)
        if left == node.features:
            kept.append(node)
        elif left:
            kept.append(node.model_copy(update={"features": left}))
    return ModuleInterfaces(
        module=module.id, interfaces=tuple(sorted([*kept, *given.values()], key=lambda node: node.id))
    )


def merge_mend(plan: Plan, mend: InterfaceMend) -> Plan:
    """The plan after a mend; interfaces of modules, and base classes, that it does not know are left out."""
    modules = {module.id: module for module in plan.modules.modules}
    interfaces = []
    for each in plan.interfaces:
        given = tuple(node for node in mend.interfaces if node.module == each.module)
        known = given and each.module in modules
        change = InterfaceChange(interfaces=given)
        interfaces.append(merge_interfaces(each.interfaces, change, modules[each.module]) if known else each)
    bases = {base.id: base for base in mend.base_classes}
    classes = tuple(bases.get(base.id, base) for base in plan.base_classes.classes if base.id not in mend.removed)
    return plan.model_copy(update={"interfaces": tuple(interfaces), "base_classes": BaseClasses(classes=classes)})
