"""Stage ``limits``: what meets each limit of the specification. A model is asked only about limits that no rule recognises.

What bears on features or on the whole library is told to whoever designs these. A limit that must be met and that nothing meets
fails the target; one that only should be is a note.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from zerorepo.errors import TargetFailed
from zerorepo.label import Label
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.target import Provider, SourcePath
from zerorepo_llm.ask import ask_json
from zerorepo_rpg.limit_rules import LICENSE, WORDED, enforced, told_apart
from zerorepo_rpg.limits import (
    Limit,
    LimitAnswer,
    LimitPlan,
    LimitSet,
    answered,
    carried_over,
    check_accounts,
    check_answer,
)
from zerorepo_rpg.plan_model import FeatureSet
from zerorepo_rpg.problem import messages
from zerorepo_rpg.providers import LockedFeatures, LockedLimits, StageInputs
from zerorepo_rpg.rules.asking import forbid_when_locked, stage_digest, template
from zerorepo_rpg.rules.notes import PlanNote
from zerorepo_rpg.spec_model import Priority, RepositorySpec


class LimitsAttrs(Attrs):
    """Attributes of ``rpg_limits``. ``src`` is the specification's file, whose lines errors name."""

    spec: Label
    lock: Label
    lock_path: str
    features: Label
    src: SourcePath


@rule("rpg_limits", attrs=LimitsAttrs, provides=[LimitSet, StageInputs])
async def rpg_limits(ctx: RuleContext[LimitsAttrs]) -> list[Provider]:
    """Account for every limit; of those that a rule recognises nothing is written into the lock."""
    spec = await ctx.provider(ctx.attrs.spec, RepositorySpec)
    known, open_ = told_apart(spec)
    if not open_:
        return [LimitSet(known=known), StageInputs(inputs={})]
    features = await ctx.provider(ctx.attrs.features, FeatureSet)
    names = {feature.id: feature.name for feature in features.features}
    rules = enforced(spec)
    inputs = stage_digest(open_, tuple(sorted(names.items())), LICENSE in rules, *(rules[name] for name in WORDED))
    accounts = await _accounts(ctx, spec, open_, features, inputs, rules)
    await _report(ctx, accounts)
    return [LimitSet(known=known, asked=accounts), StageInputs(inputs={"limits": inputs})]


async def _accounts(
    ctx: RuleContext[LimitsAttrs],
    spec: RepositorySpec,
    limits: Sequence[Limit],
    features: FeatureSet,
    inputs: str,
    rules: Mapping[str, str],
) -> tuple[LimitPlan, ...]:
    """Those of the lock, as far as they hold; the others asked for."""
    locked = await ctx.provider(ctx.attrs.lock, LockedLimits)
    names = {feature.id: feature.name for feature in features.features}
    if locked.inputs == inputs:
        present = [next((old for old in locked.limits if old.states(limit)), None) for limit in limits]
        whole = tuple(each for each in present if each is not None)
        if problems := messages(check_accounts(whole, names, rules)):
            raise TargetFailed(
                "What the lock says of the limits does not hold:\n" + "\n".join(f"- {line}" for line in problems),
                where=ctx.attrs.lock_path,
                hint="mend the [[limit]] there, or remove it to have it asked about again",
            )
        if len(whole) == len(limits):
            return _sorted(whole, limits)
    await forbid_when_locked(ctx, "limits", ctx.attrs.lock_path)
    before = (await ctx.provider(ctx.attrs.lock, LockedFeatures)).value
    accepted = {feature.id: feature.name for feature in before.features}
    kept, asking = carried_over(limits, locked.limits, names, accepted, rules, WORDED)
    if not asking:
        return _sorted(kept, limits)
    ids = {limit.id for limit in asking}
    old = tuple(each for each in locked.limits if each.id in ids)
    found = await _ask(ctx, spec, asking, features, rules, old)
    if unmet := tuple(each for each in found if not each.met and each.priority is Priority.MUST):
        # Somebody who is not sure says "nothing"; a build fails of it only when it is said twice.
        again = await _ask(ctx, spec, unmet, features, rules, unmet, doubted=True)
        found = tuple({each.id: each for each in (*found, *again)}.values())
    return _sorted((*kept, *found), limits)


def _sorted(accounts: Sequence[LimitPlan], limits: Sequence[Limit]) -> tuple[LimitPlan, ...]:
    sections = {limit.id: limit.section for limit in limits}
    placed = (each.model_copy(update={"section": sections[each.id]}) for each in accounts)
    return tuple(sorted(placed, key=lambda each: each.id))


async def _ask(
    ctx: RuleContext[LimitsAttrs],
    spec: RepositorySpec,
    limits: Sequence[Limit],
    features: FeatureSet,
    rules: Mapping[str, str],
    old: Sequence[LimitPlan],
    *,
    doubted: bool = False,
) -> tuple[LimitPlan, ...]:
    names = [feature.id for feature in features.features]
    answer = await ask_json(
        ctx,
        template("limits.md"),
        {
            "title": spec.title,
            "description": spec.description,
            "limits": "\n".join(f"{limit.id} ({limit.priority}, {limit.kind}): {limit.text}" for limit in limits),
            "features": "\n".join(f"{each.id}: {each.name} — {each.description}" for each in features.features),
            "rules": "\n".join(f"{name}: {text}" for name, text in rules.items()),
            "old": json.dumps([each.model_dump(mode="json") for each in old], indent=1, ensure_ascii=False)
            if old
            else "",
            "doubted": doubted,
        },
        LimitAnswer,
        tier="medium",
        purpose="account for the limits" + (" (again)" if doubted else ""),
        check=lambda value: messages(check_answer(value, limits, names, rules)),
    )
    return answered(limits, answer)


async def _report(ctx: RuleContext[LimitsAttrs], accounts: Sequence[LimitPlan]) -> None:
    """A note for each limit that nothing meets; TargetFailed for those that must be met."""
    unmet = [each for each in accounts if not each.met]
    for limit in unmet:
        if limit.priority is not Priority.MUST:
            text = f"nothing meets the limit ({limit.priority}) {limit.text!r}: {limit.why}"
            await ctx.run(PlanNote(text=text))
    if must := [each for each in unmet if each.priority is Priority.MUST]:
        listed = "\n".join(
            f"- {limit.text}{f' (section `{limit.section}`)' if limit.section else ''}: {limit.why}" for limit in must
        )
        text = ctx.read(await ctx.source(ctx.attrs.src)).decode("utf-8-sig")
        raise TargetFailed(
            f"Nothing meets what must be met:\n{listed}",
            where=f"{ctx.attrs.src}:{line_of(text, must[0].text)}",
            hint="say what should meet it, make it a SHOULD, or remove it",
        )


def line_of(text: str, sentence: str) -> int:
    """The line, from 1, on which a sentence begins in a text, however its lines are broken; 1 when it is not there as it is."""
    found = re.search(r"\s+".join(map(re.escape, sentence.split())), text)
    return text.count("\n", 0, found.start()) + 1 if found else 1


__all__ = ["LimitsAttrs", "line_of", "rpg_limits"]
