"""From entries to the hierarchy domain, area, capability, feature, with API examples below; merged over libraries and counted.

Domains and areas come from where an entry's source belongs (the shipped table), capabilities from modules and classes and what
they say of themselves. Vectors decide what is the same, and where an entry without a place belongs; without them the tree is
built by words alone. Knows nothing of how vectors are made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from zerorepo_ontology import merging, naming
from zerorepo_ontology.entries import Entry
from zerorepo_ontology.ontology import Example, Node, Ontology, Source
from zerorepo_ontology.spelling import Spelling
from zerorepo_ontology.words import tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FEWEST = 3
"""Features that a capability from one module needs; smaller ones join what else the area has."""
_NEAR = 0.5
"""Cosine of the mean vectors of two capabilities that are one."""
_CONTEXT = (0.35, 0.40, 0.25)
"""Weights of an entry, its module and its source when a place is looked for."""
_ORIGIN_RANK = {"own": 0, "curated": 1, "model": 2, "mined": 3}


def node_id(level: str, path: Sequence[str]) -> str:
    """Stable: of the level and the names above."""
    return f"{level[0]}:{hashlib.sha1(chr(0).join(path).casefold().encode()).hexdigest()[:12]}"


@dataclass(slots=True)
class _Capability:
    name: str
    description: str
    members: list[int] = field(default_factory=list)


def build(entries: Sequence[Entry], vectors: NDArray[np.float32] | None) -> tuple[Ontology, list[int]]:
    """The ontology of entries, and for each of its features the index of the entry whose text it bears.

    ``vectors`` are those of the entries' texts, in order.
    """
    order = sorted(range(len(entries)), key=lambda i: _rank(entries[i]))
    entries = [entries[i] for i in order]
    vectors = None if vectors is None else vectors[order]
    places = _placed(entries, vectors)
    groups = merging.clusters([e.text for e in entries], [_last(e) for e in entries], vectors)
    sources = sorted({Source(e.source, e.version, e.license, e.origin) for e in entries})
    numbers = {source: number for number, source in enumerate(sources)}
    capability_of = _capabilities(entries, places, [group[0] for group in groups], vectors)
    features: list[tuple[Node, int]] = []
    descriptions: dict[tuple[str, ...], str] = {}
    for group in groups:
        head = entries[group[0]]
        capability, about = capability_of[group[0]]
        path = (*places[group[0]], capability)
        descriptions.setdefault(path, about)
        examples = _examples(entries, group, numbers)
        others = {(*places[i], capability_of.get(i, (None, ""))[0]) for i in group[1:]} - {path}
        also = sorted(node_id("capability", [p for p in each if p]) for each in others if each[-1])
        features.append(
            (
                Node(
                    id=node_id("feature", (*path, head.text)), level="feature", name=head.text, parent=node_id("capability", path),
                    description=next((entries[i].description for i in group if entries[i].description), ""),
                    also=tuple(also), origin=min((entries[i].origin for i in group), key=_ORIGIN_RANK.__getitem__),
                    tags=tuple(sorted({tag for i in group for tag in entries[i].tags})),
                    packages=len({example.source for example in examples}), apis=len(examples), examples=examples,
                ),
                order[group[0]],
            )
        )  # fmt: skip
    return _assembled(features, descriptions, sources)


def _rank(entry: Entry) -> tuple[object, ...]:
    """Who speaks for a group: what people wrote first, then functions before methods, then the plainer text."""
    return (
        _ORIGIN_RANK[entry.origin], "TAMN".index(entry.tier), len(entry.text), entry.text.casefold(), entry.source, entry.path,
    )  # fmt: skip


def _last(entry: Entry) -> str:
    return entry.path.rpartition(".")[2] if entry.kind not in ("curated", "row", "classifier") else entry.text


def _examples(entries: Sequence[Entry], group: Sequence[int], numbers: Mapping[Source, int]) -> tuple[Example, ...]:
    seen: dict[str, Example] = {}
    for i in group:
        each = entries[i]
        source = numbers[Source(each.source, each.version, each.license, each.origin)]
        seen.setdefault(f"{each.source}\0{each.path}", Example(each.path, each.signature, each.kind, source, each.tier))
    return tuple(seen.values())


def _placed(entries: Sequence[Entry], vectors: NDArray[np.float32] | None) -> list[tuple[str, str]]:
    """Domain and area of each entry. One without a place goes where the nearest places are, or under its source's name."""
    known = [i for i, each in enumerate(entries) if len(each.place) >= 2]
    homeless = [i for i, each in enumerate(entries) if len(each.place) < 2]
    places = [(each.place[0], each.place[1]) if len(each.place) >= 2 else ("", "") for each in entries]
    for i in homeless:
        each = entries[i]
        if each.place:
            places[i] = (each.place[0], "General")
        elif vectors is None or not known:
            places[i] = ("Own features", each.source)
    if vectors is not None and known:
        open_ = [i for i in homeless if not entries[i].place]
        names, centroids = _centroids(known, places, vectors)
        for i, vector in zip(open_, _in_context(entries, open_, vectors), strict=True):
            places[i] = names[int((centroids @ vector).argmax())]
    return places


def _in_context(
    entries: Sequence[Entry], chosen: Sequence[int], vectors: NDArray[np.float32]
) -> Iterator[NDArray[np.float32]]:
    """What decides on the place of each entry: itself with the means of its module and of its source, if it was mined from one.

    A function of few words alone is near to anything; the weights are of a reading of 60 mined entries, about 50 of them right.
    """
    import numpy as np

    members: dict[tuple[str, ...], list[int]] = {}
    for i in chosen:
        for key in ((entries[i].source,), (entries[i].source, entries[i].section)):
            members.setdefault(key, []).append(i)
    means = {key: vectors[found].mean(axis=0) for key, found in members.items()}
    means = {key: mean / max(float(np.linalg.norm(mean)), 1e-9) for key, mean in means.items()}
    for i in chosen:
        each = entries[i]
        if not each.section:
            yield vectors[i]
            continue
        own, module, source = _CONTEXT
        yield own * vectors[i] + module * means[each.source, each.section] + source * means[each.source,]


def _centroids(
    known: Sequence[int], places: Sequence[tuple[str, str]], vectors: NDArray[np.float32]
) -> tuple[list[tuple[str, str]], NDArray[np.float32]]:
    import numpy as np

    members: dict[tuple[str, str], list[int]] = {}
    for i in known:
        members.setdefault(places[i], []).append(i)
    names = sorted(members)
    rows = np.stack([vectors[members[name]].mean(axis=0) for name in names])
    return names, rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _capabilities(
    entries: Sequence[Entry],
    places: Sequence[tuple[str, str]],
    heads: Sequence[int],
    vectors: NDArray[np.float32] | None,
) -> dict[int, tuple[str, str]]:
    """Name and description of the capability of each representative."""
    made: dict[tuple[str, str, str], _Capability] = {}
    spelling = Spelling(_prose(entries))

    @cache
    def named(section: str, text: str, source: str, is_class: bool) -> tuple[str, str]:
        return naming.capability_name(section, text, source, is_class=is_class, spelling=spelling)

    for i in heads:
        each = entries[i]
        if len(each.place) >= 3:
            name, about = each.place[2], ""
        else:
            is_class = each.kind == "method" and each.path.rpartition(".")[0] == each.section
            name, about = named(each.section, each.section_text, each.source, is_class)
        if not name or name.casefold() == places[i][1].casefold():
            name = places[i][1]
        key = (*places[i], name.casefold())
        found = made.setdefault(key, _Capability(name, about))
        found.description = found.description or about
        found.members.append(i)
    result: dict[int, tuple[str, str]] = {}
    for (_, area), capability in _joined(made, vectors):
        small = len(capability.members) < _FEWEST and all(entries[i].origin == "mined" for i in capability.members)
        for i in capability.members:
            result[i] = (area, "") if small else (capability.name, capability.description)
    return result


def _prose(entries: Sequence[Entry]) -> Iterator[str]:
    """What sources say in sentences, each text of a source once."""
    seen: set[tuple[str, str]] = set()
    for each in entries:
        for text in (each.text, each.description, each.section_text):
            if text and (each.source, text) not in seen:
                seen.add((each.source, text))
                yield text


def _joined(
    made: Mapping[tuple[str, str, str], _Capability], vectors: NDArray[np.float32] | None
) -> Iterator[tuple[tuple[str, str], _Capability]]:
    """Capabilities with their places; those of one area whose names have the same stems and whose features lie near are one.

    Measured (docs/ontology.md): nearness alone is right for half of the pairs, with equal stems for all of them.
    """
    alike: dict[tuple[str, str, tuple[str, ...]], list[_Capability]] = {}
    for (domain, area, name), capability in made.items():
        group = alike.setdefault((domain, area, tuple(tokens(name)) or (name,)), [])
        near = (each for each in group if vectors is not None and _nearness(each, capability, vectors) >= _NEAR)
        same = next(near, None)
        if same is None:
            group.append(capability)
        else:
            same.members += capability.members
            same.description = same.description or capability.description
    for (domain, area, _), group in alike.items():
        yield from (((domain, area), each) for each in group)


def _nearness(left: _Capability, right: _Capability, vectors: NDArray[np.float32]) -> float:
    import numpy as np

    means = [vectors[each.members].mean(axis=0) for each in (left, right)]
    return float(means[0] @ means[1] / (np.linalg.norm(means[0]) * np.linalg.norm(means[1])))


def _assembled(
    features: Sequence[tuple[Node, int]], descriptions: Mapping[tuple[str, ...], str], sources: Sequence[Source]
) -> tuple[Ontology, list[int]]:
    """Nodes of all levels, parents first, counted from below."""
    seen: dict[str, set[int]] = {}
    apis: dict[str, int] = {}
    upper: dict[str, Node] = {}
    for path in sorted(descriptions):
        for depth, level in enumerate(("domain", "area", "capability")):
            own = path[: depth + 1]
            id_ = node_id(level, own)
            parent = node_id(("domain", "area")[depth - 1], own[:-1]) if depth else ""
            about = descriptions[path] if depth == 2 else ""
            upper.setdefault(id_, Node(id_, level, own[-1], parent, about))
    unique: dict[str, tuple[Node, int]] = {}
    for node, index in features:
        unique.setdefault(node.id, (node, index))
    for node, _ in unique.values():
        above = node.parent
        while above:
            seen.setdefault(above, set()).update(example.source for example in node.examples)
            apis[above] = apis.get(above, 0) + node.apis
            above = upper[above].parent
    counted = [
        Node(n.id, n.level, n.name, n.parent, n.description, packages=len(seen[n.id]), apis=apis[n.id])
        for n in upper.values()
    ]
    counted.sort(key=lambda node: ("dac".index(node.level[0]), node.parent, node.name))
    ordered = sorted(unique.values(), key=lambda pair: (pair[0].parent, pair[0].name.casefold(), pair[0].id))
    ids = {node.id for node in counted}
    leaves = [
        Node(
            n.id, n.level, n.name, n.parent, n.description, tuple(each for each in n.also if each in ids), n.origin, n.tags,
            n.packages, n.apis, n.examples,
        )
        for n, _ in ordered
    ]  # fmt: skip
    return Ontology(sources, [*counted, *leaves]), [index for _, index in ordered]
