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
from collections.abc import Iterator, Mapping, Sequence
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

    def __add__(self, other: Total) -> Total:
        return Total(self.spent + other.spent, self.held + other.held)


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


@dataclass(frozen=True, slots=True)
class Hold:
    """See ``Accounts.hold``."""

    amount: Amount
    scopes: tuple[str, ...]
    ceilings: tuple[Ceiling, ...]


@dataclass(frozen=True, slots=True)
class Settle:
    """See ``Accounts.settle``."""

    hold: int
    amount: Amount


@dataclass(frozen=True, slots=True)
class Spend:
    """See ``Accounts.spend``."""

    amount: Amount
    scopes: tuple[str, ...]


Entry = Hold | Settle | Spend


class Accounts:
    """One file of accounts, for the threads of many processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"

    def hold(self, amount: Amount, scopes: Sequence[str], ceilings: Sequence[Ceiling]) -> int | Denied:
        """Hold ``amount`` in every scope; the number to settle it by. When a ceiling could be passed: nothing, and which."""
        (found,) = self.post([Hold(amount, tuple(scopes), tuple(ceilings))])
        assert found is not None
        return found

    def settle(self, hold: int, amount: Amount) -> None:
        """The request has ended and came to ``amount``, which may be less or more than was held."""
        self.post([Settle(hold, amount)])

    def spend(self, amount: Amount, scopes: Sequence[str]) -> None:
        """Count ``amount`` that nobody had to hold."""
        self.post([Spend(amount, tuple(scopes))])

    def post(self, entries: Sequence[Entry]) -> list[int | Denied | None]:
        """Do ``entries`` in their order, all in one transaction: what each would have returned by itself.

        A transaction costs ten times what an entry in it does, so that who has several posts them together.
        """
        with self._transaction() as connection:
            return _Page(connection, self._owner, entries).post()

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
                moved = Total(Amount(nusd, tokens), Amount(-nusd, -tokens))
                _add(connection, dict.fromkeys(json.loads(scopes), moved))
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


def _add(connection: sqlite3.Connection, changes: Mapping[str, Total]) -> None:
    connection.executemany(
        "INSERT INTO totals VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (scope) DO UPDATE SET nusd = nusd + excluded.nusd, "
        "tokens = tokens + excluded.tokens, held_nusd = held_nusd + excluded.held_nusd, "
        "held_tokens = held_tokens + excluded.held_tokens",
        [
            (scope, each.spent.nusd, each.spent.tokens, each.held.nusd, each.held.tokens)
            for scope, each in changes.items()
        ],
    )


class _Page:
    """Entries inside one transaction: read what they need at once, do them in memory, and write what came of it at once."""

    def __init__(self, connection: sqlite3.Connection, owner: str, entries: Sequence[Entry]) -> None:
        self._connection = connection
        self._owner = owner
        self._entries = entries
        holds = [entry for entry in entries if isinstance(entry, Hold)]
        bounded = {ceiling.scope for hold in holds for ceiling in hold.ceilings}
        self._before = _totals(connection, sorted(bounded))
        self._changes: dict[str, Total] = {}
        self._open = self._held([entry.hold for entry in entries if isinstance(entry, Settle)])
        self._settled: list[int] = []
        self._new: list[tuple[int, str, float, str, int, int]] = []
        self._next = self._last_number() + 1 if holds else 0

    def post(self) -> list[int | Denied | None]:
        found = [self._one(entry) for entry in self._entries]
        _add(self._connection, self._changes)
        if self._settled:
            marks = ", ".join("?" * len(self._settled))
            self._connection.execute(f"DELETE FROM holds WHERE id IN ({marks})", self._settled)
        if self._new:
            self._connection.executemany(
                "INSERT INTO holds (id, owner, at, scopes, nusd, tokens, counted) VALUES (?, ?, ?, ?, ?, ?, 0)",
                self._new,
            )
        return found

    def _one(self, entry: Entry) -> int | Denied | None:
        if isinstance(entry, Hold):
            return self._hold(entry)
        if isinstance(entry, Settle):
            self._settle(entry)
        else:
            self._change(entry.scopes, entry.amount, Amount())
        return None

    def _hold(self, entry: Hold) -> int | Denied:
        for answer in (Answer.REFUSED, Answer.BUSY):  # one that cannot fit is not to wait
            for ceiling in entry.ceilings:
                total = self._before.get(ceiling.scope, Total()) + self._changes.get(ceiling.scope, Total())
                others = total.held if answer is Answer.BUSY else Amount()
                if _passes(ceiling, total.spent + others + entry.amount):
                    return Denied(answer, ceiling, total)
        self._change(entry.scopes, Amount(), entry.amount)
        number, self._next = self._next, self._next + 1
        scopes = json.dumps(list(entry.scopes))
        self._new.append((number, self._owner, time.time(), scopes, entry.amount.nusd, entry.amount.tokens))
        return number

    def _settle(self, entry: Settle) -> None:
        row = self._open.pop(entry.hold, None)
        if row is None:
            return
        scopes, nusd, tokens, counted = row
        before = Amount(-nusd, -tokens)
        if counted:  # another process took us for dead and counted all of it as spent: take that back
            self._change(json.loads(scopes), entry.amount + before, Amount())
        else:
            self._change(json.loads(scopes), entry.amount, before)
        self._settled.append(entry.hold)

    def _change(self, scopes: Sequence[str], spent: Amount, held: Amount) -> None:
        for scope in scopes:
            self._changes[scope] = self._changes.get(scope, Total()) + Total(spent, held)

    def _held(self, numbers: list[int]) -> dict[int, tuple[str, int, int, int]]:
        if not numbers:
            return {}
        marks = ", ".join("?" * len(numbers))
        rows = self._connection.execute(
            f"SELECT id, scopes, nusd, tokens, counted FROM holds WHERE id IN ({marks})", numbers
        )
        return {row[0]: row[1:] for row in rows}

    def _last_number(self) -> int:
        """The highest that a hold has ever had: one that was settled is not given again."""
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'holds'").fetchone()
        return int(row[0]) if row else 0


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
