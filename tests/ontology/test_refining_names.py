"""A (scripted) model renames domains, areas and capabilities: once, checked, marked by origin; not at all unless asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zerorepo.testing import RuleRunner
from zerorepo_llm import register as llm
from zerorepo_llm.testing import ScriptedProvider, use_provider
from zerorepo_ontology import artifact
from zerorepo_ontology.ontology import Node, Ontology
from zerorepo_ontology.refining import Names, Question, Renamed, problems, renamed
from zerorepo_ontology.register import RULE_SET

TABLE = """id,parent,name
web,,Web
http,web,HTTP
jar,http,Jarutils
keep,jar,keep a cookie
drop,jar,drop a cookie
retry,http,Retries
again,retry,try a request again
"""
TREE = """[llm]
provider = "replay"
[llm.tiers]
cheap = "test/m"
[[target]]
name = "t"
rule = "ontology_table"
src = "t.csv"
[[target]]
name = "o"
rule = "ontology_tree"
engine = "bm25"
sources = ["//:t"]
"""


def built(runner: RuleRunner) -> Ontology:
    runner.build_ok("//:o")
    return artifact.load(runner.outputs()["o.ontology"], "o.ontology")[0]


def workspace(tmp_path: Path, more: str = "") -> RuleRunner:
    return RuleRunner(tmp_path, {"t.csv": TABLE, "zerorepo.toml": TREE + more}, rule_sets=[RULE_SET, llm.RULE_SET])


def numbered(request: Any, start: str) -> int | None:
    """The number of the line of a question that starts so; None when it is not in this question."""
    text = "\n".join(str(message.content) for message in request.action.messages)
    lines = [line.partition(". ") for line in text.splitlines()]
    return next((int(number) for number, _, rest in lines if number.isdigit() and rest.startswith(start)), None)


def naming(**names: str) -> Callable[[Any], str]:
    """A model that gives these names to what has such a name now, and no others."""

    def script(request: Any) -> str:
        found = [(numbered(request, f"{old}:"), new) for old, new in names.items()]
        return json.dumps({"names": [{"number": number, "name": new} for number, new in found if number is not None]})

    return script


def test_a_model_renames_what_is_named_badly_and_is_asked_once(tmp_path: Path) -> None:
    runner = workspace(tmp_path, "refine = true\n")
    with use_provider(ScriptedProvider(naming(Jarutils="Cookie jar"))) as provider:
        found = built(runner)
        assert provider.calls == 3, "domains, areas, capabilities"  # type: ignore[attr-defined]
        assert built(runner).nodes == found.nodes and provider.calls == 3  # type: ignore[attr-defined]
    node = next(each for each in found.nodes if each.name == "Cookie jar")
    assert (node.level, node.origin, node.description) == ("capability", "model", "Jarutils")
    assert {child.name for child in found.children[node.id]} == {"keep a cookie", "drop a cookie"}
    assert {each.name for each in found.nodes if each.level == "capability"} == {"Cookie jar", "Retries"}


def test_domains_and_areas_are_renamed_too_and_what_is_below_stays(tmp_path: Path) -> None:
    plain = built(workspace(tmp_path / "plain"))
    with use_provider(ScriptedProvider(naming(Web="World wide web", HTTP="HTTP clients"))):
        found = built(workspace(tmp_path / "refined", "refine = true\n"))
    assert [each.id for each in found.nodes] == [each.id for each in plain.nodes]
    domain, area = (next(each for each in found.nodes if each.level == level) for level in ("domain", "area"))
    assert [(each.name, each.description, each.origin) for each in (domain, area)] == [
        ("World wide web", "Web", "model"),
        ("HTTP clients", "HTTP", "model"),
    ]
    feature = next(each for each in found.nodes if each.name == "keep a cookie")
    assert found.path(feature) == ["World wide web", "HTTP clients", "Jarutils", "keep a cookie"]
    assert {each.origin for each in found.nodes if each.level in ("capability", "feature")} == {"mined", "own"}


def test_what_is_asked_shows_what_stands_below(tmp_path: Path) -> None:
    shown: list[str] = []

    def script(request: Any) -> str:
        shown.append(request.action.messages[-1].content)
        return json.dumps({"names": []})

    with use_provider(ScriptedProvider(script)):
        built(workspace(tmp_path, "refine = true\n"))
    for text in (
        "the top of the tree",
        "1. Web: HTTP",
        "1. HTTP: Jarutils; Retries",
        "1. Jarutils: drop a cookie; keep",
    ):
        assert sum(text in each for each in shown) == 1, text


def test_what_is_named_like_the_area_it_is_the_rest_of_is_renamed_with_it_where_that_name_is_free() -> None:
    def names(other: str) -> list[str]:
        nodes = [Node("d", "domain", "Web", ""), Node("a", "area", "Http", "d"), Node("c", "capability", "Http", "a")]
        nodes += [Node("o", "capability", other, "a"), Node("f", "feature", "http", "c")]
        return [each.name for each in renamed(Ontology([], nodes), {"a": "HTTP clients"})]

    assert names("Retries") == ["Web", "HTTP clients", "HTTP clients", "Retries", "http"]
    assert names("HTTP clients") == ["Web", "HTTP clients", "Http", "HTTP clients", "http"]


def test_an_answer_with_a_name_that_is_taken_is_asked_again(tmp_path: Path) -> None:
    def script(request: Any) -> str:
        mended = "is there twice in this area" in str(request.action.messages[-1].content)
        return naming(Jarutils="Cookies" if mended else "Retries")(request)

    with use_provider(ScriptedProvider(script)) as provider:
        found = built(workspace(tmp_path, "refine = true\n"))
        assert provider.calls == 4  # type: ignore[attr-defined]
    assert "Cookies" in {each.name for each in found.nodes}


def test_nobody_is_asked_by_default(tmp_path: Path) -> None:
    with use_provider(ScriptedProvider(lambda _: pytest.fail("a model was asked"))):
        assert "Jarutils" in {each.name for each in built(workspace(tmp_path)).nodes}


@pytest.mark.parametrize(
    ("number", "name", "says"),
    [
        (3, "Cookies", "no capability 3"),
        (1, "a b c d e f g h", "no short name"),
        (1, " ", "no short name"),
        (1, "retries", "twice in this area"),
        (1, "http", "twice in this area"),
    ],
)
def test_answers_that_would_damage_the_tree_are_told(number: int, name: str, says: str) -> None:
    nodes = [Node("c:1", "capability", "Jarutils", "a"), Node("c:2", "capability", "Retries", "a")]
    question = Question("capability", "Web / HTTP", nodes, {"c:1": (), "c:2": ()}, frozenset({"http"}))
    found = problems(question, Names(names=[Renamed(number=number, name=name)]))
    assert len(found) == 1 and says in found[0]
