"""What differs from a revision of git: files, declarations in build files, settings. Knows nothing of queries."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli
from pydantic import ValidationError

from zerorepo.action_key import manifest
from zerorepo.errors import UsageError
from zerorepo.tomlfile import TomlFile
from zerorepo.workspace import CONFIG_NAME, Workspace


def changed_files(root: Path, revision: str) -> set[str]:
    """Paths relative to ``root`` of files that differ between the revision and the working tree, untracked ones included.

    UsageError without git, outside a repository, and for what is no revision.
    """
    if not revision or revision.startswith("-"):
        raise UsageError(f"`{revision}` is no revision", hint="give a branch, a tag, a commit, or HEAD")
    try:
        _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    except subprocess.CalledProcessError:
        try:
            _git(root, "rev-parse", "--git-dir")
        except subprocess.CalledProcessError:
            raise UsageError("This workspace is in no git repository", hint="`git init` makes one") from None
        raise UsageError(
            f"git knows no revision `{revision}`", hint="give a branch, a tag, a commit, or HEAD"
        ) from None
    listed = _git(root, "diff", "--name-only", "--no-renames", "-z", "--relative", revision, "--", ".")
    untracked = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", ".")
    return {name.decode("utf-8", "surrogateescape") for name in (listed + untracked).split(b"\0") if name}


def changed_tables(root: Path, revision: str, path: str) -> Iterator[str]:
    """``file:line`` of each ``[[target]]`` of a build file that the revision did not have so."""
    try:
        now = TomlFile.load(root / path, path)
    except UsageError:
        return  # gone, or wrong, which the graph says
    before = _tables(_data_of(root, revision, path))
    for index, table in enumerate(_tables(now.data)):
        if table not in before:
            yield now.where("target", "", index)


def changed_settings(workspace: Workspace, revision: str) -> set[str]:
    """Sections of ``zerorepo.toml`` that say something else than in the revision, with what they mean by default counted in."""
    before, now = _data_of(workspace.root, revision, CONFIG_NAME), workspace.config.data
    asked = [name for name in workspace.registry.section_names if before.get(name) != now.get(name)]
    return {
        name
        for name in asked
        if _meaning(workspace, name, before.get(name, {})) != _meaning(workspace, name, now.get(name, {}))
    }


def _meaning(workspace: Workspace, section: str, body: Any) -> Mapping[str, str] | None:
    """What of a section rules take for the same; None for one that is wrong."""
    model = workspace.registry.settings_model(section)
    assert model is not None
    try:
        return manifest(model.model_validate(body), workspace.cache.digest)
    except ValidationError:
        return None


def _data_of(root: Path, revision: str, path: str) -> Mapping[str, Any]:
    """A TOML file as of the revision; empty when there was none that could be read."""
    try:
        return tomli.loads(_git(root, "show", f"{revision}:./{path}").decode())
    except (subprocess.CalledProcessError, UnicodeDecodeError, tomli.TOMLDecodeError):
        return {}


def _tables(data: Mapping[str, Any]) -> list[Any]:
    tables = data.get("target", [])
    return tables if isinstance(tables, list) else []


def _git(root: Path, *arguments: str) -> bytes:
    try:
        return subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True).stdout
    except FileNotFoundError:
        raise UsageError("git is not installed", hint="`changed_since` asks git what changed") from None
