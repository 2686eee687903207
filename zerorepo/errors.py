"""Every error a user can see, and how it is rendered: what, where, what to do.

    ZeroRepoError                 origin     exit code
    ├── UsageError                input      2   bad flags, workspace, build files, labels, attributes
    ├── NoTestsFound              input      4
    ├── QueryError                input      7   (2 for a syntax error in the expression)
    ├── BuildError                           1
    │   ├── TargetFailed          input      1   a rule says that its inputs cannot be built
    │   ├── CycleError            input      1   targets that wait for each other
    │   ├── ActionFailed          input      1   an action ran and failed for good
    │   ├── TransientFailure      environment 1  worth trying again; never remembered
    │   └── BudgetRefused         input      5   the call was not made because it could cost too much
    ├── EnvironmentFailure        environment 1  something outside is missing or broken (disk, sandbox, network)
    ├── Interrupted               environment 130
    └── InternalError             bug        1

This file knows nothing of the rest of the engine.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum, StrEnum


class Origin(StrEnum):
    """Who can mend it: whoever wrote the input, whoever runs the machine, or us."""

    INPUT = "input"
    ENVIRONMENT = "environment"
    BUG = "bug"


class ExitCode(IntEnum):
    """The documented exit codes of the command line (docs/user-guide.md)."""

    OK = 0
    BUILD_FAILED = 1
    USAGE = 2
    TESTS_FAILED = 3
    NO_TESTS = 4
    BUDGET = 5
    QUERY_FAILED = 7
    INTERRUPTED = 130


class ZeroRepoError(Exception):
    """Base of all errors shown to a user.

    ``where`` is a place such as ``app/BUILD.toml:14``; ``hint`` says what to do.
    """

    origin = Origin.INPUT
    exit_code = ExitCode.BUILD_FAILED

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def render(self) -> str:
        """The whole error as shown in a terminal, several lines, without a trailing newline."""
        lines = [self.message]
        if self.where:
            lines.append(f"  at {self.where} ({self.origin} error)")
        if self.hint:
            lines.extend(f"  {line}" for line in self.hint.splitlines())
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.render()


class UsageError(ZeroRepoError):
    """The input is wrong: flags, workspace file, build file, label, attribute. Nothing was changed."""

    exit_code = ExitCode.USAGE


class NoTestsFound(ZeroRepoError):
    """``zerorepo test`` matched no test target."""

    exit_code = ExitCode.NO_TESTS


class QueryError(ZeroRepoError):
    """A query could not be evaluated."""

    exit_code = ExitCode.QUERY_FAILED


class BuildError(ZeroRepoError):
    """Something asked for could not be built."""


class TargetFailed(BuildError):
    """Raised by a rule implementation: its inputs cannot be built as they are."""


class CycleError(BuildError):
    """Targets that wait for each other; ``path`` starts and ends with the same label."""

    def __init__(self, path: Iterable[str], *, where: str | None = None) -> None:
        self.path = tuple(path)
        chain = "\n".join(f"{'  ' if i else ''}{'-> ' if i else '   '}{label}" for i, label in enumerate(self.path))
        super().__init__(f"Dependency cycle:\n{chain}", where=where, hint="break the cycle at one of these edges")


class ActionFailed(BuildError):
    """An action ran and failed for a reason that asking again will not change."""


class TransientFailure(BuildError):
    """A failure of the surroundings (network, provider, machine). Never cached: the next build tries again."""

    origin = Origin.ENVIRONMENT


class BudgetRefused(BuildError):
    """The action was not started because it could have cost more than the budget allows."""

    exit_code = ExitCode.BUDGET


class EnvironmentFailure(ZeroRepoError):
    """Something outside is missing, full, or broken; the hint says what to install or free."""

    origin = Origin.ENVIRONMENT


class Interrupted(ZeroRepoError):
    """The user or the system asked the build to stop."""

    origin = Origin.ENVIRONMENT
    exit_code = ExitCode.INTERRUPTED


class InternalError(ZeroRepoError):
    """An engine or rule set bug: the message says which invariant broke."""

    origin = Origin.BUG


def did_you_mean(word: str, candidates: Iterable[str], *, limit: int = 3) -> str | None:
    """A hint with the nearest names, or None when nothing is near."""
    near = difflib.get_close_matches(word, list(candidates), n=limit, cutoff=0.6)
    if not near:
        return None
    return "did you mean " + " or ".join(f"`{name}`" for name in near) + "?"
