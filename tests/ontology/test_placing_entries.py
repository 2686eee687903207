"""Entries of a source without a place of its own go to the nearest place, each together with its module and its source."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")

from zerorepo_ontology import tree  # noqa: E402
from zerorepo_ontology.entries import Entry  # noqa: E402


def domains(section: str) -> dict[str, str]:
    """Domain of each entry of a new source whose third entry, by its own text alone, is a little nearer to ``PDF``."""

    def entry(text: str, source: str, place: tuple[str, ...], section: str) -> Entry:
        return Entry(text, f"{source}.{text}", "function", source, "1", "MIT", "mined", place=place, section=section)

    entries = [entry("send", "h", ("Networking", "HTTP"), "h.wire"), entry("draw", "p", ("Documents", "PDF"), "p.page")]
    entries += [entry(text, "new", (), section) for text in ("frame", "window", "encode")]
    vectors = np.array([[1, 0], [0, 1], [1, 0], [1, 0], [0.6, 0.8]], dtype=np.float32)
    found, _ = tree.build(entries, vectors)
    return {node.name: found.path(node)[0] for node in found.nodes if node.level == "feature"}


def test_an_entry_goes_where_its_module_and_source_are() -> None:
    assert domains("new.codec")["encode"] == "Networking"


def test_a_row_that_belongs_to_no_module_goes_by_itself() -> None:
    assert domains("")["encode"] == "Documents"
