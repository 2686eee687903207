"""One file with an ontology and its vectors, small enough to ship: text compressed, vectors of four bits a number.

Four bits agree with full precision in all but a few of the first ten hits (docs/ontology.md has the measurement). The same
ontology and vectors give the same bytes. Knows nothing of how either was made.
"""

from __future__ import annotations

import json
import lzma
import struct
from typing import TYPE_CHECKING

from zerorepo.errors import UsageError
from zerorepo_ontology import ontology
from zerorepo_ontology.ontology import Ontology

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAGIC = b"zerorepo ontology\n"
FORMAT = 1
_STEPS = 7
"""Numbers are -7 to 7 times the scale of their row."""


def dump(data: bytes, vectors: NDArray[np.float32] | None, identity: str) -> bytes:
    """``data``: from ``ontology.dump``; ``vectors``: a row a node, in order, made by the embedder called ``identity``."""
    text = lzma.compress(data, format=lzma.FORMAT_XZ, check=lzma.CHECK_SHA256, preset=9 | lzma.PRESET_EXTREME)
    packed, scales, shape = b"", b"", (0, 0)
    if vectors is not None:
        shape = vectors.shape
        packed, scales = _pack(vectors)
    value = {"format": FORMAT, "identity": identity if vectors is not None else "", "text": len(text)}
    header = json.dumps({**value, "rows": shape[0], "dimension": shape[1]}, sort_keys=True).encode()
    return MAGIC + struct.pack("<I", len(header)) + header + text + scales + packed


def load(data: bytes, where: str) -> tuple[Ontology, NDArray[np.float32] | None, str]:
    """Ontology, vectors and the embedder's identity. UsageError when it is not such a file, or one of a newer ZeroRepo."""
    start = len(MAGIC) + 4
    if not data.startswith(MAGIC) or len(data) < start:
        raise UsageError("This is no ontology", where=where, hint="`zerorepo ontology build` makes one")
    (length,) = struct.unpack("<I", data[len(MAGIC) : start])
    try:
        header = json.loads(data[start : start + length])
        if header["format"] > FORMAT:
            raise UsageError(f"This ontology has format {header['format']}; this ZeroRepo reads {FORMAT}", where=where,
                             hint="it was made by a newer ZeroRepo: update, or build it again")  # fmt: skip
        text_at = start + length
        scales_at = text_at + header["text"]
        found = ontology.load(lzma.decompress(data[text_at:scales_at]))
        rows, dimension = header["rows"], header["dimension"]
        vectors = _unpack(data[scales_at:], rows, dimension) if rows else None
    except (ValueError, KeyError, TypeError, IndexError, lzma.LZMAError) as error:
        raise UsageError(f"This ontology is damaged: {error}", where=where, hint="build it again") from None
    return found, vectors, header["identity"]


def _pack(vectors: NDArray[np.float32]) -> tuple[bytes, bytes]:
    """Four bits a number, two a byte, and one scale of 16 bits a row: the one that loses least."""
    import numpy as np

    largest = np.abs(vectors).max(axis=1, keepdims=True)
    best, best_error = None, None
    for share in (0.55, 0.65, 0.75, 0.85, 1.0):
        scale = (largest * share / _STEPS).astype(np.float16).astype(np.float32)
        steps = np.clip(np.rint(vectors / scale), -_STEPS, _STEPS)
        error = ((steps * scale - vectors) ** 2).sum(axis=1, keepdims=True)
        if best is None or best_error is None:
            best, best_error = (steps, scale), error
            continue
        better = error < best_error
        best = (np.where(better, steps, best[0]), np.where(better, scale, best[1]))
        best_error = np.minimum(error, best_error)
    assert best is not None
    shifted = (best[0] + _STEPS).astype(np.uint8)
    packed = (shifted[:, 0::2] << 4) | shifted[:, 1::2]
    return packed.tobytes(), best[1].astype("<f2").tobytes()


def _unpack(data: bytes, rows: int, dimension: int) -> NDArray[np.float32]:
    import numpy as np

    scales = np.frombuffer(data, dtype="<f2", count=rows).astype(np.float32)
    packed = np.frombuffer(data, dtype=np.uint8, count=rows * dimension // 2, offset=2 * rows).reshape(
        rows, dimension // 2
    )
    vectors = np.empty((rows, dimension), dtype=np.float32)
    vectors[:, 0::2] = packed >> 4
    vectors[:, 1::2] = packed & 15
    vectors -= _STEPS
    vectors *= scales[:, None]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors
