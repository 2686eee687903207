"""Planted bugs in the first example's code, and how many of them the generated tests catch, node by node.

Each bug stands in one node; the node's own tests run in the sandbox with the real code of what it uses. A run that does not pass,
for whatever reason, has caught the bug. Equivalent mutants are not taken out, so the rate is a lower bound. It has no peer to be
timed beside: it is about the prompt for tests, which needs work below 70 %. ``ZEROREPO_MUTATION_NODES=querying/`` takes the nodes
whose ids begin so.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.harness import table
from benchmarks.mutants import Mutant, mutants, sample
from benchmarks.sandbox import MemoryContext
from zerorepo.engine import BuildOptions, Engine
from zerorepo.label import parse_label, parse_patterns
from zerorepo.plugins import installed
from zerorepo.workspace import Workspace
from zerorepo_rpg.assemble import closure_files, test_path
from zerorepo_rpg.plan_model import Plan
from zerorepo_rpg.providers import NodeCode
from zerorepo_sandbox import environment
from zerorepo_sandbox.limits import Limits
from zerorepo_sandbox.run_tests import RunTests

ROOT = Path(__file__).resolve().parents[1]
ENOUGH = 0.70
_PER_NODE, _QUICK = 6, 1
_LIMITS = Limits(wall_s=10.0)


async def _built(folder: Path) -> tuple[Plan, dict[str, NodeCode]]:
    """The example, built from its recorded answers."""
    async with Engine(Workspace.load(folder, installed()), BuildOptions()) as engine:
        result = await engine.build(parse_patterns(["//..."]))
        if not result.ok:
            raise RuntimeError(f"the example does not build: {result.failed}")
        plan = result.built[parse_label("//:plaintable.plan")].provider(Plan)
        labels = {node.id: parse_label(f"//{node.id.replace('/', ':')}.code") for node in plan.nodes()}
        return plan, {node_id: result.built[label].provider(NodeCode) for node_id, label in labels.items()}


async def _caught(context: MemoryContext, plan: Plan, code: Mapping[str, NodeCode], node_id: str, source: str) -> bool:
    bodies = {each: code[each].source for each in plan.closure({node_id})} | {node_id: source}
    path = test_path(plan.node(node_id))
    files = {**closure_files(plan, bodies, {node_id}), path: code[node_id].tests}
    action = RunTests(
        files={name: context.write(text.encode()) for name, text in files.items()},
        tests=(path,),
        tier="bubblewrap",
        environment=environment.environment_id(),
        limits=_LIMITS,
    )
    return not (await action.execute(context)).report.passed


async def _measure(folder: Path, per_node: int) -> None:
    plan, code = await _built(folder)
    context = MemoryContext(folder / ".zerorepo")
    rows: list[tuple[str, ...]] = []
    survivors: list[tuple[str, Mutant]] = []
    total = 0
    two = asyncio.Semaphore(2)
    try:
        for node_id, written in sorted(code.items()):
            if not node_id.startswith(os.environ.get("ZEROREPO_MUTATION_NODES", "")):
                continue
            if await _caught(context, plan, code, node_id, written.source):
                raise RuntimeError(f"the tests of {node_id} do not pass on its own code")
            chosen = sample(mutants(written.source), per_node, node_id)

            async def caught(mutant: Mutant, node_id: str = node_id) -> bool:
                async with two:
                    return await _caught(context, plan, code, node_id, mutant.source)

            verdicts = await asyncio.gather(*map(caught, chosen))
            alive = [each for each, good in zip(chosen, verdicts, strict=True) if not good]
            survivors += [(node_id, each) for each in alive]
            total += len(chosen)
            rows.append(
                (
                    node_id,
                    str(len(chosen)),
                    str(len(chosen) - len(alive)),
                    _share(len(chosen) - len(alive), len(chosen)),
                )
            )
    finally:
        await context.close()
    rows.append(("in all", str(total), str(total - len(survivors)), _share(total - len(survivors), total)))
    table("Planted bugs that the generated tests catch", [("node", "bugs", "caught", "rate"), *rows])
    for node_id, each in survivors:
        line = code[node_id].source.split("\n")[each.line - 1].strip()
        print(f"  survived: {node_id} line {each.line}, {each.kind}: {line}")
    if not total:
        sys.exit("no bug was planted: does ZEROREPO_MUTATION_NODES name nodes of the example?")
    if (total - len(survivors)) / total < ENOUGH:
        sys.exit(f"below {ENOUGH:.0%}: the prompt for tests needs work")


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "-"


def main(quick: bool = False) -> None:
    """Build the example in a folder of its own, plant bugs, print the rates."""
    with tempfile.TemporaryDirectory(prefix="zerorepo-mutation-") as name:
        folder = Path(name)
        for each in ("zerorepo.toml", "zerorepo.lock", "spec.md"):
            shutil.copy(ROOT / each, folder / each)
        shutil.copytree(ROOT / "transcripts", folder / "transcripts")
        asyncio.run(_measure(folder, _QUICK if quick else _PER_NODE))
