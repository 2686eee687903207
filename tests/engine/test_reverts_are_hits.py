"""Going back to a state that was built once runs nothing: in time, across git branches, and across clones that share a cache."""

from __future__ import annotations

from collections.abc import Callable

from zerorepo.testing import RuleRunner

ONE = '[[target]]\nname = "x"\nrule = "cat"\nsrcs = ["a"]\n'
SEVERAL = 64  # states of one target that are remembered at least


def test_many_states_of_a_target_are_remembered(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(ONE)
    for number in range(SEVERAL):
        runner.write("a", str(number))
        assert runner.build_ok().ran == ["//:x"]
    for number in range(SEVERAL):
        runner.write("a", str(number))
        run = runner.build_ok()
        assert (run.ran, run.actions) == ([], []), number
        assert runner.outputs() == {"x": str(number).encode()}


def test_a_state_that_is_seen_again_and_again_is_never_forgotten(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(ONE, {"a": "home"})
    runner.build_ok()
    for number in range(3 * SEVERAL):
        runner.write("a", str(number))
        assert runner.build_ok().ran == ["//:x"]
        if number % 16 == 0:
            runner.write("a", "home")
            assert runner.build_ok().ran == [], number
