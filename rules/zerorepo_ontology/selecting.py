"""Selection by exploiting and exploring (Algorithm 2 of arXiv 2509.16198): proposals, diversity, coverage, and when to stop.

All numbers are measured against what is fixed at the start: the requirements of the specification and the branches of the tree
that are near them. Knows nothing of models; what they say comes in as verdicts and texts.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Literal

from zerorepo.values import Value
from zerorepo_ontology.ontology import Node
from zerorepo_ontology.sampling import sample_set
from zerorepo_ontology.searching import Filter, Searcher

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

By = Literal["exploit", "explore", "missing"]
QUERIES, HITS, DECAY = 5, 10, 0.85
_BRANCHES = 5
"""Capabilities that count as relevant, for each requirement."""
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")


class Limits(Value):
    """When selection stops, and what it takes."""

    iterations: int = 30
    target: float = 0.95
    """Coverage that is enough."""
    plateau: float = 0.02
    plateau_over: int = 5
    too_near: float = 0.85
    """A cosine to what is selected that makes a candidate too much of the same."""
    serves: float = 0.5
    """A cosine to a requirement from which on a feature serves it."""
    relevant: float = 0.35
    """A cosine to some requirement that an explored feature needs when no model judges it."""
    temperature: float = 2.0
    overlap: float = 0.3
    tries: int = 100
    seed: int = 0


class Requirement(Value):
    """A sentence or item of a specification, and the headings that it stands below."""

    id: str
    text: str
    section: str


class Candidate(Value):
    """A proposed feature: a node, or a model's text with no ``node``. ``requirement``: the id of the nearest."""

    text: str
    node: str = ""
    path: tuple[str, ...] = ()
    by: By
    requirement: str
    section: str
    cosine: float


class Step(Value):
    """One iteration: what was proposed, and what became of it. ``rejected``: text and why."""

    iteration: int
    proposed: int
    accepted: tuple[Candidate, ...]
    rejected: tuple[tuple[str, str, str], ...]
    """(by, text, why)."""
    requirements: float
    branches: float
    distance: float
    """Mean cosine distance between the selected."""

    @property
    def coverage(self) -> float:
        """Of both, evenly."""
        return (self.requirements + self.branches) / 2


_MARKUP = re.compile(r"`+([^`]*)`+|[*`]+|(?<!\w)_+|_+(?!\w)")
"""Code, whose inside stays as it is, and emphasis; an underscore within a word is neither."""


def read_requirements(text: str) -> list[Requirement]:
    """Items and sentences of Markdown, in order; headings, code and what has fewer than three words are no requirements."""
    found: list[Requirement] = []
    section, fenced = "", False
    paragraph: list[str] = []

    def flush() -> None:
        joined = " ".join(paragraph)
        paragraph.clear()
        for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", joined):
            plain = _MARKUP.sub(lambda found: found[1] or "", sentence).strip()
            if len(plain.split()) >= 3:
                found.append(Requirement(id=f"r{len(found) + 1}", text=plain, section=section))

    for line in text.splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
            flush()
        elif fenced:
            continue
        elif line.startswith("#"):
            flush()
            section = line.lstrip("#").strip()
        elif _ITEM.match(line):
            flush()
            paragraph.append(_ITEM.sub("", line).strip())
        elif line.strip():
            paragraph.append(line.strip())
        else:
            flush()
    flush()
    return found


class Selection:
    """A selection as it grows. ``requirements`` must not be empty; ``vectors``: theirs."""

    def __init__(
        self, searcher: Searcher, requirements: Sequence[Requirement], vectors: NDArray[np.float32], limits: Limits
    ) -> None:
        self.searcher, self.requirements, self.vectors, self.limits = searcher, list(requirements), vectors, limits
        self.steps: list[Step] = []
        self._accepted: list[Candidate] = []
        self._rows: list[NDArray[np.float32]] = []
        self._seen: dict[str, int] = {}
        self._served: set[str] = set()
        nodes = searcher.ontology.nodes
        self._row_of = {node.id: row for row, node in enumerate(nodes)}
        hits = searcher.search_all([each.text for each in requirements], _BRANCHES, Filter(levels=("capability",)))
        self._branches = sorted({hit.node.id for found in hits for hit in found})
        self._reached: set[str] = set()

    def propose(self) -> list[Candidate]:
        """The next iteration's candidates: those near the requirements that are least served, and those of a walk elsewhere."""
        turn = len(self.steps)
        open_ = [i for i, each in enumerate(self.requirements) if each.id not in self._served] or list(
            range(len(self.requirements))
        )
        start = (turn * QUERIES) % len(open_)
        asked = [open_[(start + k) % len(open_)] for k in range(min(QUERIES, len(open_)))]
        candidates: dict[str, Candidate] = {}
        scored: list[tuple[float, Candidate]] = []
        found = self.searcher.search_all([self._augmented(i) for i in asked], HITS * 3, Filter(levels=("feature",)))
        for index, hits in zip(asked, found, strict=True):
            # What was proposed before counts for less each time, so that an iteration brings something new.
            ranked = sorted(hits, key=lambda hit: -hit.score * DECAY ** self._seen.get(hit.node.id, 0))
            for hit in ranked[:HITS]:
                scored.append((hit.score, self._candidate(hit.node.id, "exploit", index)))
        for _, each in sorted(scored, key=lambda pair: -pair[0]):
            candidates.setdefault(each.node, each)
        random_ = random.Random(f"{self.limits.seed} {turn}")
        explored = sample_set(
            self.searcher.ontology, self._seen.keys(), random_,
            temperature=self.limits.temperature, overlap=self.limits.overlap, tries=self.limits.tries,
        )  # fmt: skip
        for node in [*self._unreached(turn), *explored]:
            candidates.setdefault(node.id, self._candidate(node.id, "explore", None))
        for id_ in candidates:
            self._seen[id_] = self._seen.get(id_, 0) + 1
        return list(candidates.values())

    def _unreached(self, turn: int) -> list[Node]:
        """Of relevant branches that nothing selected lies in, the feature nearest to a requirement that was not proposed yet."""
        assert self.searcher.vectors is not None
        open_ = [each for each in self._branches if each not in self._reached]
        start = turn * HITS % max(len(open_), 1)
        found = []
        for branch in [*open_[start:], *open_[:start]][:HITS]:
            unseen = [node for node in self.searcher.ontology.children[branch] if node.id not in self._seen]
            if unseen:
                rows = self.searcher.vectors[[self._row_of[node.id] for node in unseen]]
                found.append(unseen[int((self.vectors @ rows.T).max(axis=0).argmax())])
        return found

    def _augmented(self, index: int) -> str:
        """A requirement with the heading that it stands below, and what last served its section."""
        own = self.requirements[index]
        last = next((each.text for each in reversed(self._accepted) if each.section == own.section), "")
        return " ".join(part for part in (own.text, own.section, last) if part)

    def _candidate(self, node_id: str, by: By, index: int | None) -> Candidate:
        assert self.searcher.vectors is not None
        node = self.searcher.ontology.by_id[node_id]
        cosines = self.vectors @ self.searcher.vectors[self._row_of[node_id]]
        # Explored for no requirement: it serves the nearest, if any.
        nearest = int(cosines.argmax()) if index is None else index
        own = self.requirements[nearest]
        return Candidate(
            text=node.name, node=node.id, path=tuple(self.searcher.ontology.path(node)), by=by, requirement=own.id,
            section=own.section, cosine=round(float(cosines[nearest]), 4),
        )  # fmt: skip

    def missing(self, texts: Sequence[str], rows: NDArray[np.float32]) -> list[tuple[Candidate, NDArray[np.float32]]]:
        """A model's proposals as candidates with their vectors."""
        made = []
        for text, row in zip(texts, rows, strict=True):
            cosines = self.vectors @ row
            own = self.requirements[int(cosines.argmax())]
            candidate = Candidate(
                text=text, by="missing", requirement=own.id, section=own.section, cosine=round(float(cosines.max()), 4)
            )
            made.append((candidate, row))
        return made

    def take(
        self,
        candidates: Sequence[Candidate],
        *,
        refused: Collection[str] | None = None,
        more: Sequence[tuple[Candidate, NDArray[np.float32]]] = (),
    ) -> Step:
        """End an iteration. ``refused``: texts that a model judged not to belong; None: no model judged, so nearness decides."""
        accepted: list[Candidate] = []
        rejected: list[tuple[str, str, str]] = []
        assert self.searcher.vectors is not None
        rows = [(each, self.searcher.vectors[self._row_of[each.node]]) for each in candidates]
        chosen = {each.node for each in self._accepted if each.node}
        for each, row in sorted([*rows, *more], key=lambda pair: (-pair[0].cosine, pair[0].text)):
            why = self._refusal(each, row, chosen, refused)
            if why:
                rejected.append((each.by, each.text, why))
                continue
            accepted.append(each)
            chosen.add(each.node)
            self._keep(each, row)
        step = Step(
            iteration=len(self.steps) + 1, proposed=len(rows) + len(more), accepted=tuple(accepted), rejected=tuple(rejected),
            requirements=len(self._served) / len(self.requirements), branches=len(self._reached) / max(len(self._branches), 1),
            distance=self._distance(),
        )  # fmt: skip
        self.steps.append(step)
        return step

    def _refusal(
        self, each: Candidate, row: NDArray[np.float32], chosen: set[str], refused: Collection[str] | None
    ) -> str:
        if each.node and each.node in chosen:
            return "selected before"
        if refused is not None and each.text in refused:
            return "self-check: does not belong"
        if refused is None and each.cosine < self.limits.relevant:
            return f"not near any requirement (cosine {each.cosine:.2f} < {self.limits.relevant:g})"
        if self._rows:
            import numpy as np

            nearest = np.stack(self._rows) @ row
            best = int(nearest.argmax())
            if nearest[best] >= self.limits.too_near:
                return f"too near `{self._accepted[best].text}` (cosine {float(nearest[best]):.2f})"
        return ""

    def _keep(self, each: Candidate, row: NDArray[np.float32]) -> None:
        self._accepted.append(each)
        self._rows.append(row)
        for requirement, cosine in zip(self.requirements, (self.vectors @ row).tolist(), strict=True):
            if cosine >= self.limits.serves:
                self._served.add(requirement.id)
        if each.node:
            self._reached |= {self.searcher.ontology.by_id[each.node].parent} & set(self._branches)

    def _distance(self) -> float:
        import numpy as np

        count = len(self._rows)
        if count < 2:
            return 0.0
        total = np.stack(self._rows).sum(axis=0)
        # The mean over pairs of unit vectors follows from the length of their sum.
        return round(1.0 - (float(total @ total) - count) / (count * (count - 1)), 4)

    @property
    def accepted(self) -> list[Candidate]:
        """All that was selected, in order."""
        return list(self._accepted)

    @property
    def unserved(self) -> list[Requirement]:
        """Requirements that nothing serves yet."""
        return [each for each in self.requirements if each.id not in self._served]

    def stopped(self) -> str:
        """Why selection ends here; "" when it goes on."""
        if not self.steps:
            return ""
        now, limits = self.steps[-1].coverage, self.limits
        if now >= limits.target:
            return f"coverage {now:.0%} reached the target of {limits.target:.0%}"
        if len(self.steps) > limits.plateau_over:
            before = self.steps[-1 - limits.plateau_over].coverage
            if now - before < limits.plateau:
                grown = f"coverage grew by {now - before:.1%} in {limits.plateau_over} iterations"
                return f"plateau: {grown}, less than {limits.plateau:.0%}"
        if len(self.steps) >= limits.iterations:
            return f"the most iterations, {limits.iterations}, at coverage {now:.0%}"
        return ""
