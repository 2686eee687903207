"""From question to kept answer: the journal first, then the question's model, then its fallbacks; redaction and books around
all of them.

Knows no one provider. Limits, budgets, retries and the circuit breaker of one model are in ``inquiry``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from zerorepo.action import ActionContext, Meters
from zerorepo.action_key import key_of
from zerorepo.errors import ActionFailed, BudgetRefused, TransientFailure, UsageError, ZeroRepoError
from zerorepo_llm import faults, testing_hook
from zerorepo_llm.action import Answer, AskByGist, AskModel
from zerorepo_llm.books import Books, meters_of
from zerorepo_llm.budget import Budget
from zerorepo_llm.context_of import ContextOf
from zerorepo_llm.faults import Kind, ModelFault
from zerorepo_llm.inquiry import Deadline, Inquirer, Tally
from zerorepo_llm.inquiry import Question as Inquiry
from zerorepo_llm.journal import Entry, Journal, Question, function_of
from zerorepo_llm.providers import ModelProvider, Request, Setup, open_provider
from zerorepo_llm.retry import GaveUp
from zerorepo_llm.secrets import Redactor, resolved
from zerorepo_llm.settings import LLMSettings, endpoint_of, key_references
from zerorepo_llm.together import Together
from zerorepo_llm.unsynced import Log

# What an answer waits for others that are to be made durable with it: nothing beside what it took to come.
_GATHER_S = 0.01
# Their answers were paid for when they were recorded, not now.
_RECORDED = ("replay", "desk")


async def obtain(action: AskModel, context: ActionContext) -> Answer:
    """The answer to ``action``, durable in the journal before this returns; asked for only when it is not there yet, or when
    it is to be refreshed.
    """
    journal = Journal(context.state_dir)
    key = context.key.hex
    books = await context.service(Books)
    async with journal.holding(key, wait=not context.option("no_wait")):
        journal.restore(key)
        with journal.set_aside(key) if context.refreshing else nullcontext():
            entry = journal.get(key)
            if entry is not None:
                _found(action, context, books, entry, journal)
                return entry.answer()
            service = await context.service(ModelService)
            asked = await service.ask(action, context)
            question = Question.of(action, context.key, context.label)
            entry = Entry.answered(question, asked.answer, service.provider.name)
            kept = await service.keep(entry)
    recorded = service.provider.name in _RECORDED
    books.call(
        "recorded" if recorded else "answered",
        action,
        context,
        provider=service.provider.name,
        tally=asked.tally,
        answer=asked.answer,
        asked=asked.answer.asked,
    )
    context.meter(**meters_of(entry, paid=not recorded))
    return kept.answer()


async def obtain_by_gist(action: AskByGist, context: ActionContext) -> Answer:
    """The answer to the question behind ``action``, under that question's own key."""
    question = action.question()
    key = key_of(question, function_of(context.key.hex))
    Journal(context.state_dir).note_gist(context.key.hex, key.hex)
    return await obtain(question, ContextOf(context, key))


def _found(action: AskModel, context: ActionContext, books: Books, entry: Entry, journal: Journal) -> None:
    """The journal had the answer: a build that died before it could cache it, a lost cache, or a person put it there."""
    if entry.provider == "desk":
        books.call("recorded", action, context, provider="desk", answer=entry.answer())
        context.meter(**meters_of(entry, paid=False))
        return
    if entry.provider not in _RECORDED and not books.knows(context.key.hex):
        # The build that asked died between the journal and its books.
        at = journal.path(entry.key).stat().st_mtime
        tally = Tally(requests=1)
        books.call(
            "answered",
            action,
            context,
            provider=entry.provider,
            tally=tally,
            answer=entry.answer(),
            asked=entry.asked,
            at=at,
        )
    books.reuse(action, context.key.hex, context.label, meters_of(entry, paid=True))


async def note_reuse(action: AskModel, context: ActionContext, meters: Meters) -> None:
    """The cache had the answer: count what that saved, to the question that was asked."""
    key = context.key.hex
    if isinstance(action, AskByGist):
        key = Journal(context.state_dir).behind(key)
    (await context.service(Books)).reuse(action, key, context.label, meters)


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer, and what it took to get it from the model that gave it."""

    answer: Answer
    tally: Tally


@dataclass(frozen=True, slots=True)
class _Tried:
    model: str
    gave_up: GaveUp


class ModelService:
    """The build's one provider, with everything around it."""

    def __init__(
        self, provider: ModelProvider, settings: LLMSettings, books: Books, budget: Budget, journal: Journal
    ) -> None:
        self.provider = provider
        self._journal = journal
        self._log = Log(journal.folder)
        self._settings = settings
        self._books = books
        self._budget = budget
        self._redactor = Redactor.from_environment(*key_references(settings))
        self._inquirer = Inquirer(provider, settings, budget)
        self._until: float | None = None
        self._keeping: Together[Entry, Entry | Exception] = Together(self._put_all, in_thread=True, gather_s=_GATHER_S)

    @classmethod
    async def open(cls, context: ActionContext) -> ModelService:
        """With the provider that the settings name, or that a test put in its place."""
        settings = context.settings("llm", LLMSettings)
        setup = Setup(settings=settings, workspace=context.workspace, state_dir=context.state_dir)
        factory = testing_hook.factory or open_provider
        books = await context.service(Books)
        return cls(
            factory(setup),
            settings,
            books,
            Budget(settings, context.state_dir, books.build),
            Journal(context.state_dir),
        )

    async def close(self) -> None:
        """Close the provider, the accounts and the journal."""
        try:
            self._budget.close()
        finally:
            await self.provider.close()
            await asyncio.to_thread(self._log.close)

    def _put_all(self, entries: Sequence[Entry]) -> list[Entry | Exception]:
        return self._journal.put_all(entries, log=self._log)

    async def keep(self, entry: Entry) -> Entry:
        """Write a new answer into the journal, with whatever else there is to write; the one that is there afterwards."""
        try:
            kept = await self._keeping.ask(entry)
        except asyncio.CancelledError:
            # The answer is paid for: it is kept although the build is being stopped. Writing it twice does no harm.
            self._journal.put(entry)
            raise
        if isinstance(kept, Exception):
            raise kept
        return kept

    async def ask(self, action: AskModel, context: ActionContext) -> Asked:
        """One answer, retried and from a fallback where that helps.

        ActionFailed, TransientFailure or BudgetRefused, redacted, when there is none.
        """
        try:
            return await self._chain(action, context)
        except ZeroRepoError as error:
            self._redact(error)
            raise

    async def _chain(self, action: AskModel, context: ActionContext) -> Asked:
        """The question's model, then its fallbacks, until one answers or the time is over."""
        models = [action.model, *(action.fallbacks if self.provider.limited else ())]
        build_ends_at = await self._build_ends_at(models[0])
        tried: list[_Tried] = []
        tallies: list[Tally] = []
        try:
            async with asyncio.timeout_at(None if build_ends_at == float("inf") else build_ends_at) as scope:
                deadline = Deadline(self._deadline_s(), build_ends_at, scope)
                for number, model in enumerate(models):
                    tallies.append(Tally())
                    is_last = number == len(models) - 1
                    try:
                        return await self._one(action, context, model, deadline, tallies[-1], is_last=is_last)
                    except GaveUp as gave_up:
                        tried.append(_Tried(model, gave_up))
                        fault = gave_up.last.fault
                        if is_last or not fault.falls_back:
                            break
                        context.progress(f"{model}: {fault.name}; asks {models[number + 1]}")
                        context.meter(fallbacks=1)
        except BudgetRefused as refused:
            # Whoever reads that a fallback was too dear must know why it was to be asked.
            refused.message = "\n".join([*self._said(tried), refused.message])
            raise
        except TimeoutError:
            late = ModelFault(faults.DEADLINE, self._bounds())
            tried.append(_Tried(models[len(tallies) - 1], GaveUp(late, tallies[-1].requests)))
        raise self._failure(tried, action, context)

    async def _build_ends_at(self, model: str) -> float:
        """Loop time at which every question of this build must have ended."""
        if not self.provider.limited:
            return float("inf")  # people take their time
        # The provider is loaded first: that takes seconds, and is nobody's fault.
        await self._inquirer.prepare(model)
        if self._until is None:
            self._until = asyncio.get_running_loop().time() + (self._settings.build_deadline_s or float("inf"))
        return self._until

    def _bounds(self) -> str:
        own = f"no answer within {self._deadline_s():g} s"
        build = self._settings.build_deadline_s
        return own if build is None else f"{own}, or within {build:g} s of the build's first question"

    def _deadline_s(self) -> float:
        batch = any(each.batch for each in self._settings.providers.values())
        return self._settings.deadline_s + (self._settings.batch.wait_s if batch else 0.0)

    async def _one(
        self, action: AskModel, context: ActionContext, model: str, deadline: Deadline, tally: Tally, *, is_last: bool
    ) -> Asked:
        """Ask one model of the chain. GaveUp when it cannot be had. Whatever comes of it is in the ledger."""
        if model == action.model:
            return await self._inquire(action, context, action, deadline, tally, is_last)
        # The answer of a fallback is also its own answer to this question, and is kept as such: it is paid for once.
        own = action.model_copy(update={"model": model, "fallbacks": ()})
        key = key_of(own, function_of(context.key.hex))
        journal = Journal(context.state_dir)
        async with journal.holding(key.hex):
            with journal.set_aside(key.hex) if context.refreshing else nullcontext():
                entry = journal.get(key.hex)
                if entry is None:
                    asked = await self._inquire(action, context, own, deadline, tally, is_last)
                    entry = Entry.answered(Question.of(own, key, context.label), asked.answer, self.provider.name)
                    await self.keep(entry)
                else:
                    asked = Asked(entry.answer().model_copy(update={"cost_usd": 0.0}), tally)
        return Asked(asked.answer.model_copy(update={"asked": model}), asked.tally)

    async def _inquire(
        self, action: AskModel, context: ActionContext, own: AskModel, deadline: Deadline, tally: Tally, is_last: bool
    ) -> Asked:
        await self._refuse_secrets(own, context)
        request = Request(
            key=context.key,
            label=context.label,
            action=own,
            no_wait=bool(context.option("no_wait")),
            progress=context.progress,
            refresh=context.refreshing,
        )
        inquiry = Inquiry(request, context, deadline, may_wait=is_last, tally=tally)
        try:
            return Asked(self._redactor.clean_answer(await self._inquirer.ask(inquiry)), inquiry.tally)
        except (GaveUp, ZeroRepoError, asyncio.CancelledError) as error:
            if inquiry.tally.requests and self.provider.limited:
                stopped = isinstance(error, asyncio.CancelledError) and asyncio.get_running_loop().time() < deadline.at
                outcome = "interrupted" if stopped else "failed"
                name = self.provider.name
                self._books.call(outcome, action, context, provider=name, tally=inquiry.tally, asked=own.model)
            raise

    async def _refuse_secrets(self, action: AskModel, context: ActionContext) -> None:
        """UsageError when the prompt holds a key, the one that it would be sent with among them."""
        reference = endpoint_of(self._settings, action.model).api_key
        if self.provider.limited and reference:
            await resolved(reference, context.workspace)
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

    def _said(self, tried: list[_Tried]) -> list[str]:
        lines = []
        for each in tried:
            made = each.gave_up.requests
            lines += [
                f"  provider {self.provider.name}, model {each.model}, {made} request{'' if made == 1 else 's'}",
                f"  last cause: {self._redactor.clean_message(each.gave_up.last.summary())}",
            ]
        return lines

    def _failure(
        self, tried: list[_Tried], action: AskModel, context: ActionContext
    ) -> ActionFailed | TransientFailure:
        lines = [f"No answer for {context.label}: {action.purpose or 'ask a model'}", *self._said(tried)]
        fault = tried[-1].gave_up.last.fault
        if fault.kind is Kind.RETRYABLE:
            hint = fault.hint or "build again later; what was answered is kept"
            return TransientFailure("\n".join(lines), hint=hint)
        return ActionFailed("\n".join(lines), hint=fault.hint or None)
