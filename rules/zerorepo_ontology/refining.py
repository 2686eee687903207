"""Names of domains, areas and capabilities refined by a model: questions from a built tree, checked answers, and what applies them.

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
"""Nodes in one question, and names shown of what is below each."""
_MOST_WORDS, _LONGEST = 7, 60
_TOP = "the top of the tree"


class Renamed(BaseModel):
    """A better name for one node."""

    number: int
    name: str


class Names(BaseModel):
    """A model's answer about nodes of one level that stand together."""

    names: list[Renamed]


@dataclass(frozen=True, slots=True)
class Question:
    """Nodes of one level below one node, named together; ``above``: where they stand; ``taken``: names of the others there."""

    level: str
    above: str
    nodes: Sequence[Node]
    below: Mapping[str, Sequence[str]]
    taken: frozenset[str]


def questions(found: Ontology) -> Iterator[Question]:
    """The domains, the areas of each domain, the capabilities of each area: all that are not named like what they stand below."""
    yield from _together(found, None)
    for node in found.nodes:
        if node.level in ("domain", "area"):
            yield from _together(found, node)


def _together(found: Ontology, above: Node | None) -> Iterator[Question]:
    name = above.name.casefold() if above else ""
    own = [node for node in found.children.get(above.id if above else "", ()) if node.name.casefold() != name]
    for start in range(0, len(own), _BATCH):
        batch = own[start : start + _BATCH]
        ids = {node.id for node in batch}
        others = frozenset(each.name.casefold() for each in own if each.id not in ids) | ({name} if name else set())
        below = {each.id: _below(found, each) for each in batch}
        yield Question(batch[0].level, " / ".join(found.path(above)) if above else _TOP, batch, below, others)


def _below(found: Ontology, node: Node) -> list[str]:
    """Names of what stands below: the first of features, the most frequent of the upper levels."""
    children = found.children.get(node.id, ())
    if node.level != "capability":
        children = sorted(children, key=lambda child: (-child.apis, child.name))
    return [child.name for child in children[:_SHOWN]]


async def refined(ctx: RuleContext[Any], tree: Tree) -> Tree:
    """``tree`` with the names that a model gives, a cached question for the nodes of each place."""
    asked = list(questions(ontology.load(ctx.read(tree.ontology))))

    def asker(question: Question) -> Any:
        return lambda inner: _ask(inner, question)

    answers: list[dict[str, str]] = await ctx.concurrently([asker(question) for question in asked])
    names = {id_: name for answer in answers for id_, name in answer.items()}
    made: Tree = await ctx.run(
        RenameNodes(ontology=tree.ontology, names=dict(sorted(names.items())), vectors=tree.vectors)
    )
    return made


async def _ask(ctx: RuleContext[Any], question: Question) -> dict[str, str]:
    listed = "\n".join(
        f"{number}. {node.name}: {'; '.join(question.below[node.id])}" for number, node in enumerate(question.nodes, 1)
    )
    capabilities = question.level == "capability"
    values = (
        {"area": question.above, "capabilities": listed}
        if capabilities
        else {"above": question.above, "places": listed}
    )
    answer = await ask_json(
        ctx,
        (PACKAGE, f"prompts/name_{'capabilities' if capabilities else 'places'}.md"),
        values,
        Names,
        tier="cheap",
        purpose=f"name {'capabilities' if capabilities else f'{question.level}s'}",
        check=lambda found: problems(question, found),
    )
    return {question.nodes[each.number - 1].id: each.name.strip() for each in answer.names}


def problems(question: Question, answer: Names) -> list[str]:
    """What is wrong with an answer, for the model to mend."""
    count = len(question.nodes)
    found = [
        f"There is no {question.level} {each.number}; they are 1 to {count}."
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
    for number, node in enumerate(question.nodes, 1):
        name = given.get(number, node.name).casefold()
        if name in seen:
            where = "in this area" if question.level == "capability" else "here"
            found.append(f"The name {given.get(number, node.name)!r} is there twice {where}.")
        seen.add(name)
    return found


class RenameNodes(Action):
    """Give nodes above features other names; those have the origin ``model``, and their old names are in their descriptions.

    What is named like the node above it, since it holds all the rest of that, goes on being so where that name is free.
    """

    mnemonic: ClassVar[str] = "RenameNodes"
    result: ClassVar[type[ActionResult]] = Tree

    ontology: Digest
    names: Mapping[str, str]
    """By node id."""
    vectors: Digest | None = None

    async def execute(self, context: ActionContext) -> Tree:
        found = ontology.load(context.read(self.ontology))
        made = Ontology(found.sources, renamed(found, self.names), found.excluded, found.meta)
        upper = [said(made, node) for node in made.nodes if node.level != "feature"]
        return Tree(
            ontology=context.write(ontology.dump(made)),
            upper=context.write(json.dumps(upper, ensure_ascii=False).encode()),
            vectors=self.vectors,
        )

    def describe(self) -> str:
        return f"rename {len(self.names)} nodes"


def renamed(found: Ontology, names: Mapping[str, str]) -> list[Node]:
    """All nodes of ``found``, some with other names: see ``RenameNodes``."""
    given = dict(names)
    for node in found.nodes:
        above = found.by_id.get(node.parent)
        if node.level == "feature" or above is None or above.id not in given:
            continue
        beside = (each for each in found.children[above.id] if each is not node)
        taken = {given.get(each.id, each.name).casefold() for each in beside}
        if node.name.casefold() == above.name.casefold() and given[above.id].casefold() not in taken:
            given.setdefault(node.id, given[above.id])
    return [_renamed(node, given.get(node.id, node.name)) for node in found.nodes]


def _renamed(node: Node, name: str) -> Node:
    if name == node.name:
        return node
    about = f"{node.name}. {node.description}" if node.description else node.name
    return replace(node, name=name, description=about, origin="model")
