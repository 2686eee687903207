"""``BuildTree`` and ``PackOntology``: from mined entries and their vectors to the hierarchy, and to one file. Knows no source."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

from zerorepo.action import Action, ActionContext, ActionResult
from zerorepo.digest import Digest
from zerorepo_ontology import artifact, entries, ontology, tree
from zerorepo_ontology.embed import from_bytes, to_bytes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Tree(ActionResult):
    """``upper``: the texts of all nodes above features, in order, as a JSON list; ``vectors``: a row a feature, in order."""

    ontology: Digest
    upper: Digest
    vectors: Digest | None = None


class BuildTree(Action):
    """Merge entries into the hierarchy; see ``tree``."""

    mnemonic: ClassVar[str] = "BuildTree"
    result: ClassVar[type[ActionResult]] = Tree
    key_version: ClassVar[int] = 4

    entries: tuple[Digest, ...]
    vectors: tuple[Digest, ...] = ()
    """Of the entries' texts, for each of ``entries``; none: merge by words alone."""

    async def execute(self, context: ActionContext) -> Tree:
        import asyncio

        return await asyncio.to_thread(self._build, context)

    def _build(self, context: ActionContext) -> Tree:
        found = [each for digest in self.entries for each in entries.load(context.read(digest))]
        vectors: NDArray[np.float32] | None = None
        if self.vectors:
            import numpy as np

            vectors = np.concatenate([from_bytes(context.read(digest)) for digest in self.vectors])
        made, heads = tree.build(found, vectors)
        upper = [said(made, node) for node in made.nodes if node.level != "feature"]
        return Tree(
            ontology=context.write(ontology.dump(made)),
            upper=context.write(json.dumps(upper, ensure_ascii=False).encode()),
            vectors=context.write(to_bytes(vectors[heads])) if vectors is not None else None,
        )

    def describe(self) -> str:
        return "build the ontology's tree"


def said(made: ontology.Ontology, node: ontology.Node) -> str:
    """What a node above features is embedded as: a capability is little without its area."""
    above = made.by_id[node.parent].name if node.parent else ""
    text = node.name if not above or above.casefold() == node.name.casefold() else f"{above}: {node.name}"
    return f"{text}. {node.description}" if node.description else text


class Packed(ActionResult):
    """See ``artifact``."""

    artifact: Digest


class PackOntology(Action):
    """Put an ontology and its vectors into one file."""

    mnemonic: ClassVar[str] = "PackOntology"
    result: ClassVar[type[ActionResult]] = Packed

    ontology: Digest
    upper: Digest | None = None
    features: Digest | None = None
    identity: str = ""

    async def execute(self, context: ActionContext) -> Packed:
        vectors: NDArray[np.float32] | None = None
        if self.upper is not None and self.features is not None:
            import numpy as np

            vectors = np.concatenate([from_bytes(context.read(self.upper)), from_bytes(context.read(self.features))])
        return Packed(artifact=context.write(artifact.dump(context.read(self.ontology), vectors, self.identity)))

    def describe(self) -> str:
        return "pack the ontology"
