"""The ontology as data: nodes of five levels, each with where it was seen. Knows nothing of how it was made or is searched."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

LEVELS = ("domain", "area", "capability", "feature")
"""Levels of nodes. API examples are leaves below features and have no nodes of their own: they are ``Node.examples``."""


class Example(NamedTuple):
    """Where a feature was seen: ``path`` with its ``signature``, in a source of a version, under a licence."""

    path: str
    signature: str
    kind: str
    source: int
    """Index into ``Ontology.sources``."""
    tier: str


class Source(NamedTuple):
    """What was mined."""

    name: str
    version: str
    license: str
    origin: str


@dataclass(frozen=True, slots=True)
class Node:
    """A node. ``packages`` and ``apis``: in how many sources and examples it, or anything below it, was seen: its frequency."""

    id: str
    level: str
    name: str
    parent: str
    description: str = ""
    also: tuple[str, ...] = ()
    """Other capabilities that the feature belongs to as well."""
    origin: str = "mined"
    tags: tuple[str, ...] = ()
    packages: int = 0
    apis: int = 0
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class Ontology:
    """``nodes``: parents before children, by level and then in a fixed order."""

    sources: Sequence[Source]
    nodes: Sequence[Node]
    excluded: Sequence[str] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def by_id(self) -> Mapping[str, Node]:
        """Nodes by id."""
        return {node.id: node for node in self.nodes}

    @cached_property
    def children(self) -> Mapping[str, Sequence[Node]]:
        """Nodes below each id; the domains are below ""."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            found.setdefault(node.parent, []).append(node)
        return found

    def path(self, node: Node) -> list[str]:
        """Names from the domain down to ``node``."""
        names = [node.name]
        while node.parent:
            node = self.by_id[node.parent]
            names.insert(0, node.name)
        return names

    def sources_of(self, node: Node) -> list[Source]:
        """Where a node, or anything below it, was seen, by name."""
        found = {example.source for example in node.examples}
        waiting = list(self.children.get(node.id, ()))
        while waiting:
            below = waiting.pop()
            found.update(example.source for example in below.examples)
            waiting.extend(self.children.get(below.id, ()))
        return sorted(self.sources[each] for each in found)


def dump(ontology: Ontology) -> bytes:
    """Columns rather than rows, which compress to half."""
    nodes = ontology.nodes
    places = {node.id: index for index, node in enumerate(nodes)}
    value = {
        "meta": dict(ontology.meta),
        "excluded": list(ontology.excluded),
        "sources": [list(each) for each in ontology.sources],
        "id": [node.id for node in nodes],
        "level": [LEVELS.index(node.level) for node in nodes],
        "name": [node.name for node in nodes],
        "parent": [places.get(node.parent, -1) for node in nodes],
        "description": [node.description for node in nodes],
        "also": [[places[each] for each in node.also] for node in nodes],
        "origin": [node.origin for node in nodes],
        "tags": [list(node.tags) for node in nodes],
        "frequency": [[node.packages, node.apis] for node in nodes],
        "examples": [[list(each) for each in node.examples] for node in nodes],
    }
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def load(data: bytes) -> Ontology:
    """The inverse of ``dump``."""
    value = json.loads(data)
    ids = value["id"]
    nodes = [
        Node(
            id=ids[i],
            level=LEVELS[value["level"][i]],
            name=value["name"][i],
            parent=ids[value["parent"][i]] if value["parent"][i] >= 0 else "",
            description=value["description"][i],
            also=tuple(ids[each] for each in value["also"][i]),
            origin=value["origin"][i],
            tags=tuple(value["tags"][i]),
            packages=value["frequency"][i][0],
            apis=value["frequency"][i][1],
            examples=tuple(Example(*each) for each in value["examples"][i]),
        )
        for i in range(len(ids))
    ]
    sources = [Source(*each) for each in value["sources"]]
    return Ontology(sources, nodes, tuple(value["excluded"]), value["meta"])


def nested(ontology: Ontology) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two trees of one shape, names and frequencies, as the paper's released code reads them (leaves are lists there)."""

    def below(node: Node) -> tuple[Any, Any]:
        children = ontology.children.get(node.id, ())
        if not children:
            return {}, node.packages
        pairs = {child.name: below(child) for child in children}
        frequency = {name: pair[1] for name, pair in pairs.items()}
        return {name: pair[0] for name, pair in pairs.items()}, {"_freq": node.packages, **frequency}

    pairs = {domain.name: below(domain) for domain in ontology.children.get("", ())}
    return {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}


def without(ontology: Ontology, packages: Iterable[str]) -> Ontology:
    """The same without what only ``packages`` show: an evaluation leaves out the libraries that it imitates."""
    left_out = {each.lower().replace("_", "-") for each in packages}
    gone = {i for i, each in enumerate(ontology.sources) if each.name.lower().replace("_", "-") in left_out}
    if not gone:
        return ontology
    kept: dict[str, Node] = {}
    for node in reversed(ontology.nodes):
        if node.level != "feature":
            continue
        examples = tuple(each for each in node.examples if each.source not in gone)
        if examples:
            packages_ = len({each.source for each in examples})
            kept[node.id] = Node(
                node.id, node.level, node.name, node.parent, node.description, node.also, node.origin, node.tags, packages_,
                len(examples), examples,
            )  # fmt: skip
    return recounted(ontology, kept, (*ontology.excluded, *sorted(left_out)))


def recounted(ontology: Ontology, features: Mapping[str, Node], excluded: Sequence[str]) -> Ontology:
    """``ontology`` with these features only, and of the levels above what leads to one, counted anew."""
    seen: dict[str, set[int]] = {}
    apis: dict[str, int] = {}
    for node in features.values():
        above = node.parent
        while above:
            seen.setdefault(above, set()).update(each.source for each in node.examples)
            apis[above] = apis.get(above, 0) + len(node.examples)
            above = ontology.by_id[above].parent
    nodes = []
    for node in ontology.nodes:
        if node.id in features:
            found = features[node.id]
            also = tuple(each for each in found.also if each in seen)
            nodes.append(_replaced(found, also=also))
        elif node.id in seen:
            nodes.append(_replaced(node, packages=len(seen[node.id]), apis=apis[node.id]))
    return Ontology(ontology.sources, nodes, tuple(excluded), ontology.meta)


def _replaced(node: Node, **changes: Any) -> Node:
    import dataclasses

    return dataclasses.replace(node, **changes)
