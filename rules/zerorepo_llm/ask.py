"""How rules ask models: ``ask_json`` for a typed answer, ``ask_code`` for Python. Knows nothing of who answers.

An answer that does not fit is shown to the model again with what is wrong with it, a bounded number of times. Each
attempt is an action of its own, so a build that stops in between goes on from there.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from zerorepo.errors import TargetFailed
from zerorepo.rule import RuleContext
from zerorepo_llm.action import Answer, AskByGist, AskModel, Expects, Message
from zerorepo_llm.answers import BadAnswer, json_text, python_code
from zerorepo_llm.fence import fence
from zerorepo_llm.prompt import CountsAs, Prompt, Template, render
from zerorepo_llm.settings import LLMSettings, Tier, fallbacks_of, model_of

T = TypeVar("T", bound=BaseModel)
R = TypeVar("R")

_ANSWER_FORM: Mapping[Expects, str] = {"json": "prompts/answer_json.md", "python": "prompts/answer_python.md"}
_MAX_PROBLEM_CHARS = 12_000


async def ask_json(
    ctx: RuleContext[Any],
    template: Template,
    variables: Mapping[str, object],
    answer: type[T],
    *,
    tier: Tier = "medium",
    purpose: str,
    check: Callable[[T], Sequence[str]] | None = None,
    proof: Callable[[T], Awaitable[Sequence[str]]] | None = None,
    attempts: int = 3,
    sample: int = 0,
) -> T:
    """An ``answer`` from a model of ``tier``, valid under its schema and with no problems found by ``check``.

    A variable that is a ``CountsAs`` is shown as it is; whether the question is another one than before goes by what it counts as.
    ``check`` must depend on nothing but the answer and what the rule has asked for: it returns sentences, none when all
    is well. ``proof`` is asked of an answer that passed it, for what takes an action. Raises TargetFailed, with what was wrong
    with the last answer, after ``attempts``; UsageError for data that may not be sent.
    """

    def read(text: str) -> T:
        try:
            value = answer.model_validate_json(json_text(text))
        except ValidationError as error:
            raise BadAnswer(_validation_problems(error)) from None
        _require(check(value) if check else ())
        return value

    action = await _action(ctx, template, variables, tier, purpose, sample, "json", answer)
    return await _ask(ctx, action, read, proof, attempts)


async def ask_code(
    ctx: RuleContext[Any],
    template: Template,
    variables: Mapping[str, object],
    *,
    tier: Tier,
    purpose: str,
    check: Callable[[str], Sequence[str]],
    proof: Callable[[str], Awaitable[Sequence[str]]] | None = None,
    attempts: int = 3,
    sample: int = 0,
) -> str:
    """Python source from a model: the only fenced ``python`` block of its answer, syntactically valid, ending in a
    newline.

    ``check``, ``proof`` and errors as in ``ask_json``.
    """

    def read(text: str) -> str:
        code = python_code(text)
        _require(check(code))
        return code

    action = await _action(ctx, template, variables, tier, purpose, sample, "python", None)
    return await _ask(ctx, action, read, proof, attempts)


@lru_cache(maxsize=64)
def _schema_of(answer: type[BaseModel]) -> tuple[Mapping[str, Any], str]:
    """The schema, and how it is shown."""
    schema: Mapping[str, Any] = tidy_schema(answer.model_json_schema())
    return schema, json.dumps(schema, indent=1, sort_keys=True, ensure_ascii=False)


def tidy_schema(schema: Any, *, of_names: bool = False) -> Any:
    """A JSON schema without pydantic's made-up ``title``s: shorter to read, and the same under other versions of pydantic.

    ``of_names``: the mapping's keys are names of properties or definitions, not keywords.
    """
    if isinstance(schema, list):
        return [tidy_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if of_names or key != "title"}
    return {
        key: value
        if key in ("default", "enum", "const") and not of_names
        else tidy_schema(value, of_names=key in ("properties", "$defs"))
        for key, value in kept.items()
    }


def _require(problems: Sequence[str]) -> None:
    if problems:
        raise BadAnswer(list(problems))


def _validation_problems(error: ValidationError) -> list[str]:
    return [
        f"At /{'/'.join(str(part) for part in item['loc'])}: {item['msg']}."
        for item in error.errors(include_url=False, include_context=False)
    ]


async def _action(
    ctx: RuleContext[Any],
    template: Template,
    variables: Mapping[str, object],
    tier: Tier,
    purpose: str,
    sample: int,
    expects: Literal["json", "python"],
    answer: type[BaseModel] | None,
) -> AskModel:
    settings = await ctx.setting("llm", LLMSettings)
    prompt = await render(ctx.resource, template, variables)
    form = (await ctx.resource("zerorepo_llm", _ANSWER_FORM[expects])).decode("utf-8").strip()
    schema = None
    if answer is not None:
        schema, shown = _schema_of(answer)
        form += f"\n{shown}"
    action = AskModel(
        model=model_of(settings, tier, ctx.rule),
        messages=_messages(prompt, form),
        answer_schema=schema,
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
        sample=sample,
        purpose=purpose,
        tier=tier,
        stage=ctx.rule,
        fallbacks=fallbacks_of(settings, tier, ctx.rule),
        expects=expects,
    )
    if not any(isinstance(value, CountsAs) for value in variables.values()):
        return action
    counted = {name: value.counted if isinstance(value, CountsAs) else value for name, value in variables.items()}
    gist = _messages(await render(ctx.resource, template, counted), form)
    return AskByGist(**dict(action), gist=gist)


def _messages(prompt: Prompt, form: str) -> tuple[Message, ...]:
    # Instructions first and data last: requests of one kind share a long prefix, which providers cache.
    return (
        Message(role="system", content=f"{prompt.system}\n\n{form}"),
        Message(role="user", content=prompt.user),
    )


async def _ask(
    ctx: RuleContext[Any],
    action: AskModel,
    read: Callable[[str], R],
    proof: Callable[[R], Awaitable[Sequence[str]]] | None,
    attempts: int,
) -> R:
    problems: list[str] = []
    current = action
    for attempt in range(1, attempts + 1):
        answer: Answer = await ctx.run(current)
        try:
            if answer.finish_reason == "length":
                raise BadAnswer(
                    [f"It was cut off after {current.max_tokens:,} tokens, before its end. Answer more briefly."]
                )
            # Not in a thread: checks parse, and two parsers at once end in a SystemError of CPython 3.11 ("AST constructor
            # recursion depth mismatch").
            value = read(answer.text)
            _require(await proof(value) if proof else ())
            return value
        except BadAnswer as bad:
            problems = bad.problems
        # The whole conversation stays, so that the same wrong answer twice does not make the same question twice.
        objection = _objection(answer.text, problems)
        more: dict[str, Any] = {"purpose": f"{action.purpose} (attempt {attempt + 1} of {attempts})"}
        more["messages"] = (*current.messages, *objection)
        if isinstance(current, AskByGist):
            more["gist"] = (*current.gist, *objection)
        current = current.model_copy(update=more)
    listed = "\n".join(f"  - {problem}" for problem in problems)
    times = f"{attempts} answers" if attempts > 1 else "the answer"
    raise TargetFailed(
        f"No usable answer for {ctx.label} ({action.purpose}): "
        f"{times} of {action.model} did not fit; the last one:\n{listed}",
        hint="state the input more clearly, or give the tier a stronger model in [llm.tiers]",
    )


def _objection(text: str, problems: Sequence[str]) -> tuple[Message, Message]:
    listed = "\n".join(f"- {problem}" for problem in problems)
    # Problems quote the answer, and checks may quote the input: both are data.
    quoted = fence(listed, "problems found", limit=_MAX_PROBLEM_CHARS, clean=True)
    return (
        Message(role="assistant", content=text if text.strip() else "(no text)"),
        Message(
            role="user",
            content=f"This answer cannot be used. What a checking program found:\n{quoted}\n"
            "Answer the original task again, in full and in the form asked for, without these problems.",
        ),
    )
