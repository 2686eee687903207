"""What a finished build depended on, as files and folders in a state that can be trusted, for ``snapshot``.

Knows nothing of comparing them.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import os
import re
import secrets
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zerorepo import snapshot
from zerorepo.adoption import ADOPTED_NAME
from zerorepo.buildfile import BUILD_NAME, package_folders
from zerorepo.context import Built
from zerorepo.engine import BuildResult, Engine
from zerorepo.executors.local import WouldRun
from zerorepo.journal import journals
from zerorepo.label import Label
from zerorepo.rows import GENERATION
from zerorepo.scheduler import BuildStopped, DependencyFailed
from zerorepo.settled import States, Unsettled
from zerorepo.workspace import CONFIG_NAME, STATE_NAME, Workspace

_WAITS = (WouldRun, DependencyFailed, BuildStopped)


@dataclass(slots=True)
class LookedAt:
    """All that could change the result of a build, as ``snapshot.write`` wants it."""

    chunks: list[snapshot.Chunk]
    absent: list[bytes]
    kept: list[tuple[bytes, int]]
    environment: list[tuple[bytes, bytes | None]]


class Look:
    """Made before a build looks at anything below ``root``; afterwards ``at`` says what it looked at.

    ``process_ns``: when this process began; its code and ``zerorepo.toml`` were read after that.
    """

    def __init__(self, root: Path, process_ns: int) -> None:
        self._process_ns = process_ns
        self._began_ns = 0
        self._marks: list[tuple[str, snapshot.State]] = []
        self._kept: list[tuple[str, int]] = []
        self._names: frozenset[str] | None = None
        with contextlib.suppress(OSError):  # the build itself will say what it cannot read
            self._names = frozenset(os.listdir(root))

    def begin(self) -> None:
        """The engine looks at sources and build files from now on."""
        self._began_ns = time.time_ns()

    def begun(self, engine: Engine) -> None:
        """Note which cache and which state the build begins with. Without a place to mark them there is nothing to go by."""
        with contextlib.suppress(OSError):
            for store in (engine.shared, engine.local):
                mark = _mark(store.folder)
                self._kept += [(str(path), path.stat().st_ino) for path in store.folder.glob("*.db")]
                self._marks.append((mark, snapshot.state_of(os.lstat(mark))))

    def at(self, engine: Engine, result: BuildResult, matched: Sequence[Label]) -> LookedAt | None:
        """What a build depended on; None when it may find something to do next time, or when that cannot be told from files."""
        if self._names is None or len(self._marks) < 2 or not result.ok or result.updated:
            return None
        if not _stays(engine, result, matched):
            return None
        states = States(str(engine.workspace.root))
        try:
            absent = self._take(states, engine, result.built.values())
            for mark, state in self._marks:
                states.take_same(mark, state)
            if any(os.lstat(path).st_ino != inode for path, inode in self._kept):
                return None
        except (OSError, Unsettled):
            return None
        return LookedAt(
            states.packed(),
            absent,
            [(os.fsencode(path), inode) for path, inode in self._kept],
            _environment(engine.workspace),
        )

    def of_code(self, engine: Engine, known: Iterable[str]) -> tuple[list[str], list[snapshot.Chunk]] | None:
        """What decides the meaning of build files: loaded code, what was ``known`` as such before, and where more may be found.

        None when its state cannot be told.
        """
        states, root = States(str(engine.workspace.root)), engine.workspace.root
        paths = sorted({*known, *_code(root, engine), *_search_path(root)})
        try:
            states.take(paths, self._process_ns)
        except (OSError, Unsettled):
            return None
        return paths, states.packed()

    def of_graph(self, engine: Engine, code: Iterable[str] = ()) -> LookedAt | None:
        """What the target graph was made from: as for a build, ``code`` of earlier processes, and all that builds remember.

        None when that cannot be told.
        """
        jobs = list(engine.scheduler.jobs())
        if self._names is None or any(job.error and not isinstance(job.error, _WAITS) for job in jobs):
            return None
        built = [job.value for job in jobs if job.value is not None]
        if any(request.kind == "volatile" for each in built for group in each.trace.groups for request in group):
            return None
        states = States(str(engine.workspace.root))
        try:
            absent = self._take(states, engine, built)
            states.take(code, self._process_ns)
            for folder in (engine.shared.folder, engine.local.folder):
                if not folder.exists():
                    absent.append(os.fsencode(folder))
                    continue
                names = os.listdir(folder)
                if journals(folder) or any(name.endswith("-wal") for name in names):
                    return None  # a build is at work
                # Its names change when the next build begins, its database when that has something to remember.
                states.take(
                    [str(folder), *(f"{folder}/{name}" for name in names if name.endswith(".db"))], self._began_ns
                )
        except (OSError, Unsettled):
            return None
        return LookedAt(states.packed(), absent, [], _environment(engine.workspace))

    def _take(self, states: States, engine: Engine, built: Iterable[Built]) -> list[bytes]:
        """Take the state of files and folders; answers the paths that must stay absent. Unsettled or OSError."""
        workspace = engine.workspace
        out = workspace.workspace.output.strip("/")
        folders = {*package_folders(workspace), *engine.sources.walked()} - {"."}
        files, absent = _read(engine)
        outputs = {path: made for each in built for path, made in each.trace.outputs.items()}
        states.take({CONFIG_NAME, *_code(workspace.root, engine), *_search_path(workspace.root)}, self._process_ns)
        states.take([*sorted(folders), *files, *_resources(engine)], self._began_ns)
        assert self._names is not None
        states.take_root(self._began_ns, self._names, {STATE_NAME, out, "__pycache__"})
        states.take_outputs(out, outputs, self._began_ns, lambda path: _recorded(engine, path, *outputs[path]))
        return [os.fsencode(workspace.root / path) for path in absent]


def files_of(engine: Engine, result: BuildResult) -> tuple[list[str], list[str]]:
    """Every file that a build depended on or made, relative to the workspace or absolute, and those that it missed."""
    files, absent = _read(engine)
    out = engine.workspace.workspace.output.strip("/")
    files += [f"{out}/{path}" for built in result.built.values() for path in built.trace.outputs]
    return [CONFIG_NAME, *files, *_resources(engine), *_code(engine.workspace.root, engine)], absent


def _read(engine: Engine) -> tuple[list[str], list[str]]:
    """Sources and build files that were there, and those that were not."""
    seen, root = engine.sources.seen(), engine.workspace.root
    files = [path for path, digest in seen.items() if digest is not None]
    files += [f"{package}/{BUILD_NAME}" for package in engine.table.packages if package]
    absent = [path for path, digest in seen.items() if digest is None]
    for name in (BUILD_NAME, ADOPTED_NAME):
        (files if (root / name).exists() else absent).append(name)
    return files, absent


def _stays(engine: Engine, result: BuildResult, matched: Sequence[Label]) -> bool:
    """Whether the next build demands the same targets and has nothing to ask anew."""
    if not any(built.ran for built in result.built.values()):
        return True
    needed = {str(label) for label in matched}
    for label, built in result.built.items():
        for group in built.trace.groups:
            for request in group:
                if request.kind == "volatile":
                    return False
                if request.kind == "provider":
                    needed.add(request.name.rpartition(" ")[0])
        target = engine.table.get(label)
        if target is not None and target.rule.expands:
            needed.add(str(label))  # whoever looks for targets that it may declare builds it
    # A target that ran may have asked for something first that its new trace does not name.
    return needed == {str(label) for label in result.built}


def _recorded(engine: Engine, path: str, digest: str, executable: bool) -> tuple[int, int, int, int, int] | None:
    """The state on record of an output with this content; another build may have put another there meanwhile."""
    stat = engine.outputs.recorded(path, digest)
    return stat if stat is not None and stat[-1] == (0o755 if executable else 0o644) else None


def _mark(folder: Path) -> str:
    """A file that is there, in the very same state, until something is taken from the store; made when there is none."""
    mark = folder / GENERATION
    try:
        with mark.open("xb") as file:
            file.write(secrets.token_bytes(16))
    except FileExistsError:
        pass
    return str(mark)


def _resources(engine: Engine) -> list[str]:
    return [str(importlib.resources.files(package).joinpath(path)) for package, path in engine.answers.resources_read()]


def _code(root: Path, engine: Engine) -> Iterator[str]:
    """Source files of the engine, the rule sets and the workspace's own modules, as far as they are loaded."""
    packages = {
        "zerorepo",
        *(_package(path) for rule_set in engine.workspace.registry.rule_sets for path in rule_set.rules.values()),
    }
    inside = f"{root}/"
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if path and (name.partition(".")[0] in packages or path.startswith(inside)):
            yield os.path.abspath(path)


def _package(import_path: str) -> str:
    return import_path.partition(":")[0].partition(".")[0]


def _search_path(root: Path) -> Iterable[str]:
    """Folders that change when a distribution, and with it perhaps a rule set, is installed or removed."""
    found = {os.path.abspath(path) for path in sys.path}
    return [path for path in found if path != str(root) and os.path.isdir(path)]


def _environment(workspace: Workspace) -> list[tuple[bytes, bytes | None]]:
    """Variables that say where the cache is."""
    names = re.findall(r"\w+", workspace.cache.dir) if set(workspace.cache.dir) & set("$~") else []
    return [(os.fsencode(name), os.environb.get(os.fsencode(name))) for name in ("HOME", *names)] if names else []
