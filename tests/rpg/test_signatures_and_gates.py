"""When a signature is equal, and what keeps an answer from being run."""

# ruff: noqa: E501  (tables of one-line sources)

from __future__ import annotations

import pytest

from zerorepo_rpg.gate import asserted, check_code, check_tests
from zerorepo_rpg.plan_model import InterfaceKind, NodeInterface
from zerorepo_sandbox.screen import screen

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


BODY = "def f(a: int) -> int:\n    {0}\n    return a\n"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import os as _os\n" + BODY.format("_os.remove('x')"), "`os.remove` needs the permission `filesystem`"),
        ("import os\n_run = os\n" + BODY.format("_run.system('x')"), "`os.system` needs the permission `subprocess`"),
        ("import os\n" + BODY.format("getattr(os, 'system')('x')"), "`os.system` needs the permission `subprocess`"),
        ("import posix\n" + BODY.format("posix.system('x')"), "`posix` may not be used"),
        ("import builtins\n" + BODY.format("builtins.open('x')"), "`open()` needs the permission `filesystem`"),
        ("from builtins import eval as _e\n" + BODY.format("_e('x')"), "`eval()` may not be used"),
        ("_e = eval\n" + BODY.format("_e('x')"), "`eval()` may not be used"),
        (BODY.format("list(map(open, ['x']))"), "`open()` needs the permission `filesystem`"),
        ("def _g(eval: int) -> int:\n    return eval\n" + BODY.format("eval('x')"), "line 4: `eval()` may not be used"),
        ("import io\n" + BODY.format("io.open('x')"), "`io.open` needs the permission `filesystem`"),
        ("import gzip\n" + BODY.format("gzip.open('x')"), "`gzip.open` needs the permission `filesystem`"),
        ("from pathlib import Path\n" + BODY.format("Path('x').write_text('y')"), "`write_text` of a path needs"),
        ("import pathlib\n" + BODY.format("pathlib.Path('x').unlink()"), "`unlink` of a path needs"),
        (
            "import urllib\n" + BODY.format("urllib.request.urlopen('x')"),
            "`urllib.request` needs the permission `network`",
        ),
        ("import asyncio\n" + BODY.format("asyncio.create_subprocess_exec('x')"), "needs the permission `subprocess`"),
        (
            "from concurrent.futures import ProcessPoolExecutor\n" + BODY.format("ProcessPoolExecutor()"),
            "needs the permission `subprocess`",
        ),
        ("import logging\n" + BODY.format("logging.FileHandler('x')"), "needs the permission `filesystem`"),
        ("import sys\n" + BODY.format("sys.modules['os'].system('x')"), "`sys.modules` reaches every module"),
        ("import builtins\ndef f(a: int) -> int:\n    raise builtins.NotImplementedError\n", "instead of code"),
        ("_E = NotImplementedError\ndef f(a: int) -> int:\n    raise _E\n", "instead of code"),
        ("def f(a: int) -> int:\n    raise RuntimeError('Not yet implemented')\n", "`f` has no code"),
        ("def f(a: int) -> int:\n    assert False, 'later'\n", "`f` has no code"),
    ],
)
def test_what_is_forbidden_is_forbidden_under_every_name(code: str, told: str) -> None:
    found = check_code(code, function("def f(a: int) -> int"))
    assert any(told in text for text in found), found


@pytest.mark.parametrize(
    "code",
    [
        "from pathlib import Path\n" + BODY.format("Path('x').with_suffix('.y')"),
        "import os as _os\n" + BODY.format("_os.path.join('x', 'y')"),
        "class _Door:\n    def open(self) -> None:\n        print(1)\n" + BODY.format("_Door().open()"),
        "def _g(open: int, input: int) -> int:\n    return open + input\n" + BODY.format("_g(1, 2)"),
        "import re\n" + BODY.format("re.compile('x')"),
        "import asyncio\nimport concurrent.futures as _c\n" + BODY.format("_c.ThreadPoolExecutor()"),
        "def f(a: int) -> int:\n    try:\n        return a + 1\n    except NotImplementedError:\n        return a\n",
    ],
)
def test_what_only_looks_forbidden_is_allowed(code: str) -> None:
    assert check_code(code, function("def f(a: int) -> int")) == []


def test_paths_may_be_read_where_the_specification_or_the_interface_says_so() -> None:
    code = "from pathlib import Path\ndef f(a: int) -> int:\n    return len(Path('x').read_text()) + len(open('y').read())\n"
    assert check_code(code, function("def f(a: int) -> int"), permissions=["filesystem"]) == []
    code = "from pathlib import Path\ndef f(a: Path) -> int:\n    return len(a.read_text())\n"
    assert check_code(code, function("def f(a: Path) -> int", imports=("from pathlib import Path",))) == []


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
    seen = (
        "def test_four() -> None:\n    with pytest.raises(Exception, match='too small'):\n        f(-1)\n\n"
        "def test_five() -> None:\n    with pytest.raises(Exception) as found:\n        f(-1)\n"
        "    assert 'small' in str(found.value)\n"
    )
    assert check_tests(TESTS + more + raises + seen, function("def f(a: int) -> int")) == []


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
                "x == 1 or True",
                "[x]",
                "f'of {x}: x'",
                "isinstance(x, object)",
                "len(x) >= 0",
            )
        ),
        *(
            (
                f"import contextlib\nimport pytest\nfrom p.m.x import f\ndef test_a() -> None:\n    x = f(1)\n{body}",
                "`test_a` asserts nothing",
            )
            for body in (
                "    try:\n        assert x == 1\n    except AssertionError:\n        pass\n",
                "    try:\n        assert x == 1\n    except (ValueError, Exception):\n        return\n",
                "    try:\n        pytest.fail('no')\n    except:  # noqa: E722\n        pass\n",
                "    with contextlib.suppress(AssertionError):\n        assert x == 1\n",
                "    def check() -> None:\n        assert x == 1\n",
                "    if False:\n        assert x == 1\n",
                "    for _ in []:\n        assert x == 1\n",
                "    return\n    assert x == 1\n",
                "    with pytest.raises(Exception):\n        f(-1)\n",
                "    with pytest.raises(BaseException) as found:\n        f(-1)\n",
                "    pytest.raises(builtins.Exception, f, -1)\n",
                "    with pytest.raises((ValueError, Exception)):\n        f(-1)\n",
                "    with pytest.raises(expected_exception=Exception):\n        f(-1)\n",
                "    with pytest.raises(Exception, match='.*'):\n        f(-1)\n",
            )
        ),
        ("from p.m.x import f\ndef test_a() -> None:\n    assert 'a'.upper() == 'A'\n", "never uses it"),
        (
            "import os as o\n" + TESTS + "def test_b() -> None:\n    assert o.system('x') == f(1)\n",
            "`os.system` may not",
        ),
        (
            "from pytest import skip\n" + TESTS + "def test_b() -> None:\n    skip('x')\n    assert f(1)\n",
            "`pytest.skip`",
        ),
        (
            "from pytest import mark\n" + TESTS + "@mark.skip\ndef test_b() -> None:\n    assert f(1)\n",
            "`pytest.mark.skip`",
        ),
        (
            TESTS + "def test_b(monkeypatch) -> None:\n    monkeypatch.setattr('p.m.x.f', abs)\n    assert f(1)\n",
            "it replaces part of `p`",
        ),
        (
            "import p.m.x as m\n"
            + TESTS
            + "def test_b(monkeypatch) -> None:\n    monkeypatch.setattr(m, 'f', abs)\n    assert f(1)\n",
            "it replaces part of `p`",
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


@pytest.mark.parametrize(
    "code",
    [
        "import gc\n",
        "import sys\nsys.settrace(None)\n",
        "import sys\nNAMES = sorted(sys.modules)\n",
        "import inspect\ninspect.currentframe()\n",
        "import pytest\npytest.main([])\n",
        "def pytest_runtest_setup(item: object) -> None:\n    pass\n",
        "NAME = '_pytest.runner'\n",
        "FOUND = ().__class__.__base__.__subclasses__()\n",
        "import ctypes\n",
    ],
)
def test_what_the_sandbox_would_not_run_never_gets_there(code: str) -> None:
    """The gate and the sandbox's screen use one list, so that no run, vote and repair is spent on it; each line is told once."""
    source = f"{code}{TESTS}"
    assert screen(source)
    found = check_tests(source, function("def f(a: int) -> int"))
    lines = [text.partition(":")[0] for text in found]
    assert {reason.partition(":")[0] for reason in screen(source)} <= set(lines)
    assert len(lines) == len(set(lines)), found


@pytest.mark.parametrize("claim", ["x == f(1)", "x", "not x", "x != x", "False", "1 == 2", "x is f", "f(1) == f(1)"])
def test_what_may_fail_is_an_assertion(claim: str) -> None:
    source = f"from p.m.x import f\ndef test_a() -> None:\n    x = f(1)\n    assert {claim}\n"
    assert check_tests(source, function("def f(a: int) -> int")) == []
    assert asserted(source) == 1


@pytest.mark.parametrize(
    "body",
    [
        "    try:\n        f(1)\n        pytest.fail('no error')\n    except ValueError:\n        pass\n",
        "    try:\n        f(1)\n        pytest.fail('no error')\n    except Exception:\n        pass\n",
        "    try:\n        f(1)\n    except Exception as error:\n        assert str(error)\n",
        "    try:\n        assert f(1)\n    except Exception:\n        raise\n",
        "    def check() -> None:\n        assert f(1) == 1\n    check()\n",
        "    with contextlib.suppress(KeyError):\n        assert f(1) == 1\n",
        "    if f(1):\n        assert f(2)\n    else:\n        assert f(3)\n",
        "    monkeypatch.setattr(sys, 'stdin', None)\n    assert f(1) == 1\n",
    ],
)
def test_assertions_that_count_wherever_they_stand(body: str) -> None:
    start = "import contextlib\nimport sys\nimport pytest\nfrom p.m.x import f\ndef test_a(monkeypatch) -> None:\n"
    assert check_tests(start + body, function("def f(a: int) -> int")) == []


def test_assertions_are_counted_with_their_cases() -> None:
    assert asserted(TESTS) == 1
    assert (
        asserted(
            "import pytest\n@pytest.mark.parametrize('x', [1, 2, 3])\ndef test_a(x):\n    assert x\n    assert x\n"
        )
        == 6
    )
    assert asserted("def test_a(:") == 0
