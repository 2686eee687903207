"""``zerorepo.lock``: the accepted plan as text that people read, review and edit.

TOML, one table for each feature, module, flow, file, base class and interface, sorted, so that a change of the plan is a
small diff. ``[stages]`` says what inputs each stage was accepted for. ``render`` and ``parse_lock`` are inverse to the
byte. Code that people wrote stands beside the plan (``lock_graph``). Whether the plan is good is for ``validate`` to say;
writing the file, for whoever calls this.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tomli
from pydantic import Field, ValidationError

from zerorepo.errors import UsageError, did_you_mean
from zerorepo.values import Value
from zerorepo_rpg import toml_text
from zerorepo_rpg.graph import RPGGraph
from zerorepo_rpg.limits import LimitPlan, LimitSet
from zerorepo_rpg.lock_graph import NodeTable, graph_of, render_graph
from zerorepo_rpg.plan_model import (
    BaseClasses,
    BaseClassPlan,
    DataFlow,
    Feature,
    FeatureSet,
    FileLayout,
    FilePlan,
    ModuleInterfaces,
    ModulePlan,
    ModuleSet,
    NodeInterface,
    Plan,
)
from zerorepo_rpg.renames import Rename
from zerorepo_rpg.spec_model import Requirement

SCHEMA = 4
"""The newest version. A lock is written in the oldest one that can say what is in it: 2 added ``[[node]]``, 3 ``[[rename]]``, 4
``[[limit]]``."""

MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = dict.fromkeys((1, 2, 3), lambda data: data)
"""Schema version to the function that turns a lock of that version, as read, into one of the next."""

_HEADER = """\
# zerorepo.lock: the plan of this repository, as accepted. Checked in, reviewed like code, and safe to edit by hand:
# it is validated when it is read. A part that you delete is planned anew; [stages] says what each part was made from.
"""

_SECTIONS: dict[str, type[Value]] = {
    "requirement": Requirement,
    "limit": LimitPlan,
    "feature": Feature,
    "module": ModulePlan,
    "flow": DataFlow,
    "file": FilePlan,
    "base_class": BaseClassPlan,
    "interface": NodeInterface,
    "rename": Rename,
    "node": NodeTable,
}
_TOP = ("schema", "package", "stages", *_SECTIONS)


class Lock(Value):
    """The lock's slices. One that is None (for interfaces: a module that is missing) was never planned, or deleted."""

    stages: Mapping[str, str] = Field(default_factory=dict)
    requirements: tuple[Requirement, ...] = ()
    """What the features were chosen for; compared with the present text when the specification changes."""
    limits: tuple[LimitPlan, ...] = ()
    """What a model said meets each limit that no rule recognises."""
    features: FeatureSet | None = None
    modules: ModuleSet | None = None
    layout: FileLayout | None = None
    base_classes: BaseClasses | None = None
    interfaces: tuple[ModuleInterfaces, ...] = ()
    renames: tuple[Rename, ...] = ()
    """Nodes that a change of the plan renamed, while there is code from before."""
    existing: RPGGraph = RPGGraph()
    """Code that people wrote, as ``zerorepo init --from`` found it."""

    def plan(self) -> Plan | None:
        """The plan, when no stage of it is missing."""
        if self.features is None or self.modules is None or self.layout is None:
            return None
        return Plan(
            features=self.features,
            modules=self.modules,
            layout=self.layout,
            base_classes=self.base_classes or BaseClasses(),
            interfaces=self.interfaces,
            limits=LimitSet(asked=self.limits),
        )


def render_lock(
    plan: Plan,
    stages: Mapping[str, str],
    requirements: Sequence[Requirement] = (),
    existing: RPGGraph | None = None,
    renames: Sequence[Rename] = (),
) -> str:
    """The lock of a whole plan. ``stages``: stage name to the digest of the inputs that it was made from."""
    return render(
        Lock(
            stages=dict(stages),
            requirements=tuple(requirements),
            limits=plan.limits.asked,
            features=plan.features,
            modules=plan.modules,
            layout=plan.layout,
            base_classes=plan.base_classes,
            interfaces=plan.interfaces,
            renames=tuple(renames),
            existing=existing or RPGGraph(),
        )
    )


def render(lock: Lock) -> str:
    """The text of a lock, complete or not."""
    head = f"schema = {4 if lock.limits else 3 if lock.renames else 2 if lock.existing.nodes else 1}\n"
    if lock.layout:
        head += f"package = {toml_text.string(lock.layout.package_name)}\n"
    parts = [_HEADER, head, toml_text.table("[stages]", dict(sorted(lock.stages.items())))]
    features = lock.features.features if lock.features else ()
    modules = lock.modules.modules if lock.modules else ()
    flows = lock.modules.flows if lock.modules else ()
    files = lock.layout.files if lock.layout else ()
    bases = lock.base_classes.classes if lock.base_classes else ()
    nodes = [node for module in lock.interfaces for node in module.interfaces]
    parts += [_table("requirement", item) for item in sorted(lock.requirements, key=_by_id)]
    parts += [_table("limit", item) for item in sorted(lock.limits, key=_by_id)]
    parts += [_table("feature", item) for item in sorted(features, key=_by_id)]
    parts += [_table("module", item) for item in sorted(modules, key=_by_id)]
    parts += [_table("flow", item) for item in sorted(flows, key=_by_flow)]
    parts += [_table("file", item) for item in sorted(files, key=_by_path)]
    parts += [_table("base_class", item) for item in sorted(bases, key=_by_id)]
    parts += [_table("interface", item) for item in sorted(nodes, key=_by_id)]
    parts += [_table("rename", item) for item in sorted(lock.renames, key=_by_id)]
    parts += render_graph(lock.existing)
    return "\n".join(parts)


def _by_id(item: Any) -> str:
    return str(item.id)


def _by_flow(flow: DataFlow) -> tuple[str, ...]:
    return (flow.source, flow.target, flow.data_name, flow.data_type, flow.description)


def _by_path(file: FilePlan) -> tuple[str, str]:
    return (file.path, file.module)


def _table(section: str, item: Value) -> str:
    values: dict[str, str | bool | tuple[str, ...]] = {}
    for name, field in type(item).model_fields.items():
        value = getattr(item, name)
        # A default is left out, but never what is required, however empty.
        if field.is_required() or value != field.get_default():
            values[name] = value if isinstance(value, (tuple, bool)) else str(value)
    lines = [f"[[{section}]]"]
    lines += [f"{name} = {_value(value)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"


def _value(value: str | bool | tuple[str, ...]) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return toml_text.array(value) if isinstance(value, tuple) else toml_text.string(value)


def parse_lock(text: str, where: str = "zerorepo.lock") -> Lock:
    """Read a lock; parts may be missing. UsageError with ``file:line`` for what cannot be read; order does not matter."""
    data = _load(text, where)
    places = toml_text.places(text)
    wrong = list(_top_problems(data, places, where))
    entries = {section: _entries(section, data, places, where, wrong) for section in _SECTIONS}
    stages = _stages(data, places, where, wrong)
    wrong += _duplicates(data, places, where)
    _refuse(wrong, where)
    requirements: list[Any] = sorted(entries["requirement"], key=_by_id)
    limits: list[Any] = sorted(entries["limit"], key=_by_id)
    features: list[Any] = sorted(entries["feature"], key=_by_id)
    modules: list[Any] = sorted(entries["module"], key=_by_id)
    flows: list[Any] = sorted(entries["flow"], key=_by_flow)
    files: list[Any] = sorted(entries["file"], key=_by_path)
    bases: list[Any] = sorted(entries["base_class"], key=_by_id)
    renames: list[Any] = sorted(entries["rename"], key=_by_id)
    package = data.get("package")
    if files and package is None:
        raise UsageError("The lock has files but no `package`", where=where, hint='add `package = "name"` at its top')
    return Lock(
        stages=stages,
        requirements=tuple(requirements),
        limits=tuple(limits),
        features=FeatureSet(features=tuple(features)) if features or "features" in stages else None,
        modules=ModuleSet(modules=tuple(modules), flows=tuple(flows)) if modules or "modules" in stages else None,
        layout=None if package is None else FileLayout(package_name=package, files=tuple(files)),
        base_classes=BaseClasses(classes=tuple(bases)) if bases or "base_classes" in stages else None,
        interfaces=_by_module(entries["interface"], stages),
        renames=tuple(renames),
        existing=_existing(entries["node"], places, where),
    )


def _existing(tables: list[Any], places: toml_text.Places, where: str) -> RPGGraph:
    try:
        return graph_of(tables)
    except ValueError as error:
        line = places.of("node", 0)
        raise UsageError(f"The nodes of the lock are no sound graph:\n{error}", where=f"{where}:{line}") from None


def _load(text: str, where: str) -> dict[str, Any]:
    try:
        data = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        place = f"{where}:{line[1]}" if line else where
        hint = "mend it, or restore it from version control"
        raise UsageError(f"The lock is not TOML: {error}", where=place, hint=hint) from None
    schema = data.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 0:
        hint = f"its top must say `schema = {SCHEMA}`"
        raise UsageError("The lock does not say its schema version", where=where, hint=hint)
    if schema > SCHEMA:
        message = f"The lock has schema {schema}, but this zerorepo knows only up to {SCHEMA}"
        raise UsageError(message, where=where, hint="update zerorepo; it would lose what it does not understand")
    for version in range(schema, SCHEMA):
        if version not in MIGRATIONS:
            message = f"The lock has schema {schema}, which is too old to be migrated"
            raise UsageError(message, where=where, hint="plan anew: delete the lock, or build with --fresh")
        data = MIGRATIONS[version](data)
    return data


def _refuse(wrong: Sequence[UsageError], where: str) -> None:
    """One error for everything that is wrong, in the order of lines."""
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        # Numbers by their value, so that line 9 stands before line 10.
        listed = sorted(wrong, key=lambda each: int((each.where or "").rpartition(":")[2]))
        lines = [f"- {each.where}: {each.message}" + (f"; {each.hint}" if each.hint else "") for each in listed]
        raise UsageError(f"The lock has {len(wrong)} mistakes:\n" + "\n".join(lines), where=where)


def _top_problems(data: dict[str, Any], places: toml_text.Places, where: str) -> Iterator[UsageError]:
    for name in data:
        if name not in _TOP:
            line = places.keys.get(("", 0, name)) or places.tables.get((name, 0), 1)
            yield UsageError(f"Unknown part `{name}`", where=f"{where}:{line}", hint=did_you_mean(name, _TOP))
    if not isinstance(data.get("package", ""), str):
        yield UsageError("`package` must be a string", where=f"{where}:{places.of('', 0, 'package')}")


def _stages(data: dict[str, Any], places: toml_text.Places, where: str, wrong: list[UsageError]) -> dict[str, str]:
    stages = data.get("stages", {})
    if not isinstance(stages, dict):
        wrong.append(UsageError("`stages` must be a table: [stages]", where=f"{where}:{places.of('', 0, 'stages')}"))
        return {}
    for name, value in stages.items():
        if not isinstance(value, str):
            line = places.of("stages", 0, name)
            wrong.append(UsageError(f"The stage `{name}` must have a digest in quotes", where=f"{where}:{line}"))
    return dict(sorted(stages.items()))


def _entries(
    section: str, data: dict[str, Any], places: toml_text.Places, where: str, wrong: list[UsageError]
) -> list[Value]:
    listed = data.get(section, [])
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        line = places.tables.get((section, 0)) or places.of("", 0, section)
        wrong.append(UsageError(f"`{section}` must be written [[{section}]]", where=f"{where}:{line}"))
        return []
    model = _SECTIONS[section]
    found = []
    for number, item in enumerate(listed):
        unknown = [name for name in item if name not in model.model_fields]
        for name in unknown:
            line = places.of(section, number, name)
            hint = did_you_mean(name, model.model_fields) or f"it may have: {', '.join(model.model_fields)}"
            wrong.append(UsageError(f"Unknown key `{name}` in [[{section}]]", where=f"{where}:{line}", hint=hint))
        if unknown:
            continue
        try:
            found.append(model.model_validate(item))
        except ValidationError as error:
            wrong.append(_invalid(error, section, number, places, where))
    return found


def _invalid(error: ValidationError, section: str, number: int, places: toml_text.Places, where: str) -> UsageError:
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        name = str(item["loc"][0]) if item["loc"] else ""
        if item["type"] == "missing":
            lines.append(f"`{name}` is missing")
        else:
            lines.append(f"`{name}` (line {places.of(section, number, name)}): {item['msg']}")
    line = places.of(section, number)
    return UsageError(f"Bad [[{section}]]: {'; '.join(lines)}", where=f"{where}:{line}")


def _duplicates(data: dict[str, Any], places: toml_text.Places, where: str) -> Iterator[UsageError]:
    keys: dict[str, tuple[str, ...]] = dict.fromkeys(
        ("limit", "feature", "module", "base_class", "interface", "rename", "node"), ("id",)
    )
    keys["file"] = ("path",)
    keys["flow"] = ("source", "target", "data_name")
    for section, fields in keys.items():
        seen: dict[tuple[str, ...], int] = {}
        listed = data.get(section, [])
        for number, item in enumerate(listed if isinstance(listed, list) else []):
            if not isinstance(item, dict) or not all(isinstance(item.get(field), str) for field in fields):
                continue  # told already
            name = tuple(item[field] for field in fields)
            if name in seen:
                first = places.of(section, seen[name])
                message = f"The {section} `{' -> '.join(name)}` is written twice (first at line {first})"
                yield UsageError(message, where=f"{where}:{places.of(section, number)}", hint="remove or rename one")
            seen.setdefault(name, number)


def _by_module(nodes: list[Value], stages: Mapping[str, str]) -> tuple[ModuleInterfaces, ...]:
    # A stage that was accepted as empty is a slice, too.
    modules: dict[str, list[NodeInterface]] = {
        name.removeprefix("interfaces/"): [] for name in stages if name.startswith("interfaces/")
    }
    for node in nodes:
        assert isinstance(node, NodeInterface)
        modules.setdefault(node.module, []).append(node)
    return tuple(
        ModuleInterfaces(module=name, interfaces=tuple(sorted(modules[name], key=_by_id))) for name in sorted(modules)
    )


__all__ = ["MIGRATIONS", "SCHEMA", "Lock", "parse_lock", "render", "render_lock"]
