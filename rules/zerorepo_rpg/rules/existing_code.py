"""Rules of nodes whose code people wrote before there was a plan: taken from their files, proven to load, asked of nobody."""

from __future__ import annotations

from zerorepo.errors import TargetFailed
from zerorepo.rule import RuleContext, rule
from zerorepo_rpg.existing import code_digest, missing_code
from zerorepo_rpg.plan_model import NodeInterface, module_of
from zerorepo_rpg.providers import NodeCode, NodeTests
from zerorepo_rpg.rules.by_hand import check_adopted_code
from zerorepo_rpg.rules.node import TestsAttrs, node_tests
from zerorepo_rpg.rules.node_code import CodeAttrs, node_code, proven
from zerorepo_rpg.scan_facts import facts_of
from zerorepo_rpg.split import split_module


class ExistingTestsAttrs(TestsAttrs):
    """Attributes of ``existing_tests``."""


@rule("existing_tests", attrs=ExistingTestsAttrs, provides=[NodeTests], adopt=node_tests.adopt)
async def existing_tests(ctx: RuleContext[ExistingTestsAttrs]) -> NodeTests:
    """A test that the code loads with all that it uses. What it does is for its people's own tests, or for adopted ones."""
    node = await ctx.provider(ctx.attrs.interface, NodeInterface)
    name = node.name
    source = (
        f"from {node.import_path} import {name}\n\n\n"
        f"def test_{name}_loads() -> None:\n    assert callable({name})\n    assert {name}.__name__ == {name!r}\n"
    )
    return NodeTests(source=source, by_hand=True)


class ExistingCodeAttrs(CodeAttrs):
    """Attributes of ``existing_code``. ``digest``: of the code when it was scanned (``code_digest``); ``siblings``: the nodes
    of its file, by name; ``lock_path`` is for messages."""

    digest: str
    siblings: tuple[str, ...]
    lock_path: str


@rule("existing_code", version=2, attrs=ExistingCodeAttrs, provides=[NodeCode], adopt=node_code.adopt)
async def existing_code(ctx: RuleContext[ExistingCodeAttrs]) -> NodeCode:
    """A person's code of a node, from the file of the workspace that holds it as it was scanned."""
    node = await ctx.provider(ctx.attrs.interface, NodeInterface)
    text = await _source(ctx, node)
    source = split_module(text, module_of(node.file), ctx.attrs.siblings)[node.name]
    check_adopted_code(ctx, source, node)
    used = await ctx.providers(ctx.attrs.closure_interfaces, NodeInterface)
    known = {node.import_path, *(each.import_path for each in used)}
    if missing := sorted(set(missing_code(source, ctx.attrs.package, known))):
        raise TargetFailed(
            f"The existing code of `{node.id}` needs {', '.join(missing)}, of which nothing is in the plan",
            where=node.file,
            hint="say in the specification what that code does, so that it is planned, too",
        )
    return await proven(ctx, source)


async def _source(ctx: RuleContext[ExistingCodeAttrs], node: NodeInterface) -> str:
    """The text of the file that holds the definition as it was scanned. TargetFailed when no file of the workspace does."""
    paths = await ctx.glob([node.file, f"**/{node.file}"])
    for path in paths:
        data = ctx.read(await ctx.source(path))
        found = {each.name: each.digest for each in facts_of(node.file, data).definitions}
        if node.name in found and code_digest(found, node.name) == ctx.attrs.digest:
            try:
                return data.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise TargetFailed(f"The file is not UTF-8 (byte {error.start})", where=path) from None
    where = f" ({', '.join(paths)} is not as it was scanned)" if paths else ""
    raise TargetFailed(
        f"No file of the workspace holds `{node.name}` as `{ctx.attrs.lock_path}` says it is{where}",
        where=node.file,
        hint="scan the code again: zerorepo init . --from FOLDER",
    )


__all__ = ["existing_code", "existing_tests"]
