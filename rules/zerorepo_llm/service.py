"""From question to kept answer: journal first, then the provider, with retries, redaction and metering. Knows no one
provider.

The seam for what comes later (budgets, rate limits, fallbacks, circuit breaker): all of them go around ``_attempt``.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext

from zerorepo.action import ActionContext
from zerorepo.errors import ActionFailed, TransientFailure, UsageError, ZeroRepoError
from zerorepo_llm import testing_hook
from zerorepo_llm.action import Answer, AskModel
from zerorepo_llm.faults import Kind, ModelFault
from zerorepo_llm.journal import Entry, Journal, Question
from zerorepo_llm.providers import ModelProvider, Request, Setup, open_provider
from zerorepo_llm.retry import Backoff, GaveUp
from zerorepo_llm.secrets import Redactor, resolved
from zerorepo_llm.settings import LLMSettings

ASKED = "ask"


async def obtain(action: AskModel, context: ActionContext) -> Answer:
    """The answer to ``action``, durable in the journal before this returns; asked for only when it is not there yet."""
    journal = Journal(context.state_dir)
    key = context.key.hex
    async with journal.holding(key, wait=not context.option("no_wait")):
        entry = journal.get(key)
        if entry is not None:
            # Obtained by a build that died before it could cache it (metered then), or put here by a person.
            if entry.provider in _NOT_METERED_YET:
                _meter(context, entry, paid=False)
            return entry.answer()
        service = await context.service(ModelService)
        answer = await service.ask(action, context)
        question = Question.of(action, context.key, context.label)
        entry = Entry.answered(question, answer, service.provider.name)
        kept = await _keep(journal, entry)
    _meter(context, entry, paid=service.provider.name not in _RECORDED)
    return kept.answer()


_NOT_METERED_YET = ("desk",)
# What their answers cost was paid when they were recorded, not now.
_RECORDED = ("replay", "desk")


async def _keep(journal: Journal, entry: Entry) -> Entry:
    write = asyncio.ensure_future(asyncio.to_thread(journal.put, entry))
    try:
        return await asyncio.shield(write)
    except asyncio.CancelledError:
        # The answer is paid for: it is kept although the build is being stopped. Writing it twice does no harm.
        journal.put(entry)
        raise


def _meter(context: ActionContext, entry: Entry, *, paid: bool) -> None:
    context.meter(
        model_calls=1,
        cost_usd=(entry.usage.cost_usd or 0.0) if paid else 0.0,
        prompt_tokens=entry.usage.prompt_tokens,
        completion_tokens=entry.usage.completion_tokens,
    )


class ModelService:
    """The build's one provider, with the limits and the redaction around it."""

    def __init__(self, provider: ModelProvider, settings: LLMSettings) -> None:
        self.provider = provider
        self._settings = settings
        self._redactor = Redactor.from_environment(settings.api_key)
        self._in_flight = asyncio.Semaphore(settings.concurrency)
        self._backoff = Backoff(settings.attempts, settings.retry_base_s, settings.retry_cap_s)

    @classmethod
    async def open(cls, context: ActionContext) -> ModelService:
        """With the provider that the settings name, or that a test put in its place."""
        settings = context.settings("llm", LLMSettings)
        setup = Setup(settings=settings, workspace=context.workspace, state_dir=context.state_dir)
        factory = testing_hook.factory or open_provider
        return cls(factory(setup), settings)

    async def close(self) -> None:
        """Close the provider."""
        await self.provider.close()

    async def ask(self, action: AskModel, context: ActionContext) -> Answer:
        """One answer, retried where that helps. ActionFailed or TransientFailure, redacted, when there is none."""
        await self._refuse_secrets(action, context)
        request = Request(
            key=context.key,
            label=context.label,
            action=action,
            no_wait=bool(context.option("no_wait")),
            progress=context.progress,
        )

        def on_retry(made: int, fault: ModelFault, pause_s: float) -> None:
            context.progress(f"{fault.fault.name}; request {made + 1} in {pause_s:.1f} s")

        try:
            answer = await self._backoff.run(lambda: self._attempt(request), on_retry)
        except GaveUp as gave_up:
            raise self._failure(gave_up, request) from None
        except ZeroRepoError as error:
            self._redact(error)
            raise
        return self._redactor.clean_answer(answer)

    async def _attempt(self, request: Request) -> Answer:
        limit: AbstractAsyncContextManager[object] = self._in_flight if self.provider.limited else nullcontext()
        async with limit:
            return await self.provider.ask(request)

    async def _refuse_secrets(self, action: AskModel, context: ActionContext) -> None:
        if self.provider.limited and self._settings.api_key:
            # Now, so that a prompt that holds the key itself is known for one before it is sent.
            await resolved(self._settings.api_key, context.workspace)
        if found := self._redactor.finds_in(action.messages):
            raise UsageError(
                f"A prompt of {context.label} ({action.purpose}) contains {found}; it was not sent",
                hint="remove it from the input that the prompt quotes, and replace the key: it is known to whoever read that",
            )

    def _redact(self, error: ZeroRepoError) -> None:
        error.message = self._redactor.clean_message(error.message)
        error.hint = self._redactor.clean_message(error.hint) if error.hint else None
        error.where = self._redactor.clean(error.where) if error.where else None
        error.args = (error.message,)

    def _failure(self, gave_up: GaveUp, request: Request) -> ActionFailed | TransientFailure:
        fault = gave_up.last.fault
        requests = f"{gave_up.requests} request{'' if gave_up.requests == 1 else 's'}"
        message = (
            f"No answer for {request.label}: {request.action.purpose or 'ask a model'}\n"
            f"  provider {self.provider.name}, model {request.action.model}, {requests}\n"
            f"  last cause: {self._redactor.clean_message(gave_up.last.summary())}"
        )
        if fault.kind is Kind.RETRYABLE:
            return TransientFailure(message, hint=fault.hint or "build again later; what was answered is kept")
        return ActionFailed(message, hint=fault.hint or None)
