"""What stores and the output folder tell of during a build, as notes of its event stream. Knows nothing of why."""

from __future__ import annotations

import os

from zerorepo.digest import Digest
from zerorepo.events import EventStream
from zerorepo.workspace import Workspace


class Told:
    """Callbacks for the parts that know no events."""

    def __init__(self, events: EventStream, workspace: Workspace) -> None:
        self._events = events
        self._workspace = workspace

    def reset(self, text: str) -> None:
        """A store began anew."""
        self._events.note("store reset", text=text)

    def row_damaged(self, text: str) -> None:
        """A row of a store was thrown away."""
        self._events.note("damaged entry discarded", text=text)

    def blob_damaged(self, digest: Digest) -> None:
        """Bytes in the CAS were not what their digest says."""
        self._events.note("damaged blob discarded", digest=str(digest))

    def edited(self, label: str, path: str) -> None:
        """A person's edit was left alone."""
        self._events.note("edited output left alone", label, path=self._shown(path))

    def replaced(self, label: str, path: str, kept: str) -> None:
        """A person's edit was replaced on demand; it is now at ``kept``."""
        shown = os.path.relpath(kept, self._workspace.root)
        self._events.note("edited output replaced", label, path=self._shown(path), kept=shown)

    def _shown(self, path: str) -> str:
        return f"{self._workspace.workspace.output}/{path}"
