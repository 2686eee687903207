"""Random worlds, random edits, random builds: the result is that of a clean build, and exactly the minimum ran.

``ZEROREPO_RANDOM_EXAMPLES=5000`` makes it a night's work. Hypothesis prints a failing sequence as a program that replays it.
"""

from __future__ import annotations

import contextlib
import copy
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import toy_rules
from busy import Busy, Failed, Toy, World
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from zerorepo.store import Store
from zerorepo.testing import RuleRunner, Run

EXAMPLES = int(os.environ.get("ZEROREPO_RANDOM_EXAMPLES", "60"))
SOURCES = [f"s{n}" for n in range(4)]
NAMES = [f"t{n}" for n in range(6)]
DECLARED = [f"g{n}" for n in range(3)]
TEXTS = st.sampled_from(["", "A", "AB", "AC", "B", "BA", "!fail"])
FEW_SOURCES = st.lists(st.sampled_from(SOURCES), max_size=2)
PLANS = st.dictionaries(st.sampled_from(DECLARED), FEW_SOURCES, max_size=3)


@st.composite
def toys(draw: st.DrawFn, index: int) -> Toy:
    """A target that needs only earlier ones."""
    below = st.lists(st.sampled_from([*NAMES[:index], *DECLARED]), max_size=3, unique=True)
    return Toy(
        draw(FEW_SOURCES),
        draw(below),
        draw(st.none() | below),
        draw(st.booleans()),
        draw(st.sampled_from(["", f"o/{NAMES[index]}"])),
        draw(st.sampled_from(["", "note"])),
    )


class Edits(RuleBasedStateMachine):
    """A person who edits and builds. ``damaged``: the cache lost something, so more may run than the minimum."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="zr-random-"))
        self.runner = RuleRunner(self.folder / "ws", rule_sets=[toy_rules.RULE_SET])
        self.world = World({})
        self.written: dict[str, str] = {}
        self.remembered: set[str] = set()
        self.seen: set[tuple[str, object]] = set()
        self.disk: dict[str, bytes] = {}
        self.owner: dict[str, str] = {}
        self.edited: dict[str, bytes] = {}
        self.damaged = False
        self.past: list[World] = []

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    # --- edits

    @initialize(data=st.data(), sources=st.fixed_dictionaries(dict.fromkeys(SOURCES, TEXTS)), plan=PLANS)
    def begin(self, data: st.DataObject, sources: dict[str, str], plan: dict[str, list[str]]) -> None:
        self.world = World(sources, {}, plan)
        for index in range(data.draw(st.integers(1, len(NAMES)))):
            self.world.targets[NAMES[index]] = data.draw(toys(index))

    @rule(name=st.sampled_from(SOURCES), text=TEXTS)
    def change_a_source(self, name: str, text: str) -> None:
        self.world.sources[name] = text

    @rule(name=st.sampled_from(SOURCES))
    def touch_a_source(self, name: str) -> None:
        if (self.runner.root / name).exists():
            os.utime(self.runner.root / name)

    @rule(data=st.data(), index=st.integers(0, len(NAMES) - 1))
    def add_or_change_a_target(self, data: st.DataObject, index: int) -> None:
        self.world.targets[NAMES[index]] = data.draw(toys(index))

    @rule(name=st.sampled_from(NAMES))
    def remove_a_target(self, name: str) -> None:
        self.world.targets.pop(name, None)

    @rule(name=st.sampled_from(NAMES), note=st.sampled_from(["", "a", "b"]))
    def change_what_is_cosmetic(self, name: str, note: str) -> None:
        if name in self.world.targets:
            self.world.targets[name].note = note

    @rule(plan=PLANS)
    def change_the_plan(self, plan: dict[str, list[str]]) -> None:
        self.world.plan = plan

    @rule(version=st.integers(1, 2))
    def change_the_version(self, version: int) -> None:
        self.change_the_rules_version(version)

    def change_the_rules_version(self, version: int) -> None:
        self.world.version = version
        self.runner.registry.add_rule(replace(toy_rules.cat, version=version))

    @precondition(lambda self: len(self.past) > 1)
    @rule(data=st.data())
    def go_back(self, data: st.DataObject) -> None:
        self.world = copy.deepcopy(data.draw(st.sampled_from(self.past)))
        self.change_the_rules_version(self.world.version)
        self.build_everything()

    @precondition(lambda self: self.disk)
    @rule(data=st.data(), how=st.sampled_from(["delete", "edit"]))
    def meddle_with_an_output(self, data: st.DataObject, how: str) -> None:
        path = data.draw(st.sampled_from(sorted(self.disk)))
        if how == "delete":
            (self.runner.root / "out" / path).unlink()
        else:
            self.runner.write(f"out/{path}", b"edit")
            self.edited[path] = b"edit"
        del self.disk[path]

    @rule(prefix=st.sampled_from([b"t", b"a", b"b"]), every=st.integers(1, 3), flip=st.booleans())
    def lose_a_part_of_the_cache(self, prefix: bytes, every: int, flip: bool) -> None:
        store = Store(self.runner.root / ".zerorepo/cache/xxh3")
        for key in store.keys(prefix)[::every]:
            if flip:
                store.put(key, b"damage")
            else:
                store.delete(key)
        store.close()
        self.damaged = True

    # --- builds

    def write_world(self) -> None:
        files = self.world.files()
        for path in self.written.keys() - files.keys():
            self.runner.remove(path)
        for path, text in files.items():
            if self.written.get(path) != text:
                self.runner.write(path, text.encode())
        self.written = files

    @rule()
    def build_everything(self) -> None:
        self.build_some(None, 4, True)

    @rule(name=st.sampled_from(SOURCES), text=TEXTS)
    def change_a_source_and_build(self, name: str, text: str) -> None:
        self.change_and_build(name, text)

    def change_and_build(self, name: str, text: str) -> None:
        self.change_a_source(name, text)
        self.build_some(None, 2, True)

    @rule(name=st.sampled_from(SOURCES), texts=st.lists(TEXTS, min_size=1, max_size=2))
    def go_there_and_back(self, name: str, texts: list[str]) -> None:
        here = self.world.sources[name]
        for text in [here, *texts, here]:
            self.change_and_build(name, text)

    @rule(data=st.data(), index=st.integers(0, len(NAMES) - 1))
    def change_a_target_and_build(self, data: st.DataObject, index: int) -> None:
        self.world.targets[NAMES[index]] = data.draw(toys(index))
        self.build_some(None, 2, True)

    @rule(
        wanted=st.none() | st.lists(st.sampled_from([*NAMES, *DECLARED]), min_size=1, max_size=3, unique=True),
        jobs=st.integers(1, 4),
        keep_going=st.booleans(),
    )
    def build(self, wanted: list[str] | None, jobs: int, keep_going: bool) -> None:
        self.build_some(wanted, jobs, keep_going)

    def build_some(self, wanted: list[str] | None, jobs: int, keep_going: bool) -> None:
        self.write_world()
        self.past.append(copy.deepcopy(self.world))
        names = ["plan", *self.world.targets, *self.world.plan] if wanted is None else self.world.known(wanted)
        if not names:
            return
        busy = Busy(self.world)
        for name in names:
            with contextlib.suppress(Failed):
                busy.demand(name)
        patterns = ["//..."] if wanted is None else [self.world.label(name) for name in names]
        run = self.runner.build(*patterns, jobs=jobs, keep_going=keep_going)
        whole = keep_going or not busy.failed
        self.check_verdicts(run, busy, whole)
        self.check_what_ran(run, busy, whole)
        self.check_outputs(run, busy)
        if not busy.failed:
            again = self.runner.build(*patterns, jobs=jobs)
            assert (again.ran, again.actions, again.failed, again.skipped) == ([], [], [], [])
            self.check_outputs(again, busy)

    def check_verdicts(self, run: Run, busy: Busy, whole: bool) -> None:
        built = {str(label) for label in run.result.built}
        failed = {str(label) for label in run.result.failed}
        own = {label for label, own in busy.failed.items() if own}
        assert built <= busy.made.keys()
        assert failed <= own
        assert bool(failed) == bool(own)
        if whole:
            assert built == busy.made.keys()
            assert failed == own
            assert {str(label) for label in run.result.skipped} == busy.failed.keys() - own

    def check_what_ran(self, run: Run, busy: Busy, whole: bool) -> None:
        executed = [event.id for event in run.events if event.kind == "action" and event.new == "done"]
        failed = [event.id for event in run.events if event.kind == "action" and event.new == "failed"]
        needed = {key for key, good in busy.actions.items() if good}
        fresh = {(label, seen) for label, seen in busy.saw.items() if label in busy.made}
        if not self.damaged:
            assert len(executed) == len(set(executed))
            assert set(executed) <= needed - self.remembered
            assert set(run.ran) <= {label for label, seen in fresh - self.seen}
            if whole:
                assert set(executed) == needed - self.remembered
                assert set(failed) == busy.actions.keys() - needed
                assert set(run.ran) == {label for label, seen in fresh - self.seen}
        assert set(failed) <= busy.actions.keys() - needed
        self.remembered |= set(executed)
        built = {str(label) for label in run.result.built}
        self.seen |= {(label, seen) for label, seen in fresh if label in built}

    def check_outputs(self, run: Run, busy: Busy) -> None:
        for label in map(str, run.result.built):
            path, data = busy.made[label]
            for old in [each for each, owner in self.owner.items() if owner == label and each != path]:
                del self.owner[old]
                self.disk.pop(old, None)
            if not path:
                continue
            self.owner[path] = label
            if self.edited.get(path, data) == data:
                self.edited.pop(path, None)
                self.disk[path] = data
        if "//:plan" in map(str, run.result.built):  # only then is it certain what no longer exists
            there = {self.world.label(name) for name in [*self.world.targets, *self.world.plan]}
            for path in [each for each, owner in self.owner.items() if owner not in there]:
                del self.owner[path]
                self.disk.pop(path, None)
        assert self.runner.outputs() == {**self.disk, **self.edited}


class EditsWithAWholeCache(Edits):
    """Nothing is lost: exactly the minimum runs."""

    lose_a_part_of_the_cache = None  # type: ignore[assignment]


_SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=16,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # A landing must not hang on a die: the default run is the same each time, the long one is new each night.
    derandomize="ZEROREPO_RANDOM_EXAMPLES" not in os.environ,
    database=None,
)
TestRandomEditsAreMinimal = EditsWithAWholeCache.TestCase
TestRandomEditsAreMinimal.settings = _SETTINGS
TestRandomEditsSurviveALossyCache = Edits.TestCase
TestRandomEditsSurviveALossyCache.settings = _SETTINGS
