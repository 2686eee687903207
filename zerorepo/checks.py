"""Checks of the parts outside: what ``zerorepo doctor`` asks the engine and the rule sets. Part of the plugin API.

A rule set names its checks in ``RuleSet.checks``: async functions of a ``CheckContext`` that answer with findings. They may reach
out (a socket, a container), must not spend anything, and must leave nothing behind. Knows nothing of what is checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

from zerorepo.values import Value

SettingsT = TypeVar("SettingsT", bound=Value)


class Health(StrEnum):
    """How a part is."""

    OK = "ok"
    WARN = "warn"
    """Not there, or not as it should be, but nothing that is configured needs it."""
    FAIL = "fail"
    """Something that is configured does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One row: a part, how it is, what was found, and what to do when it is not well."""

    part: str
    health: Health
    found: str
    fix: str = ""


class CheckContext(Protocol):
    """What a check may use."""

    @property
    def workspace(self) -> Path:
        """The workspace folder."""

    @property
    def state_dir(self) -> Path:
        """``.zerorepo`` of the workspace; it may not exist yet."""

    def settings(self, section: str, model: type[SettingsT]) -> SettingsT:
        """A section of ``zerorepo.toml``; UsageError when it is wrong, which becomes a finding."""


@dataclass(frozen=True, slots=True)
class Check:
    """A check by the import path of its function, with the seconds it may take."""

    path: str
    limit_s: float = 20.0
