"""Names of capabilities refined by a model: questions from a built tree, checked answers, and the action that applies them.

Nodes keep their ids, so that what points at them still does. Knows nothing of how names came about or how a model is asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pydantic import BaseModel

from zerorepo.action import Action, ActionContext, ActionResult
from zerorepo.digest import Digest
from zerorepo.rule import RuleContext
from zerorepo_llm.ask import ask_json
from zerorepo_ontology import ontology
from zerorepo_ontology.build_tree import Tree, said
from zerorepo_ontology.ontology import Node, Ontology
from zerorepo_ontology.starter import PACKAGE

_BATCH, _SHOWN = 40, 6
"""Capabilities in one question, and features shown of each."""
_MOST_WORDS, _LONGEST = 7, 60


class Renamed(BaseModel):
    """A better name for one capability."""

    number: int
    name: str


class Names(BaseModel):
    """A model's answer about the capabilities of one area."""

    names: list[Renamed]


@dataclass(frozen=True, slots=True)
class Question:
    """Capabilities of one area, named together; ``taken``: names of the area's other capabilities."""

    area: str
    capabilities: Sequence[Node]
    features: Mapping[str, Sequence[str]]
    taken: frozenset[str]


def questions(found: Ontology) -> Iterator[Question]:
    """All capabilities that are not named like their area, area by area."""
    for area in (node for node in found.nodes if node.level == "area"):
        own = [node for node in found.children.get(area.id, ()) if node.name.casefold() != area.name.casefold()]
        for start in range(0, len(own), _BATCH):
            batch = own[start : start + _BATCH]
            others = frozenset(each.name.casefold() for each in own if each not in batch) | {area.name.casefold()}
            shown = {each.id: [child.name for child in found.children.get(each.id, ())[:_SHOWN]] for each in batch}
            yield Question(" / ".join(found.path(area)), batch, shown, others)


async def refined(ctx: RuleContext[Any], tree: Tree) -> Tree:
    """``tree`` with the names that a model gives, a cached question for each part of an area."""
    asked = list(questions(ontology.load(ctx.read(tree.ontology))))

    def asker(question: Question) -> Any:
        return lambda inner: _ask(inner, question)

    answers: list[dict[str, str]] = await ctx.concurrently([asker(question) for question in asked])
    names = {id_: name for answer in answers for id_, name in answer.items()}
    made: Tree = await ctx.run(
        RenameCapabilities(ontology=tree.ontology, names=dict(sorted(names.items())), vectors=tree.vectors)
    )
    return made


async def _ask(ctx: RuleContext[Any], question: Question) -> dict[str, str]:
    listed = "\n".join(
        f"{number}. {node.name}: {'; '.join(question.features[node.id])}"
        for number, node in enumerate(question.capabilities, 1)
    )
    answer = await ask_json(
        ctx,
        (PACKAGE, "prompts/name_capabilities.md"),
        {"area": question.area, "capabilities": listed},
        Names,
        tier="cheap",
        purpose="name capabilities",
        check=lambda found: problems(question, found),
    )
    return {question.capabilities[each.number - 1].id: each.name.strip() for each in answer.names}


def problems(question: Question, answer: Names) -> list[str]:
    """What is wrong with an answer, for the model to mend."""
    count = len(question.capabilities)
    found = [
        f"There is no capability {each.number}; they are 1 to {count}."
        for each in answer.names
        if not 1 <= each.number <= count
    ]
    for each in answer.names:
        if not 1 <= len(each.name.split()) <= _MOST_WORDS or len(each.name) > _LONGEST:
            found.append(f"{each.name[:80]!r} is no short name.")
    if found:
        return found
    given = {each.number: each.name.strip() for each in answer.names}
    seen = set(question.taken)
    for number, node in enumerate(question.capabilities, 1):
        name = given.get(number, node.name).casefold()
        if name in seen:
            found.append(f"The name {given.get(number, node.name)!r} is there twice in this area.")
        seen.add(name)
    return found


class RenameCapabilities(Action):
    """Give capabilities other names; those have the origin ``model``, and their old names are in their descriptions."""

    mnemonic: ClassVar[str] = "RenameCapabilities"
    result: ClassVar[type[ActionResult]] = Tree

    ontology: Digest
    names: Mapping[str, str]
    """By node id."""
    vectors: Digest | None = None

    async def execute(self, context: ActionContext) -> Tree:
        found = ontology.load(context.read(self.ontology))
        nodes = [_renamed(node, self.names.get(node.id, node.name)) for node in found.nodes]
        made = Ontology(found.sources, nodes, found.excluded, found.meta)
        upper = [said(made, node) for node in made.nodes if node.level != "feature"]
        return Tree(
            ontology=context.write(ontology.dump(made)),
            upper=context.write(json.dumps(upper, ensure_ascii=False).encode()),
            vectors=self.vectors,
        )

    def describe(self) -> str:
        return f"rename {len(self.names)} capabilities"


def _renamed(node: Node, name: str) -> Node:
    if name == node.name:
        return node
    about = f"{node.name}. {node.description}" if node.description else node.name
    return replace(node, name=name, description=about, origin="model")
