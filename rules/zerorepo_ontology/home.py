"""The ontology of a user: a workspace of its own, in the user's data folder, that the commands write and build.

Its ``zerorepo.toml`` is written from ``home.json``, which says what was left out and what was added. Knows nothing of mining.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from zerorepo.errors import UsageError
from zerorepo.values import Value
from zerorepo_ontology import starter

_HEAD = "# Written by `zerorepo ontology`; what it is written from is in home.json.\n\n"


class Added(Value):
    """A source that was added: ``rule`` and its attributes."""

    name: str
    rule: str
    attrs: Mapping[str, Any]


class Home(Value):
    """What the user's ontology is made of."""

    exclude: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    engine: str = ""
    wheels: str = ""
    weights: str = ""
    added: tuple[Added, ...] = ()


def folder() -> Path:
    """``$ZEROREPO_ONTOLOGY_HOME``, else ``zerorepo/ontology`` in the user's data folder."""
    named = os.environ.get("ZEROREPO_ONTOLOGY_HOME")
    if named:
        return Path(named).absolute()
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data) / "zerorepo" / "ontology"


def made(part: str = "") -> Path:
    """The folder, or one in it, which is there and can be written. UsageError when it cannot be."""
    place = folder() / part
    try:
        place.mkdir(parents=True, exist_ok=True)
        if not os.access(place, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        named = "ZEROREPO_ONTOLOGY_HOME" if os.environ.get("ZEROREPO_ONTOLOGY_HOME") else "XDG_DATA_HOME"
        raise UsageError(
            f"The folder for your ontology cannot be written: {error.strerror}",
            where=str(place),
            hint=f"${named} says where it is",
        ) from None
    return place


def load() -> Home:
    """What was chosen before. UsageError when the file is damaged or cannot be read."""
    file = folder() / "home.json"
    try:
        return Home.model_validate_json(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return Home()
    except OSError as error:
        raise UsageError(f"This file cannot be read: {error.strerror}", where=str(file)) from None
    except ValidationError as error:
        raise UsageError(
            f"This file is damaged: {error.errors()[0]['msg']}", where=str(file), hint="delete it to begin anew"
        ) from None


def save(home: Home) -> None:
    """Write both files; the second only when the first is whole."""
    root = made()
    for name, text in (("home.json", home.model_dump_json(indent=1) + "\n"), ("zerorepo.toml", toml(home))):
        new = root / f".{name}.new"
        new.write_text(text, "utf-8")
        new.replace(root / name)


def toml(home: Home) -> str:
    """The workspace file."""
    lines = [_HEAD, '[workspace]\nname = "ontology"\n']
    settings = {key: value for key in ("engine", "wheels", "weights") if (value := getattr(home, key))}
    if settings:
        lines.append("[ontology]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
    for each in home.added:
        lines.append(_target(each.name, each.rule, each.attrs))
    attrs = {
        "exclude": list(home.exclude),
        "packages": list(home.packages),
        "sources": [f"//:{each.name}" for each in home.added],
    }
    lines.append(_target("ontology", "ontology", {key: value for key, value in attrs.items() if value}))
    return "\n".join(lines)


def _target(name: str, rule: str, attrs: Mapping[str, Any]) -> str:
    # JSON's strings, numbers, booleans and lists of strings are TOML's as well.
    rows = "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in attrs.items())
    return f"[[target]]\nname = {json.dumps(name)}\nrule = {json.dumps(rule)}\n{rows}"


def add(home: Home, added: Added) -> Home:
    """``home`` with one more source, in place of one of that name."""
    others = tuple(each for each in home.added if each.name != added.name)
    return home.model_copy(update={"added": (*others, added)})


def take_table(path: Path) -> Added:
    """Copy a CSV or JSON file into the workspace. UsageError when it cannot be read."""
    name = starter.normalized(path.stem)
    target = made("own") / path.name
    try:
        shutil.copyfile(path, target)
    except OSError as error:
        raise UsageError(f"The table cannot be read: {error.strerror}", where=str(path)) from None
    return Added(name=f"own.{name}", rule="ontology_table", attrs={"src": f"own/{path.name}"})


def take_folder(path: Path) -> Added:
    """Copy the Python files of a folder into the workspace; the folder itself becomes the package."""
    files = [
        each
        for each in sorted(path.rglob("*.py"))
        if not any(part.startswith(".") for part in each.relative_to(path).parts)
    ]
    if not files:
        raise UsageError("There is no Python file in this folder", where=str(path))
    name = path.resolve().name
    target = made("own") / name
    shutil.rmtree(target, ignore_errors=True)
    inner = name if name.isidentifier() and (path / "__init__.py").is_file() else ""
    for each in files:
        place = target / inner / each.relative_to(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(each, place)
    attrs = {"folder": f"own/{name}", "names": True}
    return Added(name=f"own.{starter.normalized(name)}", rule="ontology_folder", attrs=attrs)
