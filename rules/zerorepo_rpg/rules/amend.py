"""Interfaces that turned out to be wrong, corrected in the plan: the lock is written anew, for the next build to plan by.

A target cannot depend on itself: a node that finds its interface wrong hands on another one, and this target, which nothing that
is planned depends on, writes it into the lock. With the next build the node's tests and code are asked for from it, and those of
whoever uses it. ``--locked`` refuses before a correction is even asked for.
"""

from __future__ import annotations

from zerorepo.label import Label
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.target import Provider
from zerorepo_rpg.amending import amended
from zerorepo_rpg.lock import parse_lock, render
from zerorepo_rpg.plan_model import Plan
from zerorepo_rpg.providers import NodeCode
from zerorepo_rpg.rules.plan import node_label


class AmendAttrs(Attrs):
    """Attributes of ``rpg_amend``."""

    plan: Label
    lock_path: str


class Amended(Provider):
    """Nodes whose interfaces the lock has anew since this build planned; each of them has failed in it."""

    nodes: tuple[str, ...] = ()


@rule("rpg_amend", attrs=AmendAttrs, provides=[Amended])
async def rpg_amend(ctx: RuleContext[AmendAttrs]) -> Amended:
    """Write corrected interfaces into the lock, if there are any."""
    plan = await ctx.provider(ctx.attrs.plan, Plan)
    ids = [node.id for node in plan.nodes()]
    code = await ctx.providers([node_label(ctx.attrs.plan, each, ".code") for each in ids], NodeCode)
    corrections = {each.correction.id: each.correction for each in code if each.correction}
    if not corrections:
        return Amended()
    text = ctx.read(await ctx.source(ctx.attrs.lock_path)).decode("utf-8", "replace")
    ctx.update_source(ctx.attrs.lock_path, render(amended(parse_lock(text, ctx.attrs.lock_path), corrections)).encode())
    return Amended(nodes=tuple(sorted(corrections)))


__all__ = ["Amended", "rpg_amend"]
