"""What whoever mends a node may look up in the plan: nodes by what they do, neighbours, the interfaces of a file. Texts.

Pure functions of a plan. Knows nothing of models, or of what was looked up before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TypeVar

from pydantic import Field

from zerorepo.errors import did_you_mean
from zerorepo.values import Value
from zerorepo_ontology.searching import WORDS_SHARE
from zerorepo_ontology.words import Words
from zerorepo_rpg.plan_model import BaseClassPlan, NodeInterface, Plan

NodeT = TypeVar("NodeT", NodeInterface, BaseClassPlan)

MOST = 20
"""Look-ups for one repair."""
_HITS = 5
_HOPS = 2


class Tool(StrEnum):
    """What can be looked up. ``query`` of each is in its line."""

    SEARCH = "search"
    """Words for what is sought."""
    INTERFACE = "interface"
    """The id of a node."""
    NEIGHBOURS = "neighbours"
    """The id of a node."""
    FILE = "file"
    """The path of a file of the package."""
    CODE = "code"
    """The id of a node that the one in question uses, directly or not."""


class LookUp(Value):
    """One look-up."""

    tool: Tool
    query: str


class LookUps(Value):
    """A model's answer: what it wants to know; nothing when it knows enough."""

    look_ups: tuple[LookUp, ...] = Field(default=(), max_length=MOST)


def hushed(plan: Plan, but: str) -> Plan:
    """The plan without docstrings, except that of the node ``but``: what a look-up counts as."""

    def quiet(node: NodeT) -> NodeT:
        return node if node.id == but else node.model_copy(update={"docstring": ""})

    base = plan.base_classes
    modules = (
        module.model_copy(update={"interfaces": tuple(map(quiet, module.interfaces))}) for module in plan.interfaces
    )
    classes = base.model_copy(update={"classes": tuple(map(quiet, base.classes))})
    return plan.model_copy(update={"interfaces": tuple(modules), "base_classes": classes})


def texts(plan: Plan) -> list[str]:
    """What each node is about, in the order of ``plan.nodes()``: what a query is compared with by meaning."""
    return [
        f"{node.name}. {node.docstring or node.description} {features}".strip() for node, features in _featured(plan)
    ]


def best(plan: Plan, query: str, cosines: Sequence[float] | None = None) -> list[str]:
    """Ids of the nodes whose names, docstrings and features fit the words best.

    ``cosines``: how near each is to the query by meaning; what the words say is then added to that, as in an ontology's search.
    """
    nodes = plan.nodes()
    index = Words(
        [
            ((node.name, 3), (node.docstring, 1), (node.description, 1), (features, 2))
            for node, features in _featured(plan)
        ]
    )
    scores = [float(each) for each in index.scores(query)]
    if cosines is not None:
        top = max(scores, default=0.0) or 1.0
        scores = [near + WORDS_SHARE * score / top for near, score in zip(cosines, scores, strict=True)]
    found = sorted((row for row in range(len(nodes)) if scores[row] > 0), key=lambda row: (-scores[row], nodes[row].id))
    return [nodes[row].id for row in found[:_HITS]]


def search(plan: Plan, ids: Iterable[str]) -> str:
    """The nodes that were found, a line each."""
    by_id = {node.id: node for node in plan.nodes()}
    return "\n".join(line(by_id[each]) for each in ids) or "no node has any of these words"


def _featured(plan: Plan) -> list[tuple[NodeInterface, str]]:
    """Each node with the names and descriptions of its features."""
    features = {feature.id: f"{feature.name} {feature.description}" for feature in plan.features.features}
    return [(node, " ".join(features.get(each, each) for each in node.features)) for node in plan.nodes()]


def neighbours(plan: Plan, node_id: str) -> str:
    """What a node uses and what uses it, up to two steps away."""
    by_id = {node.id: node for node in plan.nodes()}
    if node_id not in by_id:
        return unknown(node_id, by_id)
    uses = plan.uses()
    users: dict[str, list[str]] = {}
    for user, used in uses.items():
        for each in used:
            users.setdefault(each, []).append(user)
    lines = []
    for words, edges in (("uses", uses), ("is used by", users)):
        seen, here = {node_id}, [node_id]
        for hop in range(1, _HOPS + 1):
            here = sorted({each for name in here for each in edges.get(name, ())} - seen)
            seen |= set(here)
            lines += [
                f"{words}{', through that,' if hop > 1 else ''} {line(by_id[each])}" for each in here if each in by_id
            ]
    return "\n".join(lines) or "it uses nothing and nothing uses it"


def file_map(plan: Plan, path: str) -> str:
    """The interfaces in a file, and the features that each serves."""
    nodes = [node for node in plan.nodes() if node.file == path]
    if not nodes:
        return unknown(path, {node.file for node in plan.nodes()})
    names = {feature.id: feature.name for feature in plan.features.features}
    return "\n".join(
        f"{line(node)}\n  serves: {', '.join(names.get(each, each) for each in node.features) or 'several nodes'}"
        for node in nodes
    )


def line(node: NodeInterface) -> str:
    """A node in one line: id, place, signature, first sentence."""
    head = next(
        (text for text in node.signature.splitlines() if text.startswith(("def", "async def", "class"))), node.name
    )
    return f"{node.id} ({node.file}): {head.rstrip(': .')} — {node.docstring.strip().partition(chr(10))[0]}"


def unknown(name: str, known: Iterable[str]) -> str:
    """What is said about something that is not there."""
    return f"there is no `{name}`; {did_you_mean(name, sorted(known)) or 'search for it'}"


__all__ = [
    "MOST",
    "LookUp",
    "LookUps",
    "Tool",
    "best",
    "file_map",
    "hushed",
    "line",
    "neighbours",
    "search",
    "texts",
    "unknown",
]
