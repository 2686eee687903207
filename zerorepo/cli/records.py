"""The files that a build writes about itself: ``--events`` and ``--profile``. A file that cannot be written stops no build."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from zerorepo.cli.common import say
from zerorepo.cli.profile import Profile
from zerorepo.context import Built
from zerorepo.errors import UsageError
from zerorepo.events import SCHEMA_VERSION, Event, EventStream
from zerorepo.label import Label


class Records:
    """Opened before the build begins, so that a wrong path is told at once (UsageError); closed whatever its end."""

    def __init__(self, events: EventStream, events_file: Path | None, profile_file: Path | None) -> None:
        self._paths = {"events": events_file, "profile": profile_file}
        self._log = _open(events_file, "events")
        self._profile_out = _open(profile_file, "profile")
        self._profile = Profile(time.time()) if self._profile_out else None
        self.complete = True
        """Whether all of both has reached its file."""
        if self._profile:
            events.subscribe(self._profile)
        if self._log:
            events.subscribe(self._write)
            events.note("log", schema=SCHEMA_VERSION)

    def close(self, built: Mapping[Label, Built] | None) -> None:
        """The end: ``built`` is what the build came to, if it came to that, for the critical path."""
        if self._log:
            try:
                self._log.close()
            except OSError as error:
                self._lost("events", error)
        if (
            self._profile and self._profile_out
        ):  # of a build that failed or was interrupted, too: that is when it is wanted
            try:
                self._profile.write(self._profile_out, built)
            except OSError as error:
                self._lost("profile", error)

    def _write(self, event: Event) -> None:
        if self._log is None:
            return
        try:
            print(event.to_json(), file=self._log)
        except OSError as error:
            self._lost("events", error)
            log, self._log = self._log, None
            with contextlib.suppress(OSError):  # told already
                log.close()

    def _lost(self, what: str, error: OSError) -> None:
        if self.complete:
            say(f"warning: The {what} file is not complete: {error.strerror} ({self._paths[what]}); the build goes on")
        self.complete = False


def _open(path: Path | None, what: str) -> TextIO | None:
    try:
        # Line by line: what a killed build had finished is in the file.
        return path.open("w", encoding="utf-8", buffering=1) if path else None
    except OSError as error:
        raise UsageError(f"Cannot write the {what}: {error.strerror}", where=str(path)) from None
