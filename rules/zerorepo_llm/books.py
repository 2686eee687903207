"""The books of one build: its ledger, and how calls are written into it. Knows no provider and no limits."""

from __future__ import annotations

import os
import time

from zerorepo.action import ActionContext, Meters
from zerorepo.digest import Digest
from zerorepo.label import Label
from zerorepo_llm.action import Answer, AskModel
from zerorepo_llm.inquiry import Tally
from zerorepo_llm.journal import Entry
from zerorepo_llm.ledger import Call, Ledger, Reuse, to_nusd
from zerorepo_llm.settings import provider_of


class Books:
    """The build's ledger; a service, closed at the build's end."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.build = f"{time.time_ns():x}-{os.getpid()}"

    @classmethod
    async def open(cls, context: ActionContext) -> Books:
        """Of the workspace."""
        return cls(Ledger(context.state_dir))

    async def close(self) -> None:
        """Close the file."""
        self.ledger.close()

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
    ) -> None:
        """Write down what became of a question to one model; ``asked`` when it was not the question's own."""
        now, taken, asked = time.time(), tally or Tally(), asked or action.model
        self.ledger.record(
            Call(
                at=now,
                day=time.strftime("%Y-%m-%d", time.gmtime(now)),
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

    def reuse(self, action: AskModel, key: Digest, label: Label, meters: Meters) -> None:
        """Write down that an answer which had consumed ``meters`` was there already."""
        self.ledger.reused(
            Reuse(
                key=key.hex,
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
