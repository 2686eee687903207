"""What a finished build depended on, as files and folders, for ``snapshot``. Knows nothing of comparing them."""

from __future__ import annotations

import importlib.resources
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from zerorepo.adoption import ADOPTED_NAME
from zerorepo.buildfile import BUILD_NAME, package_folders
from zerorepo.engine import BuildResult, Engine
from zerorepo.workspace import CONFIG_NAME


@dataclass(frozen=True, slots=True)
class LookedAt:
    """Paths relative to the workspace, or absolute. ``folders`` are those whose list of names mattered."""

    files: list[str]
    folders: list[str]
    absent: list[str]


def looked_at(engine: Engine, result: BuildResult) -> LookedAt:
    """Everything outside the cache that could have changed the result of this build."""
    workspace = engine.workspace
    seen = engine.sources.seen()
    out = workspace.workspace.output
    files = [path for path, digest in seen.items() if digest is not None]
    files += [f"{out}/{path}" for built in result.built.values() for path in built.trace.outputs]
    files += [CONFIG_NAME, *(f"{package}/{BUILD_NAME}" for package in engine.table.packages if package)]
    files += [
        str(importlib.resources.files(package).joinpath(path)) for package, path in engine.answers.resources_read()
    ]
    files += _code(workspace.root, engine)
    absent = [path for path, digest in seen.items() if digest is None]
    for name in (BUILD_NAME, ADOPTED_NAME):
        (files if (workspace.root / name).exists() else absent).append(name)
    folders = [*package_folders(workspace), *engine.sources.walked(), *_installed()]
    return LookedAt(files, folders, absent)


def _code(root: Path, engine: Engine) -> Iterator[str]:
    """Source files of the engine, the rule sets and the workspace's own modules, as far as they are loaded."""
    packages = {
        "zerorepo",
        *(_package(path) for rule_set in engine.workspace.registry.rule_sets for path in rule_set.rules.values()),
    }
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if path and (name.partition(".")[0] in packages or Path(path).is_relative_to(root)):
            yield path


def _package(import_path: str) -> str:
    return import_path.partition(":")[0].partition(".")[0]


def _installed() -> Iterable[str]:
    """Folders that change when a distribution, and with it perhaps a rule set, is installed or removed."""
    return [path for path in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")} if Path(path).is_dir()]
