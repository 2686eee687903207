"""What a name in one scanned file means among all of them: through imports, re-exports, star imports, classes and their bases.

Knows nothing of syntax trees or graphs. What leads out of the scanned files means nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from zerorepo_rpg.scan_facts import Definition, FileFacts, Imported

Meaning = tuple[str, str]
"""Path of the file, and the qualified name in it; "" is the file itself."""


def module_name(path: str, packages: Mapping[str, bool]) -> str:
    """The dotted name that a file is imported by; ``packages`` says of each folder whether it has an ``__init__.py``."""
    pure = PurePosixPath(path)
    parts = [] if pure.stem == "__init__" else [pure.stem]
    folder = pure.parent
    while str(folder) != "." and packages.get(str(folder)):
        parts.insert(0, folder.name)
        folder = folder.parent
    if str(folder) != "." and not packages.get(str(pure.parent)):
        # A folder without ``__init__.py`` may be a namespace package; ``src`` never is.
        parts = [part for part in folder.parts if part != "src"] + parts
    return ".".join(parts)


class Names:
    """All scanned files by module name, and the look-ups among them."""

    def __init__(self, files: Iterable[FileFacts]) -> None:
        self.files = {facts.path: facts for facts in files}
        packages = {str(PurePosixPath(path).parent): False for path in self.files}
        packages |= {str(PurePosixPath(path).parent): True for path in self.files if path.endswith("__init__.py")}
        self.module_of = {path: module_name(path, packages) for path in self.files}
        self.by_module = {name: path for path, name in sorted(self.module_of.items(), reverse=True) if name}
        self.own: dict[str, dict[str, Definition]] = {
            path: {each.name: each for each in facts.definitions} for path, facts in self.files.items()
        }
        self.imported: dict[str, dict[str, Imported]] = {}
        self.stars: dict[str, list[str]] = {}
        for path, facts in self.files.items():
            self.imported[path] = {item.name: item for item in facts.imports if item.name and item.target != "*"}
            self.stars[path] = [self.absolute(path, item.module) for item in facts.imports if item.target == "*"]
        self._exports: dict[tuple[str, str], Meaning | None] = {}

    def absolute(self, path: str, module: str) -> str:
        """A module as imported in a file, with leading dots resolved."""
        dots = len(module) - len(module.lstrip("."))
        if not dots:
            return module
        own = self.module_of[path].split(".")
        if not path.endswith("__init__.py"):
            own = own[:-1]
        base = own[: len(own) - (dots - 1)] if dots > 1 else own
        return ".".join([*base, *([module[dots:]] if module[dots:] else [])])

    def imported_files(self, path: str) -> dict[str, bool]:
        """The scanned files that a file imports, and whether it does so when it is loaded."""
        found: dict[str, bool] = {}
        for item in self.files[path].imports:
            module = self.absolute(path, item.module)
            inner = f"{module}.{item.target}" if item.target else module
            target = self.by_module.get(inner) or self.by_module.get(module)
            if target and target != path:
                found[target] = found.get(target, False) or item.eager
        return found

    def lookup(self, path: str, name: str) -> Meaning | None:
        """What a dotted name means in a file."""
        first, _, rest = name.partition(".")
        found = self.export(path, first)
        return self.attributes(found, rest) if found else None

    def export(self, path: str, name: str) -> Meaning | None:
        """What a plain name of a file's top level means."""
        key = (path, name)
        if key not in self._exports:
            self._exports[key] = None  # an import that goes round means nothing
            self._exports[key] = self._export(path, name)
        return self._exports[key]

    def _export(self, path: str, name: str) -> Meaning | None:
        if name in self.own[path]:
            return path, name
        item = self.imported[path].get(name)
        if item is not None:
            return self._imported(path, item)
        if path.endswith("__init__.py") and (inner := self.by_module.get(f"{self.module_of[path]}.{name}")):
            return inner, ""
        for module in self.stars[path]:
            target = self.by_module.get(module)
            if target and target != path and not name.startswith("_") and (found := self.export(target, name)):
                return found
        return None

    def _imported(self, path: str, item: Imported) -> Meaning | None:
        module = self.absolute(path, item.module)
        if not item.target:
            return self._module(module)
        if (target := self.by_module.get(module)) and target != path and (found := self.export(target, item.target)):
            return found
        return self._module(f"{module}.{item.target}")

    def _module(self, name: str) -> Meaning | None:
        if name in self.by_module:
            return self.by_module[name], ""
        return None

    def attributes(self, meaning: Meaning, rest: str) -> Meaning | None:
        """``rest`` of what a name means: of a module its exports, of a class its members, inherited ones too."""
        found: Meaning | None = meaning
        for part in rest.split(".") if rest else ():
            if found is None:
                return None
            found = self.member(found, part) if found[1] else self.export(found[0], part)
        return found

    def member(self, meaning: Meaning, name: str, seen: frozenset[Meaning] = frozenset()) -> Meaning | None:
        """A member of a class, or of the first base that has it."""
        path, owner = meaning
        if meaning in seen:
            return None
        if f"{owner}.{name}" in self.own[path]:
            return path, f"{owner}.{name}"
        return self.inherited(meaning, name, seen)

    def inherited(self, meaning: Meaning, name: str, seen: frozenset[Meaning] = frozenset()) -> Meaning | None:
        """A member that a class has from its bases."""
        for base in self.bases(meaning):
            if found := self.member(base, name, seen | {meaning}):
                return found
        return None

    def bases(self, meaning: Meaning) -> list[Meaning]:
        """The scanned classes that a class inherits from, in order."""
        path, owner = meaning
        definition = self.own[path].get(owner)
        found = []
        for text in definition.bases if definition else ():
            outer = owner.rpartition(".")[0]
            inside = (path, f"{outer}.{text}") if outer and f"{outer}.{text}" in self.own[path] else None
            base = inside or self.lookup(path, text)
            if base and base[1] and base != meaning and self.kind(base) == "class":
                found.append(base)
        return found

    def kind(self, meaning: Meaning) -> str:
        """``function``, ``class`` or ``method``; ``file`` for a module."""
        return self.own[meaning[0]][meaning[1]].kind if meaning[1] else "file"


__all__ = ["Meaning", "Names", "module_name"]
