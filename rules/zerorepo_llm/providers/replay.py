"""Provider ``replay``: answers recorded before, by action key. Touches no network and knows nothing of how they were
got.
"""

from __future__ import annotations

from zerorepo.errors import ActionFailed
from zerorepo_llm.action import Answer
from zerorepo_llm.journal import function_of
from zerorepo_llm.providers import Request, Setup
from zerorepo_llm.transcripts import Index, files_of

_SHOWN_LINES = 6


class ReplayProvider:
    """Reads the transcripts once, when it is made; UsageError for a bad transcript."""

    name = "replay"
    limited = False

    def __init__(self, setup: Setup) -> None:
        self._paths = setup.settings.transcripts
        self._index = Index(files_of(setup.workspace, self._paths))

    async def ask(self, request: Request) -> Answer:
        """The recorded answer; ActionFailed that names the target and the prompt when there is none."""
        entry = self._index.get(request.key.hex, function_of(request.key.hex))
        if entry is None:
            raise self._miss(request)
        return entry.answer()

    async def close(self) -> None:
        """Nothing to release."""

    def _miss(self, request: Request) -> ActionFailed:
        action = request.action
        last = action.messages[-1].content.strip() if action.messages else ""
        lines = last.splitlines()
        shown = [f"  | {line[:110]}" for line in lines[:_SHOWN_LINES]]
        if len(lines) > _SHOWN_LINES:
            shown.append(f"  | … {len(lines) - _SHOWN_LINES} more lines")
        where = ", ".join(self._paths) or "no transcripts are configured"
        prompt = "\n".join(shown)
        return ActionFailed(
            f"No recorded answer for {request.label}: {action.purpose or 'ask a model'}\n"
            f"  key {request.key.hex} is not among the {len(self._index)} answers in {where}\n"
            f"  model {action.model}; the prompt ends with\n{prompt}",
            hint='record it with provider = "desk", or ask a model with provider = "litellm"; '
            "then: zerorepo transcripts export FILE",
        )
