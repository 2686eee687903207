"""The command line's shape: commands, flags and help. What a command does is in its own module, imported when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from zerorepo.cli.common import GLOBALS, command_of
from zerorepo.cli.options import (
    AsJson,
    DryRun,
    Events,
    Jobs,
    KeepGoing,
    Locked,
    NoWait,
    Overwrite,
    ProfileFile,
    Quiet,
    Refresh,
    SandboxDebug,
    Targets,
    TestOutput,
    Unsafe,
    Watch,
)

app = typer.Typer(
    name="zerorepo",
    help="The build system for repositories that models write.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    # `--keep_going` is `--keep-going`: Bazel's spelling.
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda name: name.replace("_", "-"),
    },
)


def _version(value: bool) -> None:
    if value:
        from zerorepo import __version__

        typer.echo(f"zerorepo {__version__}")
        raise typer.Exit


@app.callback()
def _globals(
    directory: Annotated[
        Path | None, typer.Option("--directory", "-C", metavar="DIR", help="Work in this folder.")
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a setting of zerorepo.toml."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    GLOBALS.directory, GLOBALS.overrides, GLOBALS.debug = directory, tuple(override or ()), debug


@app.command()
def build(
    targets: Targets = None, jobs: Jobs = None, keep_going: KeepGoing = False, dry_run: DryRun = False, locked: Locked = False,
    overwrite: Overwrite = False, unsafe: Unsafe = False, sandbox_debug: SandboxDebug = False, no_wait: NoWait = False,
    refresh: Refresh = None, as_json: AsJson = False, quiet: Quiet = False, events: Events = None,
    profile: ProfileFile = None, watch: Watch = False,
) -> None:  # fmt: skip
    """Build targets: run what their inputs require, take the rest from the cache."""
    from zerorepo.cli.build_cmd import Request, run, to_options

    options = to_options(
        jobs=jobs,
        keep_going=keep_going,
        dry_run=dry_run,
        locked=locked,
        overwrite=overwrite,
        unsafe=unsafe,
        sandbox_debug=sandbox_debug,
        no_wait=no_wait,
    )
    if watch:
        raise typer.Exit(_watch(targets, as_json=as_json, quiet=quiet))
    raise typer.Exit(
        run(
            Request(
                targets or [],
                options,
                refresh=refresh or [],
                as_json=as_json,
                quiet=quiet,
                events_file=events,
                profile_file=profile,
            )
        )
    )


@app.command()
def test(
    targets: Targets = None, jobs: Jobs = None, keep_going: KeepGoing = False, dry_run: DryRun = False, locked: Locked = False,
    unsafe: Unsafe = False, sandbox_debug: SandboxDebug = False, no_wait: NoWait = False, refresh: Refresh = None,
    as_json: AsJson = False, output: TestOutput = "text", quiet: Quiet = False,
    events: Events = None, profile: ProfileFile = None, watch: Watch = False,
) -> None:  # fmt: skip
    """Build the test targets that match, and report their verdicts."""
    from zerorepo.cli.build_cmd import Request, run, to_options
    from zerorepo.cli.test_summary import Output, to_output
    from zerorepo.errors import UsageError

    form = to_output(output)
    if form is not Output.TEXT and (as_json or dry_run):
        other = "--json" if as_json else "--dry-run"
        raise UsageError(f"`--output {form}` and `{other}` cannot both be had", hint="leave one of them out")
    options = to_options(
        jobs=jobs,
        keep_going=keep_going,
        dry_run=dry_run,
        locked=locked,
        unsafe=unsafe,
        sandbox_debug=sandbox_debug,
        no_wait=no_wait,
    )
    if watch:
        raise typer.Exit(_watch(targets, as_json=as_json, quiet=quiet))
    raise typer.Exit(
        run(
            Request(
                targets or [],
                options,
                refresh=refresh or [],
                tests_only=True,
                output=form,
                as_json=as_json,
                quiet=quiet,
                events_file=events,
                profile_file=profile,
            )
        )
    )


def _watch(targets: list[str] | None, *, as_json: bool, quiet: bool) -> int:
    from zerorepo.cli.watch import run

    return run(targets or [], as_json=as_json, quiet=quiet)


@app.command()
def query(
    expression: Annotated[
        str | None, typer.Argument(help="For example 'deps(//...)' or 'rdeps(//..., //:spec.md)'.")
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="label, label_kind, package, location, build, xml, json, jsonl, minrank, maxrank, tree, graph, mermaid, svg.",
        ),
    ] = "label",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --output json.")] = False,
    order: Annotated[
        str,
        typer.Option(
            "--order", "--order-output", help="full (dependents first), deps and auto (the same), or no (by label)."
        ),
    ] = "full",
    keep_going: Annotated[
        bool,
        typer.Option("--keep-going", "-k", help="Answer what can be answered; exit code 3 when something is left out."),
    ] = False,
    universe_scope: Annotated[
        str, typer.Option("--universe-scope", metavar="PATTERN,...", help="Where `allrdeps` and `rbuildfiles` look.")
    ] = "",
    no_factored: Annotated[
        bool, typer.Option("--no-factored", help="graph, mermaid, svg: a box for each target, however alike.")
    ] = False,
    query_file: Annotated[
        str, typer.Option("--query-file", metavar="FILE", help="Read the expression from a file, - for standard input.")
    ] = "",
) -> None:
    """Ask about the target graph. Never builds and never spends."""
    from zerorepo.cli.query_cmd import asked, run

    raise typer.Exit(
        run(
            asked(expression, query_file),
            output="json" if as_json else output,
            order=order,
            keep_going=keep_going,
            universe_scope=[each for each in universe_scope.split(",") if each],
            factored=not no_factored,
        )
    )


@app.command()
def aquery(
    expression: Annotated[str, typer.Argument(help="Targets, as for query: '//auth/...' or 'stale(//...)'.")],
    output: Annotated[str, typer.Option("--output", "-o", help="text, json or jsonl.")] = "text",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --output json.")] = False,
    keep_going: KeepGoing = False,
) -> None:
    """Show the actions of targets: what each was made of, whether its result is in the cache, what it cost. Runs nothing."""
    from zerorepo.cli.aquery_cmd import run

    raise typer.Exit(run(expression, output="json" if as_json else output, keep_going=keep_going))


@app.command()
def explain(
    label: Annotated[str, typer.Argument(metavar="EXPRESSION", help="A target, or several as for query.")],
    as_json: AsJson = False,
    unsafe: Unsafe = False,
) -> None:
    """Say why a target would run or why it is a hit, naming the input that differs."""
    from zerorepo.cli.explain_cmd import run

    raise typer.Exit(run(label, as_json=as_json, unsafe=unsafe))


@app.command()
def adopt(
    labels: Annotated[
        list[str] | None, typer.Argument(metavar="LABEL...", help="Targets, or edited files of the output folder.")
    ] = None,
    to: Annotated[
        str, typer.Option("--to", metavar="PATH", help="Where the source lands; default: below adopted/.")
    ] = "",
    source: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Take this file instead of an edited output.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="Show what was adopted.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Give the targets back to their rules.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make edited outputs the source of their targets; what depends on them is tested again at the next build."""
    from zerorepo.cli.adopt_cmd import Request, run

    request = Request(tuple(labels or ()), to, source, listing, undo, as_json)
    raise typer.Exit(run(request))


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="The new workspace; made when it does not exist.")] = Path(),
    template: Annotated[
        str, typer.Option("--template", "-t", help="What to start from; `--template list` shows them.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist; each is backed up first.")] = False,
    code: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Take in code that exists; again: what changed in it.")
    ] = None,
) -> None:
    """Make a workspace: a zerorepo.toml and what the template needs."""
    from zerorepo.cli.init_cmd import run, run_from

    raise typer.Exit(run_from(directory, template, code) if code else run(directory, template, force=force))


@app.command()
def clean(
    expunge: Annotated[
        bool, typer.Option("--expunge", help="Remove .zerorepo too: cache, state, recorded answers.")
    ] = False,
) -> None:
    """Remove the outputs that were built; what was edited by hand stays. The cache stays too."""
    from zerorepo.cli.clean_cmd import run

    raise typer.Exit(run(expunge=expunge))


@app.command()
def check(
    no_repair: Annotated[
        bool, typer.Option("--no-repair", help="Only say what is wrong; exit 1 when something is.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Verify the cache and the outputs, and mend what can be mended. What was edited by hand is left alone."""
    from zerorepo.cli.check_cmd import run

    raise typer.Exit(run(repair=not no_repair, as_json=as_json))


@app.command()
def gc(
    max_size: Annotated[
        str | None, typer.Option("--max-size", metavar="SIZE", help="Evict what was not used for longest: 500MB, 20GB.")
    ] = None,
    unused_days: Annotated[
        float | None, typer.Option("--unused-days", min=0, metavar="N", help="Remove what no build used for N days.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the cache smaller: remove what nothing refers to, and what you say. It is made again when a build needs it."""
    from zerorepo.cli.gc_cmd import run

    raise typer.Exit(run(max_size=max_size, unused_days=unused_days, as_json=as_json))


@app.command()
def info(as_json: AsJson = False) -> None:
    """Show the workspace, the cache, the rule sets, and what they say of this machine."""
    from zerorepo.cli.info_cmd import run

    raise typer.Exit(run(as_json=as_json))


@app.command()
def shell(
    label: Annotated[str, typer.Argument(help="A target that runs a command or tests.")],
    command: Annotated[list[str] | None, typer.Argument(help="Run this instead of a shell; put -- before it.")] = None,
    unsafe: Unsafe = False,
) -> None:
    """Open a shell in a target's sandbox, with its declared inputs in place. What it needs is built first."""
    from zerorepo.cli.shell_cmd import run

    raise typer.Exit(run(label, command or [], unsafe=unsafe))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check every part outside (sandbox, models, disk, cache) and say what to do; exit code 1 when a configured one fails."""
    from zerorepo.cli.doctor_cmd import run

    raise typer.Exit(run(as_json=as_json))


@app.command()
def version() -> None:
    """Show the version."""
    _version(True)


@app.command()
def completion(shell: Annotated[str, typer.Argument(help="bash, zsh or fish.")]) -> None:
    """Print the completion script of a shell: `eval "$(zerorepo completion bash)"`."""
    from zerorepo.cli.completion_cmd import run

    raise typer.Exit(run(shell))


_BUILTIN = frozenset(
    {
        "build",
        "test",
        "query",
        "aquery",
        "explain",
        "adopt",
        "init",
        "clean",
        "check",
        "gc",
        "info",
        "doctor",
        "shell",
        "version",
        "completion",
    }
)


def make_app(argv: list[str]) -> Any:
    """The command tree. Rule sets' commands are loaded only when a command line may mean one of them."""
    if command_of(argv) not in _BUILTIN:
        _add_plugin_commands([word for word in argv if not word.startswith("-")])
    return typer.main.get_command(app)


def _add_plugin_commands(words: list[str]) -> None:
    from zerorepo.cli.common import registry
    from zerorepo.plugins import load_object

    known = registry().commands
    for name in [word for word in words if word in known] or known:
        command: Any = load_object(known[name])
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
