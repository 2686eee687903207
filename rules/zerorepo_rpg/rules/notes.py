"""``PlanNote``: something that planning decided by rule and that a person must hear of, as a line of the build. Changes nothing."""

from __future__ import annotations

from typing import ClassVar

from zerorepo.action import Action, ActionContext, ActionResult


class Said(ActionResult):
    """It was said."""


class PlanNote(Action):
    """Say ``text`` once: an action is shown by what it describes, and its result is remembered with the decision."""

    mnemonic: ClassVar[str] = "PlanNote"
    result: ClassVar[type[ActionResult]] = Said

    text: str

    async def execute(self, context: ActionContext) -> Said:
        """Nothing is left to do: whoever shows actions has said it."""
        return Said()

    def describe(self) -> str:
        return self.text


__all__ = ["PlanNote", "Said"]
