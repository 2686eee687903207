"""What the screen refuses, and what it leaves alone."""

import pytest

from zerorepo_sandbox.screen import screen, screen_files

REFUSED = [
    "import _pytest.reports",
    "from _pytest.runner import call_and_report",
    "import gc",
    "import ctypes as c",
    "from gc import get_objects",
    "import sys\nsys.settrace(None)",
    "import sys\nsys._getframe(1)",
    "from sys import _getframe",
    "import inspect\ninspect.currentframe()",
    "import inspect as i\ni.stack()",
    "import os\nos._exit(0)",
    "from os import _exit",
    "import os\ngetattr(os, '_exit')(0)",
    "def pytest_runtest_makereport(item, call): ...",
    "pytest_plugins = ['x']",
    "import pytest\npytest.hookimpl",
    "import pytest\npytest.main([])",
    "from pytest import Item",
    "def test_a(request):\n    request.config.pluginmanager.get_plugins()",
    "import sys\nsys.modules['x']",
    "from sys import modules",
    "__import__('gc')",
    "import importlib\nimportlib.import_module('_pytest.main')",
    "import importlib\nimportlib.import_module('_py' + 'test')",
    "from importlib import import_module\nimport_module(name)",
    "exec('import gc')",
    "eval(input())",
    "from unittest import mock\nmock.patch('_pytest.runner.call_and_report')",
    "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    e.__traceback__.tb_frame.f_back",
    "().__class__.__base__.__subclasses__()",
    "f.__globals__['x']",
]
ALLOWED = [
    "import pytest\n@pytest.mark.skip\ndef test_a(tmp_path, monkeypatch):\n    with pytest.raises(ValueError): int('x')",
    "import os, sys, inspect\nsys.exit\nos.environ\ninspect.signature(print)",
    "import importlib\nimportlib.import_module('json')",
    "class Stack:\n    def stack(self): ...\nStack().stack()",
    "def trace(x): return x.modules",
    '"""Mentions gc, ctypes and _pytest in words."""',
    "import re\nre.compile('a')\neval('1 + 1')",
    "x = 1 +",
]


@pytest.mark.parametrize("source", REFUSED)
def test_refused(source):
    assert screen(source)


@pytest.mark.parametrize("source", ALLOWED)
def test_allowed(source):
    assert screen(source) == []


def test_every_file_is_screened_and_compiled_code_is_refused():
    found = screen_files({"a.py": b"import gc\n", "b/c.so": b"", "d.txt": b"import gc"})
    assert found == ["a.py: line 1: imports `gc`", "b/c.so: compiled code cannot be screened"]
