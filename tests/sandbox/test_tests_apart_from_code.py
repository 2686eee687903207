"""Tests and the code under test in two processes mean what they mean in one."""

import pytest

from zerorepo_sandbox.plain_tests import code_names

MODULE = r"""
import dataclasses, enum, os, sys, warnings
class Bad(ValueError):
    def __init__(self, code): super().__init__(f"bad {code}"); self.code = code
class Color(enum.Enum):
    RED = 1
    BLUE = 2
@dataclasses.dataclass(frozen=True)
class P:
    x: int
    y: int = 0
    def up(self): return P(self.x, self.y + 1)
class Stack:
    limit = 3
    def __init__(self, items=None): self.items = list(items or []); self.raw = items
    def push(self, x): self.items.append(x); return self
    def __len__(self): return len(self.items)
    def __iter__(self): return iter(self.items)
    def __contains__(self, x): return x in self.items
    def __enter__(self): return self
    def __exit__(self, *a): self.items.clear(); return True
    @classmethod
    def of(cls, *xs): return cls(xs)
def f(x): return x + 1
def app(l, x): l.append(x)
def same(l): return l
def fail(c): raise Bad(c)
def each(xs, fn): return [fn(x) for x in xs]
def gen(n):
    for i in range(n): yield i
def say(): print("hello"); return None
def warn(): warnings.warn("old", DeprecationWarning); return 3
def env(): return os.environ.get("X")
def read(p): return open(p).read()
def call_method(o): return o.go(2)
GLOBAL = {"a": 1}
def get_global(): return GLOBAL
"""
TESTS = r"""
import pytest
import pkg.mod as m
from pkg.mod import f, app, same, fail, Bad, Color, P, Stack, each, gen, say, warn, env, read, call_method, get_global
from pkg import mod

def test_plain(): assert f(1) == 2
def test_mutated():
    l = [1]; app(l, 2); assert l == [1, 2]
    inner = [1]; outer = {"a": inner}; app(outer["a"], 5); assert inner == [1, 5]
def test_identity():
    l = [1]; assert same(l) is l
    assert get_global() is get_global()
    get_global()["b"] = 2
    assert m.GLOBAL == {"a": 1, "b": 2}
def test_raises():
    with pytest.raises(Bad, match="bad 3") as e: fail(3)
    assert e.value.code == 3 and isinstance(e.value, ValueError)
    with pytest.raises(ValueError): fail(1)
    with pytest.raises(TypeError): f("a")
    with pytest.raises(TypeError): f()
    with pytest.raises(AttributeError): m.nope
def test_enum():
    assert Color.RED is Color.RED and Color(1) is Color.RED and Color["RED"] == Color.RED
    assert [c.name for c in Color] == ["RED", "BLUE"]
    assert len(Color) == 2
def test_data():
    p = P(1)
    assert p == P(1, 0) and p.up() == P(1, 1) and p != P(2) and repr(p) == "P(x=1, y=0)"
    assert hash(p) == hash(P(1)) and {p: 1}[P(1)] == 1
    with pytest.raises(Exception): p.x = 4
def test_stack():
    raw = [1]
    s = Stack(raw); s.push(2).push(3)
    assert len(s) == 3 and list(s) == [1, 2, 3] and 2 in s and s.items == [1, 2, 3] and raw == [1]
    raw.append(9); assert s.raw == [1, 9] and s.raw is raw
    assert Stack.limit == 3 and isinstance(Stack.of(1, 2), Stack) and type(s) is Stack
    with s as t: assert t is s; raise KeyError
    assert not s and s.items == []
    s.items = [4]; assert list(s) == [4]
def test_callbacks():
    seen = []
    assert each([1, 2], lambda x: x * 2) == [2, 4]
    each([3], seen.append); assert seen == [3]
    assert each((x for x in range(3)), str) == ["0", "1", "2"]
    def boom(x): raise KeyError("k")
    with pytest.raises(KeyError): each([1], boom)
def test_gen():
    g = gen(3); assert next(g) == 0 and list(g) == [1, 2]
    with pytest.raises(StopIteration): next(g)
def test_out(capsys):
    say(); assert capsys.readouterr().out == "hello\n"
def test_warn():
    with pytest.warns(DeprecationWarning, match="old"): assert warn() == 3
def test_env(monkeypatch, tmp_path):
    monkeypatch.setenv("X", "1"); assert env() == "1"
    (tmp_path / "a").write_text("hi"); assert read(tmp_path / "a") == "hi"
def test_patch(monkeypatch):
    monkeypatch.setattr(m, "GLOBAL", {"z": 1}); assert get_global() == {"z": 1}
class Fake:
    def __init__(self): self.n = []
    def go(self, x): self.n.append(x); return x + 1
def test_fake():
    k = Fake(); assert call_method(k) == 3 and k.n == [2]
@pytest.mark.parametrize("a,b", [(1, 2), (2.5, 3.5), (float("inf"), float("inf"))])
def test_param(a, b): assert f(a) == b
"""


def test_values_objects_errors_callbacks_output_warnings_and_environment_cross(run_tests):
    files = {"pkg/__init__.py": "", "pkg/mod.py": MODULE, "test_mod.py": TESTS}
    run = run_tests(files, tests=("test_mod.py",), coverage=("pkg",))
    assert [case for case in run.report.cases if case.outcome != "passed"] == []
    assert (run.report.passed, run.report.apart, run.together_because) == (True, True, "")
    assert not run.coverage["pkg/mod.py"].missing


CROSS = {
    "a class of the tests derives from one of the code": (
        "class A:\n    def go(self): return 1\n",
        "from code import A\nclass B(A): pass\ndef test_a(): assert B().go() == 1\n",
    ),
    "a forked process": (
        "import os\ndef f():\n    if os.fork() == 0: os._exit(0)\n    os.wait()\n    return 1\n",
        "from code import f\ndef test_a(): assert f() == 1\n",
    ),
    "a module of Python handed over": (
        "def f(m): return m.pi\n",
        "import math\nfrom code import f\ndef test_a(): assert f(math) > 3\n",
    ),
}


@pytest.mark.parametrize(("code", "test"), CROSS.values(), ids=CROSS)
def test_what_cannot_cross_runs_together_and_is_told(run_tests, code, test):
    run = run_tests({"code_.py": code, "test_it.py": test.replace("code ", "code_ ")}, screened=False)
    assert run.report.passed
    assert run.report.apart is (run.together_because == "") is ("fork" in code)


ALIASED = {
    "an argument that is kept": (
        "class Keeps:\n    def __init__(self, rows): self.rows = rows\n",
        "from code_ import Keeps\ndef test_a():\n    rows = [1]\n    kept = Keeps(rows)\n    rows.append(2)\n"
        "    assert kept.rows == [1]\n",
    ),
    "a result that is the argument": (
        "def f(rows): return rows\n",
        "from code_ import f\ndef test_a():\n    rows = [1]\n    assert f(rows) is not rows\n",
    ),
    "a result that is the state": (
        "STATE = {'a': [1]}\ndef f(): return STATE['a']\n",
        "from code_ import f\ndef test_a():\n    f().append(2)\n    assert f() == [1]\n",
    ),
    "an argument that is changed": (
        "def f(rows):\n    rows.sort()\n    return list(rows)\n",
        "from code_ import f\ndef test_a():\n    rows = [2, 1]\n    assert f(rows) == [1, 2]\n    assert rows == [2, 1]\n",
    ),
}


@pytest.mark.parametrize(("code", "test"), ALIASED.values(), ids=ALIASED)
def test_copies_do_not_hide_what_is_shared(run_tests, code, test):
    run = run_tests({"code_.py": code, "test_it.py": test})
    assert not run.report.passed


PLAIN = [
    "from code_ import f\nimport math\ndef test_a(tmp_path, capsys):\n    f()\n    assert capsys.readouterr().out == ''\n",
    "import pytest, code_\n@pytest.mark.parametrize('a', [1])\ndef test_a(a, monkeypatch):\n"
    "    monkeypatch.setattr(code_, 'g', lambda: 1)\n    assert '{}'.format(code_.f())\n",
    "import datetime\nfrom code_ import f\ndef test_a(): assert f() == datetime.date(2020, 1, 1)\n",
]
NOT_PLAIN = [
    "import os\nfrom code_ import f\n",
    "import enum\nfrom code_ import f\nx = enum.sys\n",
    "import json as j\nfrom code_ import f\nx = [j][0].codecs\n",
    "from code_ import *\n",
    "from code_ import f as pytest_runtest_call\n",
    "from code_ import f as test_f\n",
    "import pytest\nfrom code_ import f\n@pytest.mark.skipif('__import__(\"gc\")')\ndef test_a(): pass\n",
    "import pytest\nfrom code_ import f\n@pytest.mark.xfail('1')\ndef test_a(): pass\n",
    "from code_ import f\ndef test_a(request): request.config\n",
    "from code_ import f\ndef test_a(capsys): capsys.request\n",
    "from code_ import f\ndef test_a(capsys):\n    c = capsys\n    c.x\n",
    "from code_ import f\ndef test_a(pytestconfig): pass\n",
    "from code_ import f\ndef test_a(monkeypatch): monkeypatch.setattr('_pytest.x', 1)\n",
    "import pytest\nfrom code_ import f\ndef test_a(monkeypatch): monkeypatch.setattr(pytest.raises, 'x', 1)\n",
    "from code_ import f\nx = '{0.__globals__}'.format(f)\n",
    "from code_ import f\nx = ('{0.__glo' + 'bals__}').format(f)\n",
    "from code_ import f\nx = getattr(f, 'a' + 'b')\n",
    "from code_ import f\nx = (lambda: 0).__globals__\n",
    "from code_ import f\nx = ().__class__.__base__.__subclasses__()\n",
    "from code_ import f\nx = open(3, 'w')\n",
    "from operator import attrgetter\nfrom code_ import f\n",
    "from code_ import f\ndef pytest_runtest_call(item): pass\n",
]


@pytest.mark.parametrize("source", PLAIN)
def test_tests_that_use_what_is_listed_may_keep_their_verdict(source):
    assert code_names({"code_.py": b"", "test_it.py": source.encode()}, ("test_it.py",)) == (("code_",), "")


@pytest.mark.parametrize("source", NOT_PLAIN)
def test_tests_that_use_anything_else_may_not(source):
    names, why = code_names({"code_.py": b"", "test_it.py": source.encode()}, ("test_it.py",))
    assert names == () and why.startswith("test_it.py: line")
