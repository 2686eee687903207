"""A grouping into modules made sound and better by rule: circles of data flow broken, features moved, modules merged and split.

Everything is decided by names and numbers, so that the same answer always becomes the same grouping. Knows nothing of models.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from zerorepo_rpg import digraph
from zerorepo_rpg.naming import module_name_problem
from zerorepo_rpg.plan_metrics import (
    Metrics,
    Move,
    Vector,
    WeightedEdge,
    Weights,
    break_cycles,
    cosine,
    lexical_vectors,
    measure,
    moved,
)
from zerorepo_rpg.plan_model import DataFlow, Feature, FeatureSet, ModuleSet
from zerorepo_rpg.validate import check_modules

_SPLIT_FROM = 4
"""Modules with fewer features are not split."""


def without_cycles(modules: ModuleSet, features: Sequence[Feature]) -> tuple[ModuleSet, tuple[DataFlow, ...]]:
    """The grouping with each circle of data flow broken at its weakest edge, and the flows that went.

    A flow weighs 1; its confidence is how much the features at both of its ends speak of the data (words, 0.1 to 1).
    """
    listed = {feature.id: feature for feature in features}
    texts = {
        f"module {module.id}": " ".join(
            [module.name, module.description]
            + [f"{listed[name].name} {listed[name].description}" for name in module.features if name in listed]
        )
        for module in modules.modules
    }
    said = {f"flow {n}": f"{f.data_name} {f.data_type} {f.description}" for n, f in enumerate(modules.flows)}
    vectors = lexical_vectors({**texts, **said})
    edges = []
    for number, flow in enumerate(modules.flows):
        ends = [vectors.get(f"module {end}", {}) for end in (flow.source, flow.target)]
        spoken_of = sum(cosine(vectors[f"flow {number}"], end) for end in ends) / 2
        edges.append(WeightedEdge(source=flow.source, target=flow.target, confidence=0.1 + 0.9 * spoken_of))
    gone = {(edge.source, edge.target) for edge in break_cycles(edges)[1]}
    broken = tuple(flow for flow in modules.flows if (flow.source, flow.target) in gone)
    kept = tuple(flow for flow in modules.flows if (flow.source, flow.target) not in gone)
    return modules.model_copy(update={"flows": kept}), broken


def belonging(features: Sequence[Feature], vectors: Mapping[str, Vector]) -> Weights:
    """How strongly two features belong together before anything is known of their code: 1 for each requirement that both serve
    and most others do not, and the cosine of what they are about."""
    common = Counter(name for feature in features for name in feature.requirements)
    found = {}
    for one, other in combinations(sorted(features, key=lambda feature: feature.id), 2):
        shared = set(one.requirements) & set(other.requirements)
        weight = sum(common[name] * 2 <= len(features) or len(features) < 4 for name in shared)
        near = max(0.0, cosine(vectors[one.id], vectors[other.id]))
        if weight + near > 1e-9:
            found[one.id, other.id] = weight + near
    return found


class Step(NamedTuple):
    """An accepted move, and the metrics before and after."""

    move: Move
    before: Metrics
    after: Metrics

    def __str__(self) -> str:
        return (
            f"{', '.join(self.move.features)} into {self.move.into}: cohesion {self.before.cohesion:.2f} to "
            f"{self.after.cohesion:.2f}, coupling {self.before.coupling:.1f} to {self.after.coupling:.1f}, "
            f"modularity {self.before.modularity:.2f} to {self.after.modularity:.2f}"
        )


def refine(
    modules: ModuleSet,
    features: Sequence[Feature],
    vectors: Mapping[str, Vector] | None = None,
    weights: Weights | None = None,
) -> tuple[ModuleSet, tuple[Step, ...]]:
    """The grouping after the moves, merges and splits that improve it, the best one first, and these.

    Better: modularity or cohesion rises, none of them falls, coupling does not rise, and every check of the grouping passes.
    No feature loses data: what flowed from the module of one to that of another at first, directly or through others, reaches it
    after each move, in the same direction. Flows are added for that, which count as coupling; where they would go in a circle, the
    move is left out. Features that shared a module declared no flow to each other, so none is made when they part.

    ``weights``: how strongly features belong together, if more is known than their words and requirements.
    """
    found = vectors or lexical_vectors({each.id: f"{each.name} {each.description}" for each in features})
    weights = belonging(features, found) if weights is None else weights
    near = {pair: cosine(found[pair[0]], found[pair[1]]) for pair in combinations(sorted(found), 2)}
    whole = FeatureSet(features=tuple(features))
    accepted: list[Step] = []
    needed = _Needed(modules)
    for _ in features:  # each step is an improvement; this only bounds them
        now = measure(modules, features, weights, found)
        best: tuple[float, ModuleSet, Step] | None = None
        for move in _candidates(modules, near):
            candidate = _with_flows(modules, move)
            if not needed.met_by(candidate) or check_modules(candidate, whole):
                continue
            then = measure(candidate, features, weights, found)
            gain = (then.modularity - now.modularity, then.cohesion - now.cohesion)
            worse = min(*gain, now.coupling - then.coupling) < -1e-9
            if not worse and max(gain) > 1e-9 and (best is None or sum(gain) > best[0] + 1e-9):
                best = sum(gain), candidate, Step(move, now, then)
        if best is None:
            break
        modules = _described(best[1], features)
        accepted.append(best[2])
    return modules, tuple(accepted)


class _Needed:
    """Which features data of which other features reached at first."""

    def __init__(self, modules: ModuleSet) -> None:
        self._features = {module.id: module.features for module in modules.modules}
        self._upstream = modules.upstream()

    def met_by(self, modules: ModuleSet) -> bool:
        """Whether it still does."""
        home = {name: module.id for module in modules.modules for name in module.features}
        homes = {module: {home[name] for name in names} for module, names in self._features.items()}
        reach = {module: {module, *upstream} for module, upstream in modules.upstream().items()}
        return all(
            homes.get(source, set()) <= reach[target]
            for module, sources in self._upstream.items()
            for target in homes.get(module, ())
            for source in sources
        )


_Near = Mapping[tuple[str, str], float]


def _mean(near: _Near, one: str, others: Sequence[str]) -> float:
    values = [near.get((min(one, other), max(one, other)), 0.0) for other in others if other != one]
    return sum(values) / len(values) if values else 0.0


def _candidates(modules: ModuleSet, near: _Near) -> Iterator[Move]:
    """Moves that may be worth measuring, in a fixed order."""
    for home in modules.modules:
        for name in home.features:
            own = _mean(near, name, home.features)
            for other in modules.modules:
                if other.id != home.id and _mean(near, name, other.features) > own:
                    yield Move(features=(name,), into=other.id)
    for one, other in combinations(modules.modules, 2):
        yield Move(features=one.features, into=other.id)
        yield Move(features=other.features, into=one.id)
    for module in modules.modules:
        if len(module.features) >= _SPLIT_FROM:
            part = _other_half(module.features, near)
            if part and (name := _name_of(part, modules)):
                yield Move(features=part, into=name)


def _other_half(features: Sequence[str], near: _Near) -> tuple[str, ...]:
    """Those features that are nearer to one of the two that are farthest apart."""
    far = min(combinations(sorted(features), 2), key=lambda pair: (near.get(pair, 0.0), pair))
    part = tuple(name for name in features if _mean(near, name, far[1:]) > _mean(near, name, far[:1]) or name == far[1])
    return part if far[0] not in part and len(part) < len(features) else ()


def _name_of(features: Sequence[str], modules: ModuleSet) -> str:
    """The word that most ids of these features share, as a module's name; "" when none will do."""
    words: Counter[str] = Counter()
    for name in features:
        words.update(set(re.findall(r"[a-z]{3,}", name)))
    taken = {module.id for module in modules.modules} | {"shared", "tests", "docs"}
    for word, _ in sorted(words.items(), key=lambda item: (-item[1], item[0])):
        if word not in taken and not module_name_problem(word):
            return word
    return ""


def _described(modules: ModuleSet, features: Sequence[Feature]) -> ModuleSet:
    names = {feature.id: feature.name for feature in features}
    listed = tuple(
        module
        if module.description
        else module.model_copy(update={"description": f"{'; '.join(names[name] for name in module.features)}."})
        for module in modules.modules
    )
    return modules.model_copy(update={"modules": listed})


def _with_flows(modules: ModuleSet, move: Move) -> ModuleSet:
    """The grouping after a move, with the flows that keep every datum within the reach of whom it reached before."""
    homes = [module.id for module in modules.modules if set(module.features) & set(move.features)]
    after = moved(modules, move)
    present = {module.id for module in after.modules}
    flows = list(after.flows)
    for flow in modules.flows:
        for home in homes:
            end = {"source": move.into} if flow.source == home else {"target": move.into} if flow.target == home else {}
            new = flow.model_copy(update=end)
            if not end or new.source == new.target or not {new.source, new.target} <= present:
                continue
            needs = ModuleSet(modules=after.modules, flows=tuple(flows)).needs()
            if new.source not in digraph.reachable(needs, [new.target]):
                flows.append(new)
    return after.model_copy(update={"flows": tuple(dict.fromkeys(flows))})


__all__ = ["Step", "belonging", "refine", "without_cycles"]
