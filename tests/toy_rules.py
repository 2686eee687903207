"""Small rules to test the engine with: concatenate, cut off, expand, fail, take time. Also a plugin module for the command line.

Knows nothing of the tests.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated, Any, ClassVar

from zerorepo.action import Action, ActionContext, ActionResult, CachePolicy
from zerorepo.digest import Digest
from zerorepo.errors import ActionFailed, BudgetRefused, TargetFailed, TransientFailure
from zerorepo.label import Label, parse_label
from zerorepo.plugins import RuleSet
from zerorepo.rule import Attrs, RuleContext, macro, rule
from zerorepo.target import Outcome, Outputs, Provider, SourcePath, TestCase, TestReport
from zerorepo.values import COSMETIC, Value


class ToySettings(Value):
    """``[toy]``."""

    greeting: str = "hello"
    note: Annotated[str, COSMETIC] = ""


class Blob(ActionResult):
    """One blob."""

    out: Digest


class Text(Provider):
    """One text."""

    text: str


class Cat(Action):
    """Concatenates."""

    mnemonic: ClassVar[str] = "Cat"
    result: ClassVar[type[ActionResult]] = Blob
    parts: tuple[Digest, ...]
    note: Annotated[str, COSMETIC] = ""

    async def execute(self, context: ActionContext) -> Blob:
        data = b"".join(context.read(part) for part in self.parts)
        for word, error in (
            (b"!fail", ActionFailed("told to fail")),
            (b"!transient", TransientFailure("told to fail for now")),
            (b"!budget", BudgetRefused("too dear")),
            (b"!bug", ZeroDivisionError("oops")),
        ):
            if word in data:
                raise error
        return Blob(out=context.write(data))


class First(Action):
    """The first character only: most changes of its input do not show."""

    mnemonic: ClassVar[str] = "First"
    result: ClassVar[type[ActionResult]] = Blob
    whole: Digest

    async def execute(self, context: ActionContext) -> Blob:
        return Blob(out=context.write(context.read(self.whole)[:1]))


class Tick(Action):
    """Different each time."""

    mnemonic: ClassVar[str] = "Tick"
    result: ClassVar[type[ActionResult]] = Blob
    cache: ClassVar[CachePolicy] = CachePolicy.VOLATILE
    coarse: bool = False

    async def execute(self, context: ActionContext) -> Blob:
        return Blob(out=context.write(b"same" if self.coarse else str(time.time_ns()).encode()))


class Slow(Action):
    """Sleeps in a process of its own (``hard``: in this one, so that nothing else turns)."""

    mnemonic: ClassVar[str] = "Slow"
    result: ClassVar[type[ActionResult]] = Blob
    name: str
    seconds: float
    hard: bool = False

    async def execute(self, context: ActionContext) -> Blob:
        if self.hard:
            time.sleep(self.seconds)
        else:
            process = await asyncio.create_subprocess_exec("sleep", str(self.seconds), start_new_session=True)
            try:
                await process.wait()
            except asyncio.CancelledError:
                process.kill()
                await process.wait()
                raise
        return Blob(out=context.write(self.name.encode()))


class Logged(Action):
    """Says in a file when it begins and ends, so that runs can be counted across processes; lasts while ``hold`` exists."""

    mnemonic: ClassVar[str] = "Logged"
    result: ClassVar[type[ActionResult]] = Blob
    name: str
    size: int = 0
    fail: bool = False
    seconds: float = 0.0
    log: Annotated[str, COSMETIC] = ""
    hold: Annotated[str, COSMETIC] = ""
    hard: Annotated[bool, COSMETIC] = False

    async def execute(self, context: ActionContext) -> Blob:
        self._say("begin")
        await asyncio.sleep(self.seconds)
        while self.hold and Path(self.hold).exists():
            if self.hard:
                time.sleep(0.02)
            else:
                await asyncio.sleep(0.02)
        if self.fail:
            raise ActionFailed("told to fail")
        self._say("end")
        data = b"".join(f"{self.name} {number}\n".encode() for number in range(self.size // (len(self.name) + 2) + 1))
        return Blob(out=context.write(data))

    def _say(self, what: str) -> None:
        with Path(self.log).open("a", encoding="utf-8") as file:
            file.write(f"{what} {self.name}\n")


class LoggedAttrs(Attrs):
    """Attributes of ``logged``."""

    log: Annotated[str, COSMETIC]
    deps: tuple[Label, ...] = ()
    named: str = ""
    size: int = 0
    fail: bool = False
    seconds: float = 0.0
    hold: Annotated[str, COSMETIC] = ""
    hard: Annotated[bool, COSMETIC] = False


class CatAttrs(Attrs):
    """Attributes of ``cat``."""

    srcs: tuple[SourcePath, ...] = ()
    deps: tuple[Label, ...] = ()
    more: SourcePath | None = None
    """A file that names further labels, one a line."""
    first: bool = False
    out: str = ""
    executable: bool = False
    note: Annotated[str, COSMETIC] = ""


async def blobs_of(ctx: RuleContext[Any], labels: list[Label]) -> list[Digest]:
    """Contents of the outputs of several targets."""
    outputs = await ctx.providers(labels, Outputs)
    return [each.files[path] for each in outputs for path in sorted(each.files)]


@rule("cat", attrs=CatAttrs)
async def cat(ctx: RuleContext[CatAttrs]) -> None:
    """Sources, then outputs of dependencies, then those of labels found in a file."""
    parts = [await ctx.source(path) for path in ctx.attrs.srcs]
    parts += await blobs_of(ctx, list(ctx.attrs.deps))
    if ctx.attrs.more:
        listed = ctx.read(await ctx.source(ctx.attrs.more)).decode().split()
        parts += await blobs_of(ctx, [parse_label(text) for text in listed])
    out = (await ctx.run(Cat(parts=tuple(parts), note=ctx.attrs.note))).out
    if ctx.attrs.first:
        out = (await ctx.run(First(whole=out))).out
    ctx.output(ctx.attrs.out or ctx.label.path, out, executable=ctx.attrs.executable)


class ExpandAttrs(Attrs):
    """Attributes of ``expand``."""

    plan: SourcePath
    package: str = "gen"
    deps: tuple[Label, ...] = ()
    """Targets whose outputs continue the plan."""


@rule("expand", attrs=ExpandAttrs, expands=True)
async def expand(ctx: RuleContext[ExpandAttrs]) -> None:
    """Each line ``name source...`` of the plan declares a ``cat``; ``name @plan`` another ``expand``.

    A source ``+file`` names further labels, a source ``//:label`` is a dependency.
    """
    blobs = [await ctx.source(ctx.attrs.plan), *await blobs_of(ctx, list(ctx.attrs.deps))]
    for line in b"".join(map(ctx.read, blobs)).decode().splitlines():
        name, *sources = line.split()
        label = Label(ctx.attrs.package, name)
        if sources and sources[0].startswith("@"):
            inner = {"plan": f"//:{sources[0][1:]}", "package": f"{ctx.attrs.package}/{name}"}
            ctx.declare(label, "expand", inner)
        else:
            more = [f"//:{source[1:]}" for source in sources if source[0] == "+"]
            attrs = {
                "srcs": [f"//:{source}" for source in sources if source[0] not in "+/"],
                "deps": [source for source in sources if source[0] == "/"],
                "more": more[0] if more else None,
            }
            ctx.declare(label, "cat", attrs)


class PlannedAttrs(Attrs):
    """Attributes of ``planned``."""

    plan: Label


@rule("planned", attrs=PlannedAttrs, expands=True)
async def planned(ctx: RuleContext[PlannedAttrs]) -> None:
    """As ``expand``, with a plan that another target makes."""
    for digest in await blobs_of(ctx, [ctx.attrs.plan]):
        for line in ctx.read(digest).decode().splitlines():
            name, *sources = line.split()
            ctx.declare(Label("gen", name), "cat", {"srcs": [f"//:{source}" for source in sources]})


class TickAttrs(Attrs):
    """Attributes of ``tick``."""

    coarse: bool = False


@rule("tick", attrs=TickAttrs)
async def tick(ctx: RuleContext[TickAttrs]) -> None:
    """A volatile action."""
    ctx.output(ctx.label.path, (await ctx.run(Tick(coarse=ctx.attrs.coarse))).out)


class SlowAttrs(Attrs):
    """Attributes of ``slow``."""

    seconds: float
    deps: tuple[Label, ...] = ()
    hard: bool = False


@rule("slow", attrs=SlowAttrs)
async def slow(ctx: RuleContext[SlowAttrs]) -> None:
    """Takes its time."""
    await blobs_of(ctx, list(ctx.attrs.deps))
    done = await ctx.run(Slow(name=str(ctx.label), seconds=ctx.attrs.seconds, hard=ctx.attrs.hard))
    ctx.output(ctx.label.path, done.out)


@rule("logged", attrs=LoggedAttrs)
async def logged(ctx: RuleContext[LoggedAttrs]) -> None:
    """Runs ``Logged`` when its dependencies are done; targets of one ``named`` share the action."""
    await blobs_of(ctx, list(ctx.attrs.deps))
    attrs = ctx.attrs
    action = Logged(
        name=attrs.named or str(ctx.label),
        size=attrs.size,
        fail=attrs.fail,
        seconds=attrs.seconds,
        log=attrs.log,
        hold=attrs.hold,
        hard=attrs.hard,
    )
    ctx.output(ctx.label.path, (await ctx.run(action)).out)


class AskAttrs(Attrs):
    """Attributes of ``ask``."""

    option: str = ""
    section: bool = False
    patterns: tuple[str, ...] = ()
    maybe: str = ""


@rule("ask", attrs=AskAttrs)
async def ask(ctx: RuleContext[AskAttrs]) -> Text:
    """Asks for the other kinds of inputs."""
    said = []
    if ctx.attrs.option:
        said.append(repr(await ctx.option(ctx.attrs.option)))
    if ctx.attrs.section:
        said.append((await ctx.setting("toy", ToySettings)).greeting)
    if ctx.attrs.patterns:
        said.append(" ".join(await ctx.glob(ctx.attrs.patterns)))
    if ctx.attrs.maybe:
        found = await ctx.source_or_none(ctx.attrs.maybe)
        said.append("none" if found is None else ctx.read(found).decode())
    ctx.output(ctx.label.path, "|".join(said).encode())
    return Text(text="|".join(said))


class Metered(Action):
    """Costs something: ``cost_usd``, and a question for each of its words."""

    mnemonic: ClassVar[str] = "Metered"
    result: ClassVar[type[ActionResult]] = Blob
    text: str
    cost: Annotated[float, COSMETIC] = 0.5

    async def execute(self, context: ActionContext) -> Blob:
        context.progress("counting")
        context.meter(model_calls=len(self.text.split()), cost_usd=self.cost)
        return Blob(out=context.write(self.text.upper().encode()))


class MeteredAttrs(Attrs):
    """Attributes of ``metered``."""

    srcs: tuple[SourcePath, ...] = ()
    deps: tuple[Label, ...] = ()
    cost: Annotated[float, COSMETIC] = 0.5


@rule("metered", attrs=MeteredAttrs)
async def metered(ctx: RuleContext[MeteredAttrs]) -> None:
    """An action that costs something for each source, then one for all dependencies together."""
    made = []
    for path in ctx.attrs.srcs:
        text = ctx.read(await ctx.source(path)).decode()
        made.append((await ctx.run(Metered(text=text, cost=ctx.attrs.cost))).out)
    if ctx.attrs.deps or not made:
        before = b" ".join(ctx.read(each) for each in await blobs_of(ctx, list(ctx.attrs.deps)))
        made.append((await ctx.run(Metered(text=before.decode(), cost=ctx.attrs.cost))).out)
    ctx.output(ctx.label.path, (await ctx.run(Cat(parts=tuple(made)))).out)


class LockAttrs(Attrs):
    """Attributes of ``lock``."""

    src: SourcePath
    path: str = "toy.lock"


@rule("lock", attrs=LockAttrs)
async def lock(ctx: RuleContext[LockAttrs]) -> None:
    """Keeps a checked-in file equal to the upper case of its source."""
    ctx.update_source(ctx.attrs.path, ctx.read(await ctx.source(ctx.attrs.src)).upper())


class JudgeAttrs(Attrs):
    """Attributes of ``judge_test``."""

    src: SourcePath


@rule("judge_test", attrs=JudgeAttrs, provides=[TestReport], test=True)
async def judge_test(ctx: RuleContext[JudgeAttrs]) -> TestReport:
    """Passes when its source says "good"."""
    text = ctx.read(await ctx.source(ctx.attrs.src)).decode()
    case = TestCase(name="says", outcome=Outcome.PASSED if "good" in text else Outcome.FAILED, message=text)
    return TestReport(passed="good" in text, status="ok", cases=(case,), sandbox="none")


@rule("refuse", attrs=Attrs)
async def refuse(ctx: RuleContext[Attrs]) -> None:
    """A rule that cannot be built."""
    raise TargetFailed("this rule never succeeds", hint="remove it")


class PairAttrs(Attrs):
    """Attributes of ``pair``."""

    srcs: tuple[SourcePath, ...]


@macro("pair", attrs=PairAttrs)
def pair(label: Label, attrs: PairAttrs) -> list[tuple[Label, str, dict[str, Any]]]:
    """Two targets at once."""
    srcs = [f"//:{src}" for src in attrs.srcs]
    return [
        (label, "cat", {"deps": [str(label.sibling(f"{label.name}.inner"))]}),
        (label.sibling(f"{label.name}.inner"), "cat", {"srcs": srcs}),
    ]


_NAMES = (
    "cat",
    "expand",
    "tick",
    "slow",
    "ask",
    "lock",
    "judge_test",
    "refuse",
    "pair",
    "metered",
    "planned",
    "logged",
)
RULE_SET = RuleSet(
    name="toys", rules={name: f"toy_rules:{name}" for name in _NAMES}, settings={"toy": "toy_rules:ToySettings"}
)
