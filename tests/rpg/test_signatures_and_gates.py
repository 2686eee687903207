"""When a signature is equal, and what keeps an answer from being run."""

# ruff: noqa: E501  (tables of one-line sources)

from __future__ import annotations

import pytest

from zerorepo_rpg.gate import asserted, check_code, check_tests
from zerorepo_rpg.plan_model import InterfaceKind, NodeInterface

from .sample import BODIES, TABLE, plan


def function(signature: str, **more: object) -> NodeInterface:
    data = {
        "id": "m/f",
        "module": "m",
        "file": "p/m/x.py",
        "name": "f",
        "signature": signature,
        "docstring": "d",
        **more,
    }
    return NodeInterface.model_validate(data)


def klass(signature: str, **more: object) -> NodeInterface:
    return function(signature, **{"id": "m/C", "name": "C", "kind": InterfaceKind.CLASS, **more})


EQUAL = [
    ("def f(a: int, b: str = 'x') -> None", 'def f(a: int, b: str = "x") -> None:\n    print(a)'),
    ("def f(a: 'C') -> 'C'", "def f(\n    a: C,\n) -> C:\n    return a\n\nclass _C: x = 1\nC = _C  # noqa"),
    ("def f(a: int, /, b: int, *, c: int = 1, **k: int) -> int", "def f(a: int, /, b: int, *, c: int = 1, **k: int) -> int:\n    return a"),
    ("def f(*args: int) -> int", "import functools\n@functools.lru_cache\ndef f(*args: int) -> int:\n    return 1"),
    ("async def f() -> int", "async def f() -> int:\n    return 1"),
    ("def f(a: int = ...) -> int:\n    ...", "def f(a: int = 3) -> int:\n    return a"),
    ("@contextmanager\ndef f() -> Iterator[int]", "from collections.abc import Iterator\nfrom contextlib import contextmanager\n@contextmanager\ndef f() -> Iterator[int]:\n    yield 1"),
]  # fmt: skip


@pytest.mark.parametrize(("signature", "code"), EQUAL)
def test_equal_signatures(signature: str, code: str) -> None:
    found = [text for text in check_code(code, function(signature)) if "is public" not in text]
    assert found == []


@pytest.mark.parametrize(
    ("signature", "code", "told"),
    [
        ("def f(a: int) -> int", "def f(a: int = 1) -> int: return 1", "`a` must have no default, but has `1`"),
        ("def f(a: int = 1) -> int", "def f(a: int) -> int: return 1", "must have the default `1`, but has none"),
        (
            "def f(*, a: int) -> int",
            "def f(a: int) -> int: return 1",
            "must be keyword-only, not positional or keyword",
        ),
        ("def f(a: int, /) -> int", "def f(a: int) -> int: return 1", "must be positional-only"),
        ("def f(*a: int) -> int", "def f(**a: int) -> int: return 1", "must be *args, not **kwargs"),
        (
            "def f(a: int, b: int) -> int",
            "def f(b: int, a: int) -> int: return 1",
            "must have the parameters (a: int, b: int)",
        ),
        ("def f(a: int) -> int", "def f(a: str) -> int: return 1", "must be annotated `int`, not `str`"),
        ("def f(a: int) -> int", "def f(a): return 1", "must be annotated `int`, not nothing"),
        ("def f() -> int", "def f() -> str: return ''", "must return `int`, not `str`"),
        ("async def f() -> int", "def f() -> int: return 1", "must be `async def`"),
        ("def f() -> int", "async def f() -> int: return 1", "must be plain `def`"),
        ("def f() -> int", "def g() -> int: return 1", "does not define the function `f`"),
        ("def f() -> int", "class f: x = 1", "must be a function"),
        ("def f() -> int", "def f() -> int: return 1\ndef f() -> int: return 2", "2 times"),
        ("def f() -> int", "def f() -> int\n", "not Python: line 1"),
    ],
)
def test_signatures_that_differ_are_told_apart(signature: str, code: str, told: str) -> None:
    assert any(told in text for text in check_code(code, function(signature))), check_code(code, function(signature))


CLASS = """\
class C:
    name: str
    LIMIT = 3
    def __init__(self, name: str) -> None: ...
    @classmethod
    def of(cls, text: str) -> C: ...
    @staticmethod
    def two(a: int) -> int: ...
    @property
    def size(self) -> int: ...
    @size.setter
    def size(self, value: int) -> None: ...
"""
CODE = """\
class C:
    LIMIT = 3

    def __init__(self, name: str) -> None:
        self.name = name
        self._size = 0

    @classmethod
    def of(cls, text: str) -> "C":
        return cls(text)

    @staticmethod
    def two(a: int) -> int:
        return a

    @property
    def size(self) -> int:
        return self._size

    @size.setter
    def size(self, value: int) -> None:
        self._size = value

    def _private(self, x: int) -> int:
        return x
"""


def test_a_class_that_keeps_its_promise_may_have_private_members() -> None:
    assert check_code(CODE, klass(CLASS)) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("    @classmethod\n", "", "method `C.of`: must have the decorators `@classmethod`, not none"),
        ("class C:", "class C(dict):", "must have the bases (), not (dict)"),
        ("LIMIT = 3", "LIMIT = 4", "must have the default `3`, not `4`"),
        ("self.name = name", "self._name = name", "lacks the field `name: str`"),
        ("def two(a: int)", "def two(a: str)", "method `C.two`: parameter `a`"),
        (
            "    @size.setter\n    def size(self, value: int) -> None:\n        self._size = value\n",
            "",
            "lacks the method `size` (setter)",
        ),
        ("_private", "extra", "public methods that the interface does not have: extra"),
    ],
)
def test_a_class_that_breaks_its_promise(old: str, new: str, told: str) -> None:
    found = check_code(CODE.replace(old, new), klass(CLASS))
    assert any(told in text for text in found), found


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("@dataclass\n", "@dataclass(frozen=True)\n", "`@dataclass`, not `@dataclass(frozen=True)`"),
        (
            "field(default_factory=dict)\n",
            "field(default_factory=dict)\n    more: int = 0\n",
            "fields that the interface does not have: more",
        ),
        ("field(default_factory=dict)", "field(default_factory=list)", "must have the default"),
    ],
)
def test_fields_of_a_dataclass_are_its_constructor(old: str, new: str, told: str) -> None:
    interface = plan().node("slug/SlugTable")
    assert interface.signature == TABLE and check_code(BODIES[interface.id], interface) == []
    found = check_code(BODIES[interface.id].replace(old, new), interface)
    assert any(told in text for text in found), found


F = "def f(a: int) -> int:\n    return a\n"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def f(a: int) -> int:\n    'doc'\n    ...", "`f` has no code"),
        ("def f(a: int) -> int:\n    pass", "`f` has no code"),
        (
            "def f(a: int) -> int:\n    if a: return 1\n    raise NotImplementedError",
            "`NotImplementedError` instead of code",
        ),
        (F + "# TODO: more\n", "`TODO` in a comment"),
        ("def _h() -> None: pass\n" + F, "`_h` has no code"),
        ("def f(a: int) -> int:\n    return b", "Undefined name `b`"),
        (F + "print(1)\n", "code that runs at import"),
        (F + "if __name__ == '__main__':\n    f(1)\n", "code that runs at import"),
        (F + "def g() -> int:\n    return 1\n", "`g` is public"),
        (F + "LIMIT = 3\n", "`LIMIT` is public; only `f` may be, call it `_LIMIT`"),
        ("import socket\n" + F, "needs the permission `network`"),
        ("from urllib import request\n" + F, "needs the permission `network`"),
        ("import subprocess\n" + F, "needs the permission `subprocess`"),
        ("import ctypes\n" + F, "needs the permission `native`"),
        ("import os\ndef f(a: int) -> int:\n    os.system('x')\n    return a", "`os.system` needs the permission"),
        ("from os import system\n" + F, "`os.system` needs the permission"),
        ("import os\ndef f(a: int) -> int:\n    os._exit(0)", "`os._exit` may not be used"),
        ("def f(a: int) -> int:\n    return eval('a')", "`eval()` may not be used"),
        ("def f(a: int) -> int:\n    return len(open('x').read())", "`open()` needs the permission `filesystem`"),
        ("import numpy\n" + F, "`numpy` is neither standard library nor a declared dependency"),
        ("import pytest\n" + F, "may not be used in a library's code"),
        ("from . import x\n" + F, "relative import"),
        ("from math import *\n" + F, "name what you import"),
        ("from p.other import thing\n" + F, "`thing` of `p.other` is not among the nodes"),
        ("import p.other\n" + F, "write `from p.other import name`"),
        ("from p.other import used as u\n" + F, "without `as`"),
        ("from p.m.x import f\n" + F, "which it defines itself"),
    ],
)
def test_code_that_may_not_run(code: str, told: str) -> None:
    found = check_code(code, function("def f(a: int) -> int", uses=("o/used",)))
    assert any(told in text for text in found), found


def test_permissions_and_dependencies_open_the_gate() -> None:
    code = "import socket\nimport yaml\nfrom pathlib import Path\nfrom p.other import used\n" + F
    interface = function("def f(a: int) -> int", uses=("o/used",))
    assert check_code(code, interface, ["PyYAML>=6"], ["network"]) == []
    allowed = "import sqlite3\ndef f(a: sqlite3.Row) -> int:\n    return 1\n"
    assert check_code(allowed, function("def f(a: sqlite3.Row) -> int", imports=("import sqlite3",))) == []


def test_empty_methods_are_fine_where_they_are_meant() -> None:
    signature = "class C(Protocol):\n    def m(self) -> int: ..."
    assert (
        check_code("from typing import Protocol\nclass C(Protocol):\n    def m(self) -> int: ...", klass(signature))
        == []
    )
    signature = "class C(ABC):\n    @abstractmethod\n    def m(self) -> int: ..."
    code = "from abc import ABC, abstractmethod\nclass C(ABC):\n    @abstractmethod\n    def m(self) -> int:\n        raise NotImplementedError"
    assert check_code(code, klass(signature)) == []


TESTS = "import pytest\nfrom p.m.x import f\n\ndef test_one() -> None:\n    assert f(1) == 1\n"


def test_good_tests_pass_the_gate() -> None:
    more = "def _check(x: int) -> None:\n    assert f(x)\n\n@pytest.mark.parametrize('x', [1, 2])\ndef test_two(x: int) -> None:\n    _check(x)\n"
    raises = "class TestErrors:\n    def test_three(self) -> None:\n        with pytest.raises(TypeError):\n            f()\n"
    assert check_tests(TESTS + more + raises, function("def f(a: int) -> int")) == []


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("from p.m.x import f\ndef check() -> None:\n    assert f(1)\n", "there is no test"),
        ("from p.m.x import f\ndef test_a() -> None:\n    f(1)\n", "`test_a` asserts nothing"),
        *(
            (
                f"from p.m.x import f\ndef test_a() -> None:\n    x = f(1)\n    assert {claim}\n",
                "`test_a` asserts nothing",
            )
            for claim in (
                "True",
                "1 == 1",
                "x == x",
                "x is x",
                "x <= x <= x",
                "(x == 2, 'a message')",
                "not 0",
                "'text'",
            )
        ),
        ("def test_a() -> None:\n    assert 1\n", "write `from p.m.x import f`"),
        (TESTS + "def f(a: int) -> int:\n    return a\n", "define `f` themselves"),
        ("import subprocess\n" + TESTS, "`subprocess` may not be used in tests"),
        ("from unittest.mock import Mock\n" + TESTS, "test the real thing"),
        (TESTS + "@pytest.mark.skip\ndef test_b() -> None:\n    assert f(2)\n", "`pytest.mark.skip` may not be used"),
        (TESTS + "def test_one() -> None:\n    assert f(2)\n", "is defined twice"),
        (TESTS + "async def test_b() -> None:\n    assert f(2)\n", "is async"),
        (TESTS + "def test_b() -> None:\n    assert g(2)\n", "Undefined name `g`"),
    ],
)
def test_tests_that_prove_nothing(code: str, told: str) -> None:
    found = check_tests(code, function("def f(a: int) -> int"))
    assert any(told in text for text in found), found


@pytest.mark.parametrize("claim", ["x == f(1)", "x", "not x", "x != x", "False", "1 == 2", "x is f", "f(1) == f(1)"])
def test_what_may_fail_is_an_assertion(claim: str) -> None:
    source = f"from p.m.x import f\ndef test_a() -> None:\n    x = f(1)\n    assert {claim}\n"
    assert check_tests(source, function("def f(a: int) -> int")) == []
    assert asserted(source) == 1


def test_assertions_are_counted_with_their_cases() -> None:
    assert asserted(TESTS) == 1
    assert (
        asserted(
            "import pytest\n@pytest.mark.parametrize('x', [1, 2, 3])\ndef test_a(x):\n    assert x\n    assert x\n"
        )
        == 6
    )
    assert asserted("def test_a(:") == 0
