"""The ledger: what every question to a model consumed, one row each, in ``<state>/llm/ledger.sqlite``. Never evicted.

It outlives the cache: what a target has cost over time and what the cache saved are told from here. Knows nothing of
providers, budgets or the cache itself. Schema, version 1 (``PRAGMA user_version``); amounts are integers, so that sums
are exact; 1 USD is 1,000,000,000 nUSD:

    calls    one row for each question put to one model, whatever came of it
      id                 INTEGER, in the order in which they ended
      at, day, build     REAL Unix seconds when it ended; its date in UTC (2026-11-27); the build it belonged to
      outcome            answered     a model was asked and answered; ``cost_nusd`` was spent
                         recorded     taken from a recording or a person; nothing was spent, ``cost_nusd`` is what the
                                      answer had cost when it was made
                         failed       no usable answer after ``requests`` requests
                         interrupted  the build was stopped while it was being asked
      key                the action key of the question
      target, module, stage, purpose, tier
                         //auth:login, auth (its package), implement (its rule), free words, cheap | medium | strong
      model              the litellm model string that the question names (and its key holds)
      asked              the litellm model string that was asked: ``model``, or one of its fallbacks
      answered_by        the model as it calls itself; "" without an answer
      provider           the provider of ``asked`` (openai, anthropic …, replay, desk)
      requests           HTTP requests made, retries included
      prompt_tokens (``cached_tokens`` of them read from the provider's prompt cache),
      completion_tokens (``reasoning_tokens`` of them spent on reasoning)
      cost_nusd          INTEGER, NULL when the price is not known
      wasted_nusd        spent on replies of this question that could not be used
      uncertain_nusd     the most that requests can have cost whose end is not known (timeout, lost connection)

    reuses   answers that the cache or the journal gave instead of a model, one row for each answer and target
      key, target, module, stage, model, times, last_at
      prompt_tokens, completion_tokens, cost_nusd        of that answer when it was made, each time
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any

from zerorepo.errors import EnvironmentFailure, UsageError, did_you_mean

VERSION = 1
NUSD = 1_000_000_000
"""Billionths of a US dollar in one."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, day TEXT NOT NULL, build TEXT NOT NULL, outcome TEXT NOT NULL,
  key TEXT NOT NULL, target TEXT NOT NULL, module TEXT NOT NULL, stage TEXT NOT NULL, purpose TEXT NOT NULL,
  tier TEXT NOT NULL, model TEXT NOT NULL, asked TEXT NOT NULL, answered_by TEXT NOT NULL, provider TEXT NOT NULL,
  requests INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,
  cost_nusd INTEGER, wasted_nusd INTEGER NOT NULL, uncertain_nusd INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS calls_target ON calls (target);
CREATE TABLE IF NOT EXISTS reuses (
  key TEXT NOT NULL, target TEXT NOT NULL, module TEXT NOT NULL, stage TEXT NOT NULL, model TEXT NOT NULL,
  times INTEGER NOT NULL, last_at REAL NOT NULL,
  prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, cost_nusd INTEGER NOT NULL,
  PRIMARY KEY (key, target)
);
"""
_BUSY_S = 30.0
GROUPS = ("key", "target", "module", "stage", "model", "asked", "answered_by", "provider", "tier", "build", "day")
"""What calls can be summed by."""
_OF_REUSES = ("key", "target", "module", "stage", "model")


@dataclass(frozen=True, slots=True)
class Call:
    """A row of ``calls``; see the head of this file for the fields."""

    at: float
    day: str
    build: str
    outcome: str
    key: str
    target: str
    module: str
    stage: str = ""
    purpose: str = ""
    tier: str = ""
    model: str = ""
    asked: str = ""
    answered_by: str = ""
    provider: str = ""
    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nusd: int | None = 0
    wasted_nusd: int = 0
    uncertain_nusd: int = 0


@dataclass(frozen=True, slots=True)
class Reuse:
    """A row of ``reuses``."""

    key: str
    target: str
    module: str
    stage: str
    model: str
    times: int
    last_at: float
    prompt_tokens: int
    completion_tokens: int
    cost_nusd: int


@dataclass(frozen=True, slots=True)
class Sum:
    """Calls and reuses with the same values of what they were grouped by."""

    group: tuple[str, ...]
    calls: int = 0
    answered: int = 0
    recorded: int = 0
    failed: int = 0
    """Failed or interrupted."""
    requests: int = 0
    prompt_tokens: int = 0
    """Of calls that were answered by a model; so are the other tokens."""
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    spent_nusd: int = 0
    """Answers and unusable replies."""
    unpriced: int = 0
    """Answers of a model whose price is not known: ``spent_nusd`` does not hold them."""
    uncertain_nusd: int = 0
    """The most that may have been spent besides."""
    recorded_nusd: int = 0
    """What recorded answers had cost when they were made."""
    reuses: int = 0
    """How often the cache gave an answer instead; 0 when grouped by what reuses do not have."""
    saved_nusd: int = 0
    """What those answers had cost, each time."""


_CALL_FIELDS = tuple(field.name for field in fields(Call))
_REUSE_FIELDS = tuple(field.name for field in fields(Reuse))
_call_row, _reuse_row = attrgetter(*_CALL_FIELDS), attrgetter(*_REUSE_FIELDS)
_INSERT = f"INSERT INTO calls ({', '.join(_CALL_FIELDS)}) VALUES ({', '.join('?' * len(_CALL_FIELDS))})"
_REUSED = (
    f"INSERT INTO reuses ({', '.join(_REUSE_FIELDS)}) VALUES ({', '.join('?' * len(_REUSE_FIELDS))}) "
    "ON CONFLICT (key, target) DO UPDATE SET times = times + excluded.times, last_at = excluded.last_at, "
    "prompt_tokens = excluded.prompt_tokens, completion_tokens = excluded.completion_tokens, "
    "cost_nusd = excluded.cost_nusd, stage = CASE WHEN excluded.stage = '' THEN stage ELSE excluded.stage END"
)
_SUMS = """
  count(*), sum(outcome = 'answered'), sum(outcome = 'recorded'), sum(outcome IN ('failed', 'interrupted')),
  sum(requests),
  sum(CASE WHEN outcome = 'recorded' THEN 0 ELSE prompt_tokens END),
  sum(CASE WHEN outcome = 'recorded' THEN 0 ELSE cached_tokens END),
  sum(CASE WHEN outcome = 'recorded' THEN 0 ELSE completion_tokens END),
  sum(CASE WHEN outcome = 'recorded' THEN 0 ELSE reasoning_tokens END),
  sum(CASE WHEN outcome = 'recorded' THEN 0 ELSE coalesce(cost_nusd, 0) END + wasted_nusd),
  sum(outcome = 'answered' AND cost_nusd IS NULL), sum(uncertain_nusd),
  sum(CASE WHEN outcome = 'recorded' THEN coalesce(cost_nusd, 0) ELSE 0 END)
"""


class Ledger:
    """The ledger of one workspace. May be used by many threads at once, and by many processes."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "llm" / "ledger.sqlite"
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    # --- writing

    def record(self, call: Call) -> None:
        """Add a call. It is there for other processes, and after a crash of this one, when this returns."""
        self.write([call])

    def reused(self, reuse: Reuse) -> None:
        """Count ``reuse.times`` uses of an answer without a model."""
        self.write([reuse])

    def write(self, rows: Sequence[Call | Reuse]) -> None:
        """Add calls and count reuses, all or none of them."""
        calls = [_call_row(row) for row in rows if isinstance(row, Call)]
        reuses = [_reuse_row(row) for row in rows if isinstance(row, Reuse)]
        with self._use(create=True) as connection:
            assert connection is not None
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(_INSERT, calls)
                connection.executemany(_REUSED, reuses)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    # --- reading

    def calls(self) -> Iterator[Call]:
        """Every call, in the order in which they ended."""
        for row in self._select(f"SELECT {', '.join(_CALL_FIELDS)} FROM calls ORDER BY id"):
            yield Call(*row)

    def has_answer(self, key: str) -> bool:
        """Whether a call with ``key`` ended with an answer."""
        return bool(
            self._select("SELECT 1 FROM calls WHERE key = ? AND outcome IN ('answered', 'recorded') LIMIT 1", key)
        )

    def reuses(self) -> Iterator[Reuse]:
        """Every reuse, by target and key."""
        for row in self._select(f"SELECT {', '.join(_REUSE_FIELDS)} FROM reuses ORDER BY target, key"):
            yield Reuse(*row)

    def sums(self, *by: str) -> list[Sum]:
        """Sums for each combination of the columns ``by`` (of ``GROUPS``), sorted; without any, one sum of everything.

        UsageError for another column.
        """
        for name in by:
            if name not in GROUPS:
                raise UsageError(
                    f"The ledger cannot sum by `{name}`",
                    hint=did_you_mean(name, GROUPS) or f"it can by {', '.join(GROUPS)}",
                )
        columns, group = "".join(f"{name}, " for name in by), f"GROUP BY {', '.join(by)}" if by else ""
        found: dict[tuple[str, ...], list[int]] = {}
        for row in self._select(f"SELECT {columns} {_SUMS} FROM calls {group}"):
            found[row[: len(by)]] = [int(value or 0) for value in row[len(by) :]] + [0, 0]
        if set(by) <= set(_OF_REUSES):
            for row in self._select(f"SELECT {columns} sum(times), sum(times * cost_nusd) FROM reuses {group}"):
                amounts = found.setdefault(row[: len(by)], [0] * (len(fields(Sum)) - 1))
                amounts[-2:] = [int(value or 0) for value in row[len(by) :]]
        return [Sum(key, *amounts) for key, amounts in sorted(found.items())]

    def close(self) -> None:
        """Close the file. It is opened again when needed."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    # --- the file

    def _select(self, sql: str, *given: object) -> list[tuple[Any, ...]]:
        with self._use(create=False) as connection:
            return connection.execute(sql, given).fetchall() if connection is not None else []

    @contextmanager
    def _use(self, *, create: bool) -> Iterator[sqlite3.Connection | None]:
        """The connection, for one thread at a time; None when there is no file and none is to be made."""
        with self._lock:
            try:
                if self._connection is None and (create or self.path.exists()):
                    self._connection = open_database(self.path, _SCHEMA, VERSION)
                yield self._connection
            except sqlite3.Error as error:
                raise EnvironmentFailure(
                    f"The ledger cannot be used: {error}",
                    where=str(self.path),
                    hint="free the disk or mend the file's permissions; a damaged ledger can be moved away: "
                    "answers are kept elsewhere, only what they have cost is forgotten",
                ) from error


def open_database(path: Path, schema: str, version: int) -> sqlite3.Connection:
    """An SQLite file that several threads (one at a time) and processes may use, with ``schema`` in it.

    EnvironmentFailure when a newer zerorepo made it. A commit survives the end of the process at once, and a power cut
    within moments.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found > version:
            raise EnvironmentFailure(
                f"This file has version {found}, this zerorepo knows version {version}",
                where=str(path),
                hint="use the newer zerorepo that made it",
            )
        if found < version:
            connection.executescript(f"BEGIN IMMEDIATE; {schema} PRAGMA user_version = {version}; COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


def usd(nusd: int) -> float:
    """Nano-dollars as dollars."""
    return nusd / NUSD


def to_nusd(dollars: float | None) -> int | None:
    """Dollars as nano-dollars, rounded; None stays None."""
    return None if dollars is None else round(dollars * NUSD)
