"""A resident type checker: mypy is loaded once, and each request is answered by a fork of that. Run as a program of its own.

Arguments: a folder for mypy's cache, a folder for what is checked, and mypy's options. Requests and answers are lines of JSON on
standard input and output: ``{"files": {path: text}, "package": …}``, and mypy's exit code with what it printed. A fork checks in
a folder of its own and is gone afterwards, so that no check knows of another. Ends with its input. Knows nothing of zerorepo.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

_LIMIT_S = 150
_LATER = ("mypy.main", "mypy.nativeparse", "sqlite3", "sysconfig")
_USUAL = """\
from __future__ import annotations
import collections, dataclasses, datetime, enum, functools, itertools, json, math, pathlib, re, typing
"""
"""What most checked code imports."""


def main() -> None:
    """Answer until there are no more requests."""
    cache, work, *options = sys.argv[1:]
    folder = Path(work)
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    api = loaded()
    # Else the first collection of a fork writes to, and so copies, every page of what was loaded.
    gc.freeze()
    try:
        with suppress(OSError, ValueError, shutil.Error):  # then this one finds everything out for itself
            _begin_with_seed(api, Path(cache), folder, options)
        for number, line in enumerate(asked):
            # Never a path again: mypy takes a file of the same path, size and second for the one it knows.
            place = folder / str(number)
            answers.write(_answer(api, place, json.loads(line), [*options, f"--cache-dir={cache}"]))
            answers.flush()
            _remove(place)
    finally:
        _remove(folder)


def loaded() -> Any:
    """``mypy.api`` with what it would import when it is called, which would be in each fork: two thirds of a check's time."""
    import mypy.api

    for name in _LATER:
        with suppress(ImportError):  # of another version of mypy
            import_module(name)
    return mypy.api


def _begin_with_seed(api: Any, cache: Path, work: Path, options: Sequence[str]) -> None:
    """Give a new cache what mypy knows of the standard library: half a second once, for all workers, instead of for each."""
    if cache.exists():
        return
    import mypy.version

    seed = cache.parent / f"seed-{mypy.version.__version__}"
    with (cache.parent / "seed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not seed.exists():
            made = cache.parent / "making-of-seed"
            _remove(made)
            request = {"files": {"seed/__init__.py": _USUAL}, "package": "seed"}
            answer = json.loads(_answer(api, work / "seed", request, [*options, f"--cache-dir={made}"]))
            _remove(work / "seed")
            if answer["code"] != 0:
                return
            for other in cache.parent.glob("seed-*"):
                _remove(other)  # of other versions
            made.rename(seed)
        copy = cache.parent / f"{cache.name}-in-the-making"
        _remove(copy)
        shutil.copytree(seed, copy)
        copy.rename(cache)


def _answer(api: Any, folder: Path, request: Mapping[str, Any], options: Sequence[str]) -> bytes:
    """Mypy's, from a fork, as a line."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        # What mypy or one of its imports prints must not be taken for an answer.
        os.dup2(2, 1)
        _check(api, folder, request, options, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return (answer or b'{"code": -1, "out": "", "err": "the check ended without an answer"}') + b"\n"


def _check(api: Any, folder: Path, request: Mapping[str, Any], options: Sequence[str], writer: int) -> None:
    """In the fork: check, answer, end. Never returns."""
    # Whoever asked has a limit of its own, but may have been killed meanwhile.
    signal.alarm(_LIMIT_S)
    spare = None
    try:
        try:
            try:
                _place(folder, request["files"])
            except OSError:  # memory is full, most likely
                _remove(folder)
                folder = spare = Path(tempfile.mkdtemp(prefix="zerorepo-types-"))
                _place(folder, request["files"])
            os.chdir(folder)
            out, err, code = api.run([*options, "-p", request["package"]])
        except BaseException:  # noqa: BLE001  (the edge of a forked process: told to whoever asked)
            out, err, code = "", traceback.format_exc(), -1
        if spare is not None:
            _remove(spare)
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(json.dumps({"code": code, "out": out, "err": err}).encode())
    finally:
        os._exit(0)


def _place(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise ValueError(f"`{path}` is no path inside a folder")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
