"""Whether a lock by itself, edited by hand or not, holds together: the named checks, with the lines that they concern.

A part that is not there is planned anew, and so is what hangs on it; that is no problem of the lock. A name that is written
wrong is one, and so is what no planning could put right. Knows nothing of the specification as it is now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import tomli

from zerorepo.errors import did_you_mean
from zerorepo_rpg import toml_text
from zerorepo_rpg.existing import files_of
from zerorepo_rpg.interface_checks import imported_top_levels
from zerorepo_rpg.limit_rules import RULES
from zerorepo_rpg.limits import check_accounts
from zerorepo_rpg.lock import Lock
from zerorepo_rpg.plan_model import BaseClasses, FeatureSet, FileLayout, ModuleSet, Plan
from zerorepo_rpg.problem import Problem
from zerorepo_rpg.spec_model import RepositorySpec
from zerorepo_rpg.validate import validate_plan


def lock_problems(lock: Lock) -> list[Problem]:
    """What is wrong with a lock that planning would not put right by itself; each problem once."""
    plan = _as_plan(lock)
    tops = sorted({top for node in plan.nodes() for top in imported_top_levels(node)})
    # Which dependencies there are is for the specification to say.
    spec = RepositorySpec(
        title="",
        description="",
        package_name=plan.package_name,
        requirements=lock.requirements,
        dependencies=tuple(tops),
    )
    found = [*validate_plan(plan, spec, files_of(lock.existing)), *limit_problems(lock)]
    gaps = _Gaps(lock, found)
    return [each for each in found if not each.missing and not gaps.explain(each)]


def limit_problems(lock: Lock) -> list[Problem]:
    """Names in what the lock says of limits of which there is nothing."""
    return check_accounts(lock.limits, {each.id for each in lock.features.features} if lock.features else set(), RULES)


def is_whole(lock: Lock) -> bool:
    """Whether every stage is there, so that nothing of it is to be planned anew."""
    if lock.plan() is None:
        return False
    plan = _as_plan(lock)
    spec = RepositorySpec(title="", description="", package_name=plan.package_name, requirements=lock.requirements)
    return not any(each.missing for each in validate_plan(plan, spec, files_of(lock.existing)))


def _as_plan(lock: Lock) -> Plan:
    return Plan(
        features=lock.features or FeatureSet(),
        modules=lock.modules or ModuleSet(),
        layout=lock.layout or FileLayout(package_name=""),
        base_classes=lock.base_classes or BaseClasses(),
        interfaces=lock.interfaces,
    )


class _Gaps:
    """What is not there, as far as it explains names of which there is nothing."""

    def __init__(self, lock: Lock, found: Iterable[Problem]) -> None:
        self._lock = lock
        missing: dict[str, set[str]] = {}
        for each in found:
            if each.missing:
                missing.setdefault(each.check, set()).add(each.where)
        self._features = {each.id for each in lock.features.features} if lock.features else set()
        self._requirements = missing.get("requirement_feature", set())
        self._homeless = missing.get("feature_module", set())
        self._unfiled = missing.get("feature_file", set())
        self._undesigned = missing.get("feature_interface", set())
        """Modules of which an interface is missing."""
        served = {name for each in lock.interfaces for node in each.interfaces for name in node.features}
        self._unserved = self._features - served

    def explain(self, problem: Problem) -> bool:
        """Whether the problem is only that something else has gone, and not that a name is misspelt."""
        name = problem.unknown
        match problem.check:
            case "package_name":
                return self._lock.layout is None
            case "feature_requirement":
                return not self._lock.requirements
            case "feature_module":
                return bool(name) and not _like(name, self._homeless)
            case "limit_feature":
                return bool(name) and not _like(name, self._features)
            case "feature_file":
                return bool(name) and not _like(name, self._unfiled)
            case "feature_interface":
                return bool(name) and not _like(name, self._unserved)
            case "base_class_users":
                return not _like(name, self._features) if name else bool(self._undesigned)
            case "flow_ends" | "file_module" | "module":
                return bool(name) and not _like(name, self._modules())
            case "uses":
                return bool(name) and self._gone(name)
            case "interface_file":
                return bool(name) and bool(self._unfiled)
        return False

    def _modules(self) -> list[str]:
        return [each.id for each in self._lock.modules.modules] if self._lock.modules else []

    def _gone(self, node_id: str) -> bool:
        """Whether a node that is used is one that is planned anew."""
        module = node_id.partition("/")[0]
        bases = self._lock.base_classes is None
        return bases or module in self._undesigned or (module not in self._modules() and bool(self._homeless))


def _like(name: str, candidates: Collection[str]) -> bool:
    return did_you_mean(name, sorted(candidates)) is not None


_SECTIONS = (
    *((name, ("id",)) for name in ("requirement", "limit", "feature", "module")),
    ("file", ("path",)),
    *((name, ("id",)) for name in ("base_class", "interface")),
    ("flow", ("source", "target")),
)
_KEYS = {
    "feature_ids": "id", "feature_requirement": "requirements", "feature_module": "features", "module_names": "id",
    "flow_data": "data_name", "file_paths": "path", "file_module": "module", "file_clash": "path", "feature_file": "features",
    "base_class_users": "users", "uses": "uses", "uses_acyclic": "uses", "uses_follow_flow": "uses", "file_imports": "uses",
    "imports": "imports", "interface_file": "file", "feature_interface": "features", "name": "name", "node_id": "id",
    "signature": "signature", "annotated": "signature", "defined_names": "signature", "docstring": "docstring",
    "raises": "raises", "flow_type": "data_type", "exported_names": "name", "module": "module",
    "limit_feature": "features", "limit_rule": "rules",
}  # fmt: skip


def located(problems: Sequence[Problem], text: str) -> list[tuple[int, Problem]]:
    """Each problem with the line of a lock's text that it concerns, in the order of lines; 1 where none can be told."""
    data, places = tomli.loads(text), toml_text.places(text)
    lines: dict[str, tuple[str, int]] = {}
    for section, keys in _SECTIONS:
        for number, table in enumerate(data.get(section, [])):
            lines.setdefault(" -> ".join(str(table.get(key, "")) for key in keys), (section, number))
    # A misspelt key of reference is told where it is used, e.g. a module of interfaces.
    for number, table in enumerate(data.get("interface", [])):
        lines.setdefault(str(table.get("module", "")), ("interface", number))
    found = []
    listed = text.split("\n")
    for each in problems:
        section, number = lines.get(each.where, lines.get(each.where.partition(" (")[0], ("", 0)))
        line = places.of(section, number, _KEYS.get(each.check, ""))
        if each.unknown and (section, number) in places.tables:
            start = places.of(section, number)
            quoted = (f'"{each.unknown}"', f"'{each.unknown}'")
            end = next((n for n in range(start, len(listed)) if listed[n].startswith("[")), len(listed))
            line = next((n + 1 for n in range(start, end) if any(name in listed[n] for name in quoted)), line)
        found.append((line, each))
    return sorted(found, key=lambda pair: pair[0])


def told(problems: Sequence[Problem], text: str, where: str) -> str:
    """The problems as lines, each with its place."""
    return "\n".join(dict.fromkeys(f"- {where}:{line}: {each}" for line, each in located(problems, text)))


__all__ = ["is_whole", "located", "lock_problems", "told"]
