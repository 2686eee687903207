"""A lock with some interfaces replaced. Knows nothing of why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from zerorepo_rpg.lock import Lock
from zerorepo_rpg.plan_model import BaseClassPlan, NodeInterface

NodeT = TypeVar("NodeT", NodeInterface, BaseClassPlan)

_SHARED = ("signature", "docstring", "raises", "examples", "imports")
"""What a correction may change, of base classes as of other nodes."""


def amended(lock: Lock, corrections: Mapping[str, NodeInterface]) -> Lock:
    """The lock with the interfaces of these nodes corrected; everything else, digests of the stages too, stays."""
    interfaces = tuple(
        module.model_copy(update={"interfaces": tuple(_corrected(node, corrections) for node in module.interfaces)})
        for module in lock.interfaces
    )
    base = lock.base_classes
    if base is not None:
        base = base.model_copy(update={"classes": tuple(_corrected(each, corrections) for each in base.classes)})
    return lock.model_copy(update={"interfaces": interfaces, "base_classes": base})


def _corrected(node: NodeT, corrections: Mapping[str, NodeInterface]) -> NodeT:
    correction = corrections.get(node.id)
    return node if correction is None else amended_one(node, correction)


def amended_one(node: NodeT, correction: NodeInterface) -> NodeT:
    """The node with what a correction may change, when it is the one that is corrected; else as it is."""
    if node.id != correction.id:
        return node
    return node.model_copy(update={name: getattr(correction, name) for name in _SHARED})


__all__ = ["amended", "amended_one"]
