"""Vectors of features, from the embedder that ``[ontology]`` names. Knows nothing of what they are compared for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from zerorepo.rule import RuleContext
from zerorepo_rpg.plan_metrics import Vector
from zerorepo_rpg.plan_model import Feature

Refine = Literal["off", "words", "embeddings"]
"""``words``: compared by their words (TF-IDF). ``embeddings``: by the engine of ``[ontology]``, which must be installed."""


async def feature_vectors(ctx: RuleContext[Any], features: Sequence[Feature]) -> Mapping[str, Vector] | None:
    """Feature id to its embedding; None with the engine ``bm25``, which has none. EnvironmentFailure without weights."""
    from zerorepo_ontology.embed import EmbedTexts, Vectors, from_bytes, identity_of
    from zerorepo_ontology.settings import BM25, OntologySettings

    settings = await ctx.setting("ontology", OntologySettings)
    if settings.engine == BM25:
        return None
    texts = ctx.write(json.dumps([f"{each.name}. {each.description}" for each in features]).encode())
    made: Vectors = await ctx.run(
        EmbedTexts(texts=texts, identity=identity_of(settings.engine), engine=settings.engine)
    )
    rows = from_bytes(ctx.read(made.vectors))
    return {
        feature.id: {str(place): float(value) for place, value in enumerate(row)}
        for feature, row in zip(features, rows, strict=True)
    }


__all__ = ["Refine", "feature_vectors"]
