"""Accounts: how much was spent and is held in each scope (a build, a day, a user), with ceilings. Knows nothing of models.

Reserve, then settle: the most that a request can cost is held before it is sent, in one transaction with the check, so
that neither concurrent calls nor concurrent processes can pass a ceiling together. What a process that died had held
counts as spent, since it may have been.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from zerorepo.errors import EnvironmentFailure
from zerorepo_llm.ledger import open_database

VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS totals (
  scope TEXT PRIMARY KEY, nusd INTEGER NOT NULL, tokens INTEGER NOT NULL,
  held_nusd INTEGER NOT NULL, held_tokens INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holds (
  id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, at REAL NOT NULL, scopes TEXT NOT NULL,
  nusd INTEGER NOT NULL, tokens INTEGER NOT NULL, counted INTEGER NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Amount:
    """Money in billionths of a US dollar, and tokens."""

    nusd: int = 0
    tokens: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.nusd + other.nusd, self.tokens + other.tokens)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that one scope may come to; ``setting`` is where the user has said so. None: no bound."""

    scope: str
    nusd: int | None
    tokens: int | None
    setting: str


@dataclass(frozen=True, slots=True)
class Total:
    """One scope: spent, and held for requests that have not ended."""

    spent: Amount = Amount()
    held: Amount = Amount()


class Answer(Enum):
    """What ``hold`` says when it holds nothing."""

    BUSY = "busy"
    """It would fit if what others hold came to less: ask again when one of them has settled."""
    REFUSED = "refused"
    """It cannot fit, whatever the others come to."""


@dataclass(frozen=True, slots=True)
class Denied:
    """Which ceiling stands in the way, and how its scope stands."""

    answer: Answer
    ceiling: Ceiling
    total: Total


class Accounts:
    """One file of accounts, for the threads of many processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"

    def hold(self, amount: Amount, scopes: Sequence[str], ceilings: Sequence[Ceiling]) -> int | Denied:
        """Hold ``amount`` in every scope; the number to settle it by. When a ceiling could be passed: nothing, and which."""
        with self._transaction() as connection:
            totals = _totals(connection, [ceiling.scope for ceiling in ceilings])
            for answer in (Answer.REFUSED, Answer.BUSY):  # one that cannot fit is not to wait
                for ceiling in ceilings:
                    total = totals.get(ceiling.scope, Total())
                    others = total.held if answer is Answer.BUSY else Amount()
                    if _passes(ceiling, total.spent + others + amount):
                        return Denied(answer, ceiling, total)
            _add(connection, scopes, Amount(), amount)
            inserted = connection.execute(
                "INSERT INTO holds (owner, at, scopes, nusd, tokens, counted) VALUES (?, ?, ?, ?, ?, 0)",
                (self._owner, time.time(), json.dumps(list(scopes)), amount.nusd, amount.tokens),
            )
            assert inserted.lastrowid is not None
            return inserted.lastrowid

    def settle(self, hold: int, amount: Amount) -> None:
        """The request has ended and came to ``amount``, which may be less or more than was held."""
        with self._transaction() as connection:
            row = connection.execute("SELECT scopes, nusd, tokens, counted FROM holds WHERE id = ?", (hold,)).fetchone()
            if row is None:
                return
            scopes, nusd, tokens, counted = row
            before = Amount(-nusd, -tokens)
            if counted:  # another process took us for dead and counted all of it as spent: take that back
                _add(connection, json.loads(scopes), amount + before, Amount())
            else:
                _add(connection, json.loads(scopes), amount, before)
            connection.execute("DELETE FROM holds WHERE id = ?", (hold,))

    def spend(self, amount: Amount, scopes: Sequence[str]) -> None:
        """Count ``amount`` that nobody had to hold."""
        with self._transaction() as connection:
            _add(connection, scopes, amount, Amount())

    def total(self, scope: str) -> Total:
        """How a scope stands; reading makes no file."""
        if not self.path.exists():
            return Total()
        with self._transaction() as connection:
            return _totals(connection, [scope]).get(scope, Total())

    def sweep(self) -> int:
        """Count as spent what processes of this machine hold that are no more; how many such holds there were."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT id, owner, scopes, nusd, tokens FROM holds WHERE NOT counted").fetchall()
            gone = [row for row in rows if not _lives(row[1])]
            for number, _, scopes, nusd, tokens in gone:
                _add(connection, json.loads(scopes), Amount(nusd, tokens), Amount(-nusd, -tokens))
                connection.execute("UPDATE holds SET counted = 1 WHERE id = ?", (number,))
            return len(gone)

    def close(self) -> None:
        """Close the file. It is opened again when needed."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = open_database(self.path, _SCHEMA, VERSION)
                connection = self._connection
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            except (sqlite3.Error, OSError) as error:
                raise EnvironmentFailure(
                    f"The accounts of budgets and quotas cannot be used: {error}",
                    where=str(self.path),
                    hint="free the disk or mend the file's permissions; nothing is asked while spending cannot be counted",
                ) from error


def _passes(ceiling: Ceiling, amount: Amount) -> bool:
    return (ceiling.nusd is not None and amount.nusd > ceiling.nusd) or (
        ceiling.tokens is not None and amount.tokens > ceiling.tokens
    )


def _totals(connection: sqlite3.Connection, scopes: Sequence[str]) -> dict[str, Total]:
    if not scopes:
        return {}
    rows = connection.execute(
        "SELECT scope, nusd, tokens, held_nusd, held_tokens FROM totals "
        f"WHERE scope IN ({', '.join('?' * len(scopes))})",
        list(scopes),
    )
    return {row[0]: Total(Amount(row[1], row[2]), Amount(row[3], row[4])) for row in rows}


def _add(connection: sqlite3.Connection, scopes: Sequence[str], spent: Amount, held: Amount) -> None:
    added = (spent.nusd, spent.tokens, held.nusd, held.tokens)
    connection.execute(
        f"INSERT INTO totals VALUES {', '.join(['(?, ?, ?, ?, ?)'] * len(scopes))} "
        "ON CONFLICT (scope) DO UPDATE SET nusd = nusd + excluded.nusd, "
        "tokens = tokens + excluded.tokens, held_nusd = held_nusd + excluded.held_nusd, "
        "held_tokens = held_tokens + excluded.held_tokens",
        [value for scope in scopes for value in (scope, *added)],
    )


def _started(pid: int) -> str:
    """When a process started, so that a number that was given again is not taken for it; "" where that cannot be told."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _lives(owner: str) -> bool:
    """Whether the process behind ``owner`` may still be there. True for one of another machine."""
    host, pid, started = owner.rsplit(":", 2)
    if host != socket.gethostname():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return started == _started(int(pid))
