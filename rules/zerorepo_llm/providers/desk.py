"""Provider ``desk``: parks each prompt and waits for whoever answers it. Knows nothing of how answers are given
(``desk``).

What is in the configured transcripts is not asked again, so that a recording goes on where it stopped.
"""

from __future__ import annotations

import asyncio

from zerorepo.errors import TransientFailure, UsageError
from zerorepo_llm.action import Answer
from zerorepo_llm.desk import Desk
from zerorepo_llm.journal import Question, function_of
from zerorepo_llm.providers import Request, Setup
from zerorepo_llm.transcripts import Index, files_of

POLL_S = 0.3
_SIBLINGS_S = 0.05


class DeskProvider:
    """Waits on files; any number of prompts may be open."""

    name = "desk"
    limited = False

    def __init__(self, setup: Setup) -> None:
        self._desk = Desk(setup.state_dir)
        # Before the first export there is nothing to read yet.
        existing = [path for path in setup.settings.transcripts if (setup.workspace / path).exists()]
        self._recorded = Index(files_of(setup.workspace, existing))
        self._waiting = 0

    async def ask(self, request: Request) -> Answer:
        """The answer given at the desk. With ``no_wait``: TransientFailure, and the prompt stays parked."""
        recorded = self._recorded.get(request.key.hex, function_of(request.key.hex))
        if recorded is not None and not request.refresh:
            return recorded.answer()
        if request.refresh and request.no_wait:
            raise UsageError(
                "An answer of the desk is refreshed while a build waits for it",
                hint="leave out --no-wait, or leave out --refresh for this target",
            )
        question = Question.of(request.action, request.key, request.label)
        parked = self._desk.park(question)
        if request.no_wait:
            await asyncio.sleep(_SIBLINGS_S)  # what is asked together is parked by then, and is listed with it
            listed = "\n".join(
                f"  {each.id}  {each.question.target}  {each.question.purpose}" for each in self._desk.open()
            )
            raise TransientFailure(
                f"The prompt {parked.id} ({question.purpose}) waits for an answer. Open at the desk:\n{listed}",
                hint="see: zerorepo desk list; answer with: zerorepo desk answer ID FILE; then build again",
            )
        self._waiting += 1
        try:
            return await self._wait(request, question)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Nothing to release: what is parked stays parked."""

    async def _wait(self, request: Request, question: Question) -> Answer:
        shown = ""
        while True:
            entry = self._desk.journal.get(question.key)
            parked = self._desk.park(question)
            if entry is not None:
                # The answer may have come between our last look at the journal and our parking it again.
                self._desk.remove(parked)
                return entry.answer()
            problem = self._desk.take_dropped(parked)
            text = problem or f"waits at the desk: zerorepo desk answer {parked.id} FILE ({self._waiting} open)"
            if text != shown:
                request.progress(text)
                shown = text
            await asyncio.sleep(POLL_S)
