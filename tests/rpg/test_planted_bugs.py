"""Bugs that the mutation check plants: each kind, one at a time, in code only, and the same sample each time."""

from __future__ import annotations

import ast

import pytest

from benchmarks.mutants import mutants, sample

SOURCE = '''\
def total(values: "list[int]", start: int = 0) -> "int":
    """Add them."""
    result = start
    for value in values:
        if value < 3 and not value == 1:
            result = result + value
    return result
'''


@pytest.mark.parametrize(
    ("kind", "line", "text"),
    [
        ("off by one", 1, "start: int=1"),
        ("dropped statement", 3, "pass"),
        ("negated condition", 5, "if not (value < 3 and (not value == 1)):"),
        ("swapped operator", 5, "value <= 3"),
        ("swapped operator", 5, "value != 1"),
        ("swapped operator", 5, "value < 3 or"),
        ("off by one", 5, "value < 4"),
        ("swapped operator", 6, "result - value"),
        ("changed return", 7, "return None"),
    ],
)
def test_each_kind_is_planted_where_it_belongs(kind: str, line: int, text: str) -> None:
    assert [each for each in mutants(SOURCE) if each.kind == kind and text in each.source]


def test_each_mutant_is_python_differs_and_keeps_annotations_and_docstrings() -> None:
    found = mutants(SOURCE)
    plain = ast.unparse(ast.parse(SOURCE))
    assert len({each.source for each in found}) == len(found) > 8
    for each in found:
        text = ast.unparse(ast.parse(each.source))
        assert text != plain
        assert '"""Add them."""' in text and "values: 'list[int]'" in text


def test_texts_and_truth_values_are_changed_too() -> None:
    found = mutants("def f(x: bool = True) -> str:\n    return 'a'\n")
    assert any("x: bool=False" in each.source for each in found)
    assert any("return 'ax'" in each.source for each in found)


def test_a_sample_takes_the_kinds_in_turn_and_is_the_same_each_time() -> None:
    found = mutants(SOURCE)
    chosen = sample(found, 5, "x")
    assert chosen == sample(found, 5, "x")
    assert {each.kind for each in chosen} == {each.kind for each in found}
    assert len(sample(found, 1000, "x")) == len(found)
