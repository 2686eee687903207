"""Budgets and quotas: what the user allows to be spent, checked before each request is sent. Knows prices only as amounts.

A request is refused when it could pass a ceiling by itself; when only what other requests hold stands in its way, it
waits for them, since they will need less than they hold.
"""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from zerorepo.errors import BudgetRefused
from zerorepo_llm.accounts import Accounts, Amount, Answer, Ceiling, Denied
from zerorepo_llm.ledger import usd
from zerorepo_llm.secrets import resolve
from zerorepo_llm.settings import LLMSettings, QuotaSettings

_POLL_S = 0.25
_NUSD = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Hold:
    """What is held for one request."""

    budget: int | None
    quota: int | None


class Budget:
    """The ceilings of one build."""

    def __init__(
        self, settings: LLMSettings, state_dir: Path, build: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._build = build
        self._clock = clock
        self._accounts = Accounts(state_dir / "llm" / "accounts.sqlite")
        quota = settings.quota
        self._quota = Accounts(quota_file(quota)) if _bounds(quota) else None
        self._user = user_of(quota) if self._quota else ""
        self.limited = _bounds(settings.budget)
        self._settled = asyncio.Event()
        for accounts in filter(None, (self._accounts if self.limited else None, self._quota)):
            accounts.sweep()

    @property
    def in_money(self) -> bool:
        """Whether any ceiling is of money: then a request whose price is not known cannot be sent."""
        return _bounds(self._settings.budget, "_usd") or _bounds(self._settings.quota, "_usd")

    async def hold(self, amount: Amount, waiting: Callable[[], None] = lambda: None) -> Hold:
        """Hold the most that a request can come to. BudgetRefused when that could pass a ceiling.

        ``waiting`` is called when it has to wait for other requests to settle.
        """
        told = False
        while True:
            found = self._try(amount)
            if isinstance(found, Hold):
                return found
            if found.answer is Answer.REFUSED:
                raise _refused(amount, found)
            if not told:
                waiting()
                told = True
            # Polled as well, since those who hold may be other processes.
            settled = self._settled
            try:
                async with asyncio.timeout(_POLL_S):
                    await settled.wait()
            except TimeoutError:
                pass

    def _try(self, amount: Amount) -> Hold | Denied:
        now = time.gmtime(self._clock())
        hold: int | None = None
        if self.limited:
            found = self._accounts.hold(amount, self._scopes(now), self._ceilings(now))
            if isinstance(found, Denied):
                return found
            hold = found
        if self._quota is None:
            return Hold(hold, None)
        found = self._quota.hold(amount, self._user_scopes(now), self._user_ceilings(now))
        if isinstance(found, Denied):
            if hold is not None:
                self._accounts.settle(hold, Amount())
            return found
        return Hold(hold, found)

    def settle(self, hold: Hold, amount: Amount) -> None:
        """The request has ended and came to ``amount``."""
        if hold.budget is not None:
            self._accounts.settle(hold.budget, amount)
        elif amount != Amount():
            # Counted without a ceiling as well: one that is set tomorrow knows what was spent before.
            self._accounts.spend(amount, self._scopes(time.gmtime(self._clock())))
        if hold.quota is not None and self._quota is not None:
            self._quota.settle(hold.quota, amount)
        self._settled.set()
        self._settled = asyncio.Event()

    def close(self) -> None:
        """Close the files."""
        self._accounts.close()
        if self._quota is not None:
            self._quota.close()

    def _scopes(self, now: time.struct_time) -> list[str]:
        return ["workspace", f"day {time.strftime('%Y-%m-%d', now)}", f"build {self._build}"]

    def _ceilings(self, now: time.struct_time) -> list[Ceiling]:
        given = self._settings.budget
        names = ("workspace", "day", "build")
        return _ceilings(given, "[llm.budget]", zip(self._scopes(now), names, strict=True))

    def _user_scopes(self, now: time.struct_time) -> list[str]:
        return [
            f"{self._user} day {time.strftime('%Y-%m-%d', now)}",
            f"{self._user} month {time.strftime('%Y-%m', now)}",
        ]

    def _user_ceilings(self, now: time.struct_time) -> list[Ceiling]:
        return _ceilings(
            self._settings.quota, "[llm.quota]", zip(self._user_scopes(now), ("day", "month"), strict=True)
        )


def _bounds(settings: object, *units: str) -> bool:
    return any(
        getattr(settings, name) is not None
        for name in type(settings).model_fields  # type: ignore[attr-defined]
        if name.endswith(units or ("_usd", "_tokens"))
    )


def _ceilings(settings: object, section: str, scopes: Iterable[tuple[str, str]]) -> list[Ceiling]:
    found = []
    for scope, name in scopes:
        dollars, tokens = getattr(settings, f"{name}_usd"), getattr(settings, f"{name}_tokens")
        if dollars is not None or tokens is not None:
            nusd = None if dollars is None else int(dollars * _NUSD + 0.5)
            found.append(Ceiling(scope, nusd, tokens, f"{section} {name}"))
    return found


def quota_file(settings: QuotaSettings) -> Path:
    """Where quotas are counted."""
    if settings.file:
        return Path(os.path.expandvars(settings.file)).expanduser()
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "zerorepo" / "quota.sqlite"


def user_of(settings: QuotaSettings) -> str:
    """Whom a quota counts for: a digest of the token, which is never written, or the user of the operating system."""
    if settings.token is None:
        return f"user {getpass.getuser()}"
    return f"token {hashlib.sha256(resolve(settings.token, where='zerorepo.toml [llm.quota] token').encode()).hexdigest()[:16]}"


def _refused(amount: Amount, denied: Denied) -> BudgetRefused:
    ceiling, spent = denied.ceiling, denied.total.spent
    money = ceiling.nusd is not None and spent.nusd + amount.nusd > ceiling.nusd
    if money:
        assert ceiling.nusd is not None
        could = (
            f"could cost ${usd(amount.nusd):,.4f}, and ${usd(spent.nusd):,.4f} of ${usd(ceiling.nusd):,.4f} are spent"
        )
    else:
        could = f"could take {amount.tokens:,} tokens, and {spent.tokens:,} of {ceiling.tokens:,} are used"
    unit = "usd" if money else "tokens"
    return BudgetRefused(
        f"The request was not sent: it {could}",
        where=f"zerorepo.toml {ceiling.setting}_{unit}",
        hint=f"raise {ceiling.setting}_{unit} and build again: what was answered is kept. "
        "A smaller [llm] max_tokens makes a request cost less at most",
    )
