"""``zerorepo query``: the target graph of this workspace, asked in the query language. Never builds, never spends."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

from zerorepo import snapshot
from zerorepo.cli.common import GLOBALS, emit, load_workspace, say, start_folder
from zerorepo.errors import EnvironmentFailure, ExitCode, UsageError
from zerorepo.query.run import PARTIAL_ANSWER, Answer, evaluate_query, run_query
from zerorepo.saved_graph import MadeFrom, TargetGraph, load, make_room, save
from zerorepo.workspace_functions import functions_of

MOST_NAMED = 5
SVG = "svg"
"""The one output that another program makes: Graphviz, from ``graph``."""


def run(
    expression: str,
    *,
    output: str,
    order: str,
    keep_going: bool,
    universe_scope: Sequence[str] = (),
    factored: bool = True,
) -> int:
    """Print the answer; the exit code is the query's own (0, 2, 3, 7)."""
    drawn = output == SVG
    if drawn and shutil.which("dot") is None:
        raise EnvironmentFailure(
            "`--output svg` needs Graphviz, whose program `dot` is not on the PATH",
            hint="install it (apt install graphviz, brew install graphviz), or take --output mermaid, tree or graph",
        )
    known = known_graph()
    answer = run_query(
        expression,
        known.graph,
        output="graph" if drawn else output,
        order=order,
        cwd_package=start_package(),
        keep_going=keep_going,
        universe_scope=universe_scope,
        functions=functions_of(load_workspace, start_folder(), expression),
        factored=factored,
        dimmed=True,
    )
    for message in answer.messages:
        say(f"ERROR: {message}" if answer.exit_code != ExitCode.OK else message)
    if known.unknown:
        say(_note(known))
    if answer.text:
        emit((_svg(answer.text) if drawn else answer.text).rstrip("\n"))
    return answer.exit_code


def asked(expression: str | None, path: str) -> str:
    """The expression of the command line or of the file that it names. UsageError unless there is just one of them."""
    if (expression is None) == (path == ""):
        raise UsageError(
            "There is no expression to ask"
            if expression is None
            else "There are two expressions: an argument and --query-file",
            hint="zerorepo query 'deps(//...)', or --query-file FILE",
        )
    if expression is not None:
        return expression
    try:
        return sys.stdin.read() if path == "-" else (start_folder() / path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(
            f"Cannot read the expression from {path}: {why}", hint="--query-file names a file of text"
        ) from None


def _svg(dot: str) -> str:
    """The picture that Graphviz makes of DOT."""
    done = subprocess.run(["dot", "-Tsvg"], input=dot.encode(), capture_output=True, check=False)
    if done.returncode or not done.stdout:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise EnvironmentFailure(
            f"Graphviz could not draw the graph: {said[-1] if said else f'exit code {done.returncode}'}",
            hint="ask for fewer targets, or take --output graph and draw it with another layout (sfdp)",
        )
    return done.stdout.decode()


def chosen_targets(expression: str, *, keep_going: bool = False) -> tuple[Answer, int]:
    """The targets that an expression stands for, and the exit code. Files in the answer stand for the targets that make them.

    Raises QueryError as the query itself.
    """
    known = known_graph()
    answer = evaluate_query(
        expression,
        known.graph,
        cwd_package=start_package(),
        keep_going=keep_going,
        functions=functions_of(load_workspace, start_folder(), expression),
    )
    for message in answer.messages:
        say(message)
    if known.unknown:
        say(_note(known))
    graph = answer.graph
    makers = {graph.find(made) for node in answer.nodes if (made := graph.infos[node].generated_by)}
    targets = frozenset(node for node in {*answer.nodes, *makers} if node is not None and node in graph.rules)
    return replace(answer, nodes=targets), PARTIAL_ANSWER if answer.partial else ExitCode.OK


def _note(known: TargetGraph) -> str:
    one, more = len(known.unknown) == 1, len(known.unknown) - MOST_NAMED
    named, these = ", ".join(known.unknown[:MOST_NAMED]), " ".join(known.unknown)
    if more > 0:
        named, these = f"{named} and {more:,} more", "//..."
    return (
        f"note: {named} {'declares' if one else 'declare'} targets that are not known yet; "
        f"`zerorepo build {these}` makes {'it' if one else 'them'} known"
    )


def start_package() -> str:
    """The package that relative patterns refer to."""
    root = snapshot.root_of(str(start_folder())) or ""
    relative = os.path.relpath(start_folder(), root) if root else "."
    return "" if relative == "." else relative


def known_graph() -> TargetGraph:
    """The graph of this workspace: the one that the last query kept, when nothing has changed since, or a new one."""
    root = snapshot.root_of(str(start_folder()))
    kept = load(root, GLOBALS.overrides) if root is not None else None
    return kept or _new_graph()


def _new_graph() -> TargetGraph:
    import contextlib
    import gc

    from zerorepo import declarations
    from zerorepo.cli.build_cmd import interruptible
    from zerorepo.engine import BuildOptions, Engine
    from zerorepo.looked_at import Look
    from zerorepo.target_graph import target_graph
    from zerorepo.workspace import find_root

    gc.disable()  # many objects, nearly all of which stay; this process ends soon
    look = Look(find_root(start_folder()), GLOBALS.began_ns)
    workspace = load_workspace()
    root = str(workspace.root)

    async def work() -> TargetGraph:
        look.begin()
        async with Engine(workspace, BuildOptions(dry_run=True)) as engine:
            kept = declarations.load(workspace, GLOBALS.overrides)
            before = kept.code
            known = await target_graph(engine, kept)
            with contextlib.suppress(OSError):
                make_room(root)
                if kept.changed and (code := look.of_code(engine, before)) is not None:
                    kept.code = code[0]
                    declarations.save(workspace, GLOBALS.overrides, kept, code[1])
                if not engine.table.broken and (found := look.of_graph(engine, kept.code)) is not None:
                    state = MadeFrom(found.chunks, found.absent, found.kept, found.environment)
                    save(root, GLOBALS.overrides, known, state)
            return known

    return interruptible(work())
