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
from zerorepo_llm import accounts
from zerorepo_llm.accounts import Accounts, Amount, Answer, Ceiling, Denied, Entry
from zerorepo_llm.ledger import usd
from zerorepo_llm.secrets import resolve
from zerorepo_llm.settings import LLMSettings, QuotaSettings
from zerorepo_llm.together import Together

_POLL_S = 0.25
# Until then more is held than is spent, which is the safe side.
_SETTLES_S = 0.02
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
        self._failure: BaseException | None = None
        self._posts = Together(self._accounts.post, patience_s=_SETTLES_S)
        self._quota_posts = Together(self._quota.post, patience_s=_SETTLES_S) if self._quota else None
        for each in filter(None, (self._accounts if self.limited else None, self._quota)):
            each.sweep()

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
            if self._failure is not None:
                raise self._failure
            found = await self._try(amount)
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

    async def _try(self, amount: Amount) -> Hold | Denied:
        now = time.gmtime(self._clock())
        hold: int | None = None
        if self.limited:
            wanted = accounts.Hold(amount, self._scopes(now), self._ceilings(now))
            found = await self._posts.ask(wanted, undo=lambda held: _take_back(self._accounts, held))
            if not isinstance(found, int):
                assert found is not None
                return found
            hold = found
        if self._quota is None or self._quota_posts is None:
            return Hold(hold, None)
        quota = self._quota
        wanted = accounts.Hold(amount, self._user_scopes(now), self._user_ceilings(now))
        try:
            found = await self._quota_posts.ask(wanted, undo=lambda held: _take_back(quota, held))
        except BaseException:
            _take_back(self._accounts, hold)
            raise
        if not isinstance(found, int):
            assert found is not None
            _take_back(self._accounts, hold)
            return found
        return Hold(hold, found)

    def settle(self, hold: Hold, amount: Amount) -> None:
        """The request has ended and came to ``amount``.

        Counted within moments. When it cannot be, the next request is not sent and ``close`` says why;
        the answer itself is not lost for that.
        """
        entry = self._entry(hold, amount)
        if entry is not None:
            self._posts.post(entry, self._counted)
        if hold.quota is not None and self._quota_posts is not None:
            self._quota_posts.post(accounts.Settle(hold.quota, amount), self._counted)

    def _counted(self, _: int | Denied | None, error: BaseException | None) -> None:
        """Wake whoever waits for others to settle."""
        self._failure = error or self._failure
        self._settled.set()
        self._settled = asyncio.Event()

    def _entry(self, hold: Hold, amount: Amount) -> Entry | None:
        if hold.budget is not None:
            return accounts.Settle(hold.budget, amount)
        if amount == Amount():
            return None
        # Counted without a ceiling as well: one that is set tomorrow knows what was spent before.
        return accounts.Spend(amount, self._scopes(time.gmtime(self._clock())))

    def close(self) -> None:
        """Count what is not counted yet, and close the files. EnvironmentFailure when something could not be counted."""
        try:
            self._posts.flush()
            if self._quota_posts is not None:
                self._quota_posts.flush()
        finally:
            self._accounts.close()
            if self._quota is not None:
                self._quota.close()
        if self._failure is not None:
            raise self._failure

    def _scopes(self, now: time.struct_time) -> tuple[str, ...]:
        return ("workspace", f"day {time.strftime('%Y-%m-%d', now)}", f"build {self._build}")

    def _ceilings(self, now: time.struct_time) -> tuple[Ceiling, ...]:
        given = self._settings.budget
        names = ("workspace", "day", "build")
        return _ceilings(given, "[llm.budget]", zip(self._scopes(now), names, strict=True))

    def _user_scopes(self, now: time.struct_time) -> tuple[str, ...]:
        return (
            f"{self._user} day {time.strftime('%Y-%m-%d', now)}",
            f"{self._user} month {time.strftime('%Y-%m', now)}",
        )

    def _user_ceilings(self, now: time.struct_time) -> tuple[Ceiling, ...]:
        return _ceilings(
            self._settings.quota, "[llm.quota]", zip(self._user_scopes(now), ("day", "month"), strict=True)
        )


def _bounds(settings: object, *units: str) -> bool:
    return any(
        getattr(settings, name) is not None
        for name in type(settings).model_fields  # type: ignore[attr-defined]
        if name.endswith(units or ("_usd", "_tokens"))
    )


def _take_back(of: Accounts, hold: int | Denied | None) -> None:
    if isinstance(hold, int):
        of.settle(hold, Amount())


def _ceilings(settings: object, section: str, scopes: Iterable[tuple[str, str]]) -> tuple[Ceiling, ...]:
    found = []
    for scope, name in scopes:
        dollars, tokens = getattr(settings, f"{name}_usd"), getattr(settings, f"{name}_tokens")
        if dollars is not None or tokens is not None:
            nusd = None if dollars is None else int(dollars * _NUSD + 0.5)
            found.append(Ceiling(scope, nusd, tokens, f"{section} {name}"))
    return tuple(found)


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
