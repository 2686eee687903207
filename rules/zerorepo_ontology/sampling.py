"""Algorithm 1 of arXiv 2509.16198: frequency-weighted sampling of an ontology from the top down, away from what was seen.

Knows nothing of specifications or models.
"""

from __future__ import annotations

import math
import random
from collections.abc import Set

from zerorepo_ontology.ontology import Node, Ontology


def sample_path(ontology: Ontology, random_: random.Random, temperature: float) -> Node:
    """A feature: at each level a child, with a probability in proportion to frequency ** (1 / temperature)."""
    below = ontology.children.get("", ())
    while True:
        weights = [math.exp(math.log(max(node.packages, 1)) / temperature) for node in below]
        node = random_.choices(below, weights)[0]
        below = ontology.children.get(node.id, ())
        if not below:
            return node


def sample_set(
    ontology: Ontology,
    seen: Set[str],
    random_: random.Random,
    *,
    size: int = 20,
    temperature: float = 2.0,
    overlap: float = 0.3,
    tries: int = 100,
) -> list[Node]:
    """``size`` features of which at most the share ``overlap`` was seen; after ``tries`` sets, the one that was seen least."""
    best: list[Node] = []
    least = math.inf
    for _ in range(tries):
        found = {node.id: node for node in (sample_path(ontology, random_, temperature) for _ in range(size))}
        share = sum(id_ in seen for id_ in found) / len(found)
        if share < least:
            best, least = list(found.values()), share
        if share <= overlap:
            break
    return best
