"""The books of one build: its ledger, and how calls are written into it. Knows no provider and no limits."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence

from zerorepo.action import ActionContext, Meters
from zerorepo.label import Label
from zerorepo_llm.action import Answer, AskModel
from zerorepo_llm.inquiry import Tally
from zerorepo_llm.journal import Entry, Journal
from zerorepo_llm.ledger import Call, Ledger, Reuse, to_nusd
from zerorepo_llm.settings import provider_of
from zerorepo_llm.together import Together
from zerorepo_llm.unsynced import recover

_WRITES_S = 0.05


class Books:
    """The build's ledger; a service, closed at the build's end."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._failure: BaseException | None = None
        self._rows: Together[Call | Reuse, None] = Together(self._write, patience_s=_WRITES_S)
        self.build = f"{time.time_ns():x}-{os.getpid()}"

    @classmethod
    async def open(cls, context: ActionContext) -> Books:
        """Of the workspace. What a crash has left half done in its journal is made good first."""
        await asyncio.to_thread(recover, Journal(context.state_dir).folder)
        return cls(Ledger(context.state_dir))

    async def close(self) -> None:
        """Write what is not written yet, and close the file. EnvironmentFailure when something could not be written."""
        try:
            self._rows.flush()
        finally:
            self.ledger.close()
        if self._failure is not None:
            raise self._failure

    def _write(self, rows: Sequence[Call | Reuse]) -> list[None]:
        self.ledger.write(rows)
        return [None] * len(rows)

    def _noted(self, _: None, error: BaseException | None) -> None:
        self._failure = error or self._failure

    def call(
        self,
        outcome: str,
        action: AskModel,
        context: ActionContext,
        *,
        provider: str,
        tally: Tally | None = None,
        answer: Answer | None = None,
        asked: str = "",
        at: float | None = None,
    ) -> None:
        """Write down what became of a question to one model; ``asked`` when it was not the question's own, ``at``
        when it was not now.

        It is written within moments, with whatever else there is to write.
        """
        at = time.time() if at is None else at
        taken, asked = tally or Tally(), asked or action.model
        self._post(
            Call(
                at=at,
                day=time.strftime("%Y-%m-%d", time.gmtime(at)),
                build=self.build,
                outcome=outcome,
                key=context.key.hex,
                target=str(context.label),
                module=context.label.package,
                stage=action.stage,
                purpose=action.purpose,
                tier=action.tier,
                model=action.model,
                asked=asked,
                answered_by=answer.model if answer else "",
                provider=provider_of(asked) if provider == "litellm" else provider,
                requests=taken.requests,
                prompt_tokens=answer.prompt_tokens if answer else 0,
                cached_tokens=answer.cached_tokens if answer else 0,
                completion_tokens=answer.completion_tokens if answer else 0,
                reasoning_tokens=answer.reasoning_tokens if answer else 0,
                cost_nusd=to_nusd(answer.cost_usd) if answer else 0,
                wasted_nusd=taken.wasted_nusd,
                uncertain_nusd=taken.uncertain_nusd,
            )
        )

    def knows(self, key: str) -> bool:
        """Whether the answer to ``key`` is in the ledger as one that was paid for or recorded."""
        self._rows.flush()
        return self.ledger.has_answer(key)

    def _post(self, row: Call | Reuse) -> None:
        # The build that cannot write its books fails at its end: the answer itself is kept, and paid for.
        self._rows.post(row, self._noted)

    def reuse(self, action: AskModel, key: str, label: Label, meters: Meters) -> None:
        """Write down that an answer which had consumed ``meters`` was there already."""
        self._post(
            Reuse(
                key=key,
                target=str(label),
                module=label.package,
                stage=action.stage,
                model=action.model,
                times=1,
                last_at=time.time(),
                prompt_tokens=int(meters.get("prompt_tokens", 0)),
                completion_tokens=int(meters.get("completion_tokens", 0)),
                cost_nusd=to_nusd(meters.get("cost_usd", 0.0)) or 0,
            )
        )


def meters_of(entry: Entry, *, paid: bool) -> dict[str, float]:
    """What an answer consumed, as meters: money only when it was ``paid`` now."""
    usage = entry.usage
    amounts: dict[str, float] = {
        "model_calls": 1,
        "cost_usd": (usage.cost_usd or 0.0) if paid else 0.0,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
    }
    rare = {"cached_tokens": usage.cached_tokens, "reasoning_tokens": usage.reasoning_tokens}
    return {**amounts, **{name: amount for name, amount in rare.items() if amount}}
