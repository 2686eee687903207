"""Capabilities of one area are one where their names differ by an ending only and their features lie near each other."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")

from zerorepo_ontology import tree  # noqa: E402
from zerorepo_ontology.entries import Entry  # noqa: E402


def capabilities(second: int) -> list[tuple[str, int]]:
    """Names and sources of the capabilities of two libraries; the features of the second have dimension ``second`` in common.

    Those of the first have dimension 0, and each feature one of its own.
    """
    entries = [
        Entry(f"{verb} a {thing}", f"{package}.{module}.{verb}_{thing}", "function", package, "1", "MIT", "mined",
              place=("Text", "Words"), section=f"{package}.{module}")
        for package, module, thing in (("one", "tokenizer", "word"), ("two", "tokenizers", "sentence"))
        for verb in ("split", "join", "count")
    ]  # fmt: skip
    vectors = np.eye(8, dtype=np.float32)[1:7] + np.eye(8, dtype=np.float32)[[0, 0, 0, second, second, second]]
    found, _ = tree.build(entries, vectors / np.float32(np.sqrt(2)))
    return [(node.name, node.packages) for node in found.nodes if node.level == "capability"]


def test_near_ones_are_one_with_both_as_sources() -> None:
    assert capabilities(0) == [("Tokenizer", 2)]


def test_ones_of_another_meaning_stay_apart() -> None:
    assert capabilities(7) == [("Tokenizer", 1), ("Tokenizers", 1)]
