"""Before a node is mended: whoever mends it looks up what the plan and the code say, a bounded number of times.

Each step is a question of its own, so what was answered is not asked again. What is looked up is asked of the context, and so
becomes a dependency only of a node that was mended, and only then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zerorepo.errors import TargetFailed
from zerorepo.rule import RuleContext
from zerorepo_llm.ask import ask_json
from zerorepo_llm.prompt import CountsAs
from zerorepo_rpg.lookups import MOST, LookUp, LookUps, Tool, best, file_map, hushed, neighbours, search, texts, unknown
from zerorepo_rpg.plan_model import NodeInterface, Plan
from zerorepo_rpg.providers import NodeCode
from zerorepo_rpg.rules.asking import template
from zerorepo_rpg.rules.node import describe
from zerorepo_rpg.rules.stages import module_label
from zerorepo_rpg.rules.vectors import cosines

_SHOWN = 6_000
_QUERY = 200


async def localize(ctx: RuleContext[Any], seen: Mapping[str, object], purpose: str) -> str:
    """What was looked up, as one text; "" when nothing was asked for. ``ctx.attrs`` are those of ``node_code``."""
    done: dict[LookUp, tuple[str, str]] = {}
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
            done[each] = await _look_up(ctx, each)
    return _text(done)


def _text(done: Mapping[LookUp, tuple[str, str]]) -> str:
    """What was looked up, with the docstrings of other nodes; without them where it counts."""
    heads = [f"{each.tool} {each.query[:_QUERY]}:\n" for each in done]
    text, counted = (
        "\n\n".join(head + texts[number][:_SHOWN] for head, texts in zip(heads, done.values(), strict=True))
        for number in (0, 1)
    )
    return CountsAs(text, counted) if done else text


async def _look_up(ctx: RuleContext[Any], each: LookUp) -> tuple[str, str]:
    """What it shows, and what that counts as."""
    query = each.query.strip()
    if each.tool is Tool.CODE:
        code = await _code(ctx, query)
        return code, code
    own = await ctx.provider(ctx.attrs.interface, NodeInterface)
    if each.tool is Tool.INTERFACE and (near := await _near(ctx, query)) is not None:
        return describe(near), describe(near if near.id == own.id else near.model_copy(update={"docstring": ""}))
    plan = await ctx.provider(ctx.attrs.plan, Plan)
    quiet = hushed(plan, own.id)
    if each.tool is Tool.SEARCH:
        by_meaning = ctx.attrs.look_ups == "embeddings"
        found = best(plan, query, await cosines(ctx, query, texts(plan)) if by_meaning else None)
        return search(plan, found), search(quiet, found)
    look = _TOOLS[each.tool]
    return look(plan, query), look(quiet, query)


def _label(ctx: RuleContext[Any], node_id: str, suffix: str) -> Any:
    module, _, name = node_id.partition("/")
    return module_label(ctx.attrs.plan, module, name + suffix) if module and name else None


async def _near(ctx: RuleContext[Any], node_id: str) -> NodeInterface | None:
    """An interface that the node depends on anyway, so that it need not depend on the whole plan."""
    near = _label(ctx, node_id, ".interface") if _plain(node_id) else None
    if near is None or near not in (ctx.attrs.interface, *ctx.attrs.closure_interfaces):
        return None
    return await ctx.provider(near, NodeInterface)


def _interface(plan: Plan, node_id: str) -> str:
    nodes = {node.id: node for node in plan.nodes()}
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


_TOOLS: Mapping[Tool, Callable[[Plan, str], str]] = {
    Tool.INTERFACE: _interface,
    Tool.NEIGHBOURS: neighbours,
    Tool.FILE: file_map,
}

__all__ = ["localize"]
