"""The same person, with a cache that loses parts. Knows how to lose them from ``losing`` only."""

from __future__ import annotations

import drawing as d
from edits import Edits
from hypothesis import strategies as st
from hypothesis.stateful import rule
from losing import lose


class LossyEdits(Edits):
    """The cache loses parts too. Whole kinds lost: the minimum is still known. Else only results and verdicts are."""

    @rule(
        kinds=st.sets(st.sampled_from(["traces", "actions", "blobs"]), min_size=1),
        every=st.integers(1, 3),
        how=st.sampled_from(["delete", "damage"]),
        then=st.none() | d.demands,
    )
    def lose_a_part_of_the_cache(self, kinds: set[str], every: int, how: str, then: d.Demand | None) -> None:
        self.lose(sorted(kinds), every, how)
        self.build(then)

    @rule(
        kinds=st.sampled_from([["traces"], ["actions"], ["actions", "traces"]]),
        how=st.sampled_from(["delete", "damage"]),
    )
    def lose_all_of_a_kind(self, kinds: list[str], how: str) -> None:
        self.lose(kinds, 1, how)

    @rule(
        kinds=st.sampled_from([["blobs"], ["blobs", "traces"]]),
        how=st.sampled_from(["delete", "damage"]),
        then=d.demands,
    )
    def lose_outputs_and_their_blobs(self, kinds: list[str], how: str, then: d.Demand) -> None:
        self.build(then)
        self.lose(kinds, 1, how)
        for path in sorted(self.outputs.files):
            self.do(f"runner.remove({'out/' + path!r})", lambda path=path: self.runner.remove(f"out/{path}"))
        self.outputs.files.clear()
        self.build(then)

    def lose(self, kinds: list[str], every: int, how: str) -> None:
        self.memory.lose(kinds, every)
        self.do(f"lose(runner, {kinds!r}, {every}, {how!r})", lambda: lose(self.runner, kinds, every, how))


class ForgetfulEdits(LossyEdits):
    """Only whole kinds are lost, so that the minimum is always known."""

    lose_a_part_of_the_cache = None  # type: ignore[assignment]
    lose_outputs_and_their_blobs = None  # type: ignore[assignment]
