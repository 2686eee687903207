"""The parts of a planning graph: nodes, typed edges, and the direction of each edge type. Knows nothing of whole graphs."""

from __future__ import annotations

from enum import StrEnum

from zerorepo.values import Value


class Level(StrEnum):
    """Depth in the functional view."""

    MODULE = "MODULE"
    COMPONENT = "COMPONENT"
    FEATURE = "FEATURE"


class NodeType(StrEnum):
    """How far a node is tied to the structural view."""

    FUNCTIONALITY = "FUNCTIONALITY"
    FOLDER_AUGMENTED = "FOLDER_AUGMENTED"
    FILE_AUGMENTED = "FILE_AUGMENTED"
    FUNCTION_AUGMENTED = "FUNCTION_AUGMENTED"


class InterfaceType(StrEnum):
    """What a FUNCTION_AUGMENTED node is in code."""

    FUNCTION = "FUNCTION"
    CLASS = "CLASS"
    METHOD = "METHOD"


class Source(StrEnum):
    """Who wrote the node: a model planned it, or a person's code was scanned."""

    MODEL = "model"
    HUMAN = "human"


class EdgeType(StrEnum):
    """HIERARCHY: parent to child. DATA_FLOW, ORDERING: *source is needed by target*. INHERITANCE, INVOCATION: *source
    depends on target*."""

    HIERARCHY = "HIERARCHY"
    DATA_FLOW = "DATA_FLOW"
    ORDERING = "ORDERING"
    INHERITANCE = "INHERITANCE"
    INVOCATION = "INVOCATION"

    @property
    def needed_is_source(self) -> bool:
        """Whether the source is what the target needs; otherwise the source needs the target."""
        return self in (EdgeType.HIERARCHY, EdgeType.DATA_FLOW, EdgeType.ORDERING)


NEEDS = (EdgeType.DATA_FLOW, EdgeType.ORDERING, EdgeType.INHERITANCE, EdgeType.INVOCATION)
"""The edge types that say who needs whom."""


class RPGNode(Value):
    """A module, component or feature. ``id`` is a stable slug path, never random."""

    id: str
    name: str
    level: Level
    node_type: NodeType = NodeType.FUNCTIONALITY
    parent: str | None = None
    folder_path: str = ""
    file_path: str = ""
    interface_type: InterfaceType | None = None
    signature: str = ""
    docstring: str = ""
    description: str = ""
    features: tuple[str, ...] = ()
    source: Source = Source.MODEL
    digest: str = ""
    """Of the text of code that a person wrote, so that a change of a body is a change of content; else empty."""


class RPGEdge(Value):
    """A typed edge; see ``EdgeType`` for its direction. ``data_name`` and ``data_type`` belong to DATA_FLOW only."""

    type: EdgeType
    source: str
    target: str
    data_name: str = ""
    data_type: str = ""
    description: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it this edge and no other; also the sort order."""
        return (self.type.value, self.source, self.target, self.data_name)

    def __str__(self) -> str:
        return f"{self.type} {self.source} -> {self.target}" + (f" ({self.data_name})" if self.data_name else "")


__all__ = ["NEEDS", "EdgeType", "InterfaceType", "Level", "NodeType", "RPGEdge", "RPGNode", "Source"]
