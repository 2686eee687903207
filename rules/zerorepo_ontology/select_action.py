"""``SelectFeatures``: a selection as far as it goes by itself. With a model's verdicts so far, up to the next question to it.

The same verdicts give the same selection, so each iteration is one cached action. Knows no model.
"""

from __future__ import annotations

import asyncio
import json
from functools import lru_cache
from typing import Annotated, Any, ClassVar

from zerorepo.action import Action, ActionContext, ActionResult
from zerorepo.digest import Digest
from zerorepo.errors import ActionFailed
from zerorepo.values import COSMETIC, Value
from zerorepo_ontology.opened import Opened
from zerorepo_ontology.selecting import Candidate, Limits, Requirement, Selection, read_requirements
from zerorepo_ontology.settings import API_PREFIX, BM25, OntologySettings


class Round(Value):
    """What a model said in one iteration: the candidates that do not belong, and features that are missing."""

    refused: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class Selected(ActionResult):
    """``report``: a JSON object. ``next``: candidates that wait for a verdict; empty when it ``stopped``."""

    report: Digest
    stopped: str
    accepted: tuple[Candidate, ...]
    next: tuple[Candidate, ...] = ()
    unserved: tuple[Requirement, ...] = ()


class SelectFeatures(Action):
    """See the head of this file. ActionFailed when the specification says nothing or the ontology has no vectors."""

    mnemonic: ClassVar[str] = "SelectFeatures"
    key_version: ClassVar[int] = 2
    result: ClassVar[type[ActionResult]] = Selected

    ontology: Digest
    spec: Digest
    limits: Limits
    exclude: tuple[str, ...] = ()
    rounds: tuple[Round, ...] | None = None
    """None: no model takes part."""
    name: Annotated[str, COSMETIC] = ""

    async def execute(self, context: ActionContext) -> Selected:
        return await asyncio.to_thread(self._select, context)

    def _select(self, context: ActionContext) -> Selected:
        requirements = read_requirements(context.read(self.spec).decode("utf-8", "replace"))
        if not requirements:
            raise ActionFailed("The specification states nothing to select features for", where=self.name or None)
        opened = _opened(context.read(self.ontology), self.exclude)
        if opened.engine == BM25 or opened.engine.startswith(API_PREFIX):
            raise ActionFailed(
                f"Selection needs an ontology with vectors of this machine, not of `{opened.engine}`",
                hint="build it with engine int8 or fp32",
            )
        settings = context.settings("ontology", OntologySettings)
        searcher = opened.searcher(opened.engine, settings, context.workspace)
        embed = searcher.embedder
        selection = Selection(searcher, requirements, embed([each.text for each in requirements]), self.limits)
        candidates: list[Candidate] = []
        waiting = False
        for turn in range(self.limits.iterations):
            if selection.stopped():
                break
            candidates = selection.propose()
            if self.rounds is None:
                selection.take(candidates)
            elif turn < len(self.rounds):
                said = self.rounds[turn]
                more = selection.missing(said.missing, embed(list(said.missing))) if said.missing else []
                selection.take(candidates, refused=said.refused, more=more)
            else:
                waiting = True
                break
        report = _report(selection, modelled=self.rounds is not None)
        return Selected(
            report=context.write(json.dumps(report, indent=1, ensure_ascii=False).encode()),
            stopped=selection.stopped(),
            accepted=tuple(selection.accepted),
            next=tuple(candidates) if waiting else (),
            unserved=tuple(selection.unserved),
        )

    def describe(self) -> str:
        return "select features" if self.rounds is None else f"select features, iteration {len(self.rounds) + 1}"


@lru_cache(maxsize=1)
def _opened(data: bytes, exclude: tuple[str, ...]) -> Opened:
    """Opening takes half a second, and each iteration needs it."""
    return Opened("the ontology", data, exclude)


def _report(selection: Selection, *, modelled: bool) -> dict[str, Any]:
    return {
        "stopped": selection.stopped(),
        "model": modelled,
        "skipped": [] if modelled else ["self-check", "missing features"],
        "requirements": [each.model_dump() for each in selection.requirements],
        "unserved": [each.id for each in selection.unserved],
        "features": [each.model_dump(mode="json") for each in selection.accepted],
        "iterations": [
            {**step.model_dump(mode="json"), "coverage": round(step.coverage, 4)} for step in selection.steps
        ],
    }
