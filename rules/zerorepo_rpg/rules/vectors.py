"""Vectors of texts, from the embedder that ``[ontology]`` names. Knows nothing of what they are compared for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from zerorepo.errors import UsageError
from zerorepo.rule import RuleContext
from zerorepo_rpg.plan_metrics import Vector
from zerorepo_rpg.plan_model import Feature

Refine = Literal["off", "words", "embeddings"]
"""``words``: compared by their words (TF-IDF). ``embeddings``: by the engine of ``[ontology]``, which must be installed."""


LookUpsBy = Literal["words", "embeddings"]
"""How what a repair looks for is found: by words alone, or by meaning (the engine of ``[ontology]``) and words."""


async def feature_vectors(ctx: RuleContext[Any], features: Sequence[Feature]) -> Mapping[str, Vector] | None:
    """Feature id to its embedding; None with the engine ``bm25``, which has none. EnvironmentFailure without weights."""
    from zerorepo_ontology.settings import BM25, OntologySettings

    settings = await ctx.setting("ontology", OntologySettings)
    if settings.engine == BM25:
        return None
    rows = await _embedded(ctx, settings.engine, [f"{each.name}. {each.description}" for each in features])
    return {
        feature.id: {str(place): float(value) for place, value in enumerate(row)}
        for feature, row in zip(features, rows, strict=True)
    }


async def cosines(ctx: RuleContext[Any], query: str, texts: Sequence[str]) -> list[float]:
    """How near each text is to the query by meaning, 1 at most. UsageError with the engine ``bm25``, which knows no meaning;
    EnvironmentFailure without weights.
    """
    from zerorepo_ontology.settings import BM25, OntologySettings

    settings = await ctx.setting("ontology", OntologySettings)
    if settings.engine == BM25:
        raise UsageError(
            f"`{ctx.label}` is to look things up by embeddings, and the engine `{BM25}` of [ontology] makes none",
            hint='take another engine ("int8"), or look_ups = "words" of the `repository`',
        )
    # The plan's texts and the query apart: the former are the same for every query.
    rows, (asked,) = await _embedded(ctx, settings.engine, texts), await _embedded(ctx, settings.engine, [query])
    return [float(each) for each in rows @ asked] if len(texts) else []


async def _embedded(ctx: RuleContext[Any], engine: str, texts: Sequence[str]) -> Any:
    """A row of unit length for each text."""
    from zerorepo_ontology.embed import EmbedTexts, Vectors, from_bytes, identity_of

    given = ctx.write(json.dumps(list(texts)).encode())
    made: Vectors = await ctx.run(EmbedTexts(texts=given, identity=identity_of(engine), engine=engine))
    return from_bytes(ctx.read(made.vectors))


__all__ = ["LookUpsBy", "Refine", "cosines", "feature_vectors"]
