"""Look-ups of a repair by meaning: ``look_ups = "embeddings"`` of a ``repository``, with the engine that ``[ontology]`` names."""

from __future__ import annotations

import json

import pytest

from e2e.scripted_library import Tinytext, diagnosis, replaced, shown
from e2e.test_pipeline_branches import paths_reworded, written_badly
from zerorepo.errors import ExitCode
from zerorepo_ontology import minilm_weights
from zerorepo_ontology.register import RULE_SET as ONTOLOGY

pytestmark = pytest.mark.sandbox

QUERY = "break sentences into tokens"
"""Not one word of it stands in the plan."""


def mending(copy: Tinytext, settings: str) -> Tinytext:
    """A library in which ``page_path`` fails and whoever mends it looks for ``QUERY``."""
    paths_reworded(copy).runner.registry.add(ONTOLOGY)
    config = copy.root / "zerorepo.toml"
    config.write_text(config.read_text() + settings)
    library = copy.library
    library.say("write page_path", written_badly(library))
    look = json.dumps({"look_ups": [{"tool": "search", "query": QUERY}]})
    library.say("localize page_path, round 1, step 1", look)
    library.always_say("diagnose page_path, round 1", diagnosis("implementation"))
    library.always_say("mend page_path, round 1", replaced(library.code_of("page_path"), "page_path"))
    return copy


def found(tiny: Tinytext) -> str:
    """What the repair was told of its look-ups."""
    return shown(tiny.library.asked_for("mend page_path, round 1")[0], "look-ups")


def test_without_it_words_decide_and_nothing_is_embedded(copy: Tinytext) -> None:
    tiny = mending(copy, "")
    built = tiny.build()
    assert built.code is ExitCode.OK, built.failures
    assert "no node has any of these words" in found(tiny)
    assert "EmbedTexts" not in {mnemonic for mnemonic, _ in built.run.actions}


def test_with_it_what_means_the_same_is_found_and_each_text_embedded_once(copy: Tinytext) -> None:
    tiny = mending(copy, 'look_ups = "embeddings"\n')
    built = tiny.build()
    if minilm_weights.find(None, minilm_weights.INT8_MODULE, minilm_weights.INT8_FILE) is None:
        assert built.code is not ExitCode.OK
        assert "weights" in built.failures
        return
    assert built.code is ExitCode.OK, built.failures
    assert found(tiny).splitlines()[1].startswith("words/split_words ")
    embedded = [label for mnemonic, label in built.run.actions if mnemonic == "EmbedTexts"]
    assert embedded == ["//paths:page_path.code"] * 2  # the plan, and the query
    again = tiny.build()
    assert (again.run.actions, again.code) == ([], ExitCode.OK)


def test_an_engine_without_embeddings_is_told_with_what_to_do(copy: Tinytext) -> None:
    tiny = mending(copy, 'look_ups = "embeddings"\n\n[ontology]\nengine = "bm25"\n')
    built = tiny.build()
    assert built.code is not ExitCode.OK
    assert "the engine `bm25` of [ontology] makes none" in built.failures
    assert 'look_ups = "words"' in built.failures
