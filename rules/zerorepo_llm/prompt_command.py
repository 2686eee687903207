"""``zerorepo prompt LABEL``: exactly what a model would be sent next for a target, and what that would cost. Sends nothing.

Knows of building only what ``zerorepo.commands`` tells.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from zerorepo.action_key import key_of
from zerorepo.commands import Pending, Preview, preview, settings, workspace_root
from zerorepo.errors import UsageError
from zerorepo.redaction import mask
from zerorepo_llm import model_table
from zerorepo_llm.action import AskModel
from zerorepo_llm.desk import Desk
from zerorepo_llm.files import state_dir
from zerorepo_llm.journal import Entry, Journal, Question, function_of
from zerorepo_llm.prices import Price
from zerorepo_llm.secrets import Redactor
from zerorepo_llm.settings import LLMSettings, key_references
from zerorepo_llm.transcripts import Index, files_of

_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Shown:
    """A question, and what is known of it before it is asked."""

    question: Question
    tokens: int
    exact: bool
    """Whether ``tokens`` were counted by the model's own tokenizer."""
    price: Price | None
    window: int | None
    """Tokens that a prompt for this model may have."""
    fallbacks: tuple[str, ...]
    answered: str
    """Where its answer is already; "" when it has to be asked."""
    refused: str
    """Why it would not be sent."""
    answer: Entry | None = None

    @property
    def prompt_usd(self) -> float | None:
        """What the prompt costs when no provider has it cached."""
        return None if self.price is None else self.tokens * self.price.input

    @property
    def most_usd(self) -> float | None:
        """What it costs at most, with the longest answer."""
        if self.price is None:
            return None
        return self.tokens * self.price.worst_input + self.question.max_tokens * self.price.worst_output

    def to_json(self) -> dict[str, Any]:
        """For programs; ``messages`` and ``answer_schema`` are what is sent, to the letter."""
        body = self.question.model_dump(mode="json")
        return {
            **{name: value for name, value in body.items() if name != "target"},
            "prompt_tokens": self.tokens,
            "tokens_are_exact": self.exact,
            "context_window": self.window,
            "fallbacks": list(self.fallbacks),
            "prompt_usd": self.prompt_usd,
            "most_usd": self.most_usd,
            "answered": self.answered or None,
            "answer": self.answer.text if self.answer else None,
            "refused": self.refused or None,
        }


def prompt(
    label: Annotated[str, typer.Argument(help="A target.")],
    answered: Annotated[
        bool, typer.Option("--answered", help="Show what the target asked when it was last built, with the answers.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Print exactly what a model would be sent next for a target, with its tokens and price. Sends nothing."""
    found = preview(label)
    place = _Place(workspace_root(), settings("llm", LLMSettings))
    keys = [place.journal.behind(key) for key in _keys(found)]
    asked = [place.of_entry(entry) for key in keys if (entry := place.journal.get(key)) is not None]
    next_ = [] if answered else [place.of_pending(found, each) for each in _questions(found.pending)]
    if as_json:
        shown = asked if answered else next_
        body = {**_state(found), "questions": [each.to_json() for each in shown], "asked": keys}
        typer.echo(mask(json.dumps(body, indent=2, ensure_ascii=False)))
    elif answered:
        _say_answered(found, asked)
    else:
        _say_next(found, next_, asked)


def _keys(found: Preview) -> list[str]:
    return [key for mnemonic, key in found.asked if mnemonic == AskModel.mnemonic]


def _questions(pending: Iterable[Pending]) -> list[Pending]:
    return [each for each in pending if isinstance(each.action, AskModel)]


class _Place:
    """Where answers may be, and how questions are described."""

    def __init__(self, root: Path, llm: LLMSettings) -> None:
        self.journal = Journal(state_dir(root))
        self._desk = Desk(state_dir(root))
        self._llm = llm
        self._redactor = Redactor.from_environment(*key_references(llm))
        existing = [path for path in llm.transcripts if (root / path).exists()]
        self._recorded = Index(files_of(root, existing)) if llm.provider in ("replay", "desk") else None

    def of_pending(self, found: Preview, pending: Pending) -> Shown:
        """A question that would be asked."""
        assert isinstance(pending.action, AskModel)
        action = pending.action.question()
        digest = key_of(action, function_of(pending.key.hex))
        question, key = Question.of(action, digest, found.label), digest.hex
        entry, where = self.journal.get(key), "in the journal"
        if entry is None and self._recorded is not None:
            entry, where = self._recorded.get(key, function_of(key)), "in the transcripts"
        refused = self._redactor.finds_in(question.messages)
        why = f"it contains {refused}" if refused else ""
        return self._shown(question, where if entry else "", why, entry, pending.action.fallbacks)

    def of_entry(self, entry: Entry) -> Shown:
        """A question that was answered."""
        return self._shown(entry, "in the journal", "", entry)

    def _shown(
        self, question: Question, answered: str, refused: str, entry: Entry | None, fallbacks: tuple[str, ...] = ()
    ) -> Shown:
        count, exact = model_table.counter(question.model)
        # As OpenAI counts a conversation: a few tokens around each message, and some before the answer.
        tokens = sum(count(message.content) + 4 for message in question.messages) + 3
        if question.answer_schema is not None:
            tokens += count(json.dumps(question.answer_schema))
        price = model_table.price(question.model, self._llm)
        window = model_table.window(question.model, self._llm)
        return Shown(question, tokens, exact, price, window, fallbacks, answered, refused, entry)


def _state(found: Preview) -> dict[str, Any]:
    waits = {
        str(label): [each.action.describe() for each in pending] for label, pending in sorted(found.waits_for.items())
    }
    return {"label": str(found.label), "state": found.state, "waits_for": waits, "error": found.error or None}


def _say_next(found: Preview, shown: list[Shown], asked: list[Shown]) -> None:
    label = found.label
    if found.state == "fails":
        raise UsageError(f"Nothing can be asked for `{label}`: {found.error}")
    if found.state == "waits":
        typer.echo(f"{label} asks nothing yet: it waits for other targets, which would begin with")
        for other, pending in sorted(found.waits_for.items()):
            more = f" and {len(pending) - 1} more" if len(pending) > 1 else ""
            hint = f"  (zerorepo prompt {other})" if _questions(pending) else ""
            typer.echo(f"  {other}: {pending[0].action.describe()}{more}{hint}")
        return
    if not shown:
        first = ", ".join(each.action.describe() for each in found.pending)
        typer.echo(f"{label} asks nothing next: " + (f"it would first {first}" if first else "it is up to date"))
        for each in asked:
            typer.echo(f"  it asked {each.question.key[:12]}: {each.question.purpose}")
        if asked:
            typer.echo(f"Show them with their answers: zerorepo prompt {label} --answered")
        return
    typer.echo(f"{label} would ask {'one question' if len(shown) == 1 else f'{len(shown)} questions'} next.")
    for each in shown:
        _say(each)


def _say_answered(found: Preview, asked: list[Shown]) -> None:
    if not asked:
        typer.echo(f"{found.label} has asked nothing that is still in the journal.")
    for each in asked:
        _say(each)
        assert each.answer is not None
        typer.echo(_rule(f"answer by {each.answer.answered_by or each.answer.provider}"))
        typer.echo(mask(each.answer.text.rstrip("\n")))


def _say(shown: Shown) -> None:
    question = shown.question
    usual = "not sent" if question.temperature is None else f"{question.temperature:g}"
    rows = [
        ("key", question.key),
        ("model", f"{question.model}" + (f" (tier {question.tier})" if question.tier else "")),
        ("sampling", f"at most {question.max_tokens:,} tokens, temperature {usual}, sample {question.sample}"),
        ("prompt", _tokens(shown)),
        ("price", _price(shown)),
        ("answered", f"yes, {shown.answered}: nothing is sent" if shown.answered else "no"),
    ]
    if shown.fallbacks:
        rows.insert(2, ("fallbacks", ", ".join(shown.fallbacks)))
    if shown.refused:
        rows.append(("refused", f"it would not be sent: {shown.refused}"))
    typer.echo("\n" + _rule(question.purpose or "a question", "="))
    for name, text in rows:
        typer.echo(mask(f"{name:<9} {text}"))
    for number, message in enumerate(question.messages, 1):
        typer.echo(_rule(f"message {number} of {len(question.messages)}: {message.role}"))
        typer.echo(mask(message.content))
    if question.answer_schema is not None:
        schema = json.dumps(question.answer_schema, indent=1, sort_keys=True, ensure_ascii=False)
        typer.echo(_rule("JSON schema of the answer, for models that take one apart from the prompt"))
        told = any(schema in message.content for message in question.messages)
        typer.echo("(the one that the instructions hold)" if told else schema)


def _tokens(shown: Shown) -> str:
    characters = sum(len(message.content) for message in shown.question.messages)
    about = "" if shown.exact else "about "
    share = f", {shown.tokens / shown.window:.1%} of the context window" if shown.window else ""
    return (
        f"{about}{shown.tokens:,} tokens ({characters:,} characters in {len(shown.question.messages)} messages{share})"
    )


def _price(shown: Shown) -> str:
    if shown.prompt_usd is None or shown.most_usd is None:
        return "not known for this model"
    return f"${shown.prompt_usd:.4f} for the prompt, at most ${shown.most_usd:.4f} with the answer"


def _rule(title: str, mark: str = "-") -> str:
    return f"{mark * 8} {title} ".ljust(_WIDTH, mark)
