"""Tests in a process of their own: what they import of the code under test is a stand-in for what another process holds.

The code under test can then do nothing to pytest, to the recorder or to an assertion: none of them is where it runs. It can
answer what it likes, which is what code under test does. Holds only for tests that themselves reach for nothing (which
``plain_tests`` of the other side of the wall has checked) and stands next to a run of the usual kind.
"""

# ruff: noqa: PTH109
# Os.path alone: what is loaded here is paid for in every run.

from __future__ import annotations

import collections
import importlib.abc
import importlib.machinery
import io
import os
import sys
import types
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from .crossing import Policy
from .link import Link
from .mirror import SPECIAL

_STREAMS = (io.StringIO, io.BytesIO)
_COLLECTIONS = (collections.deque, collections.OrderedDict, collections.defaultdict, collections.Counter)
_BUILTIN_OWNERS = (list, dict, set, bytearray, str, *_STREAMS, *_COLLECTIONS)
_NONE: tuple[Any, ...] = ()
_SAMPLES: tuple[Any, ...] = (
    *(iter([]), iter(()), iter({}), iter({}.values()), iter({}.items()), iter(set()), iter(""), iter(b"")),
    *(
        iter(range(0)),
        iter(range(1 << 100)),
        zip(),
        map(len, _NONE),
        filter(None, _NONE),
        enumerate(_NONE),
        reversed([]),
    ),
    *({}.keys(), {}.values(), {}.items(), (each for each in _NONE)),
)
_ITERATORS = tuple(type(each) for each in _SAMPLES)
_NAMES_OF_FRAMES = ("gi_", "cr_", "ag_", "f_", "tb_", "co_", "func_")


class TestsPolicy(Policy):
    """What the code under test may have of the tests: functions, classes and objects that they define, and iterators."""

    __test__ = False

    def __init__(self, work: str) -> None:
        self._folder = work + os.sep

    def may_hand_over(self, value: Any) -> bool:
        if isinstance(value, types.MethodType):
            return self._is_theirs(type(value.__self__))
        if isinstance(value, types.FunctionType):
            return value.__code__.co_filename.startswith(self._folder)
        if isinstance(value, types.BuiltinMethodType):
            return isinstance(value.__self__, _BUILTIN_OWNERS)
        if isinstance(value, type):
            return self._is_theirs(value) or value in self._describable()
        return type(value) in (*_ITERATORS, *_STREAMS, *_COLLECTIONS) or self._is_theirs(type(value))

    def may_get(self, value: Any, name: str) -> bool:
        if name.startswith(_NAMES_OF_FRAMES) or name.startswith("_"):
            return name in ("__name__", "__doc__", "__qualname__") and callable(value)
        return type(value) in (*_STREAMS, *_COLLECTIONS) or self._is_theirs(type(value)) or self._is_theirs(value)

    def may_set(self, value: Any, name: str) -> bool:
        return not name.startswith("_") and self._is_theirs(type(value))

    def may_do(self, value: Any, operation: str) -> bool:
        if operation == "call":
            return not isinstance(value, type) or self._is_theirs(value) or issubclass(value, BaseException)
        return operation in SPECIAL

    def _is_theirs(self, value: Any) -> bool:
        """Whether it is a class that a test file defines."""
        if not isinstance(value, type):
            return False
        module = sys.modules.get(value.__module__)
        return str(getattr(module, "__file__", "") or "").startswith(self._folder)

    def _describable(self) -> tuple[type, ...]:
        functions = (types.FunctionType, types.MethodType, types.BuiltinMethodType)
        return (*functions, *_ITERATORS, *_STREAMS, *_COLLECTIONS)


class _RemoteModule(types.ModuleType):
    """A module of the code under test."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("__", "_pytest", "pytest")) and name != "__all__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return _LINKS[id(self)].ask("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # The import system sets its own on every module, and submodules on their package.
        if name.startswith("__") or isinstance(value, _RemoteModule):
            super().__setattr__(name, value)
        else:
            _LINKS[id(self)].ask("set", self, name, value)

    def __delattr__(self, name: str) -> None:
        _LINKS[id(self)].ask("delete", self, name)


_LINKS: dict[int, Link] = {}


class _Importer(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules of the code under test on the other side, before any other importer looks for them here."""

    def __init__(self, link: Link, names: Sequence[str]) -> None:
        self._link = link
        self._names = frozenset(names)

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in self._names:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        stand_in = self._link.ask("import", spec.name)
        handle = self._link.theirs.handle(stand_in)
        module = _RemoteModule(spec.name)
        assert handle is not None
        self._link.theirs.keep(handle, module)
        _LINKS[id(module)] = self._link
        if not self._link.ask("is_package", module):
            spec.submodule_search_locations = None
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """The other side has run it."""


def connect(fd: int, work: str) -> Link:
    """The tests' end of the link. ``take_over_imports`` makes use of it."""
    link = Link(fd, "t", TestsPolicy(work))
    link.forgets = True
    seen: dict[str, Any] = {"environ": dict(os.environ), "folder": os.getcwd()}

    def extras() -> Mapping[str, Any]:
        now: dict[str, Any] = {"environ": dict(os.environ), "folder": os.getcwd()}
        changed = {name: value for name, value in now.items() if seen[name] != value}
        seen.update(changed)
        return changed

    def take(extras: Mapping[str, Any]) -> None:
        if text := extras["out"]:
            sys.stdout.write(text)
        if text := extras["err"]:
            sys.stderr.write(text)
        for category, message, filename, lineno in extras["warned"]:
            warnings.warn_explicit(message, link.decode(category), filename, lineno)

    link.extras, link.take_extras = extras, take
    return link


def take_over_imports(link: Link, names: Sequence[str]) -> None:
    """Before any other importer: pytest's own, which also loads what is only named like a test, comes first otherwise."""
    sys.meta_path.insert(0, _Importer(link, names))


def strayed(names: Sequence[str]) -> str:
    """A module of the code under test that was loaded here after all; empty when there is none."""
    loaded = (name for name in sys.modules if name.partition(".")[0] in names)
    return next((name for name in loaded if not isinstance(sys.modules[name], _RemoteModule)), "")
