"""Notices, in the process of the tests, what a test has no honest use for: a search through memory, a changed test runner.

Audit hooks cannot be removed by Python code, and what they see ends the run. The functions of pytest are compared with what they
were before any code of the other side was loaded. A fence like the static screen, for what the screen did not see: whoever controls
a process can get around whatever is in it. Knows nothing of verdicts.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

_SEARCHES = frozenset({"gc.get_objects", "gc.get_referrers", "gc.get_referents", "sys.addaudithook"})
_TRACING = frozenset({"sys.settrace", "sys.setprofile"})
_MEMORY = frozenset(
    {"ctypes.dlopen", "ctypes.dlsym", "ctypes.call_function", "ctypes.string_at", "ctypes.cdata/buffer"}
)
_FRAMES = frozenset({"tb_frame", "gi_frame", "cr_frame", "ag_frame"})
_PACKAGES = ("_pytest", "pluggy", "pytest")


class Tripwire:
    """``trip`` is called with what was seen; it does not return. ``known`` is what ``functions`` gave beforehand."""

    def __init__(
        self, folders: tuple[str, ...], trip: Callable[[str], None], known: Sequence[tuple[Any, str, Any, Any]]
    ) -> None:
        self._known = known
        self._open = True
        sys.addaudithook(_hook(folders, trip, lambda: self._open))

    def let_tracing_end(self) -> None:
        """The tests are over: measuring lines ends by setting the trace function."""
        self._open = False

    def changed(self) -> str:
        """What of pytest is not what it was; empty when nothing is."""
        for members, name, function, code in self._known:
            now = members.get(name)
            if now is not function or getattr(now, "__func__", now).__code__ is not code:
                found = getattr(getattr(now, "__func__", now), "__code__", None)
                if not self._is_of_legacypath(found):
                    return name
        return ""

    def _is_of_legacypath(self, found: Any) -> bool:
        """One plugin of pytest replaces some methods of others when a run begins."""
        return any(code is found and code.co_filename.endswith("legacypath.py") for _, _, _, code in self._known)


def _hook(folders: tuple[str, ...], trip: Callable[[str], None], is_open: Callable[[], bool]) -> Callable[..., None]:
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


def functions() -> list[tuple[Any, str, Any, Any]]:
    """Functions of pytest: where they are, their name there, they themselves, and what they run."""
    found = []
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
                    found.append((members, member, function, plain.__code__))
    return found
