"""Workspaces of odd names and shapes, asked at random through the oracle's script, beside answers made from the definitions.

``ZEROREPO_ODD=10000`` asks about workspaces of that many targets, several times as much.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from naive_oracle import NaiveOracle
from odd_questions import Questions
from odd_workspaces import LABEL_LISTS, NAMES, ask, make
from query_oracle import load_graph, main, problems

from zerorepo.query import BUILTINS, run_query
from zerorepo.query.registry import Function

TARGETS = int(os.environ.get("ZEROREPO_ODD", "0"))


@pytest.mark.parametrize("seed", range(3))
def test_every_question_has_the_answer_that_the_definitions_give(seed: int, tmp_path: Path) -> None:
    size = TARGETS or (150, 400, 1200)[seed]
    data = make(size, seed)
    queries, patterns = ask(data, 600 if TARGETS else 150, seed)
    assert len(data["targets"]) >= size
    for name, content in (("graph", data), ("queries", {"queries": queries}), ("patterns", patterns)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    assert [f"{name}: {problem}" for name, problem in problems(tmp_path) if problem] == []


def test_the_questions_reach_every_function_rule_and_exit_code() -> None:
    data = make(400, 1)
    questions, oracle = Questions(data, 5), NaiveOracle(data)
    cases = [oracle.case(str(i), *questions.question()) for i in range(800)]
    assert {0, 2, 7} == {case["exit_code"] for case in cases}
    assert sum(len(case.get("labels", ())) > 0 for case in cases) > 300
    asked = " ".join(case["expr"] for case in cases)
    everything: list[Function] = list(BUILTINS)
    assert {each.name for each in everything if f"{each.name}(" not in asked} == {"some", "rbuildfiles"}
    assert {target["rule"] for target in data["targets"]} == {*LABEL_LISTS}
    assert len({target["name"] for target in data["targets"]} & {*NAMES}) > len(NAMES) / 2


def test_targets_with_the_names_of_wildcards_variables_and_keywords_are_found() -> None:
    data = make(2000, 4)
    graph = load_graph(data)
    for target in data["targets"]:
        quote = "'" if '"' in target["label"] else '"'
        assert run_query(f"{quote}{target['label']}{quote}", graph).text == f"{target['label']}\n"


def test_the_script_says_what_passed_and_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = make(40, 1)
    label = data["targets"][3]["label"]
    cases = [
        {"id": str(i), "expr": f'"{label}"', "flags": [], "cwd": "", "mode": "set", "exit_code": code, "labels": labels}
        for i, (code, labels) in enumerate([(0, [label]), (0, ["//a:other"]), (7, [])])
    ]
    (tmp_path / "graph.json").write_text(json.dumps(data))
    (tmp_path / "queries.json").write_text(json.dumps({"queries": cases}))
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "2 passed, 2 failed"
