"""The rules that random worlds are made of: ``mix`` asks for every kind of input, ``grow`` expands, to any depth.

What ``mix`` asks for next depends on what it was told before: file contents, other targets' contents, an action's result.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from toy_rules import Blob, Cat, First, blobs_of

from zerorepo.action import Action, ActionContext, ActionResult, CachePolicy
from zerorepo.digest import Digest
from zerorepo.label import Label, parse_label
from zerorepo.plugins import RuleSet
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.target import SourcePath
from zerorepo.values import COSMETIC

CLOCK = "clock"
LABEL = re.compile(r"//[a-z0-9/]*:[a-z][0-9]")
LINE = re.compile(r"([a-z][0-9])((?: [^ ]+)*)")


class Poll(Action):
    """What the world outside says now: a file that no rule asks for."""

    mnemonic: ClassVar[str] = "Poll"
    result: ClassVar[type[ActionResult]] = Blob
    cache: ClassVar[CachePolicy] = CachePolicy.VOLATILE

    async def execute(self, context: ActionContext) -> Blob:
        return Blob(out=context.write((context.workspace / CLOCK).read_bytes()))


class MixAttrs(Attrs):
    """Attributes of ``mix``, in the order in which they are looked at."""

    srcs: tuple[SourcePath, ...] = ()
    glob: tuple[str, ...] = ()
    maybe: str = ""
    """A file that need not exist."""
    poll: bool = False
    deps: tuple[Label, ...] = ()
    more: SourcePath | None = None
    """A file that names further labels."""
    via: Label | None = None
    """A target whose output names further labels."""
    scan: bool = False
    """Look for further labels in the result of an action on everything so far."""
    first: bool = False
    out: str = ""
    executable: bool = False
    note: Annotated[str, COSMETIC] = ""


async def _named(ctx: RuleContext[MixAttrs], blobs: list[Digest]) -> list[Digest]:
    text = b"".join(map(ctx.read, blobs)).decode()
    return await blobs_of(ctx, [parse_label(found) for found in LABEL.findall(text)])


@rule("mix", attrs=MixAttrs)
async def mix(ctx: RuleContext[MixAttrs]) -> None:
    """Everything that it finds, one after the other."""
    attrs = ctx.attrs
    parts = [await ctx.source(path) for path in attrs.srcs]
    if attrs.glob:
        parts += [await ctx.source(path) for path in await ctx.glob(attrs.glob)]
    if attrs.maybe and (found := await ctx.source_or_none(attrs.maybe)):
        parts.append(found)
    if attrs.poll:
        parts.append((await ctx.run(Poll())).out)
    parts += await blobs_of(ctx, list(attrs.deps))
    if attrs.more:
        parts += await _named(ctx, [await ctx.source(attrs.more)])
    if attrs.via:
        parts += await _named(ctx, await blobs_of(ctx, [attrs.via]))
    if attrs.scan:
        parts += await _named(ctx, [(await ctx.run(Cat(parts=tuple(parts)))).out])
    out = (await ctx.run(Cat(parts=tuple(parts), note=attrs.note))).out
    if attrs.first:
        out = (await ctx.run(First(whole=out))).out
    ctx.output(attrs.out or ctx.label.path, out, executable=attrs.executable)


class GrowAttrs(Attrs):
    """Attributes of ``grow``: a file or a target that says what there is in ``package``."""

    plan: SourcePath | None = None
    plan_from: Label | None = None
    package: str


@rule("grow", attrs=GrowAttrs, expands=True)
async def grow(ctx: RuleContext[GrowAttrs]) -> None:
    """Each line is a target: ``n0 @file`` or ``n0 @//:label`` grows further, ``g0 file //:label ?file *glob`` mixes."""
    attrs = ctx.attrs
    blobs = [await ctx.source(attrs.plan)] if attrs.plan else []
    if attrs.plan_from:
        blobs += await blobs_of(ctx, [attrs.plan_from])
    for line in b"".join(map(ctx.read, blobs)).decode().splitlines():
        if match := LINE.fullmatch(line):
            name, words = match[1], match[2].split()
            if words and words[0].startswith("@"):
                where = words[0][1:]
                kind = {"plan_from": where} if where.startswith("//") else {"plan": f"//:{where}"}
                ctx.declare(Label(attrs.package, name), "grow", {**kind, "package": f"{attrs.package}/{name}"})
            else:
                ctx.declare(Label(attrs.package, name), "mix", declared(words))


def declared(words: list[str]) -> dict[str, object]:
    """Attributes of ``mix`` as a line of a plan gives them."""
    return {
        "srcs": [f"//:{word}" for word in words if word[0] not in "/?*"],
        "glob": [word[1:] for word in words if word[0] == "*"],
        "maybe": next((word[1:] for word in words if word[0] == "?"), ""),
        "deps": [word for word in words if word[0] == "/"],
    }


RULE_SET = RuleSet(name="mixes", rules={name: f"mix_rules:{name}" for name in ("mix", "grow")})
