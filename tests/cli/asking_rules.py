"""A plugin for a workspace of tests: ``asked`` asks a model for free text and writes it, ``tried`` runs Python tests."""

from __future__ import annotations

from zerorepo.label import Label
from zerorepo.plugins import RuleSet
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.target import Outputs, TestReport
from zerorepo_llm.action import AskByGist, AskModel, Message
from zerorepo_llm.fence import fence
from zerorepo_llm.settings import LLMSettings, model_of
from zerorepo_sandbox.isolation import isolation, test_environment, test_limits
from zerorepo_sandbox.run_tests import RunTests


class AskedAttrs(Attrs):
    """``about`` is a source file, whose text is shown to the model."""

    about: str


@rule("asked", attrs=AskedAttrs)
async def asked(ctx: RuleContext[AskedAttrs]) -> None:
    """Ask, and write the answer."""
    settings = await ctx.setting("llm", LLMSettings)
    text = ctx.read(await ctx.source(ctx.attrs.about)).decode()
    messages = (
        Message(role="system", content="Say something about the data."),
        Message(role="user", content=fence(text, "subject")),
    )
    model = model_of(settings, "cheap")
    action = AskModel(model=model, messages=messages, max_tokens=50, purpose="say something", tier="cheap")
    answer = await ctx.run(action)
    ctx.output(f"{ctx.label.name}.txt", f"{answer.text} ({answer.model})".encode())


class AskedAfterAttrs(AskedAttrs):
    """``needs`` is another target that asks."""

    needs: Label


@rule("asked_after", attrs=AskedAfterAttrs)
async def asked_after(ctx: RuleContext[AskedAfterAttrs]) -> None:
    """Ask about the same once more, when another target has asked."""
    await ctx.provider(ctx.attrs.needs, Outputs)
    message = Message(role="user", content=fence(ctx.read(await ctx.source(ctx.attrs.about)).decode(), "subject"))
    await ctx.run(AskModel(model="openai/gpt-4o", messages=(message,), max_tokens=50, purpose="say more"))


@rule("asked_by_gist", attrs=AskedAttrs)
async def asked_by_gist(ctx: RuleContext[AskedAttrs]) -> None:
    """Ask, and write the answer; another text of the file is no reason to ask again."""
    text = ctx.read(await ctx.source(ctx.attrs.about)).decode()
    messages, gist = (
        (Message(role="user", content=fence(each, "subject")),) for each in (text, f"{len(text.split())} words")
    )
    action = AskByGist(model="openai/gpt-4o", messages=messages, gist=gist, max_tokens=50, purpose="say something")
    ctx.output(f"{ctx.label.name}.txt", (await ctx.run(action)).text.encode())


class TriedAttrs(Attrs):
    """``tests`` is a source file."""

    tests: str


@rule("tried", attrs=TriedAttrs, provides=[TestReport], test=True)
async def tried(ctx: RuleContext[TriedAttrs]) -> TestReport:
    """Run pytest, and write what it said."""
    action = RunTests(
        files={"test_it.py": await ctx.source(ctx.attrs.tests)},
        tests=("test_it.py",),
        tier=await isolation(ctx),
        environment=await test_environment(ctx),
        limits=await test_limits(ctx),
    )
    run = await ctx.run(action)
    ctx.output(f"{ctx.label.name}.txt", run.report.model_dump_json().encode())
    report: TestReport = run.report
    return report


RULE_SET = RuleSet(
    name="asking_rules",
    rules={name: f"asking_rules:{name}" for name in ("asked", "asked_after", "asked_by_gist", "tried")},
)
