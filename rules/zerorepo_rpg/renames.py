"""Nodes that a change of the plan renames and otherwise leaves as they were: found by content, remembered in the lock.

Their tests and code, and those of what uses them, were written under the old name. They are carried over by renaming, so a rename
asks nobody. Pure; knows nothing of how the old answers are found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zerorepo.target import Provider
from zerorepo.values import Value
from zerorepo_rpg.limits import LimitPlan, behind
from zerorepo_rpg.plan_model import Feature, NodeInterface, Plan
from zerorepo_rpg.spec_model import Requirement


class Rename(Value):
    """The node ``id`` was called ``was`` and stood in ``file``. ``nodes``: those, itself included, whose code is from then."""

    id: str
    was: str
    file: str
    nodes: tuple[str, ...]


class LockedRenames(Provider):
    """The lock's renames."""

    renames: tuple[Rename, ...] = ()


class Told(Value):
    """What whoever wrote a node's tests and code was told: its interface, and the sentences behind it."""

    node: NodeInterface
    sentences: tuple[str, ...] = ()


def told(
    nodes: Iterable[NodeInterface],
    features: Iterable[Feature],
    requirements: Iterable[Requirement],
    limits: Sequence[LimitPlan] = (),
) -> dict[str, Told]:
    """Each node by its id, with the sentences of the specification behind it: requirements, then limits that bear on it."""
    serving = {feature.id: feature.requirements for feature in features}
    texts = {requirement.id: requirement.text for requirement in requirements}
    found = {}
    for node in nodes:
        served = dict.fromkeys(name for feature in node.features for name in serving.get(feature, ()))
        sentences = [*(texts[name] for name in served if name in texts), *behind(limits, node.features)]
        found[node.id] = Told(node=node, sentences=tuple(sentences))
    return found


def before(now: Told, renames: Mapping[str, Rename]) -> Told:
    """A node as it was before the renames of itself and of what it uses."""
    words = {}
    for name in (now.node.id, *now.node.uses):
        if name in renames:
            words[name.rpartition("/")[2]] = renames[name].was.rpartition("/")[2]
    clean = _replacer(words)
    values: dict[str, Any] = {
        name: clean(getattr(now.node, name)) for name in ("signature", "docstring", "description")
    }
    values |= {
        name: tuple(clean(text) for text in getattr(now.node, name)) for name in ("raises", "examples", "imports")
    }
    # In the order of ids, as plans of models mostly have them; what is shown is sorted anyway.
    values["uses"] = tuple(sorted(renames[name].was if name in renames else name for name in now.node.uses))
    if own := renames.get(now.node.id):
        module, _, name = own.was.partition("/")
        values |= {"id": own.was, "module": module, "name": name, "file": own.file}
    return Told(node=now.node.model_copy(update=values), sentences=tuple(clean(text) for text in now.sentences))


def _replacer(words: Mapping[str, str]) -> Any:
    changed = {new: old for new, old in words.items() if new != old}
    if not changed:
        return str
    pattern = re.compile(rf"(?<![\w])(?:{'|'.join(map(re.escape, sorted(changed)))})(?![\w])")
    return lambda text: pattern.sub(lambda match: changed[match[0]], text)


def _same(one: Told, other: Told) -> bool:
    """Whether the questions about the tests and the code would be the same."""

    def asked(each: Told) -> tuple[Any, ...]:
        node = each.node
        uses = tuple(sorted(node.uses))
        shown = (node.id, node.file, node.name, node.kind, node.signature, node.docstring, node.raises, node.examples)
        return (*shown, node.imports, uses, each.sentences)

    return asked(one) == asked(other)


def _seen(each: Told) -> tuple[str, ...]:
    """What users of a node are shown of it."""
    return (each.node.id, each.node.file, each.node.name, each.node.signature, each.node.docstring)


def found_renames(old: Mapping[str, Told], new: Mapping[str, Told], known: Sequence[Rename] = ()) -> tuple[Rename, ...]:
    """The renames from ``old`` to ``new`` and those ``known`` of ``old`` that still hold, sorted by id.

    A pair is a rename when the old node, with the new name in the place of the old one, is the new node to the letter.
    """
    pairs = _pairs(old, new)
    present = {new_id: Rename(id=new_id, was=was, file=old[was].node.file, nodes=()) for new_id, was in pairs.items()}
    earlier = {rename.id: rename for rename in known}
    origin = {name: pairs.get(name, name) for name in new}
    unchanged = {
        name
        for name, each in new.items()
        if origin[name] in old
        and _same(before(each, present), old[origin[name]])
        and all(
            used in new and origin[used] in old and _seen(before(new[used], present)) == _seen(old[origin[used]])
            for used in each.node.uses
        )
    }
    found = []
    for name in sorted(new):
        before_that = earlier.get(origin[name])
        if name not in unchanged or not (before_that or name in pairs):
            continue
        users = {name, *(user for user, each in new.items() if name in each.node.uses)} & unchanged
        if before_that:
            users = {user for user in users if origin[user] in before_that.nodes}
        first = before_that or present[name]
        if name in users and first.was not in new:
            found.append(Rename(id=name, was=first.was, file=first.file, nodes=tuple(sorted(users))))
    return _consistent(found, new)


def _pairs(old: Mapping[str, Told], new: Mapping[str, Told]) -> dict[str, str]:
    """New id to the old id that it renames; each old one once."""
    gone = sorted(set(old) - set(new))
    pairs: dict[str, str] = {}
    for name in sorted(set(new) - set(old)):
        for was in gone:
            if was in pairs.values() or new[name].node.kind is not old[was].node.kind:
                continue
            alone = {name: Rename(id=name, was=was, file=old[was].node.file, nodes=())}
            then, there = before(new[name], alone), old[was]
            if (then.node.signature, then.sentences) == (there.node.signature, there.sentences) or (
                set(new[name].node.features) & set(there.node.features) and _head(then) == _head(there)
            ):
                pairs[name] = was
                break
    while True:
        renames = {n: Rename(id=n, was=was, file=old[was].node.file, nodes=()) for n, was in pairs.items()}
        wrong = [name for name, was in pairs.items() if not _same(before(new[name], renames), old[was])]
        if not wrong:
            return pairs
        for name in wrong:
            del pairs[name]


def _head(each: Told) -> str:
    return each.node.signature.partition("(")[0]


def _consistent(renames: Sequence[Rename], new: Mapping[str, Told]) -> tuple[Rename, ...]:
    """Without nodes that use two renamed ones of which only one carries them: their questions were never asked like that."""
    by_id = {rename.id: rename for rename in renames}
    kept = []
    for rename in renames:
        nodes = tuple(
            name
            for name in rename.nodes
            if all(name in by_id[used].nodes for used in (name, *new[name].node.uses) if used in by_id)
        )
        if rename.id in nodes:
            kept.append(rename.model_copy(update={"nodes": nodes}))
    return tuple(kept) if tuple(kept) == tuple(renames) else _consistent(kept, new)


def carried(renames: Iterable[Rename]) -> dict[str, dict[str, Rename]]:
    """Node id to the renames that its code was written before, by the id of the renamed node."""
    found: dict[str, dict[str, Rename]] = {}
    for rename in renames:
        for name in rename.nodes:
            found.setdefault(name, {})[rename.id] = rename
    return found


def told_of(plan: Plan, requirements: Iterable[Requirement]) -> dict[str, Told]:
    """The nodes of a plan with the sentences behind them."""
    return told(plan.nodes(), plan.features.features, requirements, plan.limits.all())


__all__ = ["LockedRenames", "Rename", "Told", "before", "carried", "found_renames", "told", "told_of"]
