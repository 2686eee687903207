"""The targets of a plan's integration tests, as the plan declares them. Knows nothing of what they do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from zerorepo.label import Label
from zerorepo_rpg.plan_model import Plan
from zerorepo_rpg.rules.stages import module_label
from zerorepo_rpg.staged import Stage, stages
from zerorepo_sandbox.settings import TierName


def staged_label(owner: Label, stage: Stage, suffix: str = ".integration_test") -> Label:
    """``//<module>:with_<source>.integration_test``, or ``//<module>:module.integration_test`` of a module alone."""
    return module_label(owner, stage.module, stage.name + suffix)


def staged_targets(owner: Label, plan: Plan, sandbox: TierName | None) -> Iterator[tuple[Label, str, dict[str, Any]]]:
    """What ``owner`` declares for the integration tests of a plan."""
    modules = {node.module for node in plan.nodes()}

    def labels(ids: Sequence[str], suffix: str = ".interface") -> list[str]:
        parts = [each.partition("/") for each in ids]
        return [str(module_label(owner, module, name + suffix)) for module, _, name in parts]

    for stage in stages(plan):
        attrs = {
            "module": stage.module,
            "source": stage.source,
            "flows": list(stage.flows),
            "near": labels(stage.near),
            "far": labels(stage.far),
            "used": labels(stage.used),
            "closure_interfaces": labels(stage.closure),
            "path": stage.path(modules),
            "package": plan.package_name,
            **({"sandbox": sandbox} if sandbox else {}),
        }
        asking = staged_label(owner, stage, ".integration_tests")
        yield asking, "integration_tests", attrs
        verdict = {**attrs, "tests": str(asking), "closure_code": labels(stage.closure, ".code")}
        yield staged_label(owner, stage), "integration_test", verdict
