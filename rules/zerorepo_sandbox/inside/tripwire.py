"""Notices, in the process of the tests, what a test has no honest use for: a search through memory, a changed test runner.

Audit hooks cannot be removed by Python code, and what they see ends the run. The functions of pytest are compared with what they
were before any code of the other side was loaded. A fence like the static screen, for what the screen did not see: whoever controls
a process can get around whatever is in it. Knows nothing of verdicts.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from operator import getitem, is_
from typing import Any

_SEARCHES = frozenset({"gc.get_objects", "gc.get_referrers", "gc.get_referents", "sys.addaudithook"})
_TRACING = frozenset({"sys.settrace", "sys.setprofile"})
_MEMORY = frozenset(
    {"ctypes.dlopen", "ctypes.dlsym", "ctypes.call_function", "ctypes.string_at", "ctypes.cdata/buffer"}
)
_FRAMES = frozenset({"tb_frame", "gi_frame", "cr_frame", "ag_frame"})
_PACKAGES = ("_pytest", "pluggy", "pytest")


class Functions:
    """Functions of pytest as they are when this is made: where they are, their name there, they themselves, and what they run."""

    def __init__(self) -> None:
        self._known = list(_functions())
        self._spaces = [members for members, *_ in self._known]
        self._names = [name for _, name, *_ in self._known]
        self._first = self._now = [function for _, _, function, _ in self._known]
        # One plugin of pytest replaces some methods of others when a run begins, and puts them back.
        self._passing = {id(code) for *_, code in self._known if code.co_filename.endswith("legacypath.py")}

    def changed(self, *, code_too: bool) -> str:
        """What is not what it was; empty when nothing is. ``code_too``: look at what each of them runs, not only which it is."""
        # Two thousand of them, for each test: by loops in C while nothing has changed.
        if not code_too and (self._are(self._now) or self._are(self._first)):
            return ""
        now = []
        for members, name, function, code in self._known:
            found = members.get(name)
            differs = found is not function or (code_too and _code(found) is not code)
            if differs and id(_code(found)) not in self._passing:
                return name
            now.append(found)
        self._now = now
        return ""

    def _are(self, functions: list[Any]) -> bool:
        try:
            return all(map(is_, map(getitem, self._spaces, self._names), functions))
        except KeyError:
            return False


class Tripwire:
    """``trip`` is called with what was seen; it does not return."""

    def __init__(self, folders: tuple[str, ...], trip: Callable[[str], None], functions: Functions) -> None:
        self._functions = functions
        self._open = True
        self._code_was_set = [False]
        sys.addaudithook(_hook(folders, trip, lambda: self._open, self._code_was_set))

    def let_tracing_end(self) -> None:
        """The tests are over: measuring lines ends by setting the trace function."""
        self._open = False

    def changed(self) -> str:
        """What of pytest is not what it was; empty when nothing is."""
        # Reading ``__code__`` is an event that hooks are called for, which costs ten times the rest; so is setting it.
        return self._functions.changed(code_too=self._code_was_set[0])


def _code(function: Any) -> Any:
    return getattr(getattr(function, "__func__", function), "__code__", None)


def _hook(
    folders: tuple[str, ...], trip: Callable[[str], None], is_open: Callable[[], bool], code_was_set: list[bool]
) -> Callable[..., None]:
    frame_of = sys._getframe
    busy = [False]

    def theirs() -> bool:
        """Whether the nearest code above is not of Python or of pytest."""
        frame: types.FrameType | None = frame_of(2)
        while frame is not None and frame.f_code.co_filename.startswith("<frozen"):
            frame = frame.f_back
        name = frame.f_code.co_filename if frame is not None else ""
        return name.startswith(folders) or name.startswith("<")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "object.__setattr__" and arguments[1] == "__code__":
            # By whom does not matter: from now on ``changed`` looks at the code of each.
            code_was_set[0] = True
        if busy[0] or not is_open():
            return
        if event in _SEARCHES:
            trip(f"`{event}` was called")
        if event in _TRACING or event in _MEMORY or event == "sys._getframe" or event == "code.__new__":
            busy[0] = True
            try:
                found = theirs()
            finally:
                busy[0] = False
            if found:
                trip(f"`{event}` was called")
        elif event == "object.__getattr__" and arguments[1] in _FRAMES:
            busy[0] = True
            try:
                found = theirs()
            finally:
                busy[0] = False
            if found:
                trip(f"the attribute `{arguments[1]}` was read")

    return hook


def _functions() -> Iterator[tuple[Any, str, Any, Any]]:
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in _PACKAGES or module is None:
            continue
        spaces: list[Any] = [vars(module)]
        spaces += [
            vars(value) for value in vars(module).values() if isinstance(value, type) and value.__module__ == name
        ]
        for members in spaces:
            for member, function in list(members.items()):
                plain = getattr(function, "__func__", function)
                if isinstance(plain, types.FunctionType):
                    yield members, member, function, plain.__code__
