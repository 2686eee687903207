"""The shipped tables: pinned packages and how each is read, places of the standard library and of classifiers, curated features.

Knows nothing of fetching or mining.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from pydantic import ValidationError

from zerorepo.errors import UsageError, did_you_mean
from zerorepo.values import Value
from zerorepo_ontology.mining import Reading

PACKAGE = "zerorepo_ontology"
PACKAGES, STDLIB, CLASSIFIERS, CURATED = (
    f"data/{name}.toml" for name in ("packages", "stdlib", "classifiers", "curated")
)


class Pin(Value):
    """A distribution to fetch: exactly this file."""

    name: str
    version: str
    wheel: str
    sha256: str
    license: str = ""
    reading: Reading = Reading()


def parse_pins(text: str, where: str) -> dict[str, Pin]:
    """The pins of a table, by normalized name. UsageError, naming the row, for one that is wrong."""
    try:
        rows = tomllib.loads(text).get("package", [])
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"The table of packages is no TOML: {error}", where=where) from None
    pins = {}
    for row in rows:
        own = {key: row[key] for key in ("name", "version", "wheel", "sha256", "license") if key in row}
        reading = {key: value for key, value in row.items() if key not in own}
        try:
            pin = Pin(**own, reading=Reading(**reading))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise UsageError(f"Package `{row.get('name', '?')}`: {place}: {first['msg']}", where=where) from None
        pins[normalized(pin.name)] = pin
    return pins


def normalized(name: str) -> str:
    """A distribution's name as PyPI compares it."""
    return name.lower().replace("_", "-").replace(".", "-")


@lru_cache(maxsize=1)
def starter_pins() -> Mapping[str, Pin]:
    """The packages of the default ontology."""
    return parse_pins(_text(PACKAGES), PACKAGES)


def chosen(packages: Sequence[str], without: Sequence[str]) -> list[str]:
    """Normalized names of the starter packages ``packages`` (empty: all) but for ``without``. UsageError for an unknown name."""
    known = starter_pins()
    for name in (*packages, *without):
        if normalized(name) not in known:
            near = did_you_mean(normalized(name), known)
            raise UsageError(
                f"`{name}` is not among the {len(known)} packages of the starter set",
                hint=near or "zerorepo ontology extend NAME==VERSION adds another one",
            )
    left_out = {normalized(name) for name in without}
    return [name for name in (sorted({normalized(n) for n in packages}) or sorted(known)) if name not in left_out]


def parse_places(text: str) -> dict[str, tuple[str, ...]]:
    """A table ``[places]`` of prefix to domain and area."""
    return {key: tuple(value) for key, value in tomllib.loads(text)["places"].items()}


def parse_curated(text: str) -> list[tuple[tuple[str, str, str], str]]:
    """(domain, area, capability) and feature, for each curated feature."""
    found = []
    tree: dict[str, Any] = tomllib.loads(text)
    for domain, areas in tree.items():
        for area, capabilities in areas.items():
            for capability, features in capabilities.items():
                found += [((domain, area, capability), feature) for feature in features]
    return found


def _text(name: str) -> str:
    return files(PACKAGE).joinpath(name).read_text("utf-8")
