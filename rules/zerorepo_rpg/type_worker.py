"""A resident type checker: mypy is loaded once, and each request is answered by a fork of that. Run as a program of its own.

Requests and answers are lines of JSON on standard input and output: ``{"folder": …, "arguments": […]}``, and mypy's exit code
with what it printed. A fork checks in its folder and is gone afterwards, so that no check knows of another. Ends with its input.
Knows nothing of zerorepo.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

_LIMIT_S = 150
_LATER = ("mypy.main", "mypy.nativeparse", "sqlite3", "sysconfig")


def main() -> None:
    """Answer until there are no more requests."""
    api = loaded()
    # Else the first collection of a fork writes to, and so copies, every page of what was loaded.
    gc.freeze()
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    for line in asked:
        request = json.loads(line)
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            # What mypy or one of its imports prints must not be taken for an answer.
            os.dup2(2, 1)
            _check(api, request["folder"], request["arguments"], writer)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        answers.write((answer or b'{"code": -1, "out": "", "err": "the check ended without an answer"}') + b"\n")
        answers.flush()


def loaded() -> Any:
    """``mypy.api`` with what it would import when it is called, which would be in each fork: two thirds of a check's time."""
    import mypy.api

    for name in _LATER:
        with suppress(ImportError):  # of another version of mypy
            import_module(name)
    return mypy.api


def _check(mypy: Any, folder: str, arguments: Sequence[str], writer: int) -> None:
    """In the fork: check, answer, end. Never returns."""
    # Whoever asked has a limit of its own, but may have been killed meanwhile.
    signal.alarm(_LIMIT_S)
    try:
        try:
            os.chdir(folder)
            out, err, code = mypy.run(list(arguments))
        except BaseException:  # noqa: BLE001  (the edge of a forked process: told to whoever asked)
            out, err, code = "", traceback.format_exc(), -1
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(json.dumps({"code": code, "out": out, "err": err}).encode())
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
