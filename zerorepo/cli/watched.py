"""The other side of ``watch``: one build in a process of its own, which reports what it looked at and made.

Its orders are in a file that the environment variable ``ZEROREPO_WATCHED`` names. Knows nothing of when a build is started.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zerorepo import tomlfile

if TYPE_CHECKING:
    from zerorepo.engine import BuildResult, Engine

VARIABLE = "ZEROREPO_WATCHED"
ORDERS = "orders.json"


@dataclass(slots=True)
class Orders:
    """What a build that is watched is told."""

    report: str = ""
    """The file to write the report to."""
    kept: dict[str, str | None] = field(default_factory=dict)
    """Texts to use in place of configuration files on disk; None for one to be taken for empty."""


@dataclass(slots=True)
class Report:
    """What a build had to do with files. Paths are relative to the workspace, or absolute outside it."""

    complete: bool = False
    """Whether ``files``, ``absent`` and ``folders`` name everything that the result depends on."""
    output: str = "out"
    ignored: list[str] = field(default_factory=list)
    """Folders of the engine's own."""
    files: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    """Files that were looked for in vain."""
    folders: list[str] = field(default_factory=list)
    """Folders whose names mattered."""
    made: dict[str, str] = field(default_factory=dict)
    """Files that are as this build left them: path to digest."""

    @classmethod
    def read(cls, path: Path) -> Report | None:
        """The report in a file; None when there is none."""
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            return None


_orders = Orders()


def main() -> None:
    """Entry point of the process."""
    from zerorepo.cli.main import run

    orders = Orders(**json.loads(Path(os.environ.pop(VARIABLE)).read_text()))
    _orders.report, _orders.kept = orders.report, orders.kept
    tomlfile.KEPT.update({Path(path): text for path, text in orders.kept.items()})
    sys.exit(run(sys.argv[1:]))


def is_watched() -> bool:
    """Whether this process builds for a watch."""
    return bool(_orders.report)


def uses_kept_configuration() -> bool:
    """Whether this build goes by other configuration files than those on disk."""
    return bool(_orders.kept)


def report(engine: Engine, result: BuildResult) -> None:
    """Write the report that was ordered. One that cannot be written counts as none."""
    from zerorepo.looked_at import files_of

    workspace = engine.workspace
    out = workspace.workspace.output.strip("/")
    said = Report(
        output=out, ignored=[_relative(workspace.root, path) for path in (workspace.cache_dir, workspace.state_dir)]
    )
    for built in result.built.values():
        said.made |= {f"{out}/{path}": str(digest) for path, digest in built.trace.output_digests().items()}
        said.made |= built.trace.updates
    if result.ok and not engine.options.dry_run:
        files, said.absent = files_of(engine, result)
        said.complete = True
        said.files = sorted({_relative(workspace.root, Path(path)) for path in files})
        said.folders = engine.sources.walked()
    try:
        Path(_orders.report).write_text(json.dumps(asdict(said)))
    except OSError:
        return


def _relative(root: Path, path: Path) -> str:
    path = root / path
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
