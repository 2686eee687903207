"""The process of the code under test: imports it, and does to it what the tests, in another process, ask for.

Nothing here is trusted: the code can change all of it. What it can reach of the tests is what they hand over. Knows nothing of
pytest.
"""

from __future__ import annotations

import copy
import importlib
import io
import os
import sys
import warnings
from collections.abc import Mapping
from typing import Any

from .crossing import Policy
from .link import Link


def serve(fd: int, request: Mapping[str, Any]) -> None:
    """Serve the tests until they are over. The current folder is the work folder."""
    work = request["work"]
    sys.path[:0] = [work, f"{work}/src"] if os.path.isdir(f"{work}/src") else [work]  # noqa: PTH112
    link = Link(fd, "s", Policy())
    printed, warned = _Printed(), _Warned()
    measure = None
    if request["coverage"]:
        from .measure import start_coverage

        measure = start_coverage(work, request["coverage"])
    link.operations = {
        "import": lambda name: importlib.import_module(name),
        "is_package": lambda module: hasattr(module, "__path__"),
        "copy": copy.copy,
        "deepcopy": lambda value: copy.deepcopy(value),
        "coverage": lambda _: measure() if measure is not None else None,
    }
    link.extras = lambda: {**printed.taken(), "warned": warned.taken(link)}
    link.take_extras = _take
    link.serve_forever()


class _Printed:
    """What the code prints goes to where the tests' output goes, in order: a test may look at it."""

    def __init__(self) -> None:
        self._streams = {"out": io.StringIO(), "err": io.StringIO()}
        sys.stdout, sys.stderr = self._streams["out"], self._streams["err"]

    def taken(self) -> dict[str, str]:
        """What was printed since it was last taken."""
        texts = {name: stream.getvalue() for name, stream in self._streams.items()}
        for stream in self._streams.values():
            stream.seek(0)
            stream.truncate()
        return texts


class _Warned:
    """Warnings of the code, to be given in the process of the tests, where a test may expect them."""

    def __init__(self) -> None:
        self._list: list[warnings.WarningMessage] = []
        warnings.simplefilter("always")
        warnings.showwarning = self._show

    def _show(
        self, message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        self._list.append(warnings.WarningMessage(message, category, filename, lineno))

    def taken(self, link: Link) -> list[Any]:
        """Class, text and place of each."""
        found = [[link.encode(each.category), str(each.message), each.filename, each.lineno] for each in self._list]
        self._list.clear()
        return found


def _take(extras: Mapping[str, Any]) -> None:
    """A test may change its environment and folder: the code under test sees the same."""
    if (environ := extras.get("environ")) is not None:
        os.environ.clear()
        os.environ.update(environ)
    if (folder := extras.get("folder")) is not None:
        os.chdir(folder)
