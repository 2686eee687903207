"""Edits change what they name and no other byte; what does not apply says why."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerorepo_rpg.edits import Edit, apply_edits

SOURCE = '''\
"""A module."""

from __future__ import annotations

import math
from typing import Any, Final   # kept as it stands

_LIMIT: Final = 3


@staticmethod
def area(radius: float) -> float:
    """Area of a circle."""
    return  math.pi * radius**2     # odd   spacing


class Table:
    """Rows."""

    name: str = "x"

    @property
    def rows(self) -> list[Any]:
        text = """
  a literal
"""
        return [text]

    def size(self) -> int:
        return len(self.rows)


def last() -> int:
    return 1
'''


def edit(do: str, what: str, name: str = "", code: str = "") -> Edit:
    return Edit.model_validate({"do": do, "what": what, "name": name, "code": code})


def after(*edits: Edit, source: str = SOURCE) -> str:
    return apply_edits(source, edits)


def test_a_replaced_function_takes_its_decorators_along_and_leaves_every_other_byte() -> None:
    new = "def area(radius: float) -> float:\n    return 3 * radius\n"
    changed = after(edit("replace", "function", "area", new))
    start, end = SOURCE.index("@staticmethod"), SOURCE.index("\n\nclass Table")
    assert changed == SOURCE[:start] + new + SOURCE[end:]


def test_a_method_is_indented_as_its_class_and_text_literals_keep_their_content() -> None:
    code = 'def rows(self) -> list[Any]:\n    return ["""\n  one\n two"""]'
    changed = after(edit("replace", "method", "Table.rows", code))
    assert '    def rows(self) -> list[Any]:\n        return ["""\n  one\n two"""]\n\n    def size' in changed
    assert "@property" not in changed


def test_a_method_that_comes_indented_is_not_indented_twice() -> None:
    code = "    def size(self) -> int:\n        return 0"
    assert "    def size(self) -> int:\n        return 0\n\n\ndef last" in after(
        edit("replace", "method", "Table.size", code)
    )


def test_each_kind_is_added_where_it_belongs() -> None:
    changed = after(
        edit("add", "import", "", "import json"),
        edit("add", "constant", "_MORE", "_MORE = 4"),
        edit("add", "member", "Table.width", "width: int = 0"),
        edit("add", "method", "Table.clear", "def clear(self) -> None:\n    self.name = ''"),
        edit("add", "function", "_helper", "def _helper() -> int:\n    return _MORE"),
        edit("add", "class", "_Row", "class _Row:\n    pass"),
    )
    order = ["import math", "import json", "_MORE = 4", "_LIMIT", "class Table", "name: str", "width: int", "def rows"]
    order += ["def size", "def clear", "def last", "def _helper", "class _Row"]
    places = [changed.index(text) for text in order]
    assert places == sorted(places)
    for line in SOURCE.splitlines():
        assert line in changed.splitlines()


def test_what_is_removed_is_gone_and_nothing_else() -> None:
    changed = after(edit("remove", "method", "Table.size"), edit("remove", "constant", "_LIMIT"))
    assert changed == SOURCE.replace("    def size(self) -> int:\n        return len(self.rows)\n", "").replace(
        "_LIMIT: Final = 3\n", ""
    )


def test_one_of_several_imported_names_is_removed_and_the_others_stay() -> None:
    changed = after(edit("remove", "import", "Final"), edit("remove", "constant", "_LIMIT"))
    assert "from typing import Any\n" in changed
    assert "import math\n" in changed


def test_imports_may_come_indented_as_they_stood_elsewhere() -> None:
    changed = after(edit("add", "import", "", "    import re\n    import json\n"))
    assert "\nimport re\nimport json\n" in changed


def test_a_replaced_import_keeps_what_else_its_statement_imports() -> None:
    changed = after(edit("replace", "import", "Final", "from typing_extensions import Final"))
    assert "from typing import Any\nfrom typing_extensions import Final\n" in changed


def test_windows_line_ends_stay_windows_line_ends() -> None:
    changed = after(
        edit("replace", "function", "last", "def last() -> int:\n    return 2"), source=SOURCE.replace("\n", "\r\n")
    )
    assert changed == SOURCE.replace("return 1", "return 2").replace("\n", "\r\n")


def test_the_last_function_of_a_file_without_a_final_newline() -> None:
    changed = after(edit("add", "function", "more", "def more() -> int:\n    return 2"), source=SOURCE.rstrip("\n"))
    assert changed.endswith("return 1\n\n\ndef more() -> int:\n    return 2\n")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (edit("replace", "function", "aera", "def aera(): ..."), "did you mean `area`"),
        (edit("replace", "function", "area", "def other(): ..."), "defines `other`, not `area`"),
        (edit("replace", "function", "area", "x = 1"), "no function"),
        (edit("replace", "function", "area", "def area(:"), "not Python"),
        (edit("replace", "function", "area", "def area(): ...\ndef b(): ..."), "exactly one statement"),
        (edit("add", "function", "area", "def area(): ..."), "has `area` already; use `replace`"),
        (edit("replace", "method", "size", "def size(self): ..."), "named with its class"),
        (edit("replace", "method", "Tabel.size", "def size(self): ..."), "did you mean `Table`"),
        (edit("remove", "function", "area", "def area(): ..."), "takes no code"),
        (edit("remove", "import", "numpy"), "imports no `numpy`"),
        (edit("add", "import", "", "x = 1"), "must be import statements"),
        (edit("remove", "function", "nothing"), "has no such function"),
    ],
)
def test_what_does_not_apply_says_which_edit_and_why(wrong: Edit, reason: str) -> None:
    with pytest.raises(ValueError, match=r"edit 2 .* does not apply") as caught:
        after(edit("add", "constant", "_FINE", "_FINE = 1"), wrong)
    assert reason in str(caught.value)


def test_a_statement_that_shares_its_line_is_left_alone() -> None:
    with pytest.raises(ValueError, match="shares line 1"):
        after(edit("remove", "constant", "a"), source="a = 1; b = 2\n")


def test_an_edit_that_leaves_no_python_is_refused() -> None:
    with pytest.raises(ValueError, match="not Python"):
        after(edit("remove", "method", "A.f"), source="class A:\n    def f(self): ...\n")


@given(st.permutations(["area", "last"]), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_replacing_a_definition_by_itself_changes_no_byte(names: list[str], ending: str, indented: bool) -> None:
    source = SOURCE.replace("\n", ending)
    for name in names:
        node = next(n for n in ast.parse(SOURCE).body if getattr(n, "name", "") == name)
        assert isinstance(node, ast.FunctionDef)
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        code = "\n".join(SOURCE.split("\n")[first - 1 : node.end_lineno])
        if indented:
            code = "\n".join("    " + line for line in code.split("\n"))
        source = after(edit("replace", "function", name, code), source=source)
    assert source == SOURCE.replace("\n", ending)


SEVERAL = """\
from typing import overload


@overload
def twice(x: int) -> int: ...
@overload
def twice(x: str) -> str: ...
def twice(x: int | str) -> int | str:
    return x


class Box:
    def __init__(self) -> None:
        self._size = 1

    @property
    def size(self) -> int:
        return self._size

    @size.setter
    def size(self, value: int) -> None:
        self._size = value

    async def load(self) -> int:
        return 1
"""


@pytest.mark.parametrize(
    ("what", "name", "code", "old", "new"),
    [
        (
            "function",
            "twice",
            "def twice(x: int | str) -> int | str:\n    return x * 2\n",
            "    return x\n",
            "    return x * 2\n",
        ),
        (
            "method",
            "Box.size",
            "@property\ndef size(self) -> int:\n    return self._size + 1\n",
            "return self._size\n",
            "return self._size + 1\n",
        ),
        (
            "method",
            "Box.size",
            "@size.setter\ndef size(self, value: int) -> None:\n    self._size = value - 1\n",
            "= value\n",
            "= value - 1\n",
        ),
        ("method", "Box.load", "async def load(self) -> int:\n    return 2\n", "return 1\n", "return 2\n"),
    ],
)
def test_of_several_definitions_of_one_name_the_one_of_the_same_part_is_replaced(
    what: str, name: str, code: str, old: str, new: str
) -> None:
    assert SEVERAL.count(old) == 1
    assert after(edit("replace", what, name, code), source=SEVERAL) == SEVERAL.replace(old, new)


def test_which_of_several_definitions_is_meant_must_be_clear() -> None:
    unclear = [
        edit("replace", "function", "twice", "@overload\ndef twice(x: bytes) -> bytes: ...\n"),
        edit("remove", "method", "Box.size"),
    ]
    for each in unclear:
        with pytest.raises(ValueError, match="of that name; replace what is around them"):
            after(each, source=SEVERAL)


def test_a_property_is_given_a_deleter_once() -> None:
    deleter = edit("add", "method", "Box.size", "@size.deleter\ndef size(self) -> None:\n    self._size = 0\n")
    made = after(deleter, source=SEVERAL)
    assert made.startswith(SEVERAL) and "    @size.deleter\n    def size(self) -> None:\n" in made
    with pytest.raises(ValueError, match="has a deleter of `size` already"):
        after(deleter, source=made)
    with pytest.raises(ValueError, match="has no property `weight`"):
        after(
            edit("add", "method", "Box.weight", "@weight.setter\ndef weight(self, value: int) -> None:\n    pass\n"),
            source=SEVERAL,
        )
