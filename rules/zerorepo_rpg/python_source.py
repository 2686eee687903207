"""Python source through ruff: formatted in one way, and checked for undefined names. Bytes depend on the source alone.

Runs the ``ruff`` that comes with this installation, isolated from any configuration around. Knows nothing of plans.
"""

from __future__ import annotations

import ast
import json
import logging
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

from ruff.__main__ import find_ruff_bin  # type: ignore[import-untyped]  # ruff ships no types

from zerorepo.errors import EnvironmentFailure, InternalError
from zerorepo_rpg.ruff_server import Gone, RuffServer

LINE_LENGTH = 100
_TARGET = "py311"
_COMMON = ("--isolated", "--no-cache", "--target-version", _TARGET, "--line-length", str(LINE_LENGTH))
_UNUSED_AND_UNSORTED = ("F401", "I")
_NAMES = ("F402", "F811", "F821", "F822", "F823")
_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_CODE = "code.py"


@cache
def _ruff() -> str:
    try:
        return str(find_ruff_bin())
    except FileNotFoundError as error:
        message = f"ruff is not installed beside zerorepo: {error}"
        raise EnvironmentFailure(message, hint="install zerorepo again: ruff is one of its dependencies") from None


class _Residents:
    """Resident processes of ruff, one for each choice of rules, the last used at the end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started: dict[tuple[tuple[str, ...], tuple[str, ...]], RuffServer] = {}
        self._failures = 0
        self._refused: set[tuple[tuple[str, ...], tuple[str, ...]]] = set()

    def ask(
        self, question: Callable[[RuffServer], _T], select: tuple[str, ...], first_party: tuple[str, ...] = ()
    ) -> _T | None:
        """What the one with these rules answers; None when it cannot, and ruff is to be started for the question."""
        if self._failures >= _MOST_FAILURES or (select, first_party) in self._refused:
            return None
        try:
            return question(self._with(select, first_party))
        except Gone as error:
            self._failures += 1
            _log.debug("a resident ruff did not answer: %s", error)
            return None

    def _with(self, select: tuple[str, ...], first_party: tuple[str, ...]) -> RuffServer:
        with self._lock:
            server = self._started.pop((select, first_party), None)
            if server is None or not server.usable:
                server = self._start(select, first_party)
            self._started[select, first_party] = server
            while len(self._started) > _MOST_RESIDENTS:
                self._started.pop(next(iter(self._started))).close()
            return server

    def _start(self, select: tuple[str, ...], first_party: tuple[str, ...]) -> RuffServer:
        lint = {"select": select, "isort": {"known-first-party": first_party}}
        settings = {"target-version": _TARGET, "line-length": LINE_LENGTH, "src": [], "lint": lint}
        server = RuffServer(_ruff(), settings)
        # Servers pass over settings that they do not understand, as those before ruff 0.9.8 do with these.
        if not _as_set(server, select, first_party):
            server.close()
            self._refused.add((select, first_party))
            raise Gone("it has other settings than it was given")
        return server


def _as_set(server: RuffServer, select: tuple[str, ...], first_party: tuple[str, ...]) -> bool:
    """Whether what the settings are for can be seen in its answers."""
    if select == _NAMES:
        return server.found(_CODE, "import os, re\nx = gone\n") == [(2, "Undefined name `gone`")]
    names = sorted(first_party)
    mine = "".join(f"from {name} import b\n" for name in names)
    last = "print(b, json, elsewhere, ".ljust(LINE_LENGTH - 1, "1") + ")\n"
    text = server.formatted(_CODE, f"{mine}import os, json\nimport elsewhere\n{last.replace(', ', ',')}")
    return text == "import json\n\nimport elsewhere\n\n" + (mine and f"{mine}\n") + last


_MOST_RESIDENTS = 4
_MOST_FAILURES = 5
_residents = _Residents()


def _run(arguments: Sequence[str], *, source: str | None = None, folder: Path | None = None) -> str:
    done = subprocess.run(
        [_ruff(), *arguments],
        input=source,
        cwd=folder,
        # One file gives nothing to do to several threads, whose start is a tenth of ruff's time for it.
        env={**os.environ, "RAYON_NUM_THREADS": "1"} if source is not None else None,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    # 1 means that something was found, which for a check is no failure.
    if done.returncode not in (0, 1):
        raise InternalError(f"ruff {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


class _File(NamedTuple):
    """All that the layout of a file depends on."""

    name: str
    text: str
    first_party: tuple[str, ...]


# What was formatted last. A build formats most of its files many times: a module stands in the world of everything that uses it.
_formatted: dict[_File, str] = {}
_REMEMBERED = 1024
# So many files take a resident one as long as the start of a process for all of them.
_FEW = 16


def format_files(files: Mapping[str, str], first_party: Sequence[str] = ()) -> dict[str, str]:
    """Format all at once: imports sorted in groups, unused imports gone, ruff's layout. Only ``.py`` files are touched.

    ``first_party`` are the top-level packages whose imports come last. ValueError when a file is not Python.
    """
    given = {
        path: _File(Path(path).name, text, tuple(first_party)) for path, text in files.items() if path.endswith(".py")
    }
    done = {file: _formatted[file] for file in given.values() if file in _formatted}
    new = {file: path for path, file in given.items() if file not in done}
    for file, path in new.items():
        _parsed(file.text, path)
    made = dict(zip(new, _format(list(new)), strict=True)) if new else {}
    _formatted.update(made)
    for file in list(_formatted)[: max(0, len(_formatted) - _REMEMBERED)]:
        del _formatted[file]
    done |= made
    return {path: done[given[path]] if path in given else text for path, text in files.items()}


def _format(files: Sequence[_File]) -> list[str]:
    if len(files) <= _FEW:
        texts = [_formatted_by_resident(each) for each in files]
        if None not in texts:
            return [text for text in texts if text is not None]
    known = f"lint.isort.known-first-party = {json.dumps(list(files[0].first_party))}"
    select = ",".join(_UNUSED_AND_UNSORTED)
    check = ("check", "--fix", "--quiet", *_COMMON, "--select", select, "--config", known, "--config", "src = []")
    layout = ("format", "--quiet", *_COMMON)
    with tempfile.TemporaryDirectory(prefix="zerorepo-format-") as temporary:
        # Numbered folders: the paths come from a plan and must not be able to leave the folder.
        paths = [Path(temporary) / str(number) / file.name for number, file in enumerate(files)]
        for path, file in zip(paths, files, strict=True):
            path.parent.mkdir()
            path.write_text(file.text, encoding="utf-8", newline="\n")
        _run([*check, "."], folder=Path(temporary))
        _run([*layout, "."], folder=Path(temporary))
        return [path.read_text(encoding="utf-8") for path in paths]


def _formatted_by_resident(file: _File) -> str | None:
    # Of all names only that of a package's own file means something to ruff.
    name = file.name if file.name == "__init__.py" else _CODE
    text = _residents.ask(lambda server: server.formatted(name, file.text), _UNUSED_AND_UNSORTED, file.first_party)
    # It keeps the ends of lines of elsewhere, which reading a file back does not.
    return text if text is None else text.replace("\r\n", "\n").replace("\r", "\n")


def format_python(source: str, first_party: Sequence[str] = ()) -> str:
    """Format one module; see ``format_files``."""
    return format_files({"module.py": source}, first_party)["module.py"]


def undefined_names(source: str, *, deferred: bool = False) -> list[str]:
    """Uses of names that nothing defines, redefinitions that nothing used, and the like; one sentence each.

    ``deferred``: annotations are not evaluated, as in a merged module, which begins with the ``__future__`` import.

    Ruff's F402 (loop hides import), F811 (defined twice), F821 (undefined), F822 (undefined in ``__all__``) and F823
    (used before assignment).
    """
    return list(_undefined_names(source, deferred))


@lru_cache(_REMEMBERED)
def _undefined_names(source: str, deferred: bool) -> tuple[str, ...]:
    added = "from __future__ import annotations\n" if deferred and "__future__" not in source else ""
    text = added + source
    found = _residents.ask(lambda server: server.found(_CODE, text), _NAMES)
    if found is None:
        select = ("--select", ",".join(_NAMES), "--output-format", "json", "--stdin-filename", _CODE)
        said = json.loads(_run(["check", *_COMMON, *select, "-"], source=text))
        found = sorted((item["location"]["row"], item["message"].partition("\n")[0]) for item in said)
    return tuple(f"line {line - bool(added)}: {message}" for line, message in found)


def parse(source: str) -> ast.Module:
    """The tree of a module; ValueError with line and reason when it is not Python."""
    return _parsed(source, "the code")


def _parsed(source: str, path: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise ValueError(f"{path} is not Python: line {error.lineno}: {error.msg}") from None
    except ValueError as error:  # null bytes
        raise ValueError(f"{path} is not Python: {error}") from None


__all__ = [
    "LINE_LENGTH",
    "format_files",
    "format_python",
    "parse",
    "undefined_names",
]
