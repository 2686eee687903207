"""The first example as a workspace of its own, and the command line as a person runs it. Knows nothing of what is checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipped import NEW_SENTENCE, OLD_SENTENCE, copy_example


@dataclass(frozen=True)
class Ran:
    """One finished command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON value."""
        return json.loads(self.out)


class Example:
    """A copy of the root workspace in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        copy_example(folder)

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> Ran:
        """Run ``zerorepo`` here."""
        command = [sys.executable, "-m", "zerorepo", *arguments]
        done = subprocess.run(
            command,
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, **(env or {})},
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def build(self, *arguments: str, env: dict[str, str] | None = None) -> Ran:
        """``zerorepo build //... --json``."""
        return self.run("build", "//...", "--json", *arguments, env=env)

    def outputs(self) -> dict[str, bytes]:
        """Every file of the output folder."""
        out = self.root / "out"
        return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}

    def edit_one_sentence(self) -> None:
        """The recorded edit of the specification."""
        spec = self.root / "spec.md"
        text = spec.read_text()
        assert text.count(OLD_SENTENCE) == 1
        spec.write_text(text.replace(OLD_SENTENCE, NEW_SENTENCE))
