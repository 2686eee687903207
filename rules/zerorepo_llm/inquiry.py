"""One question to one model: its lane, its hold on the budget, its requests until there is an answer. Knows no provider and
no fallbacks.

The order before a request is sent: room in the provider's lane, room among all requests, money and tokens held, and last
the circuit, which may have opened meanwhile.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from zerorepo.action import ActionContext
from zerorepo.errors import BudgetRefused, ZeroRepoError
from zerorepo_llm import faults, window
from zerorepo_llm.accounts import Amount
from zerorepo_llm.action import Answer, AskModel
from zerorepo_llm.budget import Budget
from zerorepo_llm.faults import ModelFault
from zerorepo_llm.lanes import Lane
from zerorepo_llm.ledger import to_nusd, usd
from zerorepo_llm.pace import Pace
from zerorepo_llm.prices import Price, likely_tokens, worst_case
from zerorepo_llm.providers import KnowsModels, ModelFacts, ModelProvider, Request
from zerorepo_llm.retry import Backoff, GaveUp
from zerorepo_llm.settings import LLMSettings, provider_of

T = TypeVar("T")

# A provider's own timeout cancels the request; this is for the case that it does not fire.
_GRACE_S = 5.0
# Who answers faster (a test's server) leaves no time to do anything in between.
_QUICK_S = 0.1


@dataclass(slots=True)
class Tally:
    """What one question to one model took, besides its answer."""

    requests: int = 0
    wasted_nusd: int = 0
    uncertain_nusd: int = 0


class Deadline:
    """When a question must have ended. Its own time runs from its first request: whoever stands in line is not late.

    ``at`` is the loop time; until the question has begun, the build's deadline.
    """

    def __init__(self, seconds: float, build_ends_at: float, scope: asyncio.Timeout) -> None:
        self.at = build_ends_at
        self._seconds = seconds
        self._scope = scope
        self._begun = False

    def begin(self) -> None:
        """The first request is about to be sent."""
        if not self._begun:
            self._begun = True
            self.at = min(self.at, asyncio.get_running_loop().time() + self._seconds)
            self._scope.reschedule(self.at)


@dataclass(slots=True)
class Question:
    """What is asked of one model, for whom, and what it took so far."""

    request: Request
    context: ActionContext
    deadline: Deadline
    may_wait: bool
    """Wait while the circuit is open: there is nobody else to ask."""
    tally: Tally = field(default_factory=Tally)


class Inquirer:
    """All lanes of one build."""

    def __init__(self, provider: ModelProvider, settings: LLMSettings, budget: Budget) -> None:
        self._provider = provider
        self._settings = settings
        self._budget = budget
        self._backoff = Backoff(
            settings.attempts, settings.retry_base_s, settings.retry_cap_s, careful=settings.careful_attempts
        )
        self._in_flight = asyncio.Semaphore(settings.concurrency)
        self._pace = Pace()
        self._fastest_s = math.inf
        self._lanes: dict[str, Lane] = {}
        self._facts: dict[str, ModelFacts] = {}
        self._prefixes: set[tuple[str, str]] = set()

    async def prepare(self, model: str) -> None:
        """Have the provider loaded, and know what it knows of ``model``."""
        await self._facts_of(model)

    async def ask(self, question: Question) -> Answer:
        """The answer, with what it has cost. GaveUp; BudgetRefused; or what the provider raises as a ZeroRepoError."""
        action = question.request.action

        def on_retry(made: int, fault: ModelFault, pause_s: float) -> None:
            question.context.progress(f"{fault.fault.name}; request {made + 1} in {pause_s:.1f} s")
            question.context.meter(retries=1)

        if not self._provider.limited:
            return await self._backoff.run(lambda: self._unlimited(question), on_retry, lambda: question.deadline.at)
        facts = await self._facts_of(action.model)
        try:
            window.check(action, action.model, facts.window, lambda text: self._count(action.model, text))
        except ModelFault as fault:
            raise GaveUp(fault, 0) from fault
        if facts.price is None and self._budget.in_money:
            raise _no_price(action)
        question.request = replace(question.request, shared_prefix=self._is_shared(action))
        try:
            return await self._backoff.run(
                lambda: self._attempt(question, facts), on_retry, lambda: question.deadline.at
            )
        except GaveUp as gave_up:
            self._explain_window(gave_up.last, action)
            raise

    async def _unlimited(self, question: Question) -> Answer:
        question.tally.requests += 1
        return await self._provider.ask(question.request)

    def _lane(self, model: str) -> Lane:
        name = provider_of(model)
        if name not in self._lanes:
            self._lanes[name] = Lane(name, self._settings)
        return self._lanes[name]

    async def _attempt(self, question: Question, facts: ModelFacts) -> Answer:
        """One request, as soon as it may be sent."""
        action = question.request.action
        lane, worst = self._lane(action.model), worst_case(action, facts.price)
        expected = likely_tokens(action) + action.max_tokens
        while True:
            await self._let_through(lane, question)
            async with self._room(lane, expected):
                if self._fastest_s > _QUICK_S:
                    await self._pace.turn()
                question.deadline.begin()
                hold = await self._budget.hold(
                    worst, lambda: question.context.progress("waits until other requests have settled with the budget")
                )
                if not _telling(lane, question, lane.breaker.enter):
                    self._budget.settle(hold, Amount())
                    continue
                came_to, used = worst, 0
                try:
                    answer = await self._request(lane, question, facts.price)
                    came_to = Amount(to_nusd(answer.cost_usd) or 0, answer.prompt_tokens + answer.completion_tokens)
                    used = came_to.tokens
                    return answer
                except ModelFault as fault:
                    came_to = _cost_of_fault(fault, facts.price, worst, question.tally)
                    used = sum(fault.consumed or ())
                    raise
                except ZeroRepoError:
                    came_to = Amount()
                    raise
                except BaseException:
                    question.tally.uncertain_nusd += worst.nusd
                    raise
                finally:
                    self._budget.settle(hold, came_to)
                    lane.used(expected, used)

    async def _let_through(self, lane: Lane, question: Question) -> None:
        """Return when the circuit lets a request try; ModelFault when it is open and someone else can be asked."""
        while (seconds := lane.breaker.blocked_s()) is not None:
            if not question.may_wait:
                raise ModelFault(faults.CIRCUIT_OPEN, f"{lane.name} has failed too often; it is left alone for a while")
            question.context.progress(f"{lane.name}: circuit {lane.breaker.state}, tries again within {seconds:.0f} s")
            await lane.breaker.wait(seconds)

    @asynccontextmanager
    async def _room(self, lane: Lane, tokens: int) -> AsyncIterator[None]:
        if lane.batch:  # what waits for a day must not keep others out
            yield
            return
        async with lane.slot(tokens), self._in_flight:
            yield

    async def _request(self, lane: Lane, question: Question, price: Price | None) -> Answer:
        """Send it, and tell the circuit how it went."""
        question.tally.requests += 1
        limit = self._settings.batch.wait_s if lane.batch else self._settings.timeout_s
        shows: Callable[[], object] = lane.breaker.abandoned
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(limit + _GRACE_S):
                answer = await self._provider.ask(question.request)
            shows = lane.breaker.succeeded
            self._fastest_s = min(self._fastest_s, asyncio.get_running_loop().time() - began)
            return _priced(answer, price, configured=question.request.action.model in self._settings.models)
        except TimeoutError:
            shows = lane.breaker.failed
            raise ModelFault(faults.TIMEOUT, f"no answer within {limit + _GRACE_S:.0f} s") from None
        except ModelFault as fault:
            if fault.fault.down:
                shows = lane.breaker.failed
            elif fault.fault is not faults.RATE_LIMIT:
                shows = lane.breaker.succeeded
            raise
        finally:
            _telling(lane, question, shows)

    def _is_shared(self, action: AskModel) -> bool:
        """Whether a question with the same instructions was asked before in this build."""
        first = action.messages[0] if action.messages else None
        if first is None or first.role != "system":
            return False
        prefix = (action.model, first.content)
        known = prefix in self._prefixes
        self._prefixes.add(prefix)
        return known

    async def _facts_of(self, model: str) -> ModelFacts:
        if model not in self._facts:
            known = await self._provider.facts(model) if isinstance(self._provider, KnowsModels) else ModelFacts()
            own = self._settings.models.get(model)
            price = Price.configured(own) or known.price
            self._facts[model] = ModelFacts(price, own.context_window if own and own.context_window else known.window)
        return self._facts[model]

    def _count(self, model: str, text: str) -> int:
        if isinstance(self._provider, KnowsModels):
            return self._provider.count_tokens(model, text)
        return len(text) // 4

    def _explain_window(self, fault: ModelFault, action: AskModel) -> None:
        """Say by how much, and because of which input, when a provider only said that a prompt is too long."""
        if fault.fault is not faults.CONTEXT_WINDOW or "more than the" in fault.detail:
            return
        numbers = window.said(fault.detail)
        if numbers is not None:
            parts = window.describe(action, action.model, *numbers, lambda text: self._count(action.model, text))
        else:
            parts = ", ".join(window.largest(action, lambda text: self._count(action.model, text)))
        fault.detail = f"{parts}; {fault.detail}" if parts else fault.detail


def _telling(lane: Lane, question: Question, change: Callable[[], T]) -> T:
    """Do ``change`` to the circuit; if it changes state, let that be seen in the progress line, the meters and the events."""
    before = lane.breaker.state
    result = change()
    state = lane.breaker.state
    if state is not before:
        question.context.progress(f"{lane.name}: circuit {state}")
        question.context.meter(**{f"circuit_{state.replace(' ', '_')}": 1})
    return result


def _priced(answer: Answer, price: Price | None, *, configured: bool) -> Answer:
    """With what it cost: by the user's price if there is one, else as the provider says, else by the known price."""
    if price is None or (answer.cost_usd is not None and not configured):
        return answer
    cost = price.cost_nusd(answer.prompt_tokens, answer.cached_tokens, answer.completion_tokens)
    return answer.model_copy(update={"cost_usd": usd(cost)})


def _cost_of_fault(fault: ModelFault, price: Price | None, worst: Amount, tally: Tally) -> Amount:
    """What a request that gave no answer counts as: what it consumed if that is known, else the most if it was perhaps worked
    on.
    """
    if fault.consumed is not None:
        prompt, completion = fault.consumed
        cost = price.cost_nusd(prompt, 0, completion) if price else 0
        tally.wasted_nusd += cost
        return Amount(cost, prompt + completion)
    if fault.fault.uncertain:
        tally.uncertain_nusd += worst.nusd
        return worst
    return Amount()


def _no_price(action: AskModel) -> BudgetRefused:
    return BudgetRefused(
        f"The request was not sent: there is a budget of money, and the price of `{action.model}` is not known",
        where="zerorepo.toml [llm.models]",
        hint=f'give it: [llm.models."{action.model}"] with input_usd and output_usd, US dollars for a million tokens '
        "(0 for a model of your own)",
    )
