"""Planted bugs in the examples' code, and how many of them the generated tests catch, node by node and module by module.

Each bug stands in one node; the node's own tests run in the sandbox with the real code of what it uses. A run that does not pass,
for whatever reason, has caught the bug. Equivalent mutants are not taken out, so the rate is a lower bound. It has no peer to be
timed beside: it is about the prompt for tests, which needs work where a module is below 70 %.
``ZEROREPO_MUTATION_EXAMPLE=tallylog``
takes one example (``.`` is the first), ``ZEROREPO_MUTATION_NODES=querying/`` the nodes whose ids begin so.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.harness import table
from benchmarks.mutants import Mutant, mutants, sample
from benchmarks.plan_edits import ROOT, copied, workspaces
from benchmarks.sandbox import MemoryContext
from zerorepo.engine import BuildOptions, Engine
from zerorepo.label import parse_label, parse_patterns
from zerorepo.plugins import installed
from zerorepo.workspace import Workspace
from zerorepo_rpg.assemble import closure_files, test_path
from zerorepo_rpg.lock import parse_lock
from zerorepo_rpg.plan_model import Plan
from zerorepo_rpg.providers import NodeCode
from zerorepo_sandbox import environment
from zerorepo_sandbox.limits import Limits
from zerorepo_sandbox.run_tests import RunTests

ENOUGH = 0.70
_PER_NODE, _QUICK = 12, 1
_LIMITS = Limits(wall_s=10.0)


async def _built(folder: Path) -> tuple[Plan, dict[str, NodeCode]]:
    """The code of the example, built from its recorded answers."""
    lock = parse_lock((folder / "zerorepo.lock").read_text())
    nodes = [each.id for module in lock.interfaces for each in module.interfaces]
    nodes += [each.id for each in lock.base_classes.classes] if lock.base_classes else []
    labels = {node_id: parse_label(f"//{node_id.replace('/', ':')}.code") for node_id in nodes}
    async with Engine(Workspace.load(folder, installed()), BuildOptions()) as engine:
        result = await engine.build(parse_patterns([str(label) for label in labels.values()]))
        if not result.ok:
            raise RuntimeError(f"the example does not build: {result.failed}")
        plan = next(each.provider(Plan) for each in result.built.values() if each.record("Plan"))
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


async def _measure(folder: Path, name: str, per_node: int) -> tuple[int, list[str]]:
    """Plant bugs into one workspace's nodes and print what became of them: bugs planted, and modules below the bound."""
    plan, code = await _built(folder)
    context = MemoryContext(folder / ".zerorepo")
    counts: dict[str, tuple[int, int]] = {}
    survivors: list[tuple[str, Mutant]] = []
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
            counts[node_id] = (len(chosen), len(chosen) - len(alive))
            print(f"{node_id}: {len(chosen) - len(alive)} of {len(chosen)}", file=sys.stderr, flush=True)
    finally:
        await context.close()
    return _told(name, counts, survivors, code)


def _told(
    name: str,
    counts: Mapping[str, tuple[int, int]],
    survivors: Sequence[tuple[str, Mutant]],
    code: Mapping[str, NodeCode],
) -> tuple[int, list[str]]:
    rows = [(node_id, *_row(planted, caught)) for node_id, (planted, caught) in counts.items()]
    modules = {node_id.partition("/")[0] for node_id in counts}
    of_modules = {
        module: [pair for node_id, pair in counts.items() if node_id.startswith(f"{module}/")]
        for module in sorted(modules)
    }
    summed = {module: (sum(a for a, _ in pairs), sum(b for _, b in pairs)) for module, pairs in of_modules.items()}
    rows += [(f"module {module}", *_row(*pair)) for module, pair in summed.items()]
    total, good = sum(a for a, _ in summed.values()), sum(b for _, b in summed.values())
    rows.append(("in all", *_row(total, good)))
    table(f"{name}: planted bugs that the generated tests catch", [("node", "bugs", "caught", "rate"), *rows])
    for node_id, each in survivors:
        line = code[node_id].source.split("\n")[each.line - 1].strip()
        print(f"  survived: {node_id} line {each.line}, {each.kind}: {line}", flush=True)
    return total, [f"{name}, {module}: {_share(b, a)}" for module, (a, b) in summed.items() if a and b / a < ENOUGH]


def _row(planted: int, caught: int) -> tuple[str, str, str]:
    return str(planted), str(caught), _share(caught, planted)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "-"


def main(quick: bool = False) -> None:
    """Build each example in a folder of its own, plant bugs, print the rates."""
    wanted = os.environ.get("ZEROREPO_MUTATION_EXAMPLE", "")
    total, low = 0, []
    # What lies in ``benchmarks/plans`` is only planned: there is no code to plant bugs into.
    for workspace in (each for each in workspaces() if each.parent.name != "plans"):
        name = "." if workspace == ROOT else workspace.name
        if wanted not in ("", name):
            continue
        with tempfile.TemporaryDirectory(prefix="zerorepo-mutation-") as folder:
            copied(workspace, Path(folder) / "ws")
            planted, below = asyncio.run(_measure(Path(folder) / "ws", name, _QUICK if quick else _PER_NODE))
        total, low = total + planted, [*low, *below]
    if not total:
        sys.exit("no bug was planted: do ZEROREPO_MUTATION_EXAMPLE and ZEROREPO_MUTATION_NODES name what there is?")
    if low:
        sys.exit(f"below {ENOUGH:.0%}, so the prompt for tests needs work: {'; '.join(low)}")
