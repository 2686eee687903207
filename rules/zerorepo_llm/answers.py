"""What an answer must be: JSON that fits a schema, or one block of Python. Knows nothing of who answers or who asked.

Problems are sentences for whoever has to mend the answer, model or person.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from zerorepo_llm.action import Expects
from zerorepo_llm.fence import position, unseen_in

# A closing fence is at least as long as its opening one (CommonMark 0.31, 4.5), so that code may hold shorter ones.
_BLOCK = re.compile(
    r"^(?P<fence>`{3,})[ \t]*(?P<language>[\w+.#-]*)[^\n`]*\n(?P<body>.*?)^(?P=fence)`*[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
_MAX_PROBLEMS = 12


class BadAnswer(Exception):
    """The answer does not fit; ``problems`` say why."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def json_text(text: str) -> str:
    """The JSON document in ``text``: all of it, or its only fenced block. BadAnswer when it is none."""
    candidate = text.strip()
    if not candidate.startswith(("{", "[")):
        blocks = [match for match in _BLOCK.finditer(candidate) if match["language"].lower() in ("json", "")]
        if len(blocks) == 1:
            candidate = blocks[0]["body"].strip()
    try:
        document = json.loads(candidate, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise BadAnswer(
            [f"It is not a JSON document: {error.msg} at line {error.lineno}, column {error.colno}."]
        ) from None
    except (ValueError, RecursionError) as error:
        raise BadAnswer([f"It is not a JSON document: {error}."]) from None
    if problems := list(_unseen(document, ()))[:_MAX_PROBLEMS]:
        raise BadAnswer(problems)
    return candidate


def _unseen(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Texts in a document that hold what nobody can see. They would be refused as data of the next question."""
    if isinstance(value, str):
        if unseen := unseen_in(value):
            yield f"At {_pointer(path)}: the text has {unseen[0]}; leave it out."
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _unseen(key, path)
            yield from _unseen(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unseen(item, (*path, str(index)))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def schema_problems(document: Any, schema: Mapping[str, Any]) -> list[str]:
    """Where ``document`` does not fit ``schema`` (JSON Schema 2020-12), in document order, at most twelve."""
    from jsonschema import Draft202012Validator

    errors = sorted(
        Draft202012Validator(dict(schema)).iter_errors(document), key=lambda error: list(map(str, error.absolute_path))
    )
    problems = [f"At {_pointer(error.absolute_path)}: {error.message[:300]}." for error in errors[:_MAX_PROBLEMS]]
    if len(errors) > _MAX_PROBLEMS:
        problems.append(f"And {len(errors) - _MAX_PROBLEMS} more of this kind.")
    return problems


def _pointer(path: Any) -> str:
    return "/" + "/".join(str(part) for part in path) if path else "the top level"


def python_code(text: str) -> str:
    """The code of the only fenced ``python`` block in ``text``, ending in a newline. BadAnswer when there is not
    exactly one.
    """
    blocks = [
        match["body"]
        for match in _BLOCK.finditer(text.replace("\r\n", "\n"))
        if match["language"].lower() in ("python", "py", "python3")
    ]
    if len(blocks) != 1:
        found = "no fenced ```python block" if not blocks else f"{len(blocks)} fenced ```python blocks"
        raise BadAnswer([f"It has {found}; there must be exactly one, with the complete code."])
    code = blocks[0].strip("\n") + "\n"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except SyntaxError as error:
        raise BadAnswer([f"The code is not valid Python: {error.msg} at line {error.lineno} of the block."]) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise BadAnswer([f"The code is not valid Python: {error}."]) from None
    # Such code does not do what it shows (Trojan Source, CVE-2021-42574).
    if unseen := unseen_in(code):
        line, _ = position(code, unseen[1])
        raise BadAnswer([f"The code has {unseen[0]} at line {line} of the block; in a string, write it as an escape."])
    return code


def check(text: str, expects: Expects, schema: Mapping[str, Any] | None) -> None:
    """BadAnswer when ``text`` cannot be right, as far as can be told without the rule that asked."""
    if not text.strip():
        raise BadAnswer(["It is empty."])
    if schema is not None:
        problems = schema_problems(json.loads(json_text(text)), schema)
        if problems:
            raise BadAnswer(problems)
    elif expects == "json":
        json_text(text)
    elif expects == "python":
        python_code(text)
