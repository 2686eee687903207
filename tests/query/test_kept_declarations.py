"""The graph made with what earlier queries kept is, after any edits and builds, the graph made from nothing."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from pathlib import Path

import pytest

from zerorepo import declarations
from zerorepo.build_result import BuildOptions
from zerorepo.declarations import Kept
from zerorepo.engine import Engine
from zerorepo.label import parse_patterns
from zerorepo.looked_at import Look
from zerorepo.plugins import Registry
from zerorepo.query.stored import pack
from zerorepo.saved_graph import TargetGraph
from zerorepo.target_graph import target_graph
from zerorepo.workspace import Workspace

CONFIG = '[workspace]\nplugins = ["toy_rules"]\n'
PACKAGES = ("", "a", "a/b", "c", "gen")
NAMES = ("one", "two", "three", "a.txt")
SOURCES = ("//:a.txt", "//:top.txt", "//:top.txt", "//a:x.txt", "b.txt", "*.txt")


class World:
    """A workspace that is edited at random, and what its queries keep."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.choose = random.Random(seed)
        self.config = CONFIG
        for path in ("top.txt", "a.txt", "a/a.txt", "a/x.txt", "a/b/b.txt", "c/a.txt", "c/b.txt"):
            self.write(path, path)
        self.write("more.txt", "//:root //a:one")
        self.write("plan.txt", "made a.txt\nother b.txt\n")
        self.write("zerorepo.toml", self.config)

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def step(self) -> str:
        """One edit or build."""
        edits = (
            self.declare,
            self.declare,
            self.build,
            self.build,
            self.remove,
            self.spoil,
            self.plan,
            self.files,
            self.settings,
        )
        edit = self.choose.choice(edits)
        edit()
        return edit.__name__

    def _label(self) -> str:
        return f"//{self.choose.choice(PACKAGES)}:{self.choose.choice(NAMES)}"

    def declare(self) -> None:
        package, choose = self.choose.choice(PACKAGES[:-1]), self.choose
        tables = []
        for name in choose.sample(NAMES, choose.randint(0, len(NAMES))):
            srcs = choose.sample(SOURCES, choose.choice((0, 0, 1, 2)))
            deps = [self._label() for _ in range(choose.choice((0, 0, 1, 2)))]
            tags = choose.sample(("slow", "manual"), choose.choice((0, 1)))
            table = f'[[target]]\nname = "{name}"\nrule = "cat"\nsrcs = {srcs}\ndeps = {deps}\ntags = {tags}\n'
            table += choose.choice(("", f'out = "{package or "made"}/{name}.{choose.choice("xy")}"\n'))
            tables.append(table + choose.choice(("", "", 'more = "//:more.txt"\n')))
        if choose.random() < 0.4:
            plan = choose.choice(("//:plan.txt", "//:top.txt"))
            tables.append(f'[[target]]\nname = "grow"\nrule = "expand"\nplan = "{plan}"\npackage = "gen"\n')
        choose.shuffle(tables)
        self.write(f"{package}/BUILD.toml" if package else "BUILD.toml", "\n".join(tables))

    def remove(self) -> None:
        for path in self.root.rglob("BUILD.toml"):
            if self.choose.random() < 0.3:
                path.unlink()

    def spoil(self) -> None:
        self.write(self.choose.choice(("a", "c")) + "/BUILD.toml", self.choose.choice(("[[target]\n", 'x = "y"\n')))

    def plan(self) -> None:
        names = self.choose.sample(("made", "other", "third"), self.choose.randint(0, 3))
        self.write("plan.txt", "".join(f"{name} {self.choose.choice(('a.txt', 'b.txt'))}\n" for name in names))

    def files(self) -> None:
        path = self.choose.choice(("a/new.txt", "new.txt", "c/a.txt"))
        if (self.root / path).exists():
            (self.root / path).unlink()
        else:
            self.write(path, path)

    def settings(self) -> None:
        extra = self.choose.choice(("", 'exclude = ["a/b"]\n', '[cache]\ndigest = "sha256"\n'))
        more = self.choose.choice(("", '[[target]]\nname = "root"\nrule = "cat"\nsrcs = ["top.txt"]\n'))
        self.config = CONFIG + extra + more
        self.write("zerorepo.toml", self.config)

    def build(self) -> None:
        async def work() -> None:
            async with Engine(self.workspace(), BuildOptions(keep_going=True)) as engine:
                engine.table.tolerate()
                await engine.build(parse_patterns(["//..."]))

        asyncio.run(work())

    def workspace(self) -> Workspace:
        return Workspace.load(self.root, Registry())

    def query(self, *, keeping: bool) -> TargetGraph:
        """The graph as ``zerorepo query`` makes it, with what the last one kept or from nothing."""

        async def work() -> TargetGraph:
            workspace = self.workspace()
            kept = declarations.load(workspace, ()) if keeping else Kept()
            before = kept.code
            async with Engine(workspace, BuildOptions(dry_run=True)) as engine:
                known = await target_graph(engine, kept)
                if keeping:
                    while (code := Look(self.root, time.time_ns()).of_code(engine, before)) is None:
                        time.sleep(0.02)  # whoever runs the tests has just written beside them
                    kept.code = code[0]
                    declarations.save(workspace, (), kept, code[1])
            return known

        return asyncio.run(work())


def described(known: TargetGraph) -> tuple[object, ...]:
    return known.unknown, pack(known.graph)


def test_after_any_edits_the_graph_is_that_of_a_query_that_kept_nothing(tmp_path: Path) -> None:
    seen: set[str] = set()
    for seed in range(8):
        world, steps = World(tmp_path / str(seed), seed), []
        world.build()
        for _ in range(40):
            steps.append(world.step())
            kept = world.query(keeping=True)
            new = world.query(keeping=False)
            assert described(kept) == described(new), (seed, steps)
            seen.update(kept.graph.by_kind, *(info.references for info in kept.graph.infos))
    assert {"cat rule", "generated file", "source file", "$asked", "$declared_by", "outs"} <= seen


def test_only_changed_build_files_are_parsed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, 0)
    for package in ("a", "c"):
        world.write(f"{package}/BUILD.toml", '[[target]]\nname = "t"\nrule = "cat"\n')
    world.query(keeping=True)
    parsed: list[str] = []
    real = declarations.declaration

    def noted(engine: Engine, target: object) -> object:
        parsed.append(str(target.label))  # type: ignore[attr-defined]
        return real(engine, target)  # type: ignore[arg-type]

    monkeypatch.setattr(declarations, "declaration", noted)
    world.query(keeping=True)
    assert parsed == []
    world.write("c/BUILD.toml", '[[target]]\nname = "u"\nrule = "cat"\n')
    world.query(keeping=True)
    assert parsed == ["//c:u"]
    world.build()
    world.query(keeping=True)
    assert parsed == ["//c:u"]
    shutil.rmtree(tmp_path / ".zerorepo/declared")
    world.query(keeping=True)
    assert sorted(parsed) == ["//a:t", "//c:u", "//c:u"]
