"""Notices, in the process of the tests, what a test has no honest use for: a search through memory, a changed test runner.

Audit hooks cannot be removed by Python code, and what they see ends the run. The functions of pytest are compared with what they
were before any code of the other side was loaded. A fence like the static screen, for what the screen did not see: whoever controls
a process can get around whatever is in it. Knows nothing of verdicts.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

_SEARCHES = frozenset({"gc.get_objects", "gc.get_referrers", "gc.get_referents", "sys.addaudithook"})
_TRACING = frozenset({"sys.settrace", "sys.setprofile"})
_MEMORY = frozenset(
    {"ctypes.dlopen", "ctypes.dlsym", "ctypes.call_function", "ctypes.string_at", "ctypes.cdata/buffer"}
)
_FRAMES = frozenset({"tb_frame", "gi_frame", "cr_frame", "ag_frame"})
_PACKAGES = ("_pytest", "pluggy", "pytest")


class Tripwire:
    """``trip`` is called with what was seen; it does not return."""

    def __init__(self, folders: tuple[str, ...], trip: Callable[[str], None]) -> None:
        self._before = _fingerprint()
        # One plugin of pytest replaces some methods of others when a run begins.
        self._expected = {id(code) for name, code in self._before.items() if name.startswith("_pytest.legacypath.")}
        self._open = True
        sys.addaudithook(_hook(folders, trip, lambda: self._open))

    def let_tracing_end(self) -> None:
        """The tests are over: measuring lines ends by setting the trace function."""
        self._open = False

    def changed(self) -> str:
        """What of pytest is not what it was; empty when nothing is."""
        now = _fingerprint()
        for name, what in self._before.items():
            found = now.get(name)
            if found is not what and id(found) not in self._expected:
                return name
        return ""


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


def _fingerprint() -> Mapping[str, Any]:
    """Functions of pytest and what they run, by name."""
    found: dict[str, Any] = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in _PACKAGES and module is not None:
            for attribute, value in list(vars(module).items()):
                if isinstance(value, types.FunctionType):
                    found[f"{name}.{attribute}"] = value.__code__
                elif isinstance(value, type) and value.__module__ == name:
                    for member, function in list(vars(value).items()):
                        plain = getattr(function, "__func__", function)
                        code = plain.__code__ if isinstance(plain, types.FunctionType) else None
                        if code is not None:
                            found[f"{name}.{attribute}.{member}"] = code
    return found
