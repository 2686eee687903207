"""all-MiniLM-L6-v2 as an ONNX graph of ONNX Runtime's fused operators, written from its weights; no torch and no exporter.

Token ids and mask in, unit vectors out: pooling and norm are part of the graph. In ``int8`` each matrix has one scale per output
channel, and activations are quantized as they come, with one scale for a whole run.
Knows nothing of tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zerorepo_ontology.minilm_weights import HEADS, HIDDEN, LAYERS, Weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CONTRIB = "com.microsoft"
_EPSILON = 1e-12


class _Graph:
    """Nodes and constants as they are added."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, *, domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))
        return output


def build(weights: Weights, engine: str) -> bytes:
    """The model, serialized. ``engine``: ``fp32`` or ``int8``."""
    from onnx import TensorProto, helper

    graph = _Graph()
    state = _embeddings(graph, weights, engine)
    for layer in range(LAYERS):
        state = _layer(graph, weights, engine, f"encoder.layer.{layer}", state)
    _pooling(graph, state)
    made = helper.make_graph(
        graph.nodes,
        "all-MiniLM-L6-v2",
        [helper.make_tensor_value_info(name, TensorProto.INT32, ["batch", "length"]) for name in ("ids", "mask")],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", HIDDEN])],
        graph.constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(_CONTRIB, 1)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=8, producer_name="zerorepo")
    return bytes(model.SerializeToString(deterministic=True))


def _embeddings(graph: _Graph, weights: Weights, engine: str) -> str:
    import numpy as np

    name = "embeddings.word_embeddings.weight"
    if engine == "int8":
        values, scales = weights.int8(name, 0)
        graph.constant("words", values)
        graph.constant("word_scales", scales)
        graph.node("Gather", ["words", "ids"], "words_int8", axis=0)
        graph.node("Cast", ["words_int8"], "words_unscaled", to=1)
        graph.node("Gather", ["word_scales", "ids"], "scales_here", axis=0)
        graph.node("Mul", ["words_unscaled", "scales_here"], "words_here")
    else:
        graph.constant("words", weights.matrix(name))
        graph.node("Gather", ["words", "ids"], "words_here", axis=0)
    # A single text is all of one segment: its embedding is the same everywhere and is added to the positions.
    places = weights.matrix("embeddings.position_embeddings.weight")
    graph.constant("positions", places + weights.matrix("embeddings.token_type_embeddings.weight")[0])
    graph.constant("zero", np.array([0], dtype=np.int64))
    graph.constant("one", np.array([1], dtype=np.int64))
    graph.constant("two", np.array([2], dtype=np.int64))
    graph.node("Shape", ["ids"], "shape")
    graph.node("Slice", ["shape", "one", "two"], "length")
    graph.node("Slice", ["positions", "zero", "length", "zero"], "positions_here")
    graph.node("Add", ["words_here", "positions_here"], "embedded")
    return _norm(graph, weights, engine, "embeddings.LayerNorm", "embedded")


def _norm(
    graph: _Graph,
    weights: Weights,
    engine: str,
    name: str,
    state: str,
    skip: str | None = None,
    bias: str | None = None,
) -> str:
    gamma = graph.constant(f"{name}.gamma", weights.plain[f"{name}.weight"])
    beta = graph.constant(f"{name}.beta", weights.plain[f"{name}.bias"])
    if skip is None or bias is None:
        return graph.node("LayerNormalization", [state, gamma, beta], f"{name}.out", axis=-1, epsilon=_EPSILON)
    bias = graph.constant(f"{name}.skip_bias", weights.plain[bias])
    if engine == "fp32":
        # Measured: faster than the fused operator, by a tenth of a whole run. `int8` keeps the vectors that it has.
        biased = graph.node("Add", [state, bias], f"{name}.biased")
        summed = graph.node("Add", [biased, skip], f"{name}.summed")
        return graph.node("LayerNormalization", [summed, gamma, beta], f"{name}.out", axis=-1, epsilon=_EPSILON)
    inputs = [state, skip, gamma, beta, bias]
    return graph.node("SkipLayerNormalization", inputs, f"{name}.out", domain=_CONTRIB, epsilon=_EPSILON)


def _layer(graph: _Graph, weights: Weights, engine: str, name: str, state: str) -> str:
    import numpy as np

    parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
    bias = graph.constant(f"{name}.qkv_bias", np.concatenate([weights.plain[f"{part}.bias"] for part in parts]))
    # Three products, not one to be split: measured, the copies of a split cost more than they save.
    separate = [_times(graph, weights, engine, part, state, f"{part}.out") for part in parts]
    attended = graph.node(
        "MultiHeadAttention", [*separate, bias, "mask"], f"{name}.attended", domain=_CONTRIB, num_heads=HEADS
    )
    dense = f"{name}.attention.output"
    mixed = _times(graph, weights, engine, f"{dense}.dense", attended, f"{dense}.out")
    state = _norm(graph, weights, engine, f"{dense}.LayerNorm", mixed, state, f"{dense}.dense.bias")
    wide = _times(graph, weights, engine, f"{name}.intermediate.dense", state, f"{name}.wide")
    bias = graph.constant(f"{name}.wide_bias", weights.plain[f"{name}.intermediate.dense.bias"])
    bent = graph.node("BiasGelu", [wide, bias], f"{name}.bent", domain=_CONTRIB)
    narrow = _times(graph, weights, engine, f"{name}.output.dense", bent, f"{name}.narrow")
    return _norm(graph, weights, engine, f"{name}.output.LayerNorm", narrow, state, f"{name}.output.dense.bias")


def _times(graph: _Graph, weights: Weights, engine: str, name: str, state: str, output: str) -> str:
    """``state`` times the matrix of ``name``, without its bias."""
    if engine == "fp32":
        matrix = graph.constant(f"{output}.matrix", weights.matrix(f"{name}.weight"))
        return graph.node("MatMul", [state, matrix], output)
    values, scales = weights.int8(f"{name}.weight", 1)
    graph.constant(f"{output}.matrix", values)
    graph.constant(f"{output}.scales", scales.reshape(-1))
    inputs = [state, f"{output}.matrix", f"{output}.scales"]
    return graph.node("DynamicQuantizeMatMul", inputs, output, domain=_CONTRIB)


def _pooling(graph: _Graph, state: str) -> None:
    import numpy as np

    graph.node("Cast", ["mask"], "mask_float", to=1)
    graph.constant("last", np.array([2], dtype=np.int64))
    graph.node("Unsqueeze", ["mask_float", "last"], "mask_wide")
    graph.node("Mul", [state, "mask_wide"], "kept")
    graph.node("ReduceSum", ["kept", "one"], "summed", keepdims=0)
    # The mean's divisor would be undone by the norm.
    graph.node("LpNormalization", ["summed"], "vectors", axis=-1, p=2)
