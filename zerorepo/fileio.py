"""Crash-safe files: temporary file beside the target, fsync where asked, rename. Knows nothing of what it writes."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from zerorepo.errors import EnvironmentFailure


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644, durable: bool = False) -> None:
    """Replace ``path``: at any moment it holds the old bytes or the new ones. ``durable`` also survives a power cut."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".zr-", dir=path.parent)
    except OSError as error:
        raise EnvironmentFailure(f"Cannot write: {error.strerror}", where=str(path)) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(name).replace(path)
        if durable:
            _sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        if isinstance(error, OSError):
            raise EnvironmentFailure(f"Cannot write: {error.strerror}", where=str(path)) from error
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
