"""A world: everything that a person may edit, and the edits that touch more than one place. Knows nothing of building."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any


@dataclass(repr=False)
class Mix:
    """One ``mix`` target; see ``mix_rules.MixAttrs``."""

    srcs: list[str] = field(default_factory=list)
    glob: list[str] = field(default_factory=list)
    maybe: str = ""
    poll: bool = False
    deps: list[str] = field(default_factory=list)
    more: str = ""
    via: str = ""
    scan: bool = False
    first: bool = False
    out: str = ""
    executable: bool = False
    note: str = ""

    def __repr__(self) -> str:
        return f"Mix({', '.join(f'{key}={value!r}' for key, value in vars(self).items() if value)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # hypothesis would list every field of a dataclass

    def declaration(self, name: str) -> str:
        """Its part of a build file."""
        lines = [f'[[target]]\nname = "{name}"\nrule = "mix"']
        for key, value in vars(self).items():
            if value:
                lines.append(f"{key} = {'true' if value is True else repr(value)}")
        return "\n".join(lines) + "\n"


@dataclass
class World:
    """``targets`` are those of the root's build file, in an order in which each needs only earlier ones."""

    sources: dict[str, str] = field(default_factory=dict)
    targets: dict[str, Mix] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=lambda: {"mix": 1, "grow": 1})
    clock: str = ""

    def files(self) -> dict[str, str]:
        """The world as files of a workspace."""
        text = '[[target]]\nname = "plan"\nrule = "grow"\nplan = "plan.txt"\npackage = "gen"\n'
        text += "".join(mix.declaration(name) for name, mix in self.targets.items())
        return {**self.sources, "clock": self.clock, "zerorepo.toml": text}

    def rename_target(self, old: str, new: str) -> None:
        """Rename a target of the root, and everywhere where it is named."""
        self.targets = {new if name == old else name: mix for name, mix in self.targets.items()}
        self._replace(rf"//:{old}\b", f"//:{new}")

    def rename_declared(self, old: str, new: str) -> None:
        """Rename what plans declare under a name, and everywhere where it is named."""
        self._replace(rf"(?m)^{old}\b", new)
        self._replace(rf"(?<=[:/]){old}\b", new)

    def rename_source(self, old: str, new: str) -> None:
        """Rename a file, and everywhere where it is named."""
        self.sources = {new if path == old else path: text for path, text in self.sources.items()}
        self._replace(rf"(?<![\w/:]){old}\b", new)
        for mix in self.targets.values():
            mix.srcs = [new if path == old else path for path in mix.srcs]
            mix.maybe = new if mix.maybe == old else mix.maybe

    def _replace(self, pattern: str, new: str) -> None:
        for path, text in self.sources.items():
            self.sources[path] = re.sub(pattern, new, text)
        for mix in self.targets.values():
            mix.deps = [re.sub(pattern, new, label) for label in mix.deps]
            mix.via = re.sub(pattern, new, mix.via)

    def drop_references(self, name: str) -> None:
        """Take a target of the root out of every place that names it."""
        label = f"//:{name}"
        for path, text in self.sources.items():
            self.sources[path] = re.sub(rf"@?{label}\b", "", text)
        for mix in self.targets.values():
            mix.deps = [dep for dep in mix.deps if dep != label]
            mix.via = "" if mix.via == label else mix.via
