"""``AskModel``: the action that asks a model one thing. Knows nothing of providers, retries or where answers are kept.

Its identity is what shapes the answer: messages, model, schema, sampling parameters, sample index.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from zerorepo.action import Action, ActionContext, ActionResult, Meters
from zerorepo.values import COSMETIC, Value

Role = Literal["system", "user", "assistant"]
Expects = Literal["text", "json", "python"]


class Message(Value):
    """One message of a conversation."""

    role: Role
    content: str


class Answer(ActionResult):
    """What came back. Equal texts are equal answers, whatever they cost and whoever gave them.

    ``finish_reason`` is ``stop``, or ``length`` when the text was cut off at ``max_tokens``: such an answer was paid
    for and is kept, but nobody may use its text as if it were whole (``ask_json`` and ``ask_code`` ask again).
    """

    text: str
    finish_reason: str = "stop"
    model: Annotated[str, COSMETIC] = ""
    """The model that answered, as it calls itself."""
    asked: Annotated[str, COSMETIC] = ""
    """The litellm model string that was asked, when it was a fallback of the question's own model."""
    prompt_tokens: Annotated[int, COSMETIC] = 0
    cached_tokens: Annotated[int, COSMETIC] = 0
    """Of the prompt's, read from the provider's prompt cache."""
    completion_tokens: Annotated[int, COSMETIC] = 0
    reasoning_tokens: Annotated[int, COSMETIC] = 0
    """Of the completion's, spent on reasoning."""
    cost_usd: Annotated[float | None, COSMETIC] = 0.0
    """None: the price is not known."""


class AskModel(Action):
    """Ask ``model`` the ``messages``. The answer is text; with ``answer_schema`` the provider is told to keep to it.

    Whether it did is for whoever asks to check (``ask_json``). Raises ActionFailed (will not work), TransientFailure
    (may work later), BudgetRefused (was not sent), UsageError (nothing is configured).
    """

    mnemonic: ClassVar[str] = "AskModel"
    result: ClassVar[type[ActionResult]] = Answer
    pool: ClassVar[str] = "model"
    refreshable: ClassVar[bool] = True

    model: str
    messages: tuple[Message, ...]
    answer_schema: Mapping[str, Any] | None = None
    """A JSON schema; None: free text."""
    temperature: float | None = None
    max_tokens: int
    sample: int = 0
    """Not sent. Another number is another answer to the same question."""
    purpose: Annotated[str, COSMETIC] = ""
    tier: Annotated[str, COSMETIC] = ""
    stage: Annotated[str, COSMETIC] = ""
    """The rule that asks, for the ledger."""
    fallbacks: Annotated[tuple[str, ...], COSMETIC] = ()
    """Asked in this order when ``model`` cannot be had. The answer is kept as the answer to this question all the same."""
    expects: Annotated[Expects, COSMETIC] = "text"
    """What the text must hold, so that the desk can check it at once."""

    async def execute(self, context: ActionContext) -> Answer:
        from zerorepo_llm.service import obtain

        return await obtain(self, context)

    async def reused(self, context: ActionContext, meters: Meters) -> None:
        from zerorepo_llm.service import note_reuse

        await note_reuse(self, context, meters)

    def describe(self) -> str:
        return self.purpose or f"ask {self.model}"

    def question(self) -> AskModel:
        """What is really asked, and under whose key the answer is journaled, recorded and paid for."""
        return self


class AskByGist(AskModel):
    """The same, asked anew only when its gist is another one: ``messages`` may show more than a change should pay for.

    The answer of the first time stands for all messages of one gist. Outside the action cache, where answers are journaled,
    recorded, replayed and held against a budget, there is only the question itself, with all that it shows.
    """

    messages: Annotated[tuple[Message, ...], COSMETIC]
    gist: tuple[Message, ...]
    """The messages, less what does not count."""

    def question(self) -> AskModel:
        return AskModel(**{name: getattr(self, name) for name in AskModel.model_fields})

    async def execute(self, context: ActionContext) -> Answer:
        from zerorepo_llm.service import obtain_by_gist

        return await obtain_by_gist(self, context)
