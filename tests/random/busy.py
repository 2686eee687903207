"""The oracle: a build system that always rebuilds (*Build Systems à la Carte*, §3.1), and the minimum by its definition.

``Busy`` evaluates a whole world: what each target is, whether it fails, what its rule is told, which actions it asks for, whom it
needs. Who must be looked at for a demand is then the closure of "needs". Knows nothing of traces, caches, order, or of disks.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mix_rules import LABEL, LINE, Poll, declared
from toy_rules import Cat, First
from world import Mix, World

from zerorepo.action import Action
from zerorepo.action_key import key_of
from zerorepo.digest import DigestFunction

XXH3 = DigestFunction.XXH3
ROOT = "//:plan"


@dataclass
class Grow:
    """One expansion."""

    package: str
    plan: str = ""
    plan_from: str = ""


class Broken(Exception):
    """A target fails: by itself (``own``), or because of another."""

    def __init__(self, own: bool) -> None:
        self.own = own


@dataclass
class Fate:
    """What becomes of one target when it is built."""

    label: str
    content: bytes | None = None
    """None when it fails."""
    own: bool = False
    """It fails by itself."""
    path: str = ""
    """Its output; "" for an expansion."""
    executable: bool = False
    told: list[Any] = field(default_factory=list)
    """Who it is, and everything that its rule is told, in order."""
    actions: dict[str, bool] = field(default_factory=dict)
    """Key to whether it succeeds, of every action that its rule asks for."""
    poll: str = ""
    """The key of its volatile action, which runs in every build."""
    needs: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return self.content is not None

    @property
    def state(self) -> tuple[str, str]:
        """What a build that forgets nothing recognises it by."""
        return self.label, repr(self.told)


class Busy:
    """One evaluation from scratch of everything there is."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.targets: dict[str, Mix | Grow] = {ROOT: Grow("gen", plan="plan.txt")}
        self.targets |= {f"//:{name}": mix for name, mix in world.targets.items()}
        self.declared_by: dict[str, str] = {}
        self.fates: dict[str, Fate] = {}
        self.fate(ROOT)  # and with it every other expansion
        for label in list(self.targets):
            self.fate(label)

    def fate(self, label: str) -> Fate:
        if label not in self.fates:
            target = self.targets[label]
            fate = Fate(label)
            try:
                self._grow(fate, target) if isinstance(target, Grow) else self._mix(fate, target)
            except Broken as error:
                fate.content, fate.own = None, error.own
            self.fates[label] = fate
            for child, by in list(self.declared_by.items()):
                if by == label and isinstance(self.targets[child], Grow):
                    self.fate(child)
        return self.fates[label]

    # --- the two rules

    def _mix(self, fate: Fate, mix: Mix) -> None:
        identity = [mix.srcs, mix.glob, mix.maybe, mix.poll, mix.deps, mix.more, mix.via, mix.scan, mix.first, mix.out,
                    mix.executable, self.world.versions["mix"]]  # fmt: skip
        fate.told.append(identity)
        parts = [self._source(fate, path) for path in mix.srcs]
        if mix.glob:
            found = sorted(path for path in self.world.sources if any(_matches(path, each) for each in mix.glob))
            fate.told.append(found)
            parts += [self._source(fate, path) for path in found]
        if mix.maybe:
            fate.told.append(self.world.sources.get(mix.maybe))
            parts += [self.world.sources[mix.maybe].encode()] if mix.maybe in self.world.sources else []
        if mix.poll:
            fate.poll = key_of(Poll(), XXH3).hex
            parts.append(self.world.clock.encode())
        parts += self._ask(fate, mix.deps)
        if mix.more:
            parts += self._ask(fate, _labels([self._source(fate, mix.more)]))
        if mix.via:
            parts += self._ask(fate, _labels(self._ask(fate, [mix.via])))
        if mix.scan:
            parts += self._ask(fate, _labels([self._cat(fate, parts)]))
        data = self._cat(fate, parts)
        if mix.first:
            self._act(fate, First(whole=XXH3.of_bytes(data)))
            data = data[:1]
        fate.content, fate.executable = data, mix.executable
        fate.path = mix.out or fate.label[2:].replace(":", "/").lstrip("/")

    def _grow(self, fate: Fate, grow: Grow) -> None:
        fate.told.append([grow.package, grow.plan, grow.plan_from, self.world.versions["grow"]])
        blobs = [self._source(fate, grow.plan)] if grow.plan else []
        blobs += self._ask(fate, [grow.plan_from] if grow.plan_from else [])
        found: dict[str, Mix | Grow] = {}
        for line in b"".join(blobs).decode().splitlines():
            if match := LINE.fullmatch(line):
                label = f"//{grow.package}:{match[1]}"
                if label in found:
                    raise Broken(own=True)
                found[label] = _declared(grow.package, match[1], match[2].split())
        self.targets |= found
        self.declared_by |= dict.fromkeys(found, fate.label)
        fate.content = b""

    # --- what rules may ask for

    def _source(self, fate: Fate, path: str) -> bytes:
        if path not in self.world.sources:
            raise Broken(own=True)
        fate.told.append((path, self.world.sources[path]))
        return self.world.sources[path].encode()

    def _ask(self, fate: Fate, labels: list[str]) -> list[bytes]:
        """Contents of several targets: all are asked for, the first that fails decides."""
        fate.needs += labels
        broken = [own for label in labels if (own := self._broken(label)) is not None]
        if broken:
            raise Broken(own=broken[0])
        found = [self.fate(label) for label in labels]
        fate.told += [(each.label, each.path, each.content, each.executable) for each in found]
        return [each.content or b"" for each in found if each.path]

    def _broken(self, label: str) -> bool | None:
        """None: it is there. Else whether whoever asks for it is to blame: for a label that nobody declares."""
        if label in self.targets:
            return None if self.fate(label).good else False
        return all(self.fate(each).good for each in self.reach(label))

    def _cat(self, fate: Fate, parts: list[bytes]) -> bytes:
        data = b"".join(parts)
        self._act(fate, Cat(parts=tuple(map(XXH3.of_bytes, parts))), b"!fail" not in data and b"!transient" not in data)
        return data

    def _act(self, fate: Fate, action: Action, good: bool = True) -> None:
        fate.actions[key_of(action, XXH3).hex] = good
        if not good:
            raise Broken(own=True)

    # --- demands

    def reach(self, label: str, *, below: bool = False) -> list[str]:
        """Expansions that may declare targets in the package of a label (or below it)."""
        package = package_of(label)

        def near(other: str) -> bool:
            above = not other or package == other or package.startswith(other + "/")
            return above or (below and (not package or other.startswith(package + "/")))

        return [each for each, what in self.targets.items() if isinstance(what, Grow) and near(package_of(each))]

    def closure(self, labels: Iterable[str], *, generous: bool) -> dict[str, Fate]:
        """Everything that must be looked at. ``generous``: with expansions that might have declared what another one did."""
        todo, found = list(labels), dict[str, Fate]()
        while todo:
            label = todo.pop()
            if label in found:
                continue
            if label in self.targets:
                found[label] = self.fate(label)
                todo += found[label].needs
            if label in self.declared_by:
                todo.append(self.declared_by[label])
            if label not in self.targets or (generous and label in self.declared_by):
                todo += self.reach(label)
        return found


def package_of(label: str) -> str:
    return label[2:].partition(":")[0]


def _declared(package: str, name: str, words: list[str]) -> Mix | Grow:
    if words and words[0].startswith("@"):
        where = words[0][1:]
        inner = f"{package}/{name}"
        return Grow(inner, plan_from=where) if where.startswith("//") else Grow(inner, plan=where)
    attrs: dict[str, Any] = declared(words)
    return Mix(**{**attrs, "srcs": [word[3:] for word in attrs["srcs"]]})


def _labels(texts: list[bytes]) -> list[str]:
    return LABEL.findall(b"".join(texts).decode())


def _matches(path: str, pattern: str) -> bool:
    """The two kinds of patterns that worlds use: ``folder/*.txt`` and ``folder/**``."""
    if pattern.endswith("/**"):
        return path.startswith(pattern[:-2])
    return fnmatch.fnmatchcase(path, pattern) and re.sub(r"[^/]", "", path) == re.sub(r"[^/]", "", pattern)
