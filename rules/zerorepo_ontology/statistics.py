"""How large an ontology is, honestly: distinct nodes, not paths; where they come from; where libraries overlap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from zerorepo_ontology.ontology import LEVELS, Ontology


def of(ontology: Ontology, size: int, identity: str) -> dict[str, Any]:
    """The numbers of ``zerorepo ontology stats``."""
    levels = Counter(node.level for node in ontology.nodes)
    features = [node for node in ontology.nodes if node.level == "feature"]
    capabilities = [node for node in ontology.nodes if node.level == "capability"]
    below: Counter[str] = Counter()
    for node in features:
        below[ontology.path(node)[0]] += 1
    examples = [example for node in features for example in node.examples]
    by_source = Counter(example.source for example in examples)
    return {
        "nodes": len(ontology.nodes),
        "levels": {level: levels[level] for level in LEVELS},
        "examples": len(examples),
        "depth": len(LEVELS) + 1,
        "origins": dict(sorted(Counter(node.origin for node in features).items())),
        "tiers": dict(sorted(Counter(example.tier for example in examples).items())),
        "features_in_several_sources": sum(node.packages > 1 for node in features),
        "capabilities_in_several_sources": sum(node.packages > 1 for node in capabilities),
        "excluded": list(ontology.excluded),
        "embedder": identity,
        "bytes": size,
        "domains": {
            domain.name: {"sources": domain.packages, "features": below[domain.name], "examples": domain.apis}
            for domain in ontology.children.get("", ())
        },
        "sources": [
            {**source._asdict(), "examples": by_source[number]}
            for number, source in enumerate(ontology.sources)
            if by_source[number]
        ],
    }


def lines(numbers: Mapping[str, Any], *, by_source: bool) -> list[str]:
    """The numbers for a person."""
    levels = numbers["levels"]
    made = [
        f"{numbers['nodes']:,} nodes: " + ", ".join(f"{levels[level]:,} {_plural(level)}" for level in LEVELS),
        f"{numbers['examples']:,} API examples from {len(numbers['sources'])} sources; "
        + ", ".join(f"{count:,} features {origin}" for origin, count in numbers["origins"].items()),
        f"seen in several sources: {numbers['capabilities_in_several_sources']:,} capabilities, "
        f"{numbers['features_in_several_sources']:,} features",
    ]
    if numbers["excluded"]:
        made.append(f"left out: {', '.join(numbers['excluded'])}")
    made.append("")
    if by_source:
        rows = [(s["name"], s["version"], f"{s['examples']:,}", s["license"]) for s in numbers["sources"]]
        return [*made, *_table(("source", "version", "examples", "licence"), rows)]
    rows = [
        (name, f"{each['features']:,}", f"{each['examples']:,}", str(each["sources"]))
        for name, each in numbers["domains"].items()
    ]
    return [*made, *_table(("domain", "features", "examples", "sources"), rows)]


def _plural(level: str) -> str:
    return "capabilities" if level == "capability" else f"{level}s"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]
