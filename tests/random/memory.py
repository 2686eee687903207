"""What a build that forgets nothing remembers, what an output folder must hold, and so what a build must do: the definition.

Sees a build's events and result only. Knows nothing of how a world came about or of how the engine remembers.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from busy import Busy, Fate

from zerorepo.testing import RuleRunner, Run


@dataclass
class Memory:
    """Action results and states of rules that were seen."""

    results: set[str] = field(default_factory=set)
    states: set[tuple[str, str]] = field(default_factory=set)
    exact: bool = True
    """False once an unknown part was lost: then more may run than the minimum."""
    lost_results: bool = False
    """Results were lost that traces may still vouch for."""

    def lose(self, kinds: Collection[str], every: int) -> None:
        """The cache lost every ``every``-th entry of these kinds."""
        if every > 1 or "blobs" in kinds:
            self.exact = False
        if "traces" in kinds:
            self.states.clear()
        if "actions" in kinds:
            self.results.clear()
            self.lost_results = True

    def runs(self, fates: Iterable[Fate]) -> list[Fate]:
        """Those whose rule must run: their state was never seen, or something volatile belongs to it."""
        return [fate for fate in fates if fate.poll or fate.state not in self.states]

    def executes(self, fates: Iterable[Fate], *, surely: bool) -> set[str]:
        """Actions that must be executed and succeed."""
        found = set()
        for fate in self.runs(fates):
            if fate.poll:
                found.add(fate.poll)
            if fate.good or not surely or not self.lost_results:
                found |= {key for key, good in fate.actions.items() if good} - self.results
        return found

    def check(self, run: Run, least: dict[str, Fate], most: dict[str, Fate], *, whole: bool) -> None:
        """What ran is the minimum, and every verdict is right; then learn from it. ``whole``: nothing could end it early."""
        executed = [event.id for event in run.events if event.kind == "action" and event.new == "done"]
        broke = {event.id for event in run.events if event.kind == "action" and event.new == "failed"}
        may_break = {key for fate in most.values() for key, good in fate.actions.items() if not good}
        if self.exact:
            assert len(executed) == len(set(executed)), "an action was executed twice"
            assert set(executed) <= self.executes(most.values(), surely=False), "an action ran that need not"
            assert set(run.ran) <= {fate.label for fate in self.runs(most.values()) if fate.good}, "a rule ran again"
        assert broke <= may_break, "an action failed that should not"
        if whole and self.exact:
            must = self.executes(least.values(), surely=True)
            assert must <= set(executed), "an action did not run"
            assert {fate.label for fate in self.runs(least.values()) if fate.good} <= set(run.ran), "a rule did not run"
        if whole:
            must_break = {key for fate in least.values() for key, good in fate.actions.items() if not good}
            assert must_break <= broke, "an action that fails did not run"
        self._check_verdicts(run, least, most, whole)
        if not self.exact:
            return
        self.results |= set(executed) - {fate.poll for fate in most.values()}
        self.states |= {most[str(label)].state for label in run.result.built}

    @staticmethod
    def _check_verdicts(run: Run, least: dict[str, Fate], most: dict[str, Fate], whole: bool) -> None:
        def split(fates: dict[str, Fate]) -> tuple[set[str], set[str], set[str]]:
            values = fates.values()
            return (
                {fate.label for fate in values if fate.good},
                {fate.label for fate in values if fate.own},
                {fate.label for fate in values if not fate.good and not fate.own},
            )

        result = run.result
        built, failed, skipped = (set(map(str, each)) for each in (result.built, result.failed, result.skipped))
        good, own, others = split(most)
        assert built <= good, "built what cannot be"
        assert failed <= own, "failed without a reason of its own"
        assert skipped <= (others if whole else most.keys()), "skipped without a reason"
        good, own, others = split(least)
        assert failed or not own, "a failure was not seen"
        if whole:
            assert (good <= built, own <= failed, others <= skipped) == (True, True, True), "a verdict is missing"


class Folder:
    """The output folder as it must be: ``files`` are there, ``ours`` is what was last written there, by whom."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ours: dict[str, tuple[str, bytes]] = {}

    def settle(self, built: set[str], busy: Busy, *, overwrite: bool) -> None:
        """Take in what a build that built these labels must have done."""
        most = busy.fates
        made = {most[label].path: most[label] for label in built if most[label].path}
        for path, (owner, _) in list(self.ours.items()):
            if owner in built and path not in made:
                self._remove(path)
        for path, fate in made.items():
            there, data = self.files.get(path), fate.content or b""
            ours = path in self.ours and self.ours[path][1] == there
            if there is None or there == data or ours or overwrite:
                self.files[path] = data
                self.ours[path] = (fate.label, data)
        for path, (owner, _) in list(self.ours.items()):
            if owner not in busy.targets and path not in made:
                known = [each for each in busy.reach(owner) if busy.declared_by.get(each, "") in {"", *built}]
                if built.issuperset(known):
                    self._remove(path)

    def _remove(self, path: str) -> None:
        if self.files.get(path) == self.ours.pop(path)[1]:
            del self.files[path]

    def check(self, runner: RuleRunner, run: Run, most: dict[str, Fate]) -> None:
        """Every file is as it must be, and nothing else is there."""
        assert runner.outputs() == self.files, "the outputs are not those of a clean build"
        for label in map(str, run.result.built):
            path = most[label].path
            if path and self.ours.get(path) == (label, self.files.get(path)):
                runs = os.access(runner.root / "out" / path, os.X_OK)
                assert runs == most[label].executable, f"the mode of {path}"
