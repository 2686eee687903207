"""Selection by the real engine over a small ontology with vectors that mean words; with and without a (scripted) model."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")

from zerorepo.testing import RuleRunner  # noqa: E402
from zerorepo_llm import register as llm  # noqa: E402
from zerorepo_llm.testing import ScriptedProvider, use_provider  # noqa: E402
from zerorepo_ontology import artifact, ontology, sampling, select_action, select_command  # noqa: E402
from zerorepo_ontology.entries import Entry  # noqa: E402
from zerorepo_ontology.register import RULE_SET  # noqa: E402
from zerorepo_ontology.selecting import Limits, read_requirements  # noqa: E402
from zerorepo_ontology.tree import build  # noqa: E402

FEATURES = {
    ("Web", "Sessions"): ["keep a session in a cookie", "expire an idle session", "sign a cookie with a secret"],
    ("Web", "Requests"): ["retry a failed request", "send a request through a proxy", "stream the body of a response"],
    ("Tables", "Reading"): ["read a table from a file", "guess the types of columns", "skip broken rows of a table"],
    ("Games", "Play"): ["shuffle a deck of cards", "roll several dice", "keep the score of players"],
}
SPEC = (
    "# Fetching\n\nIt can retry a failed request later.\nIt can expire an idle session soon.\n\n"
    "# Tables\n\n- read a table from a file\n"
)
WORDS = sorted({word for texts in FEATURES.values() for text in texts for word in text.split()} | {"later", "soon"})


def embed(texts: Sequence[str]) -> Any:
    """A bag of words: texts that share words are near."""
    rows = np.zeros((len(texts), len(WORDS)), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in text.lower().replace(".", "").split():
            if word in WORDS and len(word) > 2:
                row[WORDS.index(word)] += 1
        row[0] += 1e-3
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def small() -> tuple[ontology.Ontology, Any]:
    entries = [
        Entry(text, f"lib.{n}", "function", "lib", "1", "MIT", "curated", place=(*place, place[1]))
        for place, texts in FEATURES.items()
        for n, text in enumerate(texts)
    ]
    made, _ = build(entries, None)
    return made, embed([node.name for node in made.nodes])


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RuleRunner:
    made, vectors = small()
    width = vectors.shape[1] + vectors.shape[1] % 2
    padded = np.pad(vectors, ((0, 0), (0, width - vectors.shape[1])))
    data = artifact.dump(ontology.dump(made), padded, "all-MiniLM-L6-v2/int8/1")
    real = select_action.Opened.searcher

    def searcher(self: Any, engine: str, settings: Any, root: Path) -> Any:
        from zerorepo_ontology.searching import Searcher

        return Searcher(
            self.ontology, self.vectors, lambda texts: np.pad(embed(texts), ((0, 0), (0, width - len(WORDS))))
        )

    assert real is not None
    # The embedder is the one part that stands outside of what is tested here: its weights may not be installed.
    monkeypatch.setattr(select_action.Opened, "searcher", searcher)
    select_action._opened.cache_clear()
    return RuleRunner(tmp_path, {"spec.md": SPEC, "o.ontology": data}, rule_sets=[RULE_SET, llm.RULE_SET])


def declare(runner: RuleRunner, more: str) -> None:
    runner.write(
        "zerorepo.toml",
        '[llm]\nprovider = "replay"\n[llm.tiers]\nmedium = "test/m"\n'
        '[[target]]\nname = "o"\nrule = "ontology_file"\nsrc = "o.ontology"\n'
        f'[[target]]\nname = "s"\nrule = "feature_selection"\nspec = "spec.md"\nontology = "//:o"\n{more}\n',
    )


def report(runner: RuleRunner) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(runner.outputs()["s.selection.json"])
    return found


def test_requirements_are_sentences_and_items_with_their_headings() -> None:
    found = read_requirements(SPEC + "\n```\ncode is no requirement at all\n```\nToo short.\n")
    assert [(each.section, each.text) for each in found] == [
        ("Fetching", "It can retry a failed request later."),
        ("Fetching", "It can expire an idle session soon."),
        ("Tables", "read a table from a file"),
    ]


def test_names_in_requirements_keep_their_underscores() -> None:
    found = read_requirements("- `sort_rows(table, *keys)` is __never__ given snake_case *by* _hand_.\n")
    assert [each.text for each in found] == ["sort_rows(table, *keys) is never given snake_case by hand."]


def test_without_a_model_what_serves_the_requirements_is_selected_and_the_rest_is_not(runner: RuleRunner) -> None:
    declare(runner, "model = false")
    runner.build_ok("//:s")
    said = report(runner)
    chosen = {each["text"] for each in said["features"]}
    assert {"retry a failed request", "expire an idle session", "read a table from a file"} <= chosen
    assert not chosen & set(FEATURES["Games", "Play"])
    assert said["skipped"] == ["self-check", "missing features"] and said["unserved"] == []
    assert {each["section"] for each in said["features"]} == {"Fetching", "Tables"}
    whys = [why for step in said["iterations"] for _, _, why in step["rejected"]]
    assert any("not near any requirement" in why for why in whys)


def test_the_reason_for_stopping_is_stated(runner: RuleRunner) -> None:
    for limits, says in (
        ("{ target = 0.2 }", "reached the target of 20%"),
        ("{ target = 1.0, plateau_over = 2, serves = 0.999 }", "plateau: coverage grew by"),
        ("{ target = 1.0, iterations = 2, serves = 0.999 }", "the most iterations, 2"),
    ):
        declare(runner, f"model = false\nlimits = {limits}")
        runner.build_ok("//:s")
        assert says in report(runner)["stopped"]


def test_what_is_too_near_to_the_selected_is_rejected(runner: RuleRunner) -> None:
    declare(runner, "model = false\nlimits = { too_near = 0.1, relevant = 0.1 }")
    runner.build_ok("//:s")
    said = report(runner)
    assert any("too near `" in why for step in said["iterations"] for _, _, why in step["rejected"])
    rows = embed([each["text"] for each in said["features"]])
    cosines = rows @ rows.T - np.eye(len(rows))
    assert cosines.max() < 0.1 + 0.05  # vectors of four bits


def test_a_model_refuses_and_adds_and_each_iteration_is_asked_once(runner: RuleRunner) -> None:
    def script(request: Any) -> str:
        text = request.action.messages[-1].content
        if "missing" in request.action.purpose:
            return '{"features": ["stamp each outgoing letter"]}'
        lines = [line for line in text.splitlines() if "session" in line and line[:1].isdigit()]
        return json.dumps({"refused": [int(line.split(".")[0]) for line in lines]})

    declare(runner, "limits = { iterations = 2, target = 1.0 }")
    with use_provider(ScriptedProvider(script)) as provider:
        runner.build_ok("//:s")
        asked = provider.calls  # type: ignore[attr-defined]
        said = report(runner)
        runner.build_ok("//:s")
        assert provider.calls == asked and asked >= 2  # type: ignore[attr-defined]
    chosen = {each["text"]: each["by"] for each in said["features"]}
    assert not any("session" in text for text in chosen)
    assert chosen["stamp each outgoing letter"] == "missing" and chosen["retry a failed request"] == "exploit"
    whys = {why for step in said["iterations"] for _, text, why in step["rejected"] if "session" in text}
    assert "self-check: does not belong" in whys and said["skipped"] == []
    assert [each["text"] for each in said["requirements"] if each["id"] in said["unserved"]] == [
        "It can expire an idle session soon."
    ]


def test_sampling_avoids_what_was_seen_until_it_cannot() -> None:
    made, _ = small()
    ids = {node.id for node in made.nodes if node.level == "feature"}
    fresh = sampling.sample_set(made, set(), random.Random(1), size=6)
    seen = {node.id for node in fresh}
    again = sampling.sample_set(made, seen, random.Random(2), size=4, overlap=0.25, tries=200)
    assert sum(node.id in seen for node in again) <= len(again) * 0.25
    assert sampling.sample_set(made, ids, random.Random(3), size=4, tries=5)


def test_the_frequent_is_sampled_more_often_the_lower_the_temperature() -> None:
    nodes = [
        ontology.Node("d:1", "domain", "often", "", packages=16),
        ontology.Node("d:2", "domain", "seldom", "", packages=1),
    ]
    made = ontology.Ontology([], nodes)

    def share(temperature: float) -> float:
        random_ = random.Random(7)
        return sum(sampling.sample_path(made, random_, temperature).name == "often" for _ in range(2000)) / 2000

    assert share(1.0) == pytest.approx(16 / 17, abs=0.02) and share(4.0) == pytest.approx(2 / 3, abs=0.04)


def test_a_specification_that_says_nothing_is_told(runner: RuleRunner) -> None:
    runner.write("spec.md", "# Title\n")
    declare(runner, "model = false")
    assert "states nothing to select features for" in str(runner.build("//:s").error("//:s"))


def test_limits_have_the_papers_numbers() -> None:
    limits = Limits()
    assert (limits.iterations, limits.target, limits.plateau, limits.plateau_over, limits.too_near) == (
        30,
        0.95,
        0.02,
        5,
        0.85,
    )


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_coverage_and_diversity_are_drawn(runner: RuleRunner, tmp_path: Path, kind: str) -> None:
    pytest.importorskip("matplotlib")
    declare(runner, "model = false\nlimits = { target = 1.0, serves = 0.999 }")
    runner.build_ok("//:s")
    select_command.draw(report(runner), tmp_path / f"picture.{kind}")
    data = (tmp_path / f"picture.{kind}").read_bytes()
    assert data.startswith(b"\x89PNG") if kind == "png" else b"<svg" in data
    if kind == "svg":
        assert data.count(b"<path") > 10


def test_the_report_for_people_says_what_was_skipped_and_why_it_stopped(runner: RuleRunner) -> None:
    declare(runner, "model = false")
    runner.build_ok("//:s")
    said = "\n".join(select_command.lines(report(runner)))
    assert "Without a model: self-check and missing features were skipped." in said
    assert "Stopped: " in said and "retry a failed request  (exploit, " in said
