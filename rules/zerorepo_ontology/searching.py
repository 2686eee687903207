"""Finding nodes for a text: by vectors, by words, or by both, with filters. Knows nothing of where an ontology comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from zerorepo.errors import UsageError, did_you_mean
from zerorepo_ontology.ontology import LEVELS, Node, Ontology
from zerorepo_ontology.synonyms import widened
from zerorepo_ontology.words import Words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WORDS_SHARE = 0.3
"""Of the best possible word score, beside a cosine: measured on the labelled queries (docs/ontology.md)."""
_BLOCK = 128
DEFAULT_LEVELS = ("capability", "feature")


@dataclass(frozen=True, slots=True)
class Hit:
    """A node with its score; ``path`` from the domain down."""

    node: Node
    score: float
    cosine: float
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """What may be found: all that is given must hold. ``below``: an id, or the name of a node above; ``source``: a package."""

    levels: tuple[str, ...] = DEFAULT_LEVELS
    below: str = ""
    tags: tuple[str, ...] = ()
    source: str = ""


class Searcher:
    """``vectors``: a row a node, of unit length; None searches by words alone. ``embed`` makes a query's vector."""

    def __init__(
        self,
        ontology: Ontology,
        vectors: NDArray[np.float32] | None,
        embed: Callable[[Sequence[str]], Any] | None,
        *,
        words_share: float = WORDS_SHARE,
    ) -> None:
        self.ontology = ontology
        self.vectors = vectors
        self._embed = embed
        self._share = words_share
        self._masks: dict[Filter, NDArray[np.bool_]] = {}

    @property
    def embedder(self) -> Callable[[Sequence[str]], Any]:
        """What makes vectors comparable with these. UsageError without vectors."""
        if self._embed is None:
            raise UsageError("This ontology is searched by words alone: it has no embedder")
        return self._embed

    @cached_property
    def words(self) -> Words:
        """Names count most, then what nodes say of themselves, where they stand, and what libraries call them."""
        by_id = self.ontology.by_id
        rows = []
        for node in self.ontology.nodes:
            parts = [(node.name, 3), (node.description, 1)]
            # "Utils" is no answer to a question about what it stands below.
            if node.parent and (node.level != "capability" or " " in node.name):
                parts.append((by_id[node.parent].name, 1))
            parts += [(example.path.rpartition(".")[2], 2) for example in node.examples[:3]]
            rows.append(parts)
        return Words(rows)

    def search(self, query: str, limit: int = 10, filter_: Filter = Filter()) -> list[Hit]:
        """The ``limit`` best nodes, best first. UsageError for an empty query or a filter that names nothing."""
        return self.search_all([query], limit, filter_)[0]

    def search_all(self, queries: Sequence[str], limit: int = 10, filter_: Filter = Filter()) -> list[list[Hit]]:
        """The same for several queries at once."""
        import numpy as np

        if any(not query.strip() for query in queries):
            raise UsageError("The query is empty")
        mask = self._mask(filter_)
        queries = [widened(query) for query in queries]
        cosines: NDArray[np.float32] | None = None
        if self.vectors is not None and self._embed is not None:
            cosines = np.asarray(self._embed(list(queries)), dtype=np.float32) @ self.vectors.T
        found = []
        for row, query in enumerate(queries):
            own = cosines[row] if cosines is not None else None
            found.append(self._ranked(query, own, mask, limit))
        return found

    def _ranked(
        self, query: str, cosines: NDArray[np.float32] | None, mask: NDArray[np.bool_], limit: int
    ) -> list[Hit]:
        import numpy as np

        total = np.zeros(len(mask), dtype=np.float32) if cosines is None else cosines.copy()
        if cosines is None or self._share:
            scores = self.words.scores(query)
            top = float(scores.max()) if len(scores) else 0.0
            share = 1.0 if cosines is None else self._share
            if top > 0:
                scores *= share / top
                total += scores
        total[~mask] = -np.inf
        order = highest(total, min(limit, int(mask.sum())))
        nodes = self.ontology.nodes
        return [
            Hit(
                nodes[i],
                float(total[i]),
                float(cosines[i]) if cosines is not None else 0.0,
                tuple(self.ontology.path(nodes[i])),
            )
            for i in order
            if cosines is not None or total[i] > 0
        ]

    def _mask(self, filter_: Filter) -> NDArray[np.bool_]:
        import numpy as np

        known = self._masks.get(filter_)
        if known is not None:
            return known
        for level in filter_.levels:
            if level not in LEVELS:
                raise UsageError(f"There is no level `{level}`", hint=did_you_mean(level, LEVELS) or ", ".join(LEVELS))
        nodes = self.ontology.nodes
        mask = np.fromiter((node.level in filter_.levels for node in nodes), dtype=bool, count=len(nodes))
        if filter_.below:
            inside = self._below(filter_.below)
            mask &= np.fromiter((node.id in inside for node in nodes), dtype=bool, count=len(nodes))
        if filter_.tags:
            wanted = set(filter_.tags)
            mask &= np.fromiter((wanted <= set(node.tags) for node in nodes), dtype=bool, count=len(nodes))
        if filter_.source:
            mask &= self._of_source(filter_.source)
        self._masks[filter_] = mask
        return mask

    def _below(self, name: str) -> set[str]:
        tops = [n for n in self.ontology.nodes if n.level != "feature" and name.casefold() in (n.id, n.name.casefold())]
        if not tops:
            near = did_you_mean(name, {node.name for node in self.ontology.nodes if node.level != "feature"})
            raise UsageError(f"There is no domain, area or capability `{name}`", hint=near)
        inside: set[str] = set()
        waiting = [node.id for node in tops]
        while waiting:
            for child in self.ontology.children.get(waiting.pop(), ()):
                if child.id not in inside:
                    inside.add(child.id)
                    waiting.append(child.id)
        return inside

    def _of_source(self, name: str) -> NDArray[np.bool_]:
        import numpy as np

        wanted = {i for i, source in enumerate(self.ontology.sources) if source.name.casefold() == name.casefold()}
        if not wanted:
            near = did_you_mean(name, {source.name for source in self.ontology.sources})
            raise UsageError(
                f"Nothing was mined from `{name}`", hint=near or "zerorepo ontology stats --sources lists what was"
            )
        seen: set[str] = set()
        for node in self.ontology.nodes:
            if any(example.source in wanted for example in node.examples):
                current = node
                seen.add(current.id)
                while current.parent and current.parent not in seen:
                    seen.add(current.parent)
                    current = self.ontology.by_id[current.parent]
        nodes = self.ontology.nodes
        return np.fromiter((node.id in seen for node in nodes), dtype=bool, count=len(nodes))


def highest(numbers: NDArray[np.float32], count: int) -> list[int]:
    """Indexes of the ``count`` largest numbers, largest first, of equal ones the first.

    As many blocks as are wanted have a maximum that is at least that of the last of them, so nothing smaller is among the
    largest: ten times as fast as a partition of 100,000 numbers.
    """
    import numpy as np

    if not count:
        return []
    blocks = len(numbers) // _BLOCK
    if blocks >= 2 * count:
        tops = numbers[: blocks * _BLOCK].reshape(blocks, _BLOCK).max(axis=1)
        near = np.flatnonzero(numbers >= np.partition(tops, blocks - count)[blocks - count])
    else:
        near = np.arange(len(numbers))
    order: list[int] = near[np.argsort(-numbers[near], kind="stable")][:count].tolist()
    return order
