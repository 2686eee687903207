"""Before a node is mended: whoever mends it looks up what the plan and the code say, a bounded number of times.

Each step is a question of its own, so what was answered is not asked again. What is looked up is asked of the context, and so
becomes a dependency only of a node that was mended, and only then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zerorepo.errors import TargetFailed
from zerorepo.rule import RuleContext
from zerorepo_llm.ask import ask_json
from zerorepo_rpg.lookups import MOST, LookUp, LookUps, Tool, file_map, neighbours, search, unknown
from zerorepo_rpg.plan_model import NodeInterface, Plan
from zerorepo_rpg.providers import NodeCode
from zerorepo_rpg.rules.asking import template
from zerorepo_rpg.rules.node import describe
from zerorepo_rpg.rules.stages import module_label

_SHOWN = 6_000
_QUERY = 200


async def localize(ctx: RuleContext[Any], seen: Mapping[str, object], purpose: str) -> str:
    """What was looked up, as one text; "" when nothing was asked for. ``ctx.attrs`` are those of ``node_code``."""
    done: dict[LookUp, str] = {}
    step = 0
    while ctx.attrs.plan is not None and len(done) < MOST:
        step += 1
        told = {**seen, "found": _text(done), "left": str(MOST - len(done))}
        try:
            answer = await ask_json(
                ctx, template("localize.md"), told, LookUps, tier="medium", purpose=f"{purpose}, step {step}"
            )
        except TargetFailed:
            break  # no usable answer: it is mended with what is known
        new = [each for each in dict.fromkeys(answer.look_ups) if each not in done][: MOST - len(done)]
        if not new:
            break
        for each in new:
            done[each] = (await _look_up(ctx, each))[:_SHOWN]
    return _text(done)


def _text(done: Mapping[LookUp, str]) -> str:
    return "\n\n".join(f"{each.tool} {each.query[:_QUERY]}:\n{text}" for each, text in done.items())


async def _look_up(ctx: RuleContext[Any], each: LookUp) -> str:
    query = each.query.strip()
    if each.tool is Tool.INTERFACE:
        return await _interface(ctx, query)
    if each.tool is Tool.CODE:
        return await _code(ctx, query)
    plan = await ctx.provider(ctx.attrs.plan, Plan)
    if each.tool is Tool.SEARCH:
        return search(plan, query)
    return neighbours(plan, query) if each.tool is Tool.NEIGHBOURS else file_map(plan, query)


def _label(ctx: RuleContext[Any], node_id: str, suffix: str) -> Any:
    module, _, name = node_id.partition("/")
    return module_label(ctx.attrs.plan, module, name + suffix) if module and name else None


async def _interface(ctx: RuleContext[Any], node_id: str) -> str:
    near = _label(ctx, node_id, ".interface") if _plain(node_id) else None
    if near is not None and near in (ctx.attrs.interface, *ctx.attrs.closure_interfaces):
        return describe(await ctx.provider(near, NodeInterface))
    nodes = {node.id: node for node in (await ctx.provider(ctx.attrs.plan, Plan)).nodes()}
    return describe(nodes[node_id]) if node_id in nodes else unknown(node_id, nodes)


async def _code(ctx: RuleContext[Any], node_id: str) -> str:
    wanted = _label(ctx, node_id, ".code") if _plain(node_id) else None
    if wanted is None or wanted not in ctx.attrs.closure_code:
        # Code of others may wait for this very node.
        names = [
            f"{label.package.rpartition('/')[2]}/{label.name.removesuffix('.code')}" for label in ctx.attrs.closure_code
        ]
        return f"{unknown(node_id, names)}; only code that the node uses can be shown"
    return (await ctx.provider(wanted, NodeCode)).source


def _plain(node_id: str) -> bool:
    module, slash, name = node_id.partition("/")
    return bool(slash) and module.isidentifier() and name.isidentifier()


__all__ = ["localize"]
