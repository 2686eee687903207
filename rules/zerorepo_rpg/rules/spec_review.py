"""A specification as a model reads it: what in it cannot all be meant, and what would make it clearer."""

from __future__ import annotations

import re
from typing import Any, Literal

from zerorepo.errors import TargetFailed
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.target import SourcePath
from zerorepo_llm.ask import ask_json
from zerorepo_rpg.rules.asking import template
from zerorepo_rpg.spec_conflicts import Conflict, find_conflicts
from zerorepo_rpg.spec_reading import by_rule
from zerorepo_rpg.spec_refine import suggestions
from zerorepo_rpg.spec_review import (
    FIELDS,
    ModelConflicts,
    ModelSuggestions,
    SpecReview,
    conflicts_of,
    listed,
    problems_of,
    suggestion_problems,
    suggestions_of,
)
from zerorepo_rpg.spec_text import without_directives


def _shown(text: str) -> str:
    """The text without what only speaks to us; a directive more or less is no other question."""
    return re.sub(r"\n{3,}", "\n\n", without_directives(text)).strip()


class ReviewAttrs(Attrs):
    """Attributes of ``rpg_review``. ``what`` is looked for."""

    src: SourcePath
    what: Literal["conflicts", "suggestions"]


@rule("rpg_review", attrs=ReviewAttrs, provides=[SpecReview])
async def rpg_review(ctx: RuleContext[ReviewAttrs]) -> SpecReview:
    """Ask about the specification as a whole. Nothing else depends on it: it is built when it is asked for by name."""
    try:
        text = ctx.read(await ctx.source(ctx.attrs.src)).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TargetFailed(f"The specification is not UTF-8 (byte {error.start})", where=ctx.attrs.src) from None
    if ctx.attrs.what == "conflicts":
        return SpecReview(conflicts=await model_conflicts(ctx, text))
    known = [what for _, what in suggestions(text, by_rule(text))]
    answer = await ask_json(
        ctx,
        template("suggest.md"),
        {"text": _shown(text), "known": listed(known)},
        ModelSuggestions,
        tier="strong",
        purpose="suggest what would make the specification clearer",
        check=lambda value: suggestion_problems(value, text),
    )
    return SpecReview(suggestions=suggestions_of(answer, text))


async def model_conflicts(ctx: RuleContext[Any], text: str) -> tuple[Conflict, ...]:
    """Conflicts that a model finds in the specification, beside those that rules find."""
    answer = await ask_json(
        ctx,
        template("model_conflicts.md"),
        {
            "text": _shown(text),
            "known": listed([each.model_copy(update={"lines": ()}) for each in find_conflicts(text)]),
            "fields": ", ".join(FIELDS),
        },
        ModelConflicts,
        tier="strong",
        purpose="look for conflicts in the specification",
        check=lambda value: problems_of(value, text),
    )
    return conflicts_of(answer, text)


__all__ = ["model_conflicts", "rpg_review"]
