"""The workspace: the folder with ``zerorepo.toml``, its settings, and where the engine keeps things.

Knows nothing of targets; the ``[[target]]`` tables of ``zerorepo.toml`` are the build file's business (``buildfile``).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import ByteSize, Field, ValidationError

from zerorepo.digest import DigestFunction
from zerorepo.errors import UsageError, did_you_mean
from zerorepo.plugins import Registry
from zerorepo.redaction import is_secret_name, looks_like_a_key
from zerorepo.tomlfile import TomlFile
from zerorepo.values import Value

SettingsT = TypeVar("SettingsT", bound=Value)

CONFIG_NAME = "zerorepo.toml"
STATE_NAME = ".zerorepo"


class WorkspaceSettings(Value):
    """``[workspace]``."""

    name: str = ""
    output: str = "out"
    """The output folder, relative to the workspace."""
    exclude: tuple[str, ...] = ()
    """Folders that are not searched for packages, relative to the workspace."""
    plugins: tuple[str, ...] = ()
    """Modules with a ``RULE_SET`` that are no installed plugins, importable from the workspace folder: a workspace's own rules."""


class BuildSettings(Value):
    """``[build]``."""

    jobs: int | None = Field(default=None, ge=1)
    """How many actions of the pool ``cpu`` run at once; default: the number of cores."""
    pools: Mapping[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """Limits of other pools, for example ``model = 20``; a pool without one has none."""


class CacheSettings(Value):
    """``[cache]``."""

    dir: str = ""
    """Where results are kept; default ``.zerorepo/cache`` in the workspace. Several workspaces may share one."""
    digest: DigestFunction = DigestFunction.XXH3
    size_limit: ByteSize | None = None
    """Above this ("20GB") a build removes what was not used for longest. None: nothing is removed; recorded answers cost money."""


ENGINE_SECTIONS: dict[str, type[Value]] = {
    "workspace": WorkspaceSettings,
    "build": BuildSettings,
    "cache": CacheSettings,
}


@dataclass(slots=True)
class Workspace:
    """A loaded workspace. ``settings`` of all sections are validated when asked for; unknown sections at load."""

    root: Path
    config: TomlFile
    registry: Registry
    workspace: WorkspaceSettings
    build: BuildSettings
    cache: CacheSettings
    _settings: dict[str, Value] = field(default_factory=dict)

    @classmethod
    def load(cls, root: Path, registry: Registry, overrides: tuple[str, ...] = ()) -> Workspace:
        """Load ``root/zerorepo.toml``; ``overrides`` are ``section.key=value`` as of ``--set``. UsageError when it is wrong."""
        config = TomlFile.load(root / CONFIG_NAME, CONFIG_NAME)
        for text in overrides:
            config.overridden.append((*_override(config.data, text), f"--set {_shown(text)}"))
        workspace = _validate(config, "workspace", WorkspaceSettings)
        if workspace.plugins:
            registry = registry.extended(workspace.plugins, root, where=config.where("workspace", "plugins"))
        known = [*ENGINE_SECTIONS, *registry.section_names, "target"]
        for section in config.data:
            if section not in known:
                raise UsageError(
                    f"Unknown section `[{section}]`",
                    where=config.where(section),
                    hint=did_you_mean(section, known) or f"known sections: {', '.join(sorted(known))}",
                )
        build = _validate(config, "build", BuildSettings)
        cache = _validate(config, "cache", CacheSettings)
        output = Path(workspace.output)
        if output.is_absolute() or ".." in output.parts or output == Path():
            raise UsageError(
                "The output folder must be a folder inside the workspace", where=config.where("workspace", "output")
            )
        return cls(root, config, registry, workspace, build, cache)

    @property
    def state_dir(self) -> Path:
        """``.zerorepo``: everything here can be deleted; the next build makes it anew."""
        return self.root / STATE_NAME

    @property
    def output_dir(self) -> Path:
        """Where outputs land."""
        return self.root / self.workspace.output

    @property
    def cache_dir(self) -> Path:
        """Where results are kept."""
        return Path(os.path.expandvars(self.cache.dir)).expanduser() if self.cache.dir else self.state_dir / "cache"

    def settings(self, section: str) -> Value:
        """A rule set's section, validated; defaults when the file has none. UsageError when it is wrong."""
        if section in self._settings:
            return self._settings[section]
        model = self.registry.settings_model(section)
        if model is None:
            raise UsageError(
                f"No rule set defines the section `[{section}]`",
                hint=did_you_mean(section, self.registry.section_names),
            )
        self._settings[section] = _validate(self.config, section, model)
        return self._settings[section]

    def check_settings(self) -> None:
        """Validate every section that the file has, before anything is built. UsageError for the first wrong one."""
        for section in self.config.data:
            if section in self.registry.section_names:
                self.settings(section)


def find_root(start: Path) -> Path:
    """The nearest folder at or above ``start`` with a ``zerorepo.toml``; UsageError when there is none."""
    for folder in (start, *start.parents):
        if (folder / CONFIG_NAME).is_file():
            return folder
    raise UsageError(
        f"No {CONFIG_NAME} in this folder or above it", where=str(start), hint="`zerorepo init` makes a workspace here"
    )


def _validate(config: TomlFile, section: str, model: type[SettingsT]) -> SettingsT:
    body = config.data.get(section, {})
    if not isinstance(body, dict):
        raise UsageError(f"`{section}` must be a table", where=config.where(section))
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise config.invalid(error, model, f"[{section}]", (section,)) from None


def _shown(override: str) -> str:
    """An override as it may be shown: without the value when that may be a secret."""
    path, _, value = override.partition("=")
    hidden = is_secret_name(path.rpartition(".")[2]) or looks_like_a_key(value)
    return f"{path}=…" if hidden else override


def _override(data: dict[str, Any], text: str) -> tuple[str, str]:
    path, equals, value = text.partition("=")
    keys = path.split(".")
    if not equals or len(keys) < 2 or not all(keys):
        raise UsageError(
            f"Bad --set `{_shown(text)}`", hint="write --set section.key=value, for example --set llm.provider=desk"
        )
    try:
        parsed = tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        parsed = value
    table = data
    for key in keys[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise UsageError(f"Bad --set `{_shown(text)}`: `{key}` is not a table")
    table[keys[-1]] = parsed
    return keys[0], keys[1]
