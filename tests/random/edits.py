"""A person who edits and builds, as a hypothesis state machine, and the program of what was done.

Each edit changes the world; each build writes the world out, builds, and is held against the oracle: one case.
"""

from __future__ import annotations

import contextlib
import copy
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import drawing as d
import mix_rules
from busy import ROOT, Busy, Grow, package_of
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from memory import Folder, Memory
from world import World

from zerorepo.testing import RuleRunner, Run

CASES: Counter[str] = Counter()
"""Builds that were checked against the oracle in this process, by kind: ``first`` and ``again``."""

HEAD = """\
import os, sys, tempfile
from dataclasses import replace
from pathlib import Path
sys.path[:0] = ["tests", "tests/random"]
import mix_rules
from losing import lose
from zerorepo.testing import RuleRunner
runner = RuleRunner(Path(tempfile.mkdtemp()) / "ws", rule_sets=[mix_rules.RULE_SET])
"""


def scratch_folder() -> str:
    """A folder of its own, in memory when there is room: a case costs some tens of small files."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1 << 28
    return tempfile.mkdtemp(prefix="zr-random-", dir=memory if roomy else None)


class Edits(RuleBasedStateMachine):
    """Edits of everything but the cache: exactly the minimum runs."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(scratch_folder())
        self.runner = RuleRunner(self.folder / "ws", rule_sets=[mix_rules.RULE_SET])
        self.world = World()
        self.written: dict[str, str] = {}
        self.versions = dict(self.world.versions)
        self.memory = Memory()
        self.outputs = Folder()
        self.past: list[World] = []
        self.program: list[str] = []

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize(world=d.worlds(), demand=d.demands)
    def begin(self, world: World, demand: d.Demand) -> None:
        self.world = world
        self.build(demand)

    # --- edits of sources

    @rule(number=d.index, text=d.texts, then=st.none() | d.demands)
    def change_a_source(self, number: int, text: str, then: d.Demand | None) -> None:
        path = self._pick([*d.TEXTFILES, *d.GLOBBED, "opt", "opt", "opt"], number)
        if path in self.world.sources or path not in d.TEXTFILES[:4]:
            self.world.sources[path] = text
        self.build(then)

    @rule(number=d.index, then=d.demands)
    def touch_a_source(self, number: int, then: d.Demand) -> None:
        path = self._pick(sorted(self.written), number)
        self.do(f"os.utime(runner.root / {path!r})", lambda: os.utime(self.runner.root / path))
        self.build(then)

    @rule(number=d.index, tidy=st.booleans(), then=d.demands)
    def remove_a_source(self, number: int, tidy: bool, then: d.Demand) -> None:
        path = self._pick([*d.GLOBBED, *d.TEXTFILES[2:], "opt"], number)
        if self.world.sources.pop(path, None) is not None:
            for mix in self.world.targets.values():
                mix.srcs = [each for each in mix.srcs if each != path]
            if tidy:  # else what plans declare from it fails
                self.world.rename_source(path, self._pick(d.TEXTFILES[:2], number))
        self.build(then)

    @rule(number=d.index, other=d.index, then=d.demands)
    def rename_a_source(self, number: int, other: int, then: d.Demand) -> None:
        kind = d.TEXTFILES if number < 8 else d.GLOBBED
        there = [path for path in kind if path in self.world.sources]
        free = [path for path in kind if path not in self.world.sources]
        if there and free:
            self.world.rename_source(self._pick(there, number), self._pick(free, other))
        self.build(then)

    @rule(number=d.index, text=d.texts, then=d.demands)
    def add_or_remove_an_optional_file(self, number: int, text: str, then: d.Demand) -> None:
        path = self._pick(["opt", "opt", "d/x0.txt"], number)
        for _ in range(2):
            if self.world.sources.pop(path, None) is None:
                self.world.sources[path] = text
            self.build(then)

    @rule(number=d.index, text=d.lists, then=d.demands)
    def change_a_list_of_labels(self, number: int, text: str, then: d.Demand) -> None:
        self.world.sources[self._pick(d.LISTS, number)] = text
        self.build(then)

    @rule(path=st.sampled_from(sorted(d.plan_texts)), data=st.data(), then=d.demands)
    def change_a_plan(self, path: str, data: st.DataObject, then: d.Demand) -> None:
        self.world.sources[path] = data.draw(d.plan_texts[path])
        self.build(then)

    @rule(old=st.sampled_from(sorted(d.RENAMED_DECLARED)), then=d.demands)
    def rename_what_a_plan_declares(self, old: str, then: d.Demand) -> None:
        new = d.RENAMED_DECLARED[old]
        if not any(f"{new} " in text or f"{new}\n" in text for text in self.world.sources.values()):
            self.world.rename_declared(old, new)
        self.build(then)

    @rule(text=d.texts, then=d.demands)
    def change_what_is_volatile(self, text: str, then: d.Demand) -> None:
        self.world.clock = text
        self.build(then)

    # --- edits of targets

    @rule(number=d.index, draft=d.drafts, then=d.demands)
    def add_or_change_a_target(self, number: int, draft: d.Draft, then: d.Demand) -> None:
        there = list(self.world.targets)
        name = self._pick(there[::-1] if number < 7 and there else [*d.BASES, *d.TOPS], number)
        if name not in self.world.targets:
            self.world.drop_references(name)  # those that dangled: they could close a circle now
        if name in d.BASES:
            self.world.targets = {name: draft.base(self.world), **self.world.targets}
            self.world.targets[name] = draft.base(self.world)
        else:
            self.world.targets[name] = draft.top(self.world, name)
        self.build(then)

    @rule(number=d.index, tidy=st.booleans(), then=d.demands)
    def remove_a_target(self, number: int, tidy: bool, then: d.Demand) -> None:
        if self.world.targets:
            name = self._pick(list(self.world.targets)[::-1], number)
            del self.world.targets[name]
            if tidy:
                self.world.drop_references(name)
        self.build(then)

    @rule(number=d.index, other=d.index, then=d.demands)
    def rename_a_target(self, number: int, other: int, then: d.Demand) -> None:
        kind = d.BASES if number < 3 else d.TOPS
        there = [name for name in kind if name in self.world.targets]
        free = [name for name in kind if name not in self.world.targets]
        if there and free:
            old, new = self._pick(there, number), self._pick(free, other)
            self.world.drop_references(new)
            self.world.rename_target(old, new)
        self.build(then)

    @rule(number=d.index, other=d.index, then=d.demands)
    def move_an_output(self, number: int, other: int, then: d.Demand) -> None:
        tops = [mix for name, mix in self.world.targets.items() if name in d.TOPS]
        for _ in range(2 if tops else 0):
            self.build(then)
            taken = {mix.out for mix in tops} - {""}
            free = [out for out in sorted(set(d.OUTS)) if out not in taken]
            self._pick(tops, number).out = self._pick(free, other)
        self.build(then)

    @rule(number=d.index, other=d.index, jobs=st.integers(1, 4), together=st.booleans())
    def hand_an_output_over(self, number: int, other: int, jobs: int, together: bool) -> None:
        """What one target wrote another one writes from now on; both are built, the new owner first."""
        names = [name for name in self.world.targets if name in d.TOPS]
        if len(names) > 1:
            old = self._pick(names, number)
            new = self._pick([name for name in names if name != old], other)
            for mix in self.world.targets.values():
                mix.out = "" if mix.out == "o/handed" else mix.out
            self.world.targets[old].out, self.world.targets[new].out = "o/handed", ""
            self.build(d.Demand("all", [0], None, jobs, True, False))
            self.world.targets[old].out, self.world.targets[new].out = "", "o/handed"
            known = sorted(Busy(self.world).targets)
            for name in [] if together else [new, old]:
                self.build(d.Demand("some", [known.index(f"//:{name}")], None, jobs, True, False))
            self.build(d.Demand("all", [0], None, jobs, True, False))

    @rule(number=d.index, note=st.sampled_from(["", "a", "b"]), then=d.demands)
    def change_what_is_cosmetic(self, number: int, note: str, then: d.Demand) -> None:
        if self.world.targets:
            self._pick(list(self.world.targets.values()), number).note = note
        self.build(then)

    @rule(kind=st.sampled_from(["mix", "grow"]), version=st.integers(1, 2), then=d.demands)
    def change_a_rules_version(self, kind: str, version: int, then: d.Demand) -> None:
        self.world.versions[kind] = version
        self.build(then)

    # --- other things that people do

    @rule(number=d.index, demand=d.demands)
    def go_back(self, number: int, demand: d.Demand) -> None:
        self.world = copy.deepcopy(self._pick(self.past, number))
        self.build(demand)

    @rule(number=d.index, others=st.lists(d.good_texts, min_size=2, max_size=4, unique=True), demand=d.demands)
    def go_there_and_back(self, number: int, others: list[str], demand: d.Demand) -> None:
        path = self._pick(d.TEXTFILES[:4], number)
        if path in self.world.sources:
            here = self.world.sources[path]
            for text in [here, *others, here]:
                self.world.sources[path] = text
                self.build(demand)

    @rule(number=d.index, how=st.sampled_from(["delete", "edit", "by hand as it should be"]), then=d.demands)
    def meddle_with_an_output(self, number: int, how: str, then: d.Demand) -> None:
        if self.outputs.files:
            path = self._pick(sorted(self.outputs.files), number)
            if how == "delete":
                del self.outputs.files[path]
                self.do(f"runner.remove({'out/' + path!r})", lambda: self.runner.remove(f"out/{path}"))
            else:
                made = [fate for fate in Busy(self.world).fates.values() if fate.path == path and fate.good]
                text = made[0].content or b"" if made and how != "edit" else b"edit"
                self.outputs.files[path] = text
                self._write(f"out/{path}", text)
        self.build(then)

    @rule(demand=d.demands, dry=st.booleans())
    def build_again(self, demand: d.Demand, dry: bool) -> None:
        if dry:
            self._write_world()
            run = self._run(["//..."], jobs=demand.jobs, dry_run=True)
            with self._told():
                assert run.actions == [], "a dry run ran something"
                assert self.runner.outputs() == self.outputs.files, "a dry run changed the outputs"
        self.build(demand)

    # --- builds

    def build(self, demand: d.Demand | None) -> None:
        """Build, compare with the oracle, and build the same again."""
        if demand is None:
            return
        self._write_world()
        self.past.append(copy.deepcopy(self.world))
        busy = Busy(self.world)
        patterns, labels = self._demanded(busy, demand)
        least, most = busy.closure(labels, generous=False), busy.closure(labels, generous=True)
        whole = demand.keep_going or all(fate.good for fate in most.values())
        options: dict[str, Any] = {"jobs": demand.jobs, "keep_going": demand.keep_going}
        if demand.overwrite:
            options["overwrite"] = True
        for kind in ("first", "again"):
            run = self._run(patterns, **options)
            exact = self.memory.exact
            if kind == "again" and whole and not exact and all(fate.good for fate in most.values()):
                with self._told():
                    self._check_nothing_ran(run, {fate.label for fate in most.values() if fate.poll})
            with self._told():
                self.memory.check(run, least, most, whole=whole)
                self.outputs.settle({str(label) for label in run.result.built}, busy, overwrite=demand.overwrite)
                self.outputs.check(self.runner, run, most)
            CASES[kind] += 1

    @staticmethod
    def _check_nothing_ran(run: Run, volatile: set[str]) -> None:
        assert set(run.ran) <= volatile, "a second build ran something"
        assert len(run.actions) <= bool(volatile), "a second build ran an action"

    def _demanded(self, busy: Busy, demand: d.Demand) -> tuple[list[str], list[str]]:
        """Patterns for the build, and the labels that must be looked at for them."""
        known, expansions = (
            sorted(busy.targets),
            [each for each, what in busy.targets.items() if isinstance(what, Grow)],
        )
        inside = [label for label in known if f"{package_of(label)}/".startswith("gen/")]
        if demand.what == "some":
            patterns = labels = list(dict.fromkeys(self._pick(known, number) for number in demand.picks))
            looked: list[str] = []
        elif demand.what == "gen" and inside:
            patterns, labels, looked = ["//gen/..."], inside, expansions
        elif demand.what == "root":
            patterns, looked = ["//:all"], [ROOT]
            labels = [label for label in known if not package_of(label)]
        else:
            patterns, labels, looked = ["//..."], known, expansions
        names = sorted(self.world.targets)
        if demand.without is not None and names:
            without = f"//:{self._pick(names, demand.without)}"
            patterns, labels = [*patterns, f"-{without}"], [label for label in labels if label != without]
        return patterns, [*labels, *looked]

    # --- doing, and writing down what was done

    @staticmethod
    def _pick(choices: list[Any], number: int) -> Any:
        return choices[number % len(choices)]

    def do(self, line: str, action: Callable[[], Any]) -> Any:
        """Do what a line of the program says."""
        self.program.append(line)
        with self._told():
            return action()

    def _write(self, path: str, content: bytes) -> None:
        shown = f"b'''\\\n{content.decode()}'''" if path == "zerorepo.toml" else repr(content)
        self.do(f"runner.write({path!r}, {shown})", lambda: self.runner.write(path, content))

    def _write_world(self) -> None:
        files = self.world.files()
        for path in sorted(self.written.keys() - files.keys()):
            self.do(f"runner.remove({path!r})", lambda path=path: self.runner.remove(path))
        for path, text in files.items():
            if self.written.get(path) != text:
                self._write(path, text.encode())
        self.written = files
        for kind, version in self.world.versions.items():
            if self.versions[kind] != version:
                rule_ = replace(getattr(mix_rules, kind), version=version)
                self.do(
                    f"runner.registry.add_rule(replace(mix_rules.{kind}, version={version}))",
                    lambda rule_=rule_: self.runner.registry.add_rule(rule_),
                )
        self.versions = dict(self.world.versions)

    def _run(self, patterns: list[str], **options: Any) -> Run:
        said = "".join(f", {name}={value!r}" for name, value in options.items())
        line = f"run = runner.build({', '.join(map(repr, patterns))}{said})"
        run: Run = self.do(line, lambda: self.runner.build(*patterns, **options))
        self.program.append(
            f"# ran {run.ran}, actions {[f'{m} {label}' for m, label in run.actions]}, failed {run.failed}"
        )
        return run

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What goes wrong inside carries the program that leads there."""
        try:
            yield
        except Exception as error:
            if not getattr(error, "__notes__", None):
                error.add_note("The program that leads here:\n\n" + HEAD + "\n".join(self.program) + "\n")
            raise
