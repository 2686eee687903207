"""Which lines of the code under test were run. In the process that is not trusted. Knows nothing of tests."""

# ruff: noqa: PTH113, PTH118
# Os.path alone: what is loaded here is paid for in every run.

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any


def start_coverage(work: str, packages: Sequence[str]) -> Callable[[], dict[str, tuple[list[int], list[int]]]]:
    """Start measuring; the answer stops it and gives executed and missing lines of every Python file measured."""
    import coverage  # 35 ms, only when asked for

    paths = [os.path.join(work, path) for path in packages]
    include = [path if path.endswith(".py") else f"{path}/*" for path in paths]
    tracer = coverage.Coverage(data_file=None, include=include, config_file=False, messages=False)
    tracer.start()
    one_by_one = _OneByOne()
    one_by_one.begin()

    def stop() -> dict[str, tuple[list[int], list[int]]]:
        one_by_one.end()
        tracer.stop()
        lines = {}
        for file in sorted({file for path in paths for file in _python_files(path)}):
            try:
                _, executable, _, missing, _ = tracer.analysis2(file)
            except coverage.CoverageException:  # it does not parse, which the tests have shown already
                continue
            lines[os.path.relpath(file, work)] = (sorted(set(executable) - set(missing)), sorted(missing))
        return lines

    return stop


class _OneByOne:
    """Threads install their trace functions one after the other, from when this begins until it ends.

    CPython 3.11 refuses ``sys.settrace`` while another thread is at it ("Cannot install a trace function while another trace
    function is being installed"), which the audit hook here makes likelier; a new thread ends of that before it has begun,
    without a word to who started it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._module: ModuleType = threading
        self._real = getattr(threading, "_trace_hook", None)

    def begin(self) -> None:
        if self._real is not None and sys.version_info < (3, 12):
            threading.settrace(self._install)
            setattr(self._module, "_sys", self)  # noqa: B010  (through which a new thread calls ``settrace``)

    def end(self) -> None:
        setattr(self._module, "_sys", sys)  # noqa: B010

    def settrace(self, function: Any) -> None:
        with self._lock:
            sys.settrace(function)

    def _install(self, frame: Any, event: str, arg: Any) -> Any:
        # The first event of a new thread: coverage puts its own function in the place of this one.
        with self._lock:
            return self._real(frame, event, arg)  # type: ignore[misc]

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)


def _python_files(path: str) -> list[str]:
    if os.path.isfile(path):
        return [path]
    return [os.path.join(top, name) for top, _, names in os.walk(path) for name in names if name.endswith(".py")]
