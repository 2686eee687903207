"""Small file helpers: atomic durable writes, where state is kept. Knows nothing of answers or prompts."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

WORKSPACE_FILE = "zerorepo.toml"
STATE_FOLDER = ".zerorepo"


def write_durably(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data``; after return it survives a crash of the machine. Readers see all of it or
    nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_all(handle: int, data: bytes) -> None:
    """Write all of ``data``: one system call may write less."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def sync_folder(folder: Path) -> None:
    """Make renames and removals in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def state_dir(workspace: Path) -> Path:
    """Where a workspace keeps its state."""
    return workspace / STATE_FOLDER
