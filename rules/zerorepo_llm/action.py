"""``AskModel``: the action that asks a model one thing. Knows nothing of providers, retries or where answers are kept.

Its identity is what shapes the answer: messages, model, schema, sampling parameters, sample index.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from zerorepo.action import Action, ActionContext, ActionResult
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
    prompt_tokens: Annotated[int, COSMETIC] = 0
    completion_tokens: Annotated[int, COSMETIC] = 0
    cost_usd: Annotated[float | None, COSMETIC] = 0.0
    """None: the price is not known."""


class AskModel(Action):
    """Ask ``model`` the ``messages``. The answer is text; with ``answer_schema`` the provider is told to keep to it.

    Whether it did is for whoever asks to check (``ask_json``). Raises ActionFailed (will not work), TransientFailure
    (may work later), UsageError (nothing is configured).
    """

    mnemonic: ClassVar[str] = "AskModel"
    result: ClassVar[type[ActionResult]] = Answer
    pool: ClassVar[str] = "model"

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
    expects: Annotated[Expects, COSMETIC] = "text"
    """What the text must hold, so that the desk can check it at once."""

    async def execute(self, context: ActionContext) -> Answer:
        from zerorepo_llm.service import obtain

        return await obtain(self, context)

    def describe(self) -> str:
        return self.purpose or f"ask {self.model}"
