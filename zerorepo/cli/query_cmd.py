"""``zerorepo query``: the target graph of this workspace, asked in the query language. Never builds, never spends."""

from __future__ import annotations

from zerorepo.cli.build_cmd import interruptible
from zerorepo.cli.common import current_package, emit, load_workspace, say
from zerorepo.engine import BuildOptions, Engine
from zerorepo.errors import ExitCode
from zerorepo.query.run import run_query
from zerorepo.target_graph import TargetGraph, target_graph


def run(expression: str, *, output: str, order: str, keep_going: bool) -> int:
    """Print the answer; the exit code is the query's own (0, 2, 3, 7)."""
    workspace = load_workspace()

    async def work() -> TargetGraph:
        async with Engine(workspace, BuildOptions(dry_run=True)) as engine:
            return await target_graph(engine)

    known = interruptible(work())
    answer = run_query(
        expression,
        known.graph,
        output=output,
        order=order,
        cwd_package=current_package(workspace),
        keep_going=keep_going,
    )
    for message in answer.messages:
        say(f"ERROR: {message}" if answer.exit_code != ExitCode.OK else message)
    if known.unknown:
        say(f"note: build {', '.join(known.unknown)} to know the targets that it declares")
    if answer.text:
        emit(answer.text.rstrip("\n"))
    return answer.exit_code
