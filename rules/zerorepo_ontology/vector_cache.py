"""Vectors that were made before, by embedder and text: a text is embedded once, whatever action it is part of.

A file of SQLite in the workspace's state folder. Vectors in it are made again when it is lost. Knows nothing of how.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zerorepo.action import ActionContext
from zerorepo.errors import EnvironmentFailure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ASKED_AT_ONCE = 500
_WAIT_S = 60.0


class VectorCache:
    """A ``Service``; see the head of this file. Several processes may use one file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        try:
            self._database = sqlite3.connect(path, timeout=_WAIT_S, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID"
            )
        except sqlite3.DatabaseError as error:
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> EnvironmentFailure:
        return EnvironmentFailure(
            f"The vectors that were made before cannot be read: {error}",
            where=str(self._path),
            hint="delete the file; they are made again",
        )

    @classmethod
    async def open(cls, context: ActionContext) -> VectorCache:
        """The workspace's."""
        return cls(context.state_dir / "ontology" / "vectors.sqlite")

    async def close(self) -> None:
        """What was put is on disk already."""
        self._database.close()

    def get(self, identity: str, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Those of ``texts`` that are there."""
        import numpy as np

        keys = {_key(identity, text): text for text in texts}
        found = {}
        asked = list(keys)
        try:
            for start in range(0, len(asked), _ASKED_AT_ONCE):
                part = asked[start : start + _ASKED_AT_ONCE]
                marks = ",".join("?" * len(part))
                for key, vector in self._database.execute(
                    f"SELECT key, vector FROM vectors WHERE key IN ({marks})", part
                ):
                    found[keys[key]] = np.frombuffer(vector, dtype="<f4")
        except sqlite3.DatabaseError as error:
            raise self._broken(error) from None
        return found

    def put(self, identity: str, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Keep vectors, by text."""
        rows = [(_key(identity, text), vector.astype("<f4").tobytes()) for text, vector in vectors.items()]
        try:
            with self._database:
                self._database.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
        except sqlite3.DatabaseError as error:
            raise self._broken(error) from None


def _key(identity: str, text: str) -> bytes:
    return hashlib.blake2b(f"{identity}\0{text}".encode(), digest_size=16).digest()
