"""Both graphs of all-MiniLM-L6-v2 are the same model: made from the same weights, they agree on what texts mean."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")
onnxruntime = pytest.importorskip("onnxruntime")

from zerorepo_ontology import embedding, minilm_graph, minilm_weights  # noqa: E402

HAS_WEIGHTS = minilm_weights.find(None, minilm_weights.INT8_MODULE, minilm_weights.INT8_FILE) is not None
pytestmark = pytest.mark.skipif(not HAS_WEIGHTS, reason="the weights are not installed (extra `ontology`)")
TEXTS = ["reset a forgotten password by e-mail", "ARIMA", "send a letter that tells a person how to sign in again", "x"]


def test_full_precision_agrees_with_eight_bits_whatever_stands_beside_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    small = minilm_weights.load("int8")
    monkeypatch.setattr(minilm_weights, "load", lambda engine, folder=None: small)
    full, eight = embedding.LocalEmbedder("fp32"), embedding.LocalEmbedder("int8")
    together = full.embed(TEXTS)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    # Shorter texts of a batch are padded; that must not show.
    assert np.allclose(np.concatenate([full.embed([text]) for text in TEXTS]), together, atol=1e-5)
    assert ((together * eight.embed(TEXTS)).sum(axis=1) > 0.97).all()
    assert float(together[0] @ together[2]) > float(together[0] @ together[1]) + 0.1


def test_the_graph_in_full_precision_does_without_the_slow_operator() -> None:
    import onnx

    kinds = {
        node.op_type
        for node in onnx.load_from_string(minilm_graph.build(minilm_weights.load("int8"), "fp32")).graph.node
    }
    assert "SkipLayerNormalization" not in kinds and {"LayerNormalization", "MultiHeadAttention", "BiasGelu"} <= kinds
