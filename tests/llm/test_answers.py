"""Reading answers: JSON and Python out of text, and precise problems."""

from __future__ import annotations

import json

import pytest

from zerorepo_llm.answers import BadAnswer, check, json_text, python_code


@pytest.mark.parametrize(
    "text", ['{"a": 1}', ' \n{"a": 1}\n', '```json\n{"a": 1}\n```', 'Here it is:\n\n```\n{"a": 1}\n```\nDone.']
)
def test_json_may_stand_in_one_fence(text: str) -> None:
    assert json.loads(json_text(text)) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": }', "line 1, column 7"),
        ("no json here", "not a JSON document"),
        ('{"a": NaN}', "NaN is not JSON"),
        ("```json\n{}\n```\n```json\n{}\n```", "not a JSON document"),
    ],
)
def test_what_is_not_json_is_told_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(BadAnswer, match=problem):
        json_text(text)


def test_schema_problems_point_into_the_document() -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "array", "items": {"type": "integer"}}},
        "required": ["n", "m"],
    }
    with pytest.raises(BadAnswer) as caught:
        check('{"n": [1, "two"]}', "json", schema)
    assert caught.value.problems == [
        "At the top level: 'm' is a required property.",
        "At /n/1: 'two' is not of type 'integer'.",
    ]


def test_code_is_the_one_python_block() -> None:
    assert python_code("Sure.\n```python\nx = 1\n```\nThat is it.") == "x = 1\n"
    assert python_code("```text\nnot code\n```\n```py\r\nx = 1\r\n```") == "x = 1\n"


def test_code_may_hold_shorter_fences() -> None:
    assert python_code('````python\n"""\n```python\nexample\n```\n"""\n````') == '"""\n```python\nexample\n```\n"""\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x = 1", "no fenced"),
        ("```python\nx = 1\n```\n```python\ny = 2\n```", "2 fenced"),
        ("```python\nx = 1", "no fenced"),
        ("```python\ndef f(:\n```", "line 1 of the block"),
        ("```python\nx = '\0'\n```", "not valid Python"),
    ],
)
def test_code_that_is_not_exactly_one_valid_block_is_told(text: str, problem: str) -> None:
    with pytest.raises(BadAnswer, match=problem):
        python_code(text)


def test_nothing_is_no_answer() -> None:
    with pytest.raises(BadAnswer, match="empty"):
        check(" \n", "text", None)


@pytest.mark.parametrize("hidden", ["\u202e", "\u2066", "\x1b", "\x07", "\U000e0041", "\u200b" * 8])
def test_an_answer_with_what_nobody_can_see_does_not_fit(hidden: str) -> None:
    with pytest.raises(BadAnswer, match=r"The code has .* U\+[0-9A-F]{4,5} at line 2 of the block"):
        python_code(f"```python\nx = 1\ny = '{hidden}'\n```")
    for document in ({"a": ["fine", hidden]}, {"a": {hidden: 1}}):
        with pytest.raises(BadAnswer, match=r"At /a.*: the text has .* U\+[0-9A-F]{4,5}"):
            json_text(json.dumps(document))
    assert python_code("```python\nx = '\\u202e'\n```") == "x = '\\u202e'\n"
    assert json_text('{"a": "zwj 👩\u200d💻\\n"}')
