"""The rules ``command`` and ``command_test``: a shell command as a target, as Bazel's ``genrule`` and ``sh_test``.

Knows nothing of how a command is isolated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, field_validator

from zerorepo.digest import Digest
from zerorepo.errors import TargetFailed
from zerorepo.label import Label
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.target import Outputs, SourcePath, TestReport
from zerorepo.values import COSMETIC
from zerorepo_sandbox import debug
from zerorepo_sandbox.isolation import command_limits, isolation
from zerorepo_sandbox.limits import Limits
from zerorepo_sandbox.run_command import CommandResult, RunCommand, TestCommand
from zerorepo_sandbox.run_tests import TestRun
from zerorepo_sandbox.settings import TierName

_PATTERN = frozenset("*?[")


class _ShellAttrs(Attrs):
    srcs: tuple[SourcePath, ...] = ()
    """Source files; ``*`` and ``**`` match several."""
    deps: tuple[Label, ...] = ()
    """Targets whose outputs the command reads."""
    cmd: str
    """Run under ``sh -eu`` in a folder that stands for the workspace; ``$SRCS $DEPS $OUTS`` are paths in it."""
    sandbox: TierName | None = None
    """The isolation to run under, instead of the workspace's: ``bubblewrap``, ``docker`` or ``gvisor``."""
    # How long it may take decides whether there is a result, never which.
    timeout_s: Annotated[float | None, Field(gt=0), COSMETIC] = None

    @field_validator("cmd")
    @classmethod
    def _says_something(cls, cmd: str) -> str:
        if not cmd.strip():
            raise ValueError("the command is empty")
        return cmd


class CommandAttrs(_ShellAttrs):
    """Attributes of ``command``."""

    outs: tuple[str, ...] = Field(min_length=1)
    """Files that the command makes, relative to the target's package."""

    @field_validator("outs")
    @classmethod
    def _inside_the_package(cls, outs: tuple[str, ...]) -> tuple[str, ...]:
        for out in outs:
            if not out or out.startswith("/") or any(part in ("", ".", "..") for part in out.split("/")):
                raise ValueError(f"the output `{out}` is no path inside the package, such as gen/a.txt")
            if "\0" in out or "\n" in out or out.startswith("-"):
                raise ValueError(f"the output {out!r} has a name that a shell would misread")
        for out in outs:
            if outs.count(out) > 1:
                raise ValueError(f"the output `{out}` is declared twice")
            if clash := next((other for other in outs if other.startswith(f"{out}/")), None):
                raise ValueError(f"the output `{out}` is a file, and `{clash}` would be in it")
        return outs


class CommandTestAttrs(_ShellAttrs):
    """Attributes of ``command_test``."""


@dataclass(frozen=True, slots=True)
class _Inputs:
    files: Mapping[str, Digest]
    srcs: tuple[str, ...]
    deps: tuple[str, ...]
    executable: tuple[str, ...]


async def _inputs(ctx: RuleContext[Any]) -> _Inputs:
    """Sources and outputs of dependencies at their workspace-relative paths. TargetFailed when two want one path."""
    srcs: list[str] = []
    for src in ctx.attrs.srcs:
        if not _PATTERN.isdisjoint(src):
            matched = await ctx.glob([src])
            if not matched:
                raise TargetFailed(f"`{ctx.label}`: no file matches `{src}` in `srcs`")
            srcs += matched
        else:
            srcs.append(str(src))
    srcs = list(dict.fromkeys(srcs))
    files = {path: await ctx.source(path) for path in srcs}
    owners: dict[str, str] = dict.fromkeys(srcs, "a source file")
    deps: list[str] = []
    executable: list[str] = []
    for label, outputs in zip(ctx.attrs.deps, await ctx.providers(ctx.attrs.deps, Outputs), strict=True):
        for path, digest in sorted(outputs.files.items()):
            if files.get(path, digest) != digest:
                raise TargetFailed(
                    f"`{ctx.label}`: `{path}` is an output of `{label}` and {owners[path]}, with different content"
                )
            if path not in owners:
                deps.append(path)
            files[path], owners[path] = digest, f"an output of `{label}`"
        executable += outputs.executable
    return _Inputs(files, tuple(srcs), tuple(deps), tuple(sorted(set(executable))))


async def _limits(ctx: RuleContext[Any]) -> Limits:
    limits = await command_limits(ctx)
    return limits if ctx.attrs.timeout_s is None else limits.model_copy(update={"wall_s": ctx.attrs.timeout_s})


def _in_package(label: Label, outs: Sequence[str]) -> tuple[str, ...]:
    return tuple(label.sibling(out).path for out in outs)


@rule(
    "command",
    attrs=CommandAttrs,
    provides=(Outputs,),
    outputs=lambda label, attrs: _in_package(label, attrs.outs),
)
async def command(ctx: RuleContext[CommandAttrs]) -> None:
    """Make files with a shell command that sees its declared inputs and nothing else."""
    inputs = await _inputs(ctx)
    outs = _in_package(ctx.label, ctx.attrs.outs)
    if clash := sorted(set(outs) & set(inputs.files)):
        raise TargetFailed(f"`{ctx.label}`: `{clash[0]}` is an input and an output")
    action = RunCommand(
        cmd=ctx.attrs.cmd,
        files=inputs.files,
        srcs=inputs.srcs,
        deps_paths=inputs.deps,
        executable=inputs.executable,
        outs=outs,
        tier=await isolation(ctx, ctx.attrs.sandbox or ""),
        limits=await _limits(ctx),
    )
    await debug.entered(ctx, action.layout(action.limits, outs))
    result: CommandResult = await ctx.run(action)
    for path, digest in result.outputs.items():
        ctx.output(path, digest, executable=path in result.executable)


@rule("command_test", attrs=CommandTestAttrs, provides=(TestReport,), test=True)
async def command_test(ctx: RuleContext[CommandTestAttrs]) -> TestReport:
    """A shell command that is a test: it passes when it exits with code 0."""
    inputs = await _inputs(ctx)
    action = TestCommand(
        cmd=ctx.attrs.cmd,
        files=inputs.files,
        srcs=inputs.srcs,
        deps_paths=inputs.deps,
        executable=inputs.executable,
        tier=await isolation(ctx, ctx.attrs.sandbox or ""),
        limits=await _limits(ctx),
    )
    layout = action.layout(action.limits, ())
    await debug.entered(ctx, layout)
    run: TestRun = await ctx.run(action)
    return (await debug.kept(ctx, run, layout, action.again())).report
