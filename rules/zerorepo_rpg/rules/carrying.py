"""Renames of nodes, and the targets of those whose code is from before one.

For each of these the targets of that time are declared beside its own, under ``.was``: they ask the same questions as then, which
is a hit, so nobody is asked. Its own tests and code are those, renamed (``carried``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zerorepo.label import Label
from zerorepo.rule import RuleContext
from zerorepo_rpg.existing import existing_nodes
from zerorepo_rpg.plan_model import NodeInterface, Plan, module_of
from zerorepo_rpg.providers import LockedBaseClasses, LockedExisting, LockedFeatures, LockedLimits, LockedModulePlans
from zerorepo_rpg.rename_code import Moved
from zerorepo_rpg.renames import LockedRenames, Rename, before, carried, found_renames, told, told_of
from zerorepo_rpg.spec_model import RepositorySpec

_CARRIED = {".tests": "renamed_tests", ".code": "renamed_code"}


async def renames_of(ctx: RuleContext[Any], plan: Plan, spec: RepositorySpec) -> tuple[Rename, ...]:
    """The renames from the plan in the lock to this one, and the earlier ones that still hold."""
    locked = await ctx.provider(ctx.attrs.lock, LockedModulePlans)
    bases = await ctx.provider(ctx.attrs.lock, LockedBaseClasses)
    features = await ctx.provider(ctx.attrs.lock, LockedFeatures)
    limits = await ctx.provider(ctx.attrs.lock, LockedLimits)
    known = await ctx.provider(ctx.attrs.lock, LockedRenames)
    nodes: list[NodeInterface] = [base.interface() for base in bases.value.classes]
    nodes += [node for each in locked.modules.values() for node in each.interfaces.interfaces]
    old = told(nodes, features.value.features, features.requirements, limits.limits)
    existing = (await ctx.provider(ctx.attrs.lock, LockedExisting)).value
    found = found_renames(old, told_of(plan, spec.requirements), known.renames) if old else ()
    # Code of people is in their files, under the name that it has there: it has nothing to carry, before or after.
    people = {f"{node.file_path}::{node.name}" for node in existing.nodes}
    there = existing_nodes(plan, existing)
    return tuple(
        rename.model_copy(update={"nodes": tuple(node for node in rename.nodes if node not in there)})
        for rename in found
        if rename.id not in there and f"{rename.file}::{rename.was.rpartition('/')[2]}" not in people
    )


class Carrying:
    """A context of ``rpg_plan`` that declares, for what is carried over a rename, the targets of old and the renaming of these."""

    def __init__(self, ctx: RuleContext[Any], plan: Plan, spec: RepositorySpec, renames: tuple[Rename, ...]) -> None:
        self._ctx = ctx
        self._told = told_of(plan, spec.requirements)
        self._files = {node.id: node.file for node in plan.nodes()}
        self._carried = carried(renames)
        self._was = {rename.id: rename for rename in renames}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)

    def declare(self, label: Label, rule: str, attrs: Mapping[str, Any]) -> None:
        """Declare a target; of a carried node, the one that it was as well."""
        node, suffix = self._node_of(label)
        if node not in self._carried or suffix not in (".interface", *_CARRIED):
            self._ctx.declare(label, rule, attrs)
            return
        was = _was_label(label, suffix)
        if suffix == ".interface":
            then = before(self._told[node], self._carried[node])
            made = {"interface": then.node.model_dump(mode="json"), "requirements": list(then.sentences)}
            self._ctx.declare(was, rule, made)
            self._ctx.declare(label, rule, attrs)
            return
        self._ctx.declare(was, rule, {name: self._before(value) for name, value in attrs.items()})
        moves = [move.model_dump(mode="json") for move in self._moves(node)]
        self._ctx.declare(label, _CARRIED[suffix], {**attrs, "was": str(was), "moves": moves})

    def _moves(self, node: str) -> list[Moved]:
        return [
            Moved(
                old=rename.was.rpartition("/")[2],
                new=name.rpartition("/")[2],
                old_module=module_of(rename.file),
                new_module=module_of(self._files[name]),
            )
            for name, rename in sorted(self._carried[node].items())
        ]

    def _node_of(self, label: Label) -> tuple[str, str]:
        """The node of a label and its suffix; what is no label of a node comes out as no node's."""
        stem, dot, suffix = label.name.rpartition(".")
        module = label.package.rpartition("/")[2]
        return (f"{module}/{stem}", dot + suffix) if dot else (f"{module}/{label.name}", "")

    def _before(self, value: Any) -> Any:
        """An attribute as it was: labels of carried nodes are those of what they were, in the order of the old ids."""
        if isinstance(value, str):
            return self._label_before(value)[1]
        if isinstance(value, (list, tuple)) and value and all(isinstance(v, str) and v.startswith("//") for v in value):
            return [label for _, label in sorted(map(self._label_before, value))]
        return value

    def _label_before(self, text: str) -> tuple[str, str]:
        """(the old id, to sort by; the label). A string that is no label stays."""
        if not text.startswith("//"):
            return text, text
        package, _, name = text.removeprefix("//").partition(":")
        label = Label(package, name)
        node, suffix = self._node_of(label)
        if node not in self._carried:
            return node, text
        old = self._was[node].was if node in self._was else node
        return old, str(_was_label(label, suffix))


def _was_label(label: Label, suffix: str) -> Label:
    return label.sibling(f"{label.name.removesuffix(suffix)}.was{suffix}")


def carrying(ctx: RuleContext[Any], plan: Plan, spec: RepositorySpec, renames: tuple[Rename, ...]) -> Any:
    """The context to declare the nodes of a plan with."""
    return Carrying(ctx, plan, spec, renames) if renames else ctx


__all__ = ["Carrying", "carrying", "renames_of"]
