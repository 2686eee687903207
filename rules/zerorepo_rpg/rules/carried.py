"""Rules of tests and code that are carried over a rename: made under the old names, renamed by syntax tree, proven anew.

What does not pass under the new names is written like any other. Knows nothing of how renames are found (``carrying``).
"""

from __future__ import annotations

from typing import Any

from zerorepo.label import Label
from zerorepo.rule import RuleContext, rule
from zerorepo_rpg.consensus import unsteady
from zerorepo_rpg.providers import NodeCode, NodeTests
from zerorepo_rpg.rename_code import Moved, rename_code
from zerorepo_rpg.rules.node import TestsAttrs, node_tests
from zerorepo_rpg.rules.node_code import CodeAttrs, node_code
from zerorepo_rpg.rules.proving import prove


class RenamedTestsAttrs(TestsAttrs):
    """Attributes of ``renamed_tests``. ``was``: the tests under the old names; ``moves``: what became of these."""

    was: Label
    moves: tuple[Moved, ...]


@rule("renamed_tests", attrs=RenamedTestsAttrs, provides=[NodeTests], adopt=node_tests.adopt)
async def renamed_tests(ctx: RuleContext[RenamedTestsAttrs]) -> Any:
    """The tests of a node as they were, under the new names."""
    was = await ctx.provider(ctx.attrs.was, NodeTests)
    try:
        return was.model_copy(update={"source": rename_code(was.source, ctx.attrs.moves)})
    except ValueError:
        return await node_tests.implementation(ctx)  # they cannot be renamed: they are written like any other


class RenamedCodeAttrs(CodeAttrs):
    """Attributes of ``renamed_code``. ``was``: the code under the old names; ``moves``: what became of these."""

    was: Label
    moves: tuple[Moved, ...]


@rule("renamed_code", attrs=RenamedCodeAttrs, provides=[NodeCode], adopt=node_code.adopt)
async def renamed_code(ctx: RuleContext[RenamedCodeAttrs]) -> Any:
    """The code of a node as it was, under the new names, when its tests still pass; else it is written like any other."""
    was = await ctx.provider(ctx.attrs.was, NodeCode)
    used = await ctx.providers(ctx.attrs.closure_code, NodeCode)
    try:
        source, tests = (rename_code(text, ctx.attrs.moves) for text in (was.source, was.tests))
    except ValueError:
        return await node_code.implementation(ctx)
    if was.passed and all(each.passed for each in used):
        run = await prove(ctx, source, tests, doubtful=was.rounds > 0 or unsteady(source, tests))
        if run.report.passed:
            return was.model_copy(update={"source": source, "tests": tests})
    return await node_code.implementation(ctx)


__all__ = ["RenamedCodeAttrs", "RenamedTestsAttrs", "renamed_code", "renamed_tests"]
