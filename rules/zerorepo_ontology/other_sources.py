"""Sources that are not distributions: the standard library, trove classifiers, tables of the user's own, curated features.

Knows nothing of how entries become a tree.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import platform
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from zerorepo.action import Action, ActionContext, ActionResult
from zerorepo.digest import Digest
from zerorepo.errors import ActionFailed, did_you_mean
from zerorepo_ontology import entries, starter, wheel
from zerorepo_ontology.entries import Entry
from zerorepo_ontology.mining import Mined, Reading, capped, mine
from zerorepo_ontology.public_api import Api

COLUMNS = ("id", "parent", "name", "description", "tags")


class MineStandardLibrary(Action):
    """The features of the standard library of this interpreter, module by module as the table of places lists them."""

    mnemonic: ClassVar[str] = "MineStandardLibrary"
    result: ClassVar[type[ActionResult]] = Mined
    key_version: ClassVar[int] = 2

    places: Digest
    """``data/stdlib.toml``."""
    version: str
    """``platform.python_version()``: the source is this interpreter's own."""
    cap: int = 40
    """Entries of one module."""

    async def execute(self, context: ActionContext) -> Mined:
        places = starter.parse_places(context.read(self.places).decode())
        root = Path(sysconfig.get_paths()["stdlib"])
        made: list[Entry] = []
        symbols = 0
        for module, place in sorted(places.items()):
            sources, packages = _module_files(root, module)
            api = Api(sources, packages)
            public = [each for each in api.symbols() if each.path.startswith(f"{module}.")]
            symbols += sum(1 + len(each.symbol.methods) for each in public)
            reading = Reading(place=place, depth=3)
            found = mine(public, api, reading, "python", self.version, "PSF-2.0")
            made += capped([each._replace(kind=f"stdlib {each.kind}") for each in found], self.cap)
        data = entries.dump(made)
        return Mined(
            entries=context.write(data), count=len(made), symbols=symbols, license="PSF-2.0", version=self.version
        )

    def describe(self) -> str:
        return f"mine the standard library of Python {self.version}"


def interpreter() -> str:
    """The version whose standard library is read."""
    return platform.python_version()


def _module_files(root: Path, module: str) -> tuple[dict[str, str], set[str]]:
    """The sources of a module or package, by dotted name, and which are packages."""
    path = root.joinpath(*module.split("."))
    if path.with_suffix(".py").is_file():
        return {module: path.with_suffix(".py").read_text("utf-8", "replace")}, set()
    sources, packages = {}, set()
    for file in sorted(path.rglob("*.py")):
        name = wheel.module_name(str(file.relative_to(root)))
        if name is not None and "/test" not in str(file.relative_to(root)):
            sources[name] = file.read_text("utf-8", "replace")
            if file.name == "__init__.py":
                packages.add(name)
    return sources, packages


class MineClassifiers(Action):
    """The topics of the trove classifiers, from the literal list in the wheel of ``trove-classifiers``."""

    mnemonic: ClassVar[str] = "MineClassifiers"
    result: ClassVar[type[ActionResult]] = Mined

    wheel: Digest
    places: Digest
    """``data/classifiers.toml``: topic to domain and area; the longest prefix counts."""

    async def execute(self, context: ActionContext) -> Mined:
        found = wheel.read(context.read(self.wheel), "trove-classifiers")
        places = starter.parse_places(context.read(self.places).decode())
        made = []
        for topic in _topics(found.modules.get("trove_classifiers", "")):
            prefix = max(
                (each for each in places if topic == each or topic.startswith(f"{each} :: ")), key=len, default=None
            )
            parts = topic.split(" :: ")
            if prefix is None or len(parts) < 2:
                continue
            made.append(
                Entry(
                    text=_spoken(parts[-1]), path=f"Topic :: {topic}", kind="classifier", source=found.name,
                    version=found.version, license=found.license, origin="mined", place=places[prefix],
                    section=" :: ".join(parts[:-1]), section_text=_spoken(parts[-2]), tier="T",
                )
            )  # fmt: skip
        data = entries.dump(made)
        return Mined(entries=context.write(data), count=len(made), license=found.license, version=found.version)


def _topics(source: str) -> list[str]:
    """Every string ``Topic :: …`` of the module, without that word."""
    nodes = ast.walk(ast.parse(source))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return sorted(each.removeprefix("Topic :: ") for each in texts if each.startswith("Topic :: "))


def _spoken(name: str) -> str:
    return name.replace("/", " and ") if name.isupper() else name.replace("/", " and ").lower()


class MineTable(Action):
    """Features of the user's own: CSV with the columns ``id,parent,name,description,tags``, or JSON with a list of such objects.

    ActionFailed, naming the row, for a row without a name, an id that is there twice, an unknown parent or a cycle.
    """

    mnemonic: ClassVar[str] = "MineTable"
    result: ClassVar[type[ActionResult]] = Mined

    table: Digest
    name: str
    """The file, for messages and as the source."""
    license: str = ""

    async def execute(self, context: ActionContext) -> Mined:
        rows = read_table(context.read(self.table), self.name)
        by_id = {row["id"]: row for row in rows}
        parents = {row["parent"] for row in rows}
        made = []
        for row in rows:
            if row["id"] in parents:
                continue
            above = [by_id[each]["name"] for each in _ancestors(row["id"], by_id, self.name)]
            made.append(
                Entry(
                    text=row["name"], path=row["id"], kind="row", source=self.name, version="", license=self.license, origin="own",
                    place=tuple(above[:3]), section=" / ".join(above), section_text=above[-1] if above else "",
                    description=row["description"], tags=tuple(row["tags"].replace(";", ",").replace(",", " ").split()), tier="T",
                )
            )  # fmt: skip
        return Mined(entries=context.write(entries.dump(made)), count=len(made), license=self.license)


def read_table(data: bytes, name: str) -> list[dict[str, str]]:
    """The rows with all columns as text. ActionFailed as for ``MineTable``."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ActionFailed(f"The table is not UTF-8 (byte {error.start})", where=name) from None
    rows = _json_rows(text, name) if name.lower().endswith(".json") else _csv_rows(text, name)
    seen: set[str] = set()
    made = []
    for number, row in enumerate(rows, 1):
        clean = {key: str(row.get(key) or "").strip() for key in COLUMNS}
        if isinstance(row.get("tags"), list):
            clean["tags"] = " ".join(str(each) for each in row["tags"])
        where = f"{name}, row {number}"
        if not clean["name"]:
            raise ActionFailed("A feature has no name", where=where)
        clean["id"] = clean["id"] or clean["name"]
        if clean["id"] in seen:
            raise ActionFailed(f"The id `{clean['id']}` is there twice", where=where)
        seen.add(clean["id"])
        made.append(clean)
    for number, row in enumerate(made, 1):
        if row["parent"] and row["parent"] not in seen:
            hint = did_you_mean(row["parent"], seen) or "a parent is the id of another row; leave it empty at the top"
            raise ActionFailed(f"The parent `{row['parent']}` is no row", where=f"{name}, row {number}", hint=hint)
    return made


def _csv_rows(text: str, name: str) -> Iterable[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(text))
    columns = [each.strip() for each in reader.fieldnames or []]
    unknown = [each for each in columns if each not in COLUMNS]
    if "name" not in columns or unknown:
        hint = did_you_mean(unknown[0], COLUMNS) if unknown else None
        raise ActionFailed(
            f"The columns are {', '.join(columns) or 'none'}", where=name,
            hint=hint or f"the columns are {', '.join(COLUMNS)}; only `name` is needed",
        )  # fmt: skip
    reader.fieldnames = columns
    return list(reader)


def _json_rows(text: str, name: str) -> list[dict[str, Any]]:
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise ActionFailed(f"The table is no JSON: {error.msg}", where=f"{name}:{error.lineno}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ActionFailed(
            "The table is no list of objects", where=name, hint=f'[{{"name": …}}] with {", ".join(COLUMNS)}'
        )
    return rows


def _ancestors(id_: str, rows: Mapping[str, Mapping[str, str]], name: str) -> list[str]:
    """Ids above a row, topmost first."""
    found: list[str] = []
    current = rows[id_]["parent"]
    while current:
        if current in found or current == id_:
            raise ActionFailed(f"The parents of `{id_}` go round in a circle", where=name)
        found.insert(0, current)
        current = rows[current]["parent"]
    return found


class MineCurated(Action):
    """Application-level features that libraries lack, from the shipped list."""

    mnemonic: ClassVar[str] = "MineCurated"
    result: ClassVar[type[ActionResult]] = Mined

    table: Digest

    async def execute(self, context: ActionContext) -> Mined:
        made = [
            Entry(
                text=feature, path=f"curated: {capability}", kind="curated", source="zerorepo", version="", license="Apache-2.0",
                origin="curated", place=(domain, area, capability), section=capability, section_text=capability, tier="T",
            )
            for (domain, area, capability), feature in starter.parse_curated(context.read(self.table).decode())
        ]  # fmt: skip
        return Mined(entries=context.write(entries.dump(made)), count=len(made), license="Apache-2.0")
