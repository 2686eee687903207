"""Workspaces whose actions say in a file when they run, for tests with several processes. Knows nothing of any one test."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from command import PLUGINS, Command

PATIENCE_S = 60.0


def logged(log: Path, name: str, **attrs: object) -> str:
    """A target of the toy rule ``logged``."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in {"log": str(log), **attrs}.items()]
    return "\n".join([f'[[target]]\nname = "{name}"\nrule = "logged"', *lines, ""])


def workspace(root: Path, targets: str, cache: Path | None = None) -> Command:
    """A workspace, perhaps with its cache elsewhere."""
    made = Command(root)
    made.write("zerorepo.toml", PLUGINS + (f'[cache]\ndir = "{cache}"\n\n' if cache else "") + targets)
    return made


def runs(log: Path, what: str = "begin") -> Counter[str]:
    """How often each action came to its ``begin`` or ``end``, in all processes together."""
    lines = log.read_text().splitlines() if log.exists() else []
    return Counter(line.removeprefix(f"{what} ") for line in lines if line.startswith(f"{what} "))


def until(found: Callable[[], object], what: str) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.02)


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    """Wait for a build; what it said to stderr."""
    _, err = process.communicate(timeout=2 * PATIENCE_S)
    assert process.returncode == code, err
    assert "Traceback" not in err, err
    assert "kept your edit" not in err, err
    return err
