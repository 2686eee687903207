"""Texts to unit vectors on this machine: ONNX Runtime with the weights of all-MiniLM-L6-v2, ``fp32`` or ``int8``.

A text's vector does not depend on the texts it is embedded with: in ``int8``, where activations are scaled by what is in a run,
each text is a run of its own. Two threads with one session each do better than one session with two threads (measured:
docs/performance.md). Knows nothing of caches or stores.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zerorepo.errors import EnvironmentFailure
from zerorepo_ontology import minilm_graph, minilm_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIMENSION = minilm_weights.HIDDEN
LOCAL_ENGINES = ("int8", "fp32")
_LONGEST_TOKENS = 128
"""As sentence-transformers cuts for this model: 256 there, but no text here comes near either."""
_GRAPH = {"int8": 1, "fp32": 2}
_BATCH = {"int8": 1, "fp32": 16}
_VOCABULARY = "data/minilm_vocab.txt"


def identity(engine: str) -> str:
    """What makes vectors comparable: written with them, and part of every key. Another graph or tokenizer is another number."""
    return f"all-MiniLM-L6-v2/{engine}/{_GRAPH[engine]}"


class LocalEmbedder:
    """EnvironmentFailure when the engine or its weights are not installed."""

    def __init__(self, engine: str, folder: Path | None = None, threads: int | None = None) -> None:
        self.engine = engine
        try:
            import onnxruntime
            import tokenizers
        except ImportError as error:
            raise EnvironmentFailure(
                f"Embedding needs the package `{error.name}`, which is not installed",
                hint='python -m pip install "zerorepo[ontology]"\nto search by words alone: --engine bm25',
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        if engine == "fp32":
            # Further optimization would fuse what is slower fused; the rest is fused in the graph as it is written.
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        model = minilm_graph.build(minilm_weights.load(engine, folder), engine)
        self._session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._tokens: Any = _tokenizer(tokenizers)
        self._threads = threads or min(os.cpu_count() or 1, 8)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One unit vector a text, in order, float32 of shape (texts, 384)."""
        import numpy as np

        vectors = np.empty((len(texts), DIMENSION), dtype=np.float32)
        encoded = self._tokens.encode_batch(list(texts))
        # Texts of about one length together: the shorter ones of a batch are padded.
        order = sorted(range(len(texts)), key=lambda index: len(encoded[index].ids))
        size = _BATCH[self.engine]

        def one(start: int) -> None:
            rows = order[start : start + size]
            longest = len(encoded[rows[-1]].ids)
            ids = np.zeros((len(rows), longest), dtype=np.int32)
            mask = np.zeros((len(rows), longest), dtype=np.int32)
            for row, index in enumerate(rows):
                own = encoded[index].ids
                ids[row, : len(own)] = own
                mask[row, : len(own)] = 1
            vectors[rows] = self._session.run(None, {"ids": ids, "mask": mask})[0]

        starts = range(0, len(order), size)
        if len(starts) == 1:
            one(0)
            return vectors
        with ThreadPoolExecutor(self._threads) as pool:
            for _ in pool.map(one, starts):
                pass
        return vectors


def _tokenizer(tokenizers: Any) -> Any:
    """BERT's uncased WordPiece, from the vocabulary alone."""
    words = files("zerorepo_ontology").joinpath(_VOCABULARY).read_text("utf-8").splitlines()
    made = tokenizers.BertWordPieceTokenizer({word: index for index, word in enumerate(words)}, lowercase=True)
    made.enable_truncation(_LONGEST_TOKENS)
    return made


@lru_cache(maxsize=2)
def local(engine: str, folder: Path | None = None) -> LocalEmbedder:
    """The process's one embedder of a kind: making a session takes a second."""
    return LocalEmbedder(engine, folder)
