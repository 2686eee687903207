"""The targets of nodes that exist: declared with the rules that take what people wrote (``existing_code``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zerorepo.label import Label
from zerorepo_rpg.existing import code_digest, digests_of, existing_nodes
from zerorepo_rpg.graph import RPGGraph
from zerorepo_rpg.plan_model import Plan


class TakingExisting:
    """A context of ``rpg_plan`` that declares, for nodes that exist, rules that take their code."""

    def __init__(
        self, ctx: Any, plan: Plan, graph: RPGGraph, found: Mapping[str, str], label: Callable[[str, str], Label]
    ) -> None:
        self._ctx = ctx
        nodes = {node.id: node for node in plan.nodes()}
        self._more: dict[Label, tuple[str, dict[str, Any]]] = {}
        for name, code in found.items():
            siblings = [other.name for other in nodes.values() if other.file == nodes[name].file]
            path, _, top = code.partition("::")
            digest = code_digest(digests_of(graph, path), top)
            attrs = {"digest": digest, "siblings": siblings, "lock_path": ctx.attrs.lock_path}
            self._more[label(name, ".code")] = ("existing_code", attrs)
            self._more[label(name, ".tests")] = ("existing_tests", {})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)

    def declare(self, label: Label, rule: str, attrs: Mapping[str, Any]) -> None:
        """Declare a target, of an existing node by the rule that takes what is there."""
        instead, more = self._more.get(label, (rule, {}))
        self._ctx.declare(label, instead, {**attrs, **more})


def taking_existing(ctx: Any, plan: Plan, graph: RPGGraph, label: Callable[[str, str], Label]) -> Any:
    """The context to declare the nodes of a plan with. ``label`` of a node id and a suffix."""
    found = existing_nodes(plan, graph)
    return TakingExisting(ctx, plan, graph, found, label) if found else ctx


__all__ = ["TakingExisting", "taking_existing"]
