"""A (scripted) model renames capabilities: once, checked, marked by its origin; and not at all unless it is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zerorepo.testing import RuleRunner
from zerorepo_llm import register as llm
from zerorepo_llm.testing import ScriptedProvider, use_provider
from zerorepo_ontology import artifact
from zerorepo_ontology.ontology import Node, Ontology
from zerorepo_ontology.refining import Names, Question, Renamed, problems
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


def test_a_model_renames_what_is_named_badly_and_is_asked_once(tmp_path: Path) -> None:
    def script(request: Any) -> str:
        lines = request.action.messages[-1].content.splitlines()
        (number,) = [line.partition(".")[0] for line in lines if ". Jarutils: drop a cookie; keep a cookie" in line]
        return json.dumps({"names": [{"number": int(number), "name": "Cookie jar"}]})

    runner = workspace(tmp_path, "refine = true\n")
    with use_provider(ScriptedProvider(script)) as provider:
        found = built(runner)
        assert provider.calls == 1  # type: ignore[attr-defined]
        assert built(runner).nodes == found.nodes and provider.calls == 1  # type: ignore[attr-defined]
    node = next(each for each in found.nodes if each.name == "Cookie jar")
    assert (node.level, node.origin, node.description) == ("capability", "model", "Jarutils")
    assert {child.name for child in found.children[node.id]} == {"keep a cookie", "drop a cookie"}
    assert {each.name for each in found.nodes if each.level == "capability"} == {"Cookie jar", "Retries"}


def test_an_answer_with_a_name_that_is_taken_is_asked_again(tmp_path: Path) -> None:
    def script(request: Any) -> str:
        mended = "is there twice in this area" in str(request.action.messages[-1].content)
        listed = next(m.content for m in request.action.messages if ". Jarutils:" in str(m.content))
        (number,) = [line.partition(".")[0] for line in listed.splitlines() if ". Jarutils:" in line]
        return json.dumps({"names": [{"number": int(number), "name": "Cookies" if mended else "Retries"}]})

    with use_provider(ScriptedProvider(script)) as provider:
        found = built(workspace(tmp_path, "refine = true\n"))
        assert provider.calls == 2  # type: ignore[attr-defined]
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
    question = Question("Web / HTTP", nodes, {"c:1": (), "c:2": ()}, frozenset({"http"}))
    found = problems(question, Names(names=[Renamed(number=number, name=name)]))
    assert len(found) == 1 and says in found[0]
