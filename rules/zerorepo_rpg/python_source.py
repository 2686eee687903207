"""Python source through ruff: formatted in one way, and checked for undefined names. Bytes depend on the source alone.

Runs the ``ruff`` that comes with this installation, isolated from any configuration around. Knows nothing of plans.
"""

from __future__ import annotations

import ast
import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from ruff.__main__ import find_ruff_bin  # type: ignore[import-untyped]  # ruff ships no types

from zerorepo.errors import EnvironmentFailure, InternalError

LINE_LENGTH = 100
_COMMON = ("--isolated", "--no-cache", "--target-version", "py311", "--line-length", str(LINE_LENGTH))


@cache
def _ruff() -> str:
    try:
        return str(find_ruff_bin())
    except FileNotFoundError as error:
        message = f"ruff is not installed beside zerorepo: {error}"
        raise EnvironmentFailure(message, hint="install zerorepo again: ruff is one of its dependencies") from None


def _run(arguments: Sequence[str], *, source: str | None = None, folder: Path | None = None) -> str:
    done = subprocess.run(
        [_ruff(), *arguments], input=source, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False
    )
    # 1 means that something was found, which for a check is no failure.
    if done.returncode not in (0, 1):
        raise InternalError(f"ruff {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def format_files(files: Mapping[str, str], first_party: Sequence[str] = ()) -> dict[str, str]:
    """Format all at once: imports sorted in groups, unused imports gone, ruff's layout. Only ``.py`` files are touched.

    ``first_party`` are the top-level packages whose imports come last. ValueError when a file is not Python.
    """
    python = {path: text for path, text in files.items() if path.endswith(".py")}
    if not python:
        return dict(files)
    known = f"lint.isort.known-first-party = {json.dumps(list(first_party))}"
    with tempfile.TemporaryDirectory(prefix="zerorepo-format-") as name:
        folder = Path(name)
        for number, (path, text) in enumerate(python.items()):
            _parsed(text, path)
            # Numbered folders: the paths come from a plan and must not be able to leave the folder.
            target = folder / str(number) / Path(path).name
            target.parent.mkdir()
            target.write_text(text, encoding="utf-8", newline="\n")
        _run(["check", "--fix", "--quiet", *_COMMON, "--select", "F401,I", "--config", known, "."], folder=folder)
        _run(["format", "--quiet", *_COMMON, "."], folder=folder)
        done = {
            path: (folder / str(number) / Path(path).name).read_text(encoding="utf-8")
            for number, path in enumerate(python)
        }
    return {path: done.get(path, text) for path, text in files.items()}


def format_python(source: str, first_party: Sequence[str] = ()) -> str:
    """Format one module; see ``format_files``."""
    return format_files({"module.py": source}, first_party)["module.py"]


def undefined_names(source: str, *, deferred: bool = False) -> list[str]:
    """Uses of names that nothing defines, redefinitions that nothing used, and the like; one sentence each.

    ``deferred``: annotations are not evaluated, as in a merged module, which begins with the ``__future__`` import.

    Ruff's F402 (loop hides import), F811 (defined twice), F821 (undefined), F822 (undefined in ``__all__``) and F823
    (used before assignment).
    """
    rules = "F402,F811,F821,F822,F823"
    added = "from __future__ import annotations\n" if deferred and "__future__" not in source else ""
    output = _run(
        ["check", *_COMMON, "--select", rules, "--output-format", "json", "--stdin-filename", "code.py", "-"],
        source=added + source,
    )
    found = [(item["location"]["row"] - bool(added), item["message"]) for item in json.loads(output)]
    return [f"line {line}: {message}" for line, message in sorted(found)]


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


__all__ = ["LINE_LENGTH", "format_files", "format_python", "parse", "undefined_names"]
