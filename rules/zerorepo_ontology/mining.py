"""``MineDistribution``: from a pinned wheel to entries; and ``MineFolder``, the same for a folder of code.

Everything is read by syntax tree; nothing of it runs. Knows nothing of how entries become a tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from zerorepo.action import Action, ActionContext, ActionResult
from zerorepo.digest import Digest
from zerorepo.errors import ActionFailed
from zerorepo.values import Value
from zerorepo_ontology import entries, wheel, wording
from zerorepo_ontology.entries import Entry
from zerorepo_ontology.public_api import Api, Public


class Reading(Value):
    """How one distribution is read: the columns of the starter table. See ``docs/ontology.md``."""

    place: tuple[str, ...] = ()
    """Domain and area."""
    places: Mapping[str, tuple[str, ...]] = {}
    """Domain and area of what lies below a module; the longest prefix counts."""
    roots: tuple[str, ...] = ()
    """Modules to look at; default: all."""
    skip: tuple[str, ...] = ()
    """Prefixes of paths that are left out."""
    depth: int = 3
    """Parts of a path of a function or class, at most; methods have one more."""
    names: bool = False
    """Whether a symbol without a docstring is told by its name: for libraries that document elsewhere."""
    methods: bool = True
    cap: int = 320
    """Entries at most."""


class Mined(ActionResult):
    """``entries``: see ``entries.load``. The rest is for the report."""

    entries: Digest
    count: int
    symbols: int = 0
    """Public symbols that were seen."""
    license: str = ""
    version: str = ""


class MineDistribution(Action):
    """The features that the public API of a distribution shows. ActionFailed for a licence that is not permissive."""

    mnemonic: ClassVar[str] = "MineDistribution"
    result: ClassVar[type[ActionResult]] = Mined
    key_version: ClassVar[int] = 3

    wheel: Digest
    name: str
    license: str = ""
    """The licence in place of what the wheel says, when a person looked it up."""
    reading: Reading = Reading()
    any_license: bool = False

    async def execute(self, context: ActionContext) -> Mined:
        found = wheel.read(context.read(self.wheel), self.name)
        license_ = self.license or found.license
        if not self.any_license and not wheel.is_permissive(license_):
            raise ActionFailed(
                f"`{self.name}` is under `{license_ or 'no stated licence'}`, which is not known to be permissive",
                hint="leave it out, or allow it for an ontology that you do not pass on: any_license = true",
            )
        api = Api(found.modules, found.packages, roots=self.reading.roots)
        public = api.symbols()
        made = capped(mine(public, api, self.reading, found.name, found.version, license_), self.reading.cap)
        return Mined(
            entries=context.write(entries.dump(made)),
            count=len(made),
            symbols=sum(1 + len(each.symbol.methods) for each in public),
            license=license_,
            version=found.version,
        )

    def describe(self) -> str:
        return f"mine {self.name}"


class MineFolder(Action):
    """The features that a folder of Python code shows."""

    mnemonic: ClassVar[str] = "MineFolder"
    result: ClassVar[type[ActionResult]] = Mined
    key_version: ClassVar[int] = 3

    name: str
    files: Mapping[str, Digest]
    """Path relative to the source root, to content."""
    license: str = ""
    reading: Reading = Reading()

    async def execute(self, context: ActionContext) -> Mined:
        sources, packages = {}, set()
        for path, digest in self.files.items():
            module = wheel.module_name(path)
            if module is not None:
                sources[module] = context.read(digest).decode("utf-8", "replace")
                if path.endswith("/__init__.py"):
                    packages.add(module)
        api = Api(sources, packages, roots=self.reading.roots)
        public = api.symbols()
        mined = mine(public, api, self.reading, self.name, "", self.license)
        made = capped([each._replace(origin="own") for each in mined], self.reading.cap)
        symbols = sum(1 + len(each.symbol.methods) for each in public)
        return Mined(entries=context.write(entries.dump(made)), count=len(made), symbols=symbols, license=self.license)

    def describe(self) -> str:
        return f"mine {self.name}"


def mine(public: Iterable[Public], api: Api, reading: Reading, name: str, version: str, license_: str) -> list[Entry]:
    """Entries for what says something, each text once: the shortest path comes first."""
    made: list[Entry] = []
    seen: set[str] = set()

    def add(
        path: str, kind: str, symbol_name: str, doc: str, signature: str, section: str, section_text: str, home: str
    ) -> None:
        text = wording.feature_text(symbol_name, doc, 3 if kind == "method" else 2)
        tier = "M" if kind == "method" else "A"
        if text and tier == "A":
            text = wording.with_name(symbol_name, text)
        if not text and reading.names and not doc:
            text, tier = wording.name_text(symbol_name), "N"
        if not text or text.casefold() in seen:
            return
        seen.add(text.casefold())
        made.append(
            Entry(
                text=text, path=path, kind=kind, source=name, version=version, license=license_, origin="mined",
                place=_place((path, home), reading), section=section, section_text=section_text, signature=signature,
                description=wording.description(doc, text), tier=tier,
            )
        )  # fmt: skip

    for each in sorted(public, key=lambda found: (found.path.count("."), found.path)):
        symbol = each.symbol
        parts = each.path.count(".") + 1
        if symbol.name.endswith(("Error", "Exception", "Warning")) or each.path.startswith(reading.skip or ("\0",)):
            continue
        module = each.module if "." in each.module or _is_plain(each.home) else each.home
        section_text = wording.first_sentence(api.module_doc(module) or api.module_doc(each.home))
        if parts <= reading.depth:
            add(each.path, symbol.kind, symbol.name, symbol.doc, symbol.signature, module, section_text, each.home)
        if not reading.methods or parts + 1 > reading.depth + 1:
            continue
        own_text = wording.first_sentence(symbol.doc) if len(symbol.methods) >= _OWN_SECTION else ""
        section = each.path if own_text else module
        names = {method.name for method in symbol.methods}
        for method in symbol.methods:
            if method.name[0] == "a" and method.name[1:] in names:
                # The same for coroutines: ``aget`` beside ``get``.
                continue
            path = f"{each.path}.{method.name}"
            add(path, "method", method.name, method.doc, method.signature, section, own_text or section_text, each.home)
    return made


_OWN_SECTION = 6
"""Methods of a class that is a section of its own."""


def capped(found: list[Entry], cap: int) -> list[Entry]:
    """``cap`` of them: functions and classes before methods, and each kind in turn from all sections, so that none is lost."""
    if len(found) <= cap:
        return found
    kept: set[str] = set()
    for rank in sorted({_rank(each) for each in found}):
        by_section: dict[str, list[Entry]] = {}
        for each in sorted((e for e in found if _rank(e) == rank), key=lambda entry: entry.path.count(".")):
            by_section.setdefault(each.section, []).append(each)
        for turn in range(max(len(section) for section in by_section.values())):
            for section in by_section.values():
                if turn < len(section) and len(kept) < cap:
                    kept.add(section[turn].path)
    return [each for each in found if each.path in kept]


def _rank(entry: Entry) -> int:
    """What is documented says more than what is only named, and a function or class more than a method."""
    return 2 * (entry.kind == "method") + (entry.tier == "N")


def _is_plain(home: str) -> bool:
    """Whether a defining module is the library itself and says nothing more."""
    return "." not in home


def _place(names: tuple[str, str], reading: Reading) -> tuple[str, ...]:
    """The place of the longest prefix of the public path, else of the defining module, else that of the library."""
    for name in names:
        best = max((p for p in reading.places if name == p or name.startswith(f"{p}.")), key=len, default=None)
        if best is not None:
            return reading.places[best]
    return reading.place
