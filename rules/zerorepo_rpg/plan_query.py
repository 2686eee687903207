"""``node(x, condition)`` and ``flow(x[, depth])`` of the query language: targets by the planning graph that their lock holds.

A target belongs to a node of the graph by its label: ``//auth:login.code`` to ``auth/login``, ``//auth:files`` to module ``auth``.
Asks nobody and builds nothing: the lock is the accepted plan. Knows nothing of how conditions are written (``condition``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from zerorepo.errors import UsageError
from zerorepo.label import Label, parse_label
from zerorepo.query_api import QueryView
from zerorepo_rpg.condition import parse_condition
from zerorepo_rpg.graph import EdgeType, Level, RPGGraph, RPGNode
from zerorepo_rpg.lock import parse_lock
from zerorepo_rpg.plan_model import BaseClasses, FeatureSet, FileLayout, ModuleSet, Plan

_SUFFIXES = (".interface", ".tests", ".code", ".test")
_RULES = (
    "node_interface", "node_tests", "node_code", "node_test", "node", "renamed_tests", "renamed_code",
    "existing_tests", "existing_code",
    "rpg_files", "rpg_interfaces",
)  # fmt: skip
_KEYS = (*RPGNode.model_fields, "module")


@dataclass(frozen=True, slots=True)
class _Planned:
    """The graph of one plan and the package that its modules are below."""

    package: str
    graph: RPGGraph

    def node_of(self, label: Label) -> RPGNode | None:
        """The node that a target belongs to."""
        inside = f"{self.package}/" if self.package else ""
        if not label.package.startswith(inside):
            return None
        module, name = label.package[len(inside) :], label.name
        stem = next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name)
        stem = stem.removesuffix(".was")
        found = self.graph.by_id
        return found.get(f"{module}/{stem}") or found.get(module)

    def module_of(self, node: RPGNode) -> str:
        """The id of its module, "" for a node outside any."""
        above = (node.id, *self.graph.ancestors(node.id))
        return next((each for each in above if self.graph.by_id[each].level is Level.MODULE), "")


def node(view: QueryView, targets: frozenset[str], condition: str) -> set[str]:
    """Targets whose node satisfies the condition, such as ``level=FEATURE and module=auth``. BadArgument when it is none."""
    holds = parse_condition(condition, _KEYS, position=1)
    found = set()
    for planned in _plans(view):
        for label in targets:
            each = planned.node_of(parse_label(label))
            if each is not None and holds(lambda key, p=planned, n=each: _values(p, n, key)):  # type: ignore[misc]
                found.add(label)
    return found


def flow(view: QueryView, targets: frozenset[str], depth: int | None) -> set[str]:
    """The targets, and those of all that their data flows to along DATA_FLOW edges, in at most ``depth`` steps."""
    found = set(targets)
    for planned in _plans(view):
        near = [each for label in targets if (each := planned.node_of(parse_label(label))) is not None]
        reached = _downstream(planned, near, depth)
        for label in _targets_of_nodes(view):
            each = planned.node_of(parse_label(label))
            if each is not None and not reached.isdisjoint((each.id, planned.module_of(each))):
                found.add(label)
    return found


def _downstream(planned: _Planned, start: Iterable[RPGNode], depth: int | None) -> set[str]:
    """Ids of nodes that data of ``start``, or of the modules that these are in, flows to."""
    consumers: dict[str, list[str]] = {}
    for edge in planned.graph.edges:
        if edge.type is EdgeType.DATA_FLOW:
            consumers.setdefault(edge.source, []).append(edge.target)
    frontier = {name for each in start for name in (each.id, planned.module_of(each))}
    reached: set[str] = set()
    while frontier and depth != 0:
        frontier = {target for name in frontier for target in consumers.get(name, ())} - reached
        reached |= frontier
        depth = None if depth is None else depth - 1
    return reached


def _targets_of_nodes(view: QueryView) -> Iterator[str]:
    for rule in _RULES:
        yield from view.targets(rule)


def _plans(view: QueryView) -> Iterator[_Planned]:
    for label, attrs in view.targets("rpg_plan").items():
        path = str(attrs.get("lock_path", ""))
        file = view.workspace / path
        if not path or not file.is_file():
            continue
        try:
            lock = parse_lock(file.read_text(encoding="utf-8", errors="replace"), path)
        except OSError as error:
            raise UsageError(f"Cannot read the plan: {error.strerror}", where=path) from None
        plan = Plan(
            features=lock.features or FeatureSet(),
            modules=lock.modules or ModuleSet(),
            layout=lock.layout or FileLayout(package_name=""),
            base_classes=lock.base_classes or BaseClasses(),
            interfaces=lock.interfaces,
        )
        try:
            graph = plan.to_graph()
        except ValidationError as error:
            first = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ").splitlines()[0]
            raise UsageError(f"The plan does not hold together: {first}", where=path) from None
        yield _Planned(parse_label(label).package, graph)


def _values(planned: _Planned, node: RPGNode, key: str) -> list[str]:
    """An attribute as text: one, or one each of a list."""
    if key == "module":
        return [planned.module_of(node)]
    value = getattr(node, key)
    if isinstance(value, tuple):
        return [str(each) for each in value]
    return ["" if value is None else str(value)]
