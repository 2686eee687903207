"""How good a grouping into modules is: cohesion, coupling, modularity; cycles broken at the weakest edge; moves that improve.

Vectors of features may come from an embedding; without one, words are compared (TF-IDF). Pure; knows nothing of models.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from zerorepo.values import Value
from zerorepo_rpg import digraph
from zerorepo_rpg.plan_model import Feature, ModulePlan, ModuleSet, Plan

Vector = Mapping[str, float]
"""Sparse: dimension to weight. An embedding has its positions, as text, for dimensions."""
Weights = Mapping[tuple[str, str], float]
"""Undirected: the pair sorted."""


class ModuleMetrics(Value):
    """``cohesion``: mean pairwise cosine of its features, -1 to 1; 1 for a single one. ``coupling``: distinct modules that it
    exchanges data with."""

    id: str
    features: int
    cohesion: float
    coupling: int


class Metrics(Value):
    """``modularity`` is Newman's Q over features, -0.5 to 1: edges within modules beyond what chance would give.

    Q over modules that only edges between modules join is at most 0 by construction, so it says nothing; hence features.
    """

    modules: tuple[ModuleMetrics, ...] = ()
    cohesion: float = 0.0
    """Mean over all pairs that share a module, so that many tiny modules do not look better for it."""
    coupling: float = 0.0
    """Mean over modules."""
    modularity: float = 0.0


_EMPTY = frozenset(
    [
        "and",
        "are",
        "for",
        "from",
        "has",
        "into",
        "its",
        "not",
        "one",
        "that",
        "the",
        "then",
        "this",
        "was",
        "when",
        "which",
        "with",
    ]
)


def lexical_vectors(texts: Mapping[str, str]) -> dict[str, Vector]:
    """TF-IDF of the beginnings of words. The same texts give the same vectors on every machine."""
    words = {
        key: Counter(word[:4] for word in re.findall(r"[a-z]{3,}", text.lower()) if word not in _EMPTY)
        for key, text in texts.items()
    }
    documents = Counter(word for counts in words.values() for word in counts)
    return {
        key: {word: count * math.log((1 + len(texts)) / documents[word]) for word, count in sorted(counts.items())}
        for key, counts in words.items()
    }


def cosine(one: Vector, other: Vector) -> float:
    """Cosine of two vectors; 0 when either is nothing."""
    if len(other) < len(one):
        one, other = other, one
    product = math.fsum(weight * other[name] for name, weight in one.items() if name in other)
    norms = math.sqrt(math.fsum(w * w for w in one.values()) * math.fsum(w * w for w in other.values()))
    return product / norms if norms else 0.0


def cohesion(features: Sequence[str], vectors: Mapping[str, Vector]) -> float:
    """Mean pairwise cosine of these features."""
    pairs = list(combinations(features, 2))
    return math.fsum(cosine(vectors[a], vectors[b]) for a, b in pairs) / len(pairs) if pairs else 1.0


def modularity(groups: Sequence[Sequence[str]], weights: Weights) -> float:
    """Newman's Q of a grouping of nodes: sum over groups of (inner weight / m) - (degree / 2m)². 0 without edges."""
    total = math.fsum(weights.values())
    if not total:
        return 0.0
    home = {name: number for number, group in enumerate(groups) for name in group}
    inner: dict[int, float] = {}
    degree: dict[int, float] = {}
    for (a, b), weight in weights.items():
        for name in (a, b):
            degree[home[name]] = degree.get(home[name], 0.0) + weight
        if home[a] == home[b]:
            inner[home[a]] = inner.get(home[a], 0.0) + weight
    return math.fsum(inner.get(n, 0.0) / total - (degree[n] / (2 * total)) ** 2 for n in degree)


def feature_weights(plan: Plan) -> Weights:
    """How strongly features belong together: a use between nodes that serve them counts 1, a requirement that both serve 1."""
    serving = {node.id: node.features for node in plan.nodes()}
    found: Counter[tuple[str, str]] = Counter()
    for node, used in ((node, other) for node, uses in plan.uses().items() for other in uses):
        for a in serving[node]:
            for b in serving[used]:
                if a != b:
                    found[min(a, b), max(a, b)] += 1
    known = {feature.id for feature in plan.features.features}
    for one, other in combinations(plan.features.features, 2):
        if set(one.requirements) & set(other.requirements):
            found[min(one.id, other.id), max(one.id, other.id)] += 1
    return {pair: float(count) for pair, count in sorted(found.items()) if set(pair) <= known}


def measure(
    modules: ModuleSet, features: Iterable[Feature], weights: Weights, vectors: Mapping[str, Vector] | None = None
) -> Metrics:
    """The metrics of a grouping. ``vectors``: feature id to its embedding; by words when it is not given."""
    listed = list(features)
    found = vectors or lexical_vectors({each.id: f"{each.name} {each.description}" for each in listed})
    neighbours: dict[str, set[str]] = {module.id: set() for module in modules.modules}
    for flow in modules.flows:
        if flow.source != flow.target and flow.source in neighbours and flow.target in neighbours:
            neighbours[flow.source].add(flow.target)
            neighbours[flow.target].add(flow.source)
    each = tuple(
        ModuleMetrics(
            id=module.id,
            features=len(module.features),
            cohesion=cohesion([name for name in module.features if name in found], found),
            coupling=len(neighbours[module.id]),
        )
        for module in modules.modules
    )
    pairs = [module.features * (module.features - 1) // 2 for module in each]
    grouped = [module.features for module in modules.modules]
    placed = {name for group in grouped for name in group}
    return Metrics(
        modules=each,
        cohesion=math.fsum(m.cohesion * n for m, n in zip(each, pairs, strict=True)) / sum(pairs)
        if sum(pairs)
        else 0.0,
        coupling=math.fsum(module.coupling for module in each) / len(each) if each else 0.0,
        modularity=modularity(grouped, {pair: w for pair, w in weights.items() if set(pair) <= placed}),
    )


class WeightedEdge(Value):
    """A dependency ``source`` → ``target``; ``confidence``, 0 to 1, is how sure one is that it is there."""

    source: str
    target: str
    weight: float = 1.0
    confidence: float = 1.0

    @property
    def strength(self) -> float:
        """What it takes to break it."""
        return self.weight * self.confidence


def break_cycles(edges: Iterable[WeightedEdge]) -> tuple[list[WeightedEdge], list[WeightedEdge]]:
    """``(kept, broken)``: of each cycle its weakest edge is broken until none is left; names decide between equals.

    Edges from a node to itself are broken first. A broken edge is put back when the others made it harmless.
    """
    kept = sorted(edges, key=_order)
    broken = [edge for edge in kept if edge.source == edge.target]
    kept = [edge for edge in kept if edge.source != edge.target]
    while cycles := digraph.cycles(_needs(kept)):
        for cycle in cycles:
            pairs = set(zip(cycle, (*cycle[1:], cycle[0]), strict=True))
            strength = {pair: math.fsum(e.strength for e in kept if (e.source, e.target) == pair) for pair in pairs}
            weakest = min(pairs, key=lambda pair: (strength[pair], pair))
            broken += [edge for edge in kept if (edge.source, edge.target) == weakest]
            kept = [edge for edge in kept if (edge.source, edge.target) != weakest]
    for edge in sorted((e for e in broken if e.source != e.target), key=lambda e: (-e.strength, *_order(e))):
        if not digraph.cycles(_needs([*kept, edge])):
            kept.append(edge)
            broken.remove(edge)
    return sorted(kept, key=_order), sorted(broken, key=_order)


def _order(edge: WeightedEdge) -> tuple[str, str, float, float]:
    return edge.source, edge.target, edge.weight, edge.confidence


def _needs(edges: Sequence[WeightedEdge]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for edge in edges:
        found.setdefault(edge.source, []).append(edge.target)
        found.setdefault(edge.target, [])
    return found


class Move(Value):
    """Features put into the module ``into``: one is a move, all of a module a merge, into a module that is new a split."""

    features: tuple[str, ...]
    into: str


def moved(modules: ModuleSet, move: Move) -> ModuleSet:
    """The grouping after a move; a module that loses its last feature goes, and flows follow the features' majority away."""
    listed = []
    for module in modules.modules:
        rest = tuple(name for name in module.features if name not in move.features)
        if module.id == move.into:
            rest = (*rest, *move.features)
        if rest:
            listed.append(module.model_copy(update={"features": rest}))
    if all(module.id != move.into for module in modules.modules):
        listed.append(ModulePlan(id=move.into, features=move.features))
    gone = {module.id for module in modules.modules} - {module.id for module in listed}
    flows = dict.fromkeys(
        flow.model_copy(
            update={
                "source": move.into if flow.source in gone else flow.source,
                "target": move.into if flow.target in gone else flow.target,
            }
        )
        for flow in modules.flows
    )
    kept = tuple(flow for flow in flows if flow.source != flow.target)
    return ModuleSet(modules=tuple(sorted(listed, key=lambda module: module.id)), flows=kept)


def refined(
    modules: ModuleSet,
    features: Sequence[Feature],
    weights: Weights,
    moves: Iterable[Move],
    vectors: Mapping[str, Vector] | None = None,
) -> tuple[ModuleSet, tuple[Move, ...]]:
    """The grouping after those moves, in turn, that make it better, and these moves.

    Better: modularity or cohesion rises, none of them falls, and coupling does not rise.
    """
    accepted = []
    now = measure(modules, features, weights, vectors)
    for move in moves:
        candidate = moved(modules, move)
        then = measure(candidate, features, weights, vectors)
        gain = (then.modularity - now.modularity, then.cohesion - now.cohesion, now.coupling - then.coupling)
        if min(gain) > -1e-9 and max(gain[:2]) > 1e-9:
            modules, now = candidate, then
            accepted.append(move)
    return modules, tuple(accepted)


__all__ = [
    "Metrics", "ModuleMetrics", "Move", "Vector", "WeightedEdge", "Weights", "break_cycles", "cohesion", "cosine",
    "feature_weights", "lexical_vectors", "measure", "modularity", "moved", "refined",
]  # fmt: skip
