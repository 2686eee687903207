"""A result that is about to be written: the nodes, and their order and edges worked out when a format asks.

Knows nothing of any format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from zerorepo.query.graph import Nodes, QueryGraph
from zerorepo.query.ordering import topological


class Order(StrEnum):
    """``full``, ``deps`` and ``auto``: dependents before what they depend on; ``no``: by label, which costs least."""

    FULL = "full"
    DEPS = "deps"
    AUTO = "auto"
    NO = "no"


@dataclass
class Rendering:
    """``ranking``, when a function has set it, is the order unless another than ``full`` was asked for.

    ``factored`` joins alike nodes in drawings.
    ``node_limit``: the most characters in the text of one joined node, -1 for any number.
    """

    graph: QueryGraph
    nodes: Nodes
    order: Order = Order.FULL
    ranking: Mapping[int, float] = field(default_factory=dict)
    factored: bool = True
    node_limit: int = 512
    dimmed: bool = False
    """Whether a drawing plays down the edges that others imply."""

    @cached_property
    def edges(self) -> dict[int, list[int]]:
        """The direct dependencies of each node within the result, both in label order."""
        forward, nodes = self.graph.forward, self.nodes
        if len(nodes) == len(self.graph):
            return {node: list(forward[node]) for node in sorted(nodes)}
        return {node: [target for target in forward[node] if target in nodes] for node in sorted(nodes)}

    @cached_property
    def ordered(self) -> Sequence[int]:
        """The nodes in the order of the output."""
        if self.ranking and self.order in (Order.FULL, Order.AUTO):
            return sorted(self.nodes, key=lambda node: (-self.ranking.get(node, 0.0), node))
        if self.order is Order.NO:
            return sorted(self.nodes)
        return topological(self.edges)
