"""What a build is asked for and what becomes of it. Knows nothing of building."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zerorepo.context import Built
from zerorepo.label import Label, Pattern


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How to build. ``extra`` are options that rule sets ask for by name (``unsafe``, ``no_wait``)."""

    jobs: int | None = None
    keep_going: bool = False
    dry_run: bool = False
    locked: bool = False
    overwrite: bool = False
    refresh: Sequence[Pattern] = ()
    """Targets that run anew, and whose refreshable actions do, although there are results."""
    settling: bool = False
    """Run rules but no action: take in what the build itself changed."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class BuildResult:
    """What became of the requested targets. ``failed`` holds the errors of targets that failed by themselves."""

    built: dict[Label, Built] = field(default_factory=dict)
    failed: dict[Label, BaseException] = field(default_factory=dict)
    skipped: dict[Label, str] = field(default_factory=dict)
    """Label to why: a dependency failed, or the build stopped."""
    would_run: dict[Label, list[str]] = field(default_factory=dict)
    """Dry run: label to reasons."""
    skipped_by: dict[Label, Label] = field(default_factory=dict)
    """Skipped label to the target whose failure, or run in a dry run, is the cause."""
    unexpanded: dict[Label, list[str]] = field(default_factory=dict)
    """Expansions that did not succeed, with the labels that they declared when they last did."""
    updated: list[str] = field(default_factory=list)
    """Checked-in files that this build changed."""

    @property
    def ok(self) -> bool:
        """Whether everything asked for is there."""
        return not self.failed and not self.skipped
