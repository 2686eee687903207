"""Tests of several nodes together: which a plan calls for, where they stand, and whether an answer is such tests.

One stage is the edge between two modules (all data that flows from the one to the other), the nodes of one module together, or
the whole package. Knows nothing of asking or running.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence

from zerorepo.target import Provider
from zerorepo.values import Value
from zerorepo_rpg.gate import check_tests
from zerorepo_rpg.plan_model import NodeInterface, Plan
from zerorepo_rpg.python_names import imported_modules
from zerorepo_rpg.python_source import parse

SMOKE_PATH = "tests/test_smoke.py"
_FOLDER = "integration"


class StagedTests(Provider):
    """Tests of several nodes as they were first written."""

    __test__ = False
    source: str


class ProvenTests(Provider):
    """Tests of several nodes as they were accepted. ``rounds``: how often they were mended; ``failure``: of the last run."""

    source: str
    passed: bool
    rounds: int = 0
    failure: str = ""


class Stage(Value):
    """Integration tests that a plan calls for. ``source`` is the module whose data ``module`` takes; "": ``module`` alone.

    ``near`` and ``far`` are ids of the nodes of ``source`` and of ``module``; ``flows`` says what flows, one a line; ``used``
    are nodes of other modules that these use directly; ``closure`` is everything that runs with them, themselves included.
    """

    module: str
    source: str = ""
    flows: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    far: tuple[str, ...]
    used: tuple[str, ...] = ()
    closure: tuple[str, ...]

    @property
    def name(self) -> str:
        """What its targets' names begin with, in the package of ``module``."""
        return f"with_{self.source}" if self.source else "module"

    @property
    def subject(self) -> str:
        """What is tested, in words."""
        if self.source:
            return f"the data flow from `{self.source}` to `{self.module}`"
        return f"the module `{self.module}`"

    def path(self, modules: Collection[str]) -> str:
        """Where the tests stand in the repository. ``modules``: those of the plan, whose tests have folders of their own."""
        folder = _FOLDER
        while folder in modules:
            folder += "_"
        name = f"flow_{self.source}_to_{self.module}" if self.source else f"module_{self.module}"
        return f"tests/{folder}/test_{name}.py"


def stages(plan: Plan) -> tuple[Stage, ...]:
    """One for each pair of modules that data flows between, and one for each module of several nodes that has a flow."""
    nodes = plan.nodes()
    by_module: dict[str, list[str]] = {}
    for node in nodes:
        by_module.setdefault(node.module, []).append(node.id)
    flows: dict[tuple[str, str], list[str]] = {}
    for flow in plan.modules.flows:
        if flow.source in by_module and flow.target in by_module:
            said = f"{flow.data_name}" + (f" ({flow.data_type})" if flow.data_type else "")
            text = f"{said}: {flow.description}" if flow.description else said
            flows.setdefault((flow.source, flow.target), []).append(text)
    flowing = {module for pair in flows for module in pair}
    uses = plan.uses()

    def stage(source: str, module: str, flowing_data: Sequence[str]) -> Stage:
        near, far = tuple(by_module.get(source, ())), tuple(by_module[module])
        own = {*near, *far}
        return Stage(
            module=module,
            source=source,
            flows=tuple(sorted(flowing_data)),
            near=near,
            far=far,
            used=tuple(sorted({used for each in own for used in uses[each]} - own)),
            closure=tuple(sorted(plan.closure(own))),
        )

    edges = [stage(source, module, data) for (source, module), data in sorted(flows.items())]
    alone = [stage("", module, ()) for module in sorted(flowing) if len(by_module[module]) > 1]
    return (*edges, *alone)


def check_staged(
    source: str,
    sides: Sequence[Sequence[NodeInterface]],
    others: Sequence[NodeInterface] = (),
    *,
    imported_from: str = "",
    at_least: int = 2,
) -> list[str]:
    """What keeps ``source`` from being tests of these nodes together; empty when nothing does.

    Every one of ``sides`` takes part, and ``at_least`` that many nodes of all; ``others`` may be used. ``imported_from``: the
    module to import all of them from, if not each from its own.
    """
    try:
        tree = parse(source)
    except ValueError as error:
        return [str(error)]
    nodes = [node for side in sides for node in side]
    homes = {(imported_from or node.import_path, node.name): node.id for node in (*nodes, *others)}
    package = nodes[0].file.partition("/")[0]
    found = list(_foreign(tree, package, homes))
    taking_part = used_nodes(source, homes)
    for side in sides:
        if not taking_part & {node.id for node in side}:
            found.append(
                f"it uses nothing of the module `{side[0].module}`; tests of both sides together are asked for"
            )
    wanted = min(at_least, len(nodes))
    if len(taking_part & {node.id for node in nodes}) < wanted:
        found.append(f"it uses fewer than {wanted} of the functions and classes that are to be tested together")
    subject = next((node for node in nodes if node.id in taking_part), nodes[0])
    found += check_tests(source, subject, imported_from)
    defined = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for node in (*nodes, *others):
        if node.name in defined:
            found.append(f"the tests define `{node.name}` themselves; test the imported one")
    return list(dict.fromkeys(found))


def used_nodes(source: str, homes: Mapping[tuple[str, str], str]) -> set[str]:
    """Ids of the nodes that a source imports and uses. ``homes``: (module, name) to id. ValueError when it is not Python."""
    tree = parse(source)
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                if found := homes.get((node.module or "", alias.name)):
                    bound[alias.asname or alias.name] = found
    loaded = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return {node_id for name, node_id in bound.items() if name in loaded}


def _foreign(tree: ast.Module, package: str, homes: Mapping[tuple[str, str], str]) -> Iterator[str]:
    for module, name, line in imported_modules(tree):
        if module.partition(".")[0] != package or (module, name) in homes:
            continue
        homes_of = sorted(home for home, known in homes if known == name)
        if not name:
            yield f"line {line}: `import {module}`; write `from {module} import name`"
        elif homes_of:
            yield f"line {line}: import `{name}` from `{homes_of[0]}`, not from `{module}`"
        else:
            yield f"line {line}: `{name}` of `{module}` is not among what was given; do without it"


__all__ = ["SMOKE_PATH", "ProvenTests", "Stage", "StagedTests", "check_staged", "stages", "used_nodes"]
