"""The desk: prompts parked as folders for a person or an agent to answer. Knows nothing of builds that wait for them.

``<state>/desk/<id>/`` holds ``prompt.md`` (all that there is to know) and ``request.json`` (the same for programs). An
answer is checked, goes into the journal, and the folder is removed.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from zerorepo.errors import UsageError
from zerorepo_llm.action import Answer
from zerorepo_llm.answers import BadAnswer, check
from zerorepo_llm.files import write_durably
from zerorepo_llm.journal import Entry, Journal, Question, unambiguous

ID_LENGTH = 12
_DROPPED = ("answer.md", "answer.json", "answer.txt")
# A file dropped by hand may still be being written; one that was left alone for this long is taken as finished.
_SETTLED_S = 1.0

_FORMS = {
    "json": "one JSON document that is valid under the JSON schema below (a fenced json block around it is fine)",
    "python": "exactly one fenced ```python block with the complete code; prose around it is fine",
    "text": "free text",
}


@dataclass(frozen=True, slots=True)
class Parked:
    """One open prompt."""

    question: Question
    folder: Path

    @property
    def id(self) -> str:
        """What a person calls it: the first digits of its key."""
        return self.question.key[:ID_LENGTH]

    @property
    def prompt(self) -> Path:
        """The readable file."""
        return self.folder / "prompt.md"

    @property
    def skipped_at(self) -> float:
        """When somebody put it behind the others, in seconds since the Unix epoch; 0: nobody did."""
        try:
            return (self.folder / "skipped").stat().st_mtime
        except FileNotFoundError:
            return 0.0

    @property
    def age_s(self) -> float:
        """Seconds since it was parked."""
        # Of the file, not of the folder: drafts and skips change that.
        return max(0.0, time.time() - self.prompt.stat().st_mtime)


class Desk:
    """The open prompts of one workspace."""

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / "desk"
        self.journal = Journal(state_dir)

    def park(self, question: Question) -> Parked:
        """Put ``question`` on the desk; nothing changes when it is there."""
        parked = Parked(question, self.folder / question.key[:ID_LENGTH])
        request = parked.folder / "request.json"
        if not request.is_file():
            write_durably(parked.prompt, describe(question).encode())
            # Last, since a folder with a request is a parked prompt.
            text = json.dumps(question.model_dump(mode="json"), indent=1, ensure_ascii=False)
            write_durably(request, text.encode() + b"\n")
        return parked

    def open(self) -> list[Parked]:
        """What waits for an answer, by target, purpose and id; what was skipped comes last, in the order of skipping."""
        found = []
        for request in self.folder.glob("*/request.json"):
            try:
                question = Question.model_validate_json(request.read_text("utf-8"))
            except FileNotFoundError:
                continue  # answered meanwhile
            except ValidationError:
                raise UsageError(
                    "A parked prompt is damaged", where=str(request), hint="remove its folder and build again"
                ) from None
            parked = Parked(question, request.parent)
            if self.journal.path(question.key).exists():
                self.remove(parked)  # a crash came between the answer and the removal
            else:
                found.append(parked)
        return sorted(found, key=lambda p: (p.skipped_at, p.question.target, p.question.purpose, p.id))

    def find(self, prefix: str) -> Parked:
        """The open prompt whose id starts with ``prefix``; UsageError when there is none or several."""
        parked = {p.question.key: p for p in self.open()}
        return parked[unambiguous(prefix.strip(), list(parked), "open prompt")]

    def skip(self, parked: Parked) -> None:
        """Put a prompt behind all others."""
        (parked.folder / "skipped").unlink(missing_ok=True)
        write_durably(parked.folder / "skipped", b"")

    def check(self, question: Question, text: str) -> str:
        """``text`` as it would be kept. UsageError, with what is wrong, when it is no answer to ``question``."""
        text = text.replace("\r\n", "\n").strip("\n") + "\n"
        try:
            check(text, question.expects, question.answer_schema)
        except BadAnswer as bad:
            listed = "\n".join(f"- {problem}" for problem in bad.problems)
            raise UsageError(
                f"This does not answer {question.key[:ID_LENGTH]} ({question.purpose}):\n{listed}",
                hint=f"expected: {_FORMS[question.expects]}\nthe prompt stays open",
            ) from None
        return text

    def answer(self, question: Question, text: str, *, replace: bool = False) -> Entry:
        """Check ``text`` and keep it as the answer to ``question``. UsageError when it does not fit, or there is one
        already.
        """
        text = self.check(question, text)
        entry = Entry.answered(question, Answer(text=text, model="desk"), "desk")
        kept = self.journal.put(entry, replace=replace)
        self.remove(Parked(question, self.folder / question.key[:ID_LENGTH]))
        if not kept.same_answer(entry):
            raise UsageError(
                f"{question.key[:ID_LENGTH]} ({question.purpose}) has another answer already",
                hint="replace it with --replace",
            )
        return kept

    def remove(self, parked: Parked) -> None:
        """Take a prompt off the desk."""
        shutil.rmtree(parked.folder, ignore_errors=True)

    def take_dropped(self, parked: Parked) -> str | None:
        """Use an answer file that someone put into the folder by hand. What is wrong with it, or None."""
        for name in _DROPPED:
            path = parked.folder / name
            try:
                if time.time() - path.stat().st_mtime < _SETTLED_S:
                    continue
                self.answer(parked.question, path.read_text("utf-8"))
            except FileNotFoundError:
                continue
            except UnicodeDecodeError:
                return self._reject(path, "It is not UTF-8 text.")
            except UsageError as error:
                return self._reject(path, error.render())
        return None

    def _reject(self, path: Path, why: str) -> str:
        path.replace(path.with_name(f"rejected-{path.name}"))
        write_durably(path.with_name("problems.txt"), why.encode() + b"\n")
        return f"{path.parent.name}: {path.name} does not fit, see problems.txt"


def describe(question: Question) -> str:
    """Everything that a model would be sent, for a reader who sees nothing else."""
    id_ = question.key[:ID_LENGTH]
    parts = [
        f"# {question.purpose or 'A question'}",
        "",
        f"- id: {id_}",
        f"- asked by: {question.target}",
        f"- tier: {question.tier or '-'}, model it stands for: {question.model}",
        f"- at most {question.max_tokens} tokens; sample {question.sample}",
        "",
        "You take the place of the language model. Answer on the merits of what stands below and nothing else.",
        "",
        f"**Form of the answer:** {_FORMS[question.expects]}.",
        f"**How to answer:** write it to a file and run `zerorepo desk answer {id_} FILE` (`-` for standard input;",
        "it is checked at once), or save it as `answer.md` in this folder while a build waits.",
        "",
    ]
    for number, message in enumerate(question.messages, 1):
        title = f"message {number} of {len(question.messages)}: {message.role}"
        parts += [f"======== {title} ".ljust(100, "="), "", message.content, ""]
    parts.append("=" * 100)
    schema = json.dumps(question.answer_schema, indent=1, sort_keys=True, ensure_ascii=False)
    # `ask_json` has the schema in its instructions; others may leave it to the provider to send.
    if question.answer_schema is not None and not any(schema in message.content for message in question.messages):
        parts += ["", "The answer's JSON schema:", "", "```json", schema, "```"]
    return "\n".join(parts) + "\n"
