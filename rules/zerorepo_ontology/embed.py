"""``EmbedTexts``: the one action that turns texts into vectors, whatever engine does it. Batched, each text once, cached by text.

Knows nothing of what the texts are.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from zerorepo.action import Action, ActionContext, ActionResult
from zerorepo.digest import Digest
from zerorepo.errors import ActionFailed, EnvironmentFailure, TransientFailure
from zerorepo_ontology.settings import API_PREFIX, OntologySettings
from zerorepo_ontology.vector_cache import VectorCache

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Vectors(ActionResult):
    """``vectors``: float32 of shape (texts, dimension) as ``numpy.save`` writes it, a row a text, in order."""

    vectors: Digest
    count: int
    dimension: int


class EmbedTexts(Action):
    """Unit vectors of texts. EnvironmentFailure when weights are missing; TransientFailure when an API does not answer."""

    mnemonic: ClassVar[str] = "EmbedTexts"
    result: ClassVar[type[ActionResult]] = Vectors

    texts: Digest
    """A JSON list of strings."""
    of_entries: bool = False
    """``texts`` are entries instead (``entries.dump``)."""
    identity: str
    """From ``identity_of``: whatever makes vectors incomparable is in it."""
    engine: str

    async def execute(self, context: ActionContext) -> Vectors:
        import numpy as np

        texts = _texts(context.read(self.texts), self.of_entries)
        wanted = sorted(set(texts))
        cache = await context.service(VectorCache)
        known = await asyncio.to_thread(cache.get, self.identity, wanted)
        new = [text for text in wanted if text not in known]
        if new:
            settings = context.settings("ontology", OntologySettings)
            context.progress(f"{len(new):,} texts")
            made = await _embed(self.engine, new, settings, context)
            known.update(zip(new, made, strict=True))
            await asyncio.to_thread(cache.put, self.identity, {text: known[text] for text in new})
        context.meter(texts_embedded=len(new))
        rows = np.stack([known[text] for text in texts]) if texts else np.zeros((0, 0), dtype=np.float32)
        return Vectors(vectors=context.write(to_bytes(rows)), count=len(rows), dimension=rows.shape[1])

    def describe(self) -> str:
        return "embed texts"


def identity_of(engine: str) -> str:
    """What vectors of an engine are called wherever they are kept."""
    if engine.startswith(API_PREFIX):
        return f"{engine}/1"
    from zerorepo_ontology import embedding

    return embedding.identity(engine)


def to_bytes(rows: NDArray[np.float32]) -> bytes:
    """As ``numpy.save`` writes them."""
    import numpy as np

    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(rows, dtype="<f4"), allow_pickle=False)
    return out.getvalue()


def from_bytes(data: bytes) -> NDArray[np.float32]:
    """The inverse of ``to_bytes``."""
    import numpy as np

    rows: NDArray[np.float32] = np.load(io.BytesIO(data), allow_pickle=False)
    return rows


def _texts(data: bytes, lines: bool) -> list[str]:
    return [json.loads(line)[0] for line in data.splitlines()] if lines else [str(each) for each in json.loads(data)]


async def _embed(engine: str, texts: Sequence[str], settings: OntologySettings, context: ActionContext) -> Any:
    if engine.startswith(API_PREFIX):
        return await embed_by_api(engine.removeprefix(API_PREFIX), texts, settings)
    from zerorepo_ontology import embedding

    folder = context.workspace / settings.weights if settings.weights else None
    embedder = await asyncio.to_thread(embedding.local, engine, folder)
    return await asyncio.to_thread(embedder.embed, texts)


async def embed_by_api(model: str, texts: Sequence[str], settings: OntologySettings) -> NDArray[np.float32]:
    """Through litellm, in batches; unit vectors. The provider's key is looked for where litellm looks for it."""
    import litellm
    import numpy as np
    from litellm import exceptions

    rows: list[list[float]] = []
    for start in range(0, len(texts), settings.api_batch):
        batch = list(texts[start : start + settings.api_batch])
        try:
            answer = await litellm.aembedding(model=model, input=batch, api_base=settings.api_base or None)
        except (exceptions.AuthenticationError, exceptions.NotFoundError, exceptions.BadRequestError) as error:
            raise ActionFailed(
                f"The embedding model `{model}` cannot be asked: {type(error).__name__}",
                hint="is the name one that litellm knows, and the provider's key in the environment?",
            ) from None
        except (
            exceptions.Timeout,
            exceptions.APIConnectionError,
            exceptions.RateLimitError,
            exceptions.APIError,
        ) as error:
            raise TransientFailure(f"The embedding model `{model}` did not answer: {type(error).__name__}") from None
        ordered = sorted(answer.data, key=lambda each: each["index"])
        rows += [each["embedding"] for each in ordered]
        if len(rows) != start + len(batch):
            raise EnvironmentFailure(
                f"The embedding model `{model}` answered {len(ordered)} vectors for {len(batch)} texts"
            )
    made = np.array(rows, dtype=np.float32)
    lengths = np.linalg.norm(made, axis=1, keepdims=True)
    if not np.isfinite(made).all() or (lengths == 0).any():
        raise EnvironmentFailure(f"The embedding model `{model}` answered vectors that are zero or not finite")
    scaled: NDArray[np.float32] = made / lengths
    return scaled
