"""A resident worker: reads requests from its standard input, answers each on its standard output, ends when the input does.

It has pytest loaded, so that a request costs a fork and not the start of an interpreter. Knows nothing of what makes a verdict.
"""

from __future__ import annotations

# ruff: noqa: E401, F401, I001, PTH109
# Half of what is loaded here is for the forks: pytest, or most tests, would otherwise load it again for every request.

import ast, asyncio, collections, contextlib, csv, dataclasses, datetime, decimal, difflib, enum, fractions, functools, gc, hashlib
import inspect, itertools, json, logging, math, os, pathlib, pprint, random, re, shutil, signal, statistics, string, subprocess
import sys, tempfile, textwrap, traceback, typing, unittest.mock, uuid
from collections.abc import Iterable
from typing import Any

import coverage, pytest

from . import frames, lockdown, recorder, runner, standby, worlds


def main(isolate: str) -> None:
    """Serve until the input ends. ``isolate`` is one of the ways in ``worlds``."""
    if isolate != worlds.NONE:
        lockdown.set_readable(False)
    if isolate == worlds.USERS:
        worlds.hide_first()
    for number in (signal.SIGTERM, signal.SIGINT):
        # The builder ends us by closing the pipe or by killing us; ^C in a terminal is for it to decide about.
        signal.signal(number, signal.SIG_IGN)
    if isolate != worlds.NONE:
        recorder.warm_up()
    if isolate == worlds.NAMESPACES:
        standby.stand_by(os.getcwd(), tempfile.gettempdir(), lambda kept: _serve(isolate, kept))
    run = _serve(isolate, ())
    runner.end_with(lambda: recorder.run(*run.request()))


def _serve(isolate: str, kept: Iterable[int]) -> runner.Run:
    """Serve until the input ends, and end. Returns only in forks: what such a fork is to run."""
    gc.collect()
    gc.freeze()
    turn = 0
    with contextlib.suppress(frames.Ended, runner.BuilderGone, BrokenPipeError):
        _say({"ready": True, "python": sys.version.split()[0], "pytest": pytest.__version__})
        while True:
            header, files = frames.unpack(frames.read(0))
            if "ping" in header:
                _say({"pong": header["ping"]})
                continue
            turn += 1
            run = runner.Run(header, files, isolate, turn, kept)
            ended = run.to_end()
            if ended is None:
                return run
            answer, empty = ended
            _say(answer)
            if not empty:
                break  # and the kernel ends with us whoever would not go
    os._exit(0)


def _say(value: dict[str, Any]) -> None:
    frames.write(1, json.dumps(value).encode())


if __name__ == "__main__":
    main(sys.argv[1])
