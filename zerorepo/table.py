"""The target table of one build: every declared target by label, with its rule and validated attributes.

Static targets come from build files, package by package, when first looked at; expanded ones are added as expansions are
built. Knows nothing of traces or of running anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from zerorepo import adoption
from zerorepo.buildfile import Declared, Place, find_packages, is_package, load_package
from zerorepo.errors import InternalError, UsageError, did_you_mean
from zerorepo.heights import heights
from zerorepo.label import Label
from zerorepo.rule import Attrs, Rule
from zerorepo.target import SourcePath, TargetDecl
from zerorepo.workspace import Workspace


class Target:
    """One instance of a rule. ``declared_by`` is the expansion that made it, None for a static target, which has a ``place``.

    ``adopted``: which of its files a person's sources stand for; its rule is one that takes them.
    """

    __slots__ = ("adopted", "attrs", "declared_by", "label", "place", "rule")

    def __init__(
        self,
        label: Label,
        rule: Rule,
        attrs: Attrs,
        place: Place | None = None,
        declared_by: Label | None = None,
        adopted: adoption.Adoption | None = None,
    ) -> None:
        self.adopted = adopted
        self.label = label
        self.rule = rule
        self.attrs = attrs
        self.place = place
        self.declared_by = declared_by

    def described(self) -> dict[str, Any]:
        """Everything that its key is made of."""
        described = {"label": self.label, "rule": self.rule.name, "version": self.rule.version, "attrs": self.attrs}
        return {**described, "adopted": self.adopted.identity()} if self.adopted else described

    @property
    def where(self) -> str:
        """``file:line``, or which expansion declared it."""
        return self.place.where() if self.place else f"(declared by {self.declared_by})"

    @property
    def manual(self) -> bool:
        """Whether wildcards pass it over."""
        return "manual" in self.attrs.tags

    def where_of(self, value: Label | str) -> str:
        """``file:line`` of the attribute that holds a label or a source path; the target's own line when unknown."""
        kind = Label if isinstance(value, Label) else SourcePath
        for name in type(self.attrs).model_fields if self.place else ():
            if self.place and value in _find(getattr(self.attrs, name), kind):
                return self.place.where(name)
        return self.where

    def outputs(self) -> list[str]:
        """Outputs that its attributes already name, relative to the output folder."""
        return list(self.rule.outputs(self.label, self.attrs)) if self.rule.outputs else []

    def labels(self) -> list[Label]:
        """Labels in its attributes: its declared dependencies, in order, once each."""
        return list(dict.fromkeys(_find(self.attrs, Label)))

    def references(self) -> dict[str, list[Label | SourcePath]]:
        """Labels and source paths by the attribute that holds them, globs included."""
        found = {}
        for name in type(self.attrs).model_fields:
            value = getattr(self.attrs, name)
            if value and not isinstance(value, bool | int) and (inside := list(_find(value, (Label, SourcePath)))):
                found[name] = inside
        return found

    def sources(self) -> list[str]:
        """Source paths in its attributes, globs included, in order, once each."""
        return list(dict.fromkeys(str(path) for path in _find(self.attrs, SourcePath)))


def _find(value: Any, kind: type | tuple[type, ...]) -> Iterator[Any]:
    if isinstance(value, kind):
        yield value
    elif isinstance(value, BaseModel):
        for field in type(value).model_fields:
            yield from _find(getattr(value, field), kind)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _find(item, kind)
    elif isinstance(value, (tuple, list, set, frozenset)) and not isinstance(value, Label):
        for item in value:
            yield from _find(item, kind)


class TargetTable:
    """Every target of the workspace that has been looked at."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.adoptions = adoption.load(workspace.root)
        self._targets: dict[Label, Target] = {}
        self._static: dict[str, dict[Label, Target]] = {}
        self._packages: list[str] | None = None
        self._expanded: dict[str, dict[Label, Target]] = {}
        self._expanding: Sequence[Label] | None = None
        self._heights: Mapping[Any, int] = {}
        self._looked_at = self._declared_by_expansions = 0
        self.broken: dict[str, UsageError] = {}
        """Packages whose build file is wrong, for a table that is told to ``tolerate`` them: they declare nothing."""

    def tolerate(self, packages: Iterable[str] | None = None) -> None:
        """Read these packages (default: every one) now, and pass over those whose build file is wrong."""
        for package in self.packages if packages is None else packages:
            try:
                self._package(package)
            except UsageError as error:
                self.broken[package] = error
                self._static[package] = {}

    @property
    def packages(self) -> list[str]:
        """Packages with a build file, sorted."""
        if self._packages is None:
            self._packages = find_packages(self.workspace)
        return self._packages

    def _package(self, package: str) -> dict[Label, Target]:
        found = self._static.get(package)
        if found is None:
            decls = load_package(self.workspace, package) if is_package(self.workspace, package) else []
            found = self._static[package] = {decl.label: self._declared(decl) for decl in decls}
            self._targets.update(found)
        return found

    def get(self, label: Label) -> Target | None:
        """The target, static or expanded so far; None when there is none (yet)."""
        return self._targets.get(label) or self._package(label.package).get(label)

    def static(self) -> list[Target]:
        """Every target that a build file declares, by package, in file order."""
        return [target for package in self.packages for target in self._package(package).values()]

    def static_of(self, package: str) -> list[Target]:
        """Those of one package."""
        return list(self._package(package).values())

    def all(self) -> list[Target]:
        """Every static target and every one expanded so far."""
        return [*self.static(), *self.expanded()]

    def expanded(self) -> list[Target]:
        """Every target that an expansion declared so far."""
        return [target for targets in self._expanded.values() for target in targets.values()]

    def know_expanding(self, static: Sequence[Label]) -> None:
        """Be told, by whoever has kept it, which static targets expand, so that not every build file is read for these."""
        self._expanding = static

    def expanding(self) -> list[Target]:
        """Targets known so far whose rule may declare targets, those of build files first."""
        static = (
            self.static() if self._expanding is None else [t for label in self._expanding if (t := self.get(label))]
        )
        return [target for target in (*static, *self.expanded()) if target.rule.expands]

    def expand(self, by: Label, decls: Iterable[TargetDecl]) -> list[Target]:
        """Add the targets that an expansion declares, all or none. UsageError when one is declared already."""
        added: dict[Label, Target] = {}
        for decl in decls:
            present = self.get(decl.label)
            if present is not None:
                raise UsageError(
                    f"`{by}` declares `{decl.label}`, which exists already",
                    where=present.where,
                    hint="rename one of them",
                )
            if decl.label in added:
                raise UsageError(f"`{by}` declares `{decl.label}` twice", hint="rename one of them")
            rule, attrs = self._checked(decl.label, decl.rule, decl.attrs, None, by)
            added[decl.label] = self._target(decl.label, rule, attrs, declared_by=by)
        for label, target in added.items():
            self._targets[label] = target
            self._expanded.setdefault(label.package, {})[label] = target
        self._declared_by_expansions += len(added)
        return list(added.values())

    def height(self, label: object) -> int:
        """How long a chain of targets that expansions declared needs this one, as far as they declare it.

        Found anew when there is half as much again of them, so that many expansions cost no more than a few.
        """
        if self._declared_by_expansions > 1.5 * self._looked_at:
            self._looked_at = self._declared_by_expansions
            self._heights = heights({target.label: target.labels() for target in self.expanded()})
        return self._heights.get(label, 0)

    def expanders_for(self, package: str, *, below: bool = False) -> list[Target]:
        """Targets whose expansion may declare something in ``package`` (or below it): those in it, above it (or below it).

        The nearest come first, and among those of one package the order of declaration.
        """

        def near(other: str) -> bool:
            above = not other or package == other or package.startswith(other + "/")
            return above or (below and (not package or other.startswith(package + "/")))

        found = [target for target in self.expanding() if near(target.label.package)]
        return sorted(found, key=lambda target: -len(target.label.package))

    def unknown(self, label: Label, *, where: str | None = None, asked_by: str | None = None) -> UsageError:
        """The error for a label that nothing declares."""
        names = [str(target.label) for target in self.all()]
        inside = [str(target.label) for target in self.all() if target.label.package == label.package]
        hint = did_you_mean(str(label), names)
        if not inside:
            near = f"\n{hint}" if hint else ""
            hint = f"there is no package //{label.package}{near}" if label.package else hint
        elif hint is None:
            hint = f"targets in //{label.package}: {', '.join(inside[:8])}"
        subject = f"`{asked_by}` refers to unknown target `{label}`" if asked_by else f"Unknown target `{label}`"
        return UsageError(subject, where=where, hint=hint)

    def _declared(self, decl: Declared) -> Target:
        if isinstance(decl.attrs, Attrs):
            rule = self.workspace.registry.rule(decl.rule)
            assert isinstance(rule, Rule)
            return self._target(decl.label, rule, decl.attrs, decl.place)
        rule, attrs = self._checked(decl.label, decl.rule, decl.raw, decl.place, None)
        return self._target(decl.label, rule, attrs, decl.place)

    def _target(
        self, label: Label, rule: Rule, attrs: Attrs, place: Place | None = None, declared_by: Label | None = None
    ) -> Target:
        adopted = self.adoptions.get(label)
        if adopted is not None:
            rule = adoption.adopted_rule(rule, adopted)
        return Target(label, rule, attrs, place, declared_by, adopted)

    def _checked(
        self, label: Label, name: str, raw: Mapping[str, Any], place: Place | None, by: Label | None
    ) -> tuple[Rule, Attrs]:
        """Rule and validated attributes of a target that a macro or an expansion declares."""
        where = place.where() if place else f"(declared by {by})"
        rule = self.workspace.registry.rule(name, where=where)
        if not isinstance(rule, Rule):
            raise InternalError(f"`{label}` was declared with the macro `{name}`; expansions declare rules")
        try:
            return rule, rule.attrs.model_validate(dict(raw), context={"package": label.package})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join(str(part) for part in first["loc"])
            raise UsageError(
                f"Bad attribute `{key}` of `{label}` (rule `{name}`): {first['msg']}", where=where
            ) from None
