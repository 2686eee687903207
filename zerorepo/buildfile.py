"""Build files: ``BUILD.toml`` in any folder, and the ``[[target]]`` tables of ``zerorepo.toml``, as target declarations.

Finds packages, expands macros, and reports duplicates. Knows nothing of building; attributes are validated in ``table``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from zerorepo.errors import UsageError, did_you_mean
from zerorepo.label import Label, check_name
from zerorepo.plugins import Registry
from zerorepo.rule import MacroRule
from zerorepo.tomlfile import TomlFile
from zerorepo.values import Value
from zerorepo.workspace import CONFIG_NAME, STATE_NAME, Workspace

BUILD_NAME = "BUILD.toml"


class Declared:
    """A target as a build file declares it, itself or through a macro. ``attrs``: validated, for one that stands there itself."""

    __slots__ = ("attrs", "label", "place", "raw", "rule")

    def __init__(
        self, label: Label, rule: str, raw: Mapping[str, Any], place: Place, attrs: Value | None = None
    ) -> None:
        self.label = label
        self.rule = rule
        self.raw = raw
        self.place = place
        self.attrs = attrs


class Place(NamedTuple):
    """Where a target is declared; lines are counted only when somebody wants to know."""

    file: TomlFile
    number: int

    def where(self, key: str = "") -> str:
        """``file:line`` of the target, or of one of its attributes."""
        return self.file.where("target", key, self.number)


def find_packages(workspace: Workspace) -> list[str]:
    """Packages of the workspace, sorted: "" and every folder with a BUILD.toml, other workspaces inside it left out."""
    return sorted({"", *_walk(workspace.root, "", _excluded(workspace))})


def package_folders(workspace: Workspace) -> list[str]:
    """Folders whose names decide which packages there are: a change of none of them leaves ``find_packages`` as it is."""
    folders: list[str] = []
    list(_walk(workspace.root, "", _excluded(workspace), folders))
    return [folder or "." for folder in folders]


def is_package(workspace: Workspace, package: str) -> bool:
    """Whether the folder of ``package`` may hold targets of this workspace: not hidden, excluded, or in another workspace."""
    excluded = _excluded(workspace)
    path = ""
    for part in package.split("/") if package else []:
        path = f"{path}/{part}" if path else part
        if part.startswith(".") or path in excluded or (workspace.root / path / CONFIG_NAME).exists():
            return False
    return True


def _excluded(workspace: Workspace) -> frozenset[str]:
    return frozenset(
        {workspace.workspace.output.strip("/"), STATE_NAME, *(path.strip("/") for path in workspace.workspace.exclude)}
    )


def _walk(root: Path, package: str, excluded: frozenset[str], visited: list[str] | None = None) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(root / package), key=lambda entry: entry.name)
    except OSError as error:
        raise UsageError(f"Cannot read the folder //{package}: {error.strerror}") from None
    if visited is not None:
        visited.append(package)
    names = {entry.name for entry in entries}
    if package and CONFIG_NAME in names:
        return
    if BUILD_NAME in names:
        yield package
    for entry in entries:
        path = f"{package}/{entry.name}" if package else entry.name
        if not entry.name.startswith(".") and path not in excluded and entry.is_dir(follow_symlinks=False):
            yield from _walk(root, path, excluded, visited)


def load_package(workspace: Workspace, package: str) -> list[Declared]:
    """Targets that a package declares, macros expanded; an empty list when the folder has no build file."""
    decls: list[Declared] = []
    if not package:
        decls += _targets(workspace.config, workspace.registry, "")
    path = workspace.root / package / BUILD_NAME
    if path.is_file():
        name = f"{package}/{BUILD_NAME}" if package else BUILD_NAME
        build = TomlFile.load(path, name)
        for section in build.data:
            if section != "target":
                hint = did_you_mean(section, ["target"]) or "a BUILD.toml holds only [[target]] tables"
                raise UsageError(f"Unknown section `{section}`", where=build.where(section), hint=hint)
        decls += _targets(build, workspace.registry, package)
        build.data = {}  # of many targets, it is much; places are found in the text
    seen: dict[Label, Place] = {}
    for decl in decls:
        if decl.label in seen:
            raise UsageError(
                f"Two targets are called `{decl.label}`",
                where=decl.place.where(),
                hint=f"the other one is at {seen[decl.label].where()}",
            )
        seen[decl.label] = decl.place
    return decls


def _targets(file: TomlFile, registry: Registry, package: str) -> list[Declared]:
    tables = file.data.get("target", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UsageError("`target` must be written as [[target]] tables", where=file.where("target"))
    decls: list[Declared] = []
    for index, table in enumerate(tables):
        decls += _target(file, registry, package, index, table)
    return decls


def _target(file: TomlFile, registry: Registry, package: str, index: int, table: Mapping[str, Any]) -> list[Declared]:
    place = Place(file, index)
    for key in ("name", "rule"):
        value = table.get(key)
        if not isinstance(value, str) or not value:
            near = did_you_mean(key, [k for k in table if k not in ("name", "rule")])
            raise UsageError(f"A [[target]] needs `{key}`, a string", where=place.where(), hint=near)
    name, rule_name = table["name"], table["rule"]
    raw = {key: value for key, value in table.items() if key not in ("name", "rule")}
    try:
        label = Label(package, check_name(name, name))
    except UsageError as error:
        raise UsageError(error.message, where=place.where("name"), hint=error.hint) from None
    rule = registry.known_rule(rule_name) or registry.rule(rule_name, where=place.where("rule"))
    try:
        attrs = rule.attrs.model_validate(raw, context={"package": package})
    except ValidationError as error:
        raise file.invalid(error, rule.attrs, f"target `{label}` (rule `{rule_name}`)", ("target", index)) from None
    if isinstance(rule, MacroRule):
        return [Declared(made, name_, given, place) for made, name_, given in rule.expand(label, attrs)]
    return [Declared(label, rule_name, raw, place, attrs)]
