"""The benchmarks' own rule set, copied into each workspace they make and named there by ``[workspace] plugins``.

One line a file, its MD5: an output that is small whatever goes in, and that differs whenever an input does. ``digests`` computes
it in the engine's process, ``digests_by_process`` by the shell and ``md5sum``, as the other tools do.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from zerorepo.action import Action, ActionContext, ActionResult
from zerorepo.digest import Digest
from zerorepo.errors import ActionFailed
from zerorepo.label import Label
from zerorepo.plugins import RuleSet
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.target import Outputs, SourcePath


class Made(ActionResult):
    """The output's content."""

    out: Digest


class Digests(Action):
    """MD5 of each part, without starting a process."""

    mnemonic = "Digests"
    result = Made

    parts: tuple[Digest, ...]

    async def execute(self, context: ActionContext) -> Made:
        """One line a part."""
        lines = [hashlib.md5(context.read(part)).hexdigest() + "\n" for part in self.parts]
        return Made(out=context.write("".join(lines).encode()))


class DigestsByProcess(Action):
    """The same with one ``sh -c md5sum``."""

    mnemonic = "DigestsByProcess"
    result = Made

    parts: tuple[Digest, ...]

    async def execute(self, context: ActionContext) -> Made:
        """One process, which reads the parts from its standard input."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec("/bin/sh", "-c", "md5sum", stdin=pipe, stdout=pipe)
        out, _ = await process.communicate(b"".join(context.read(part) for part in self.parts))
        if process.returncode != 0:
            raise ActionFailed(f"md5sum ended with {process.returncode}")
        return Made(out=context.write(out))


class DigestsAttrs(Attrs):
    """Attributes of both rules."""

    srcs: tuple[SourcePath, ...] = ()
    deps: tuple[Label, ...] = ()


async def _build(ctx: RuleContext[DigestsAttrs], action: type[Any]) -> None:
    parts = [await ctx.source(path) for path in ctx.attrs.srcs]
    for outputs in await ctx.providers(ctx.attrs.deps, Outputs):
        parts += outputs.files.values()
    ctx.output(ctx.label.path, (await ctx.run(action(parts=tuple(parts)))).out)


@rule("digests", attrs=DigestsAttrs)
async def digests(ctx: RuleContext[DigestsAttrs]) -> None:
    """Sources, then outputs of dependencies."""
    await _build(ctx, Digests)


@rule("digests_by_process", attrs=DigestsAttrs)
async def digests_by_process(ctx: RuleContext[DigestsAttrs]) -> None:
    """The same, each with a process."""
    await _build(ctx, DigestsByProcess)


_NAMES = ("digests", "digests_by_process")
RULE_SET = RuleSet(name="bench", rules={name: f"bench_rules:{name}" for name in _NAMES})
