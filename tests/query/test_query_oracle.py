"""Our answers beside those of real Bazel, where its recordings are at hand."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from query_oracle import load_graph, problems

from zerorepo.query import run_query

ORACLE = Path(__file__).resolve().parents[3] / "shared" / "query-oracle"
pytestmark = pytest.mark.skipif(not ORACLE.exists(), reason="../shared/query-oracle is not there")


def test_every_recorded_query_and_pattern_has_bazels_answer() -> None:
    assert [f"{name}: {problem}" for name, problem in problems(ORACLE) if problem] == []


def _format_cases() -> list[dict[str, Any]]:
    index = ORACLE / "formats" / "index.json"
    if not index.exists():
        return []
    cases: list[dict[str, Any]] = json.loads(index.read_text(encoding="utf-8"))
    # Bazel's orders `deps` and `no` follow its hash tables; --null is the command line's; we know no default values of
    # Bazel's own attributes.
    other = {"--order_output=no", "--order_output=deps", "--null", "--xml:default_values"}
    return [case for case in cases if not other & set(case["flags"])]


def _comparable(case: dict[str, Any], text: str) -> str | list[str]:
    """Without what graph.json does not tell: line numbers, the macro's name, the order of attributes.

    ``timeout`` follows from ``size``, and Bazel writes it only where a target sets it.
    """
    if case["output"] == "location":
        return re.sub(r"/?BUILD[:0-9]*:", "BUILD:", text)
    if case["output"] in ("build", "xml"):
        text = re.sub(r'location="[^"]*"', "", text)
        lines = [line for line in text.splitlines() if not re.search("^#|generator_|implicit_tests|timeout", line)]
        # Bazel lists the tests that a suite implies twice.
        return sorted(set(lines))
    return text


@pytest.mark.parametrize("case", _format_cases(), ids=lambda case: case["file"])
def test_output_is_bazels_text(case: dict[str, Any]) -> None:
    graph = load_graph(json.loads((ORACLE / "graph.json").read_text(encoding="utf-8")))
    factored = "--nograph:factored" not in case["flags"]
    result = run_query(case["expr"], graph, output=case["output"], factored=factored)
    expected = (ORACLE / "formats" / case["file"]).read_text(encoding="utf-8")
    assert result.exit_code == case["exit_code"]
    assert _comparable(case, result.text) == _comparable(case, expected)
