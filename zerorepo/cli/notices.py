"""Waiting for something to happen in a set of folders: told by the system (watchfiles), or by looking again and again.

Only says *when* to look; what changed is found by looking. So nothing hangs on a notice: a wait also ends by itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

POLL_S = 0.5
"""How often one looks where the system tells nothing."""
_LOOK_ANYWAY_S = 3.0  # queues of the system overflow, network file systems stay silent
_STEP_MS = 20


class Notices:
    """Notices of changes in ``folders`` (not below them). ``say`` hears, once, why the system cannot be asked."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._folders: list[str] = []
        self._watcher: Any = None
        self._polls = False
        if os.environ.get("WATCHFILES_FORCE_POLLING", "").lower() not in ("", "0", "false", "disable", "disabled"):
            self._poll("WATCHFILES_FORCE_POLLING is set")

    def watch(self, folders: Sequence[str]) -> bool:
        """From now on, notice what happens in these; whether that is new. Then look again: what happened before is not noticed."""
        if self._polls or (self._watcher is not None and self._folders == list(folders)):
            return False
        self.close()
        try:
            from watchfiles._rust_notify import RustNotify

            self._watcher = RustNotify(list(folders), False, False, 0, False, False)
            self._folders = list(folders)
        except FileNotFoundError:
            pass  # a folder went since it was seen: the next look shows it
        except ImportError as error:
            self._poll(str(error))
        except (OSError, RuntimeError) as error:  # RuntimeError is what watchfiles' own errors are
            self._poll(_reason(error))
        return True

    def wait(self, at_most_s: float = _LOOK_ANYWAY_S) -> None:
        """Return when something happened, at the latest after a few seconds. KeyboardInterrupt comes through."""
        if self._watcher is None:
            time.sleep(min(POLL_S, at_most_s))
            return
        try:
            if self._watcher.watch(_STEP_MS, _STEP_MS, int(at_most_s * 1000), None) == "signal":
                raise KeyboardInterrupt
        except RuntimeError as error:
            self._poll(_reason(error))

    def close(self) -> None:
        """Stop noticing."""
        if self._watcher is not None:
            self._watcher.close()
        self._watcher, self._folders = None, []

    def _poll(self, why: str) -> None:
        self.close()
        self._polls = True
        self._say(f"looking for changes every {POLL_S:g} s, because the system does not tell of them: {why}")


def _reason(error: BaseException) -> str:
    text = str(error)
    if "limit" in text or "too many" in text.lower():
        return "its limit of inotify watches is reached (sysctl fs.inotify.max_user_watches, max_user_instances)"
    return text.splitlines()[0] if text else type(error).__name__


__all__ = ["POLL_S", "Notices"]
