"""Which symbols of a distribution a user is meant to use, and by what path: ``__all__``, re-exports and star imports followed.

Knows nothing of what the symbols do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from zerorepo_ontology import modules
from zerorepo_ontology.modules import Module, Symbol

_NOT_READ = frozenset(
    (
        "tests", "test", "conftest", "benchmarks", "examples", "example", "docs", "vendor", "vendored", "_vendor", "_vendored",
        "migrations", "locale", "locales", "setup", "externals", "extern", "__main__",
    )
)  # fmt: skip
_NOT_LISTED = frozenset(
    (
        "testing", "compat", "packages", "deprecated", "version", "typing", "types", "scripts", "legacy", "internal", "internals",
        "mypy", "exceptions", "errors", "warnings", "exc",
    )
)  # fmt: skip
"""Modules that others take names from, but that are not for users."""
_DEEPEST_CHAIN = 12


@dataclass(frozen=True, slots=True)
class Public:
    """A symbol with the shortest path that it can be had by; ``module`` is the part of it that is a module.

    ``home``: the module that defines it, which says more of its subject than a package that has everything from everywhere.
    """

    path: str
    module: str
    home: str
    symbol: Symbol


class Api:
    """The public symbols of one distribution."""

    def __init__(self, sources: Mapping[str, str], packages: Iterable[str], *, roots: Iterable[str] = ()) -> None:
        """``roots``: the top-level packages or modules to look at; default: all."""
        known = set(packages)
        wanted = set(roots)
        self._modules: dict[str, Module] = {}
        self._is_package = known
        for name, source in sources.items():
            if _is_hidden(name) or (wanted and name.partition(".")[0] not in wanted):
                continue
            found = modules.read(source, name, is_package=name in known)
            if found is not None:
                self._modules[name] = found

    def module_doc(self, name: str) -> str:
        """The docstring of a module; "" without one."""
        found = self._modules.get(name)
        return found.doc if found else ""

    def symbols(self) -> list[Public]:
        """Every public definition once, by its shortest path, sorted by path."""
        best: dict[int, Public] = {}
        for name, module in self._modules.items():
            if any(part.startswith("_") or part in _NOT_LISTED for part in name.split(".")):
                continue
            for local in self._names(name, module):
                found = self._resolve(name, local, 0)
                if found is None:
                    continue
                home, symbol = found
                public = Public(f"{name}.{local}", name, home, symbol)
                old = best.get(id(symbol))
                if old is None or _rank(public) < _rank(old):
                    best[id(symbol)] = public
        return sorted(best.values(), key=lambda each: each.path)

    def _names(self, name: str, module: Module) -> set[str]:
        if module.exported is not None:
            return {each for each in module.exported if not each.startswith("_")}
        names = {each for each in module.symbols if not each.startswith("_")}
        if name in self._is_package:
            # Without ``__all__``, what a package imports from within itself is meant to be had from it.
            top = name.partition(".")[0]
            names |= {
                local for local, (base, _) in module.imports.items()
                if not local.startswith("_") and base.partition(".")[0] == top
            }  # fmt: skip
            for base in module.stars:
                inner = self._modules.get(base)
                if inner is not None and inner is not module and base.partition(".")[0] == top:
                    names |= {each for each in (inner.exported or inner.symbols) if not each.startswith("_")}
        return names

    def _resolve(self, module_name: str, local: str, depth: int) -> tuple[str, Symbol] | None:
        module = self._modules.get(module_name)
        if module is None or depth > _DEEPEST_CHAIN:
            return None
        if local in module.symbols:
            return module_name, module.symbols[local]
        if local in module.imports:
            base, original = module.imports[local]
            if (base, original) == (module_name, local):
                return None
            return self._resolve(base, original, depth + 1)
        for base in module.stars:
            found = self._resolve(base, local, depth + 1)
            if found is not None:
                return found
        return None


def _is_hidden(name: str) -> bool:
    parts = name.split(".")
    if parts[0] == "tests":
        return True
    return any(part in _NOT_READ or part.startswith("test_") or part.endswith("_test") for part in parts[1:])


def _rank(public: Public) -> tuple[int, int, str]:
    return public.path.count("."), len(public.path), public.path
