"""A resident worker: reads requests from its standard input, answers each on its standard output, ends when the input does.

It has pytest loaded, so that a request costs a fork and not the start of an interpreter. Knows nothing of what makes a verdict.
"""

from __future__ import annotations

# ruff: noqa: E401, F401, I001
# Half of what is loaded here is for the forks: pytest, or most tests, would otherwise load it again for every request.

import ast, asyncio, collections, csv, dataclasses, datetime, decimal, difflib, enum, fractions, functools, gc, hashlib
import inspect, itertools, json, logging, math, os, pathlib, pprint, random, re, shutil, signal, statistics, string, subprocess
import sys, tempfile, textwrap, traceback, typing, unittest.mock, uuid
from typing import Any

import coverage, pytest

from . import frames, lockdown, recorder, runner, worlds


def main(isolate: str) -> None:
    """Serve until the input ends. ``isolate`` is one of the ways in ``worlds``."""
    if isolate != "none":
        lockdown.set_readable(False)
    if isolate == worlds.USERS:
        worlds.hide_first()
    for number in (signal.SIGINT, signal.SIGTERM):
        # The builder ends us by closing the pipe or by killing us; ^C in a terminal is for it to decide about.
        signal.signal(number, signal.SIG_IGN)
    if isolate != "none":
        recorder.warm_up()
    gc.collect()
    gc.freeze()
    _say({"ready": True, "python": sys.version.split()[0], "pytest": pytest.__version__})
    turn = 0
    try:
        while True:
            header, files = frames.unpack(frames.read(0))
            if "ping" in header:
                _say({"pong": header["ping"]})
                continue
            turn += 1
            answer, empty = runner.Run(header, files, isolate, turn).to_end()
            _say(answer)
            if not empty:
                return  # and the kernel ends with us whoever would not go
    except (frames.Ended, runner.BuilderGone, BrokenPipeError):
        return


def _say(value: dict[str, Any]) -> None:
    frames.write(1, json.dumps(value).encode())


if __name__ == "__main__":
    main(sys.argv[1])
    os._exit(0)
