"""What the suite's run says of each node and of each sentence of the specification. Knows nothing of running or of showing it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence

from zerorepo.target import Outcome, Proof, TestEvidence, TestReport
from zerorepo_rpg.assemble import test_path
from zerorepo_rpg.plan_model import NodeInterface, Plan
from zerorepo_rpg.spec_model import RepositorySpec
from zerorepo_rpg.staged import used_nodes
from zerorepo_sandbox.limits import Verdict

Lines = tuple[Sequence[int], Sequence[int]]
"""Executed and missing line numbers of a file."""
NODE, REQUIREMENT = "node", "requirement"


def evidence(
    plan: Plan,
    spec: RepositorySpec,
    report: TestReport,
    coverage: Mapping[str, Lines],
    sources: Mapping[str, str],
    hollow: Collection[str] = (),
) -> TestEvidence:
    """One proof for each node and each requirement. ``sources``: the assembled Python files, path to text.

    ``hollow``: cases that pass without any code of their node, too; that they pass proves nothing.

    The tests of a node are its own and those of several nodes that import it. A requirement is proven by the tests of the nodes
    whose features serve it, when each of them has one that passes. A run that did not come to its end proves nothing.
    """
    nodes = plan.nodes()
    good = _functions(report, passed=True, but=hollow) if report.status == Verdict.OK else {}
    bad = _functions(report, passed=False)
    files = _files_of(plan, sources)

    def of(wanted: Sequence[NodeInterface], found: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        paths = sorted({path for node in wanted for path in files[node.id]})
        return tuple(name for path in paths for name in found.get(path, ()))

    proofs = [
        Proof(
            kind=NODE, name=node.id, tests=of([node], good), failed=of([node], bad), **_covered(node, coverage, sources)
        )
        for node in nodes
    ]
    serving = {feature.id: set(feature.requirements) for feature in plan.features.features}
    for requirement in spec.requirements:
        behind = [node for node in nodes if any(requirement.id in serving.get(each, ()) for each in node.features)]
        proofs.append(
            Proof(
                kind=REQUIREMENT,
                name=requirement.id,
                text=requirement.text,
                by=tuple(node.id for node in behind),
                tests=of(behind, good) if all(of([node], good) for node in behind) else (),
                failed=of(behind, bad),
            )
        )
    return TestEvidence(proofs=tuple(proofs))


def _functions(report: TestReport, *, passed: bool, but: Collection[str] = ()) -> dict[str, list[str]]:
    """Test file to its functions, parameters left out; one with a case that did not pass is among those not passed.

    Cases that are ``but`` count for nothing.
    """
    state: dict[str, bool] = {}
    for case in report.cases:
        if case.outcome is not Outcome.SKIPPED and case.name not in but:
            name = case.name.partition("[")[0]
            state[name] = state.get(name, True) and case.outcome is Outcome.PASSED
    found: dict[str, list[str]] = {}
    for name, good in state.items():
        if good is passed:
            found.setdefault(name.partition("::")[0], []).append(name)
    return found


def _files_of(plan: Plan, sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Node id to the test files that test it."""
    nodes = plan.nodes()
    own = {test_path(node) for node in nodes}
    homes = {(home, node.name): node.id for node in nodes for home in (node.import_path, plan.package_name)}
    found = {node.id: {test_path(node)} for node in nodes}
    for path, text in sources.items():
        if path.startswith("tests/") and path not in own:
            for node_id in used_nodes(text, homes):
                found[node_id].add(path)
    return found


def _covered(node: NodeInterface, coverage: Mapping[str, Lines], sources: Mapping[str, str]) -> dict[str, int]:
    """Lines of a node's definition that can run, and those that did."""
    executed, missing = coverage.get(node.file, ((), ()))
    for item in ast.parse(sources.get(node.file, "")).body:
        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and item.name == node.name:
            own = range(item.lineno, (item.end_lineno or item.lineno) + 1)
            ran = sum(line in own for line in executed)
            return {"lines": ran + sum(line in own for line in missing), "covered": ran}
    return {"lines": 0, "covered": 0}


__all__ = ["NODE", "REQUIREMENT", "Lines", "evidence"]
