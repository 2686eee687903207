"""The oracle: a world of toy targets, evaluated by a build system that always rebuilds (*Build Systems à la Carte*, §3.1).

Says what every output must be, which actions a demand needs, and what each rule saw. Knows nothing of traces, caches or order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from toy_rules import Cat, First

from zerorepo.action_key import key_of
from zerorepo.digest import DigestFunction

XXH3 = DigestFunction.XXH3


@dataclass
class Toy:
    """One ``cat`` target. ``deps`` and ``more`` are names (``t1``, or ``g1`` for a declared one)."""

    srcs: list[str]
    deps: list[str]
    more: list[str] | None = None
    first: bool = False
    out: str = ""
    note: str = ""


@dataclass
class World:
    """Everything a person may edit."""

    sources: dict[str, str]
    targets: dict[str, Toy] = field(default_factory=dict)
    plan: dict[str, list[str]] = field(default_factory=dict)
    version: int = 1

    def label(self, name: str) -> str:
        """``g1`` is declared by the plan, everything else by the build file."""
        return f"//gen:{name}" if name.startswith("g") else f"//:{name}"

    def known(self, names: list[str]) -> list[str]:
        """Those that exist."""
        return [name for name in names if name in self.targets or name in self.plan]

    def files(self) -> dict[str, str]:
        """The world as files of a workspace."""
        text = '[[target]]\nname = "plan"\nrule = "expand"\nplan = "plan.txt"\n'
        files = dict(self.sources)
        for name, toy in self.targets.items():
            deps = [self.label(dep) for dep in self.known(toy.deps)]
            text += f'[[target]]\nname = "{name}"\nrule = "cat"\nsrcs = {toy.srcs!r}\ndeps = {deps!r}\n'
            text += f'first = {str(toy.first).lower()}\nout = "{toy.out}"\nnote = "{toy.note}"\n'
            if toy.more is not None:
                text += f'more = "m-{name}"\n'
                files[f"m-{name}"] = "\n".join(self.label(each) for each in self.known(toy.more))
        files["plan.txt"] = "\n".join(f"{name} {' '.join(srcs)}" for name, srcs in self.plan.items())
        return {**files, "zerorepo.toml": text}


class Failed(Exception):
    """The target fails, by itself or (``own`` false) because of another."""

    def __init__(self, own: bool) -> None:
        self.own = own


class Busy:
    """One evaluation from scratch."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.made: dict[str, tuple[str, bytes]] = {}
        """Label to output path and content, of every demanded target that succeeds."""
        self.saw: dict[str, object] = {}
        """Label to everything that its rule depends on."""
        self.failed: dict[str, bool] = {}
        """Label to whether it fails by itself."""
        self.actions: dict[str, bool] = {}
        """Action key to whether it succeeds, for every action that the demand needs."""

    def demand(self, name: str) -> bytes:
        """The content of a target; Failed."""
        label = self.world.label(name)
        if name.startswith("g") or name == "plan":
            self.made.setdefault("//:plan", ("", b""))
            self.saw["//:plan"] = self.world.files()["plan.txt"]
        if name == "plan":
            return b""
        if label not in self.made and label not in self.failed:
            toy = self.world.targets.get(name) or Toy(self.world.plan[name], [])
            try:
                self.made[label] = self._evaluate(name, toy)
            except Failed as error:
                self.failed[label] = error.own
        if label in self.failed:
            raise Failed(own=False)
        return self.made[label][1]

    def _evaluate(self, name: str, toy: Toy) -> tuple[str, bytes]:
        parts = [self.world.sources[src].encode() for src in toy.srcs]
        parts += self._demand_all(toy.deps)
        parts += self._demand_all(toy.more or [])
        data = b"".join(parts)
        digests = tuple(XXH3.of_bytes(part) for part in parts)
        good = b"!fail" not in data
        self.actions[key_of(Cat(parts=digests), XXH3).hex] = good
        if not good:
            raise Failed(own=True)
        if toy.first:
            self.actions[key_of(First(whole=XXH3.of_bytes(data)), XXH3).hex] = True
            data = data[:1]
        seen_deps = [self.made[self.world.label(dep)] for dep in self.world.known([*toy.deps, *(toy.more or [])])]
        written = [self.world.label(dep) for dep in self.world.known(toy.deps)]
        listed = None if toy.more is None else [self.world.label(dep) for dep in self.world.known(toy.more)]
        sources = [(src, self.world.sources[src]) for src in toy.srcs]
        self.saw[self.world.label(name)] = repr(
            (written, listed, toy.first, toy.out, sources, seen_deps, self.world.version)
        )
        return toy.out or self.world.label(name)[2:].replace(":", "/").lstrip("/"), data

    def _demand_all(self, names: list[str]) -> list[bytes]:
        found: list[bytes] = []
        failed = False
        for name in self.world.known(names):
            try:
                found.append(self.demand(name))
            except Failed:
                failed = True
        if failed:
            raise Failed(own=False)
        return found
