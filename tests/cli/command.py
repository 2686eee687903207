"""Runs the real command line in a process of its own, with the toy rules as a plugin of the workspace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
PLUGINS = '[workspace]\nplugins = ["toy_rules"]\n\n'


@dataclass
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Stdout as the one JSON value that it must be."""
        return json.loads(self.out)


class Command:
    """A workspace and a way to run commands in it."""

    def __init__(self, root: Path, targets: str = "", files: dict[str, str] | None = None) -> None:
        self.root = root
        self.at_once = False
        """Whether ``write`` puts a whole file in place at one moment."""
        places = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.env = {**os.environ, "PYTHONPATH": places, "NO_COLOR": "1", "PYTHONWARNINGS": "default"}
        root.mkdir(parents=True, exist_ok=True)
        for path, text in {"zerorepo.toml": PLUGINS + targets, **(files or {})}.items():
            self.write(path, text)

    def write(self, path: str, text: str) -> None:
        """Write a file of the workspace."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not self.at_once:
            target.write_text(text)
            return
        beside = self.root.parent / "being-written"
        beside.write_text(text)
        beside.replace(target)

    def argv(self, *args: str) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", "zerorepo", *args]

    def __call__(self, *args: str, cwd: str = ".", stdin: str | None = None) -> Answer:
        answer = self._run(*args, cwd=cwd, stdin=stdin)
        assert "Traceback" not in answer.err, answer.err
        return answer

    def debug(self, *args: str) -> Answer:
        """Run it with ``--debug``: a traceback is what is asked for."""
        return self._run("--debug", *args)

    def _run(self, *args: str, cwd: str = ".", stdin: str | None = None) -> Answer:
        done = subprocess.run(
            self.argv(*args),
            cwd=self.root / cwd,
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Start it and do not wait."""
        return subprocess.Popen(
            self.argv(*args), cwd=self.root, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )


def events(path: Path) -> list[dict[str, Any]]:
    """An ``--events`` file; a last line that was cut off by a kill is left out."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def actions(path: Path, state: str) -> list[str]:
    """Labels of the actions that came to ``state``."""
    return [event["label"] for event in events(path) if event["kind"] == "action" and event.get("new") == state]
