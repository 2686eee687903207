"""Runs a state machine from a seed, counts the cases, and says how to replay a failure. See ``test_a_failure_replays``."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from edits import CASES, Edits
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

EXAMPLES = 22
STEPS = 16


def seed_of(part: int) -> int:
    """The seed of one test: given, new in the long mode, else always the same."""
    long = "ZEROREPO_RANDOM_EXAMPLES" in os.environ
    return int(os.environ.get("ZEROREPO_RANDOM_SEED", random.SystemRandom().getrandbits(64) if long else part))


@pytest.fixture
def random_run(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Runs ``machine``; at least ``promised`` builds must have been checked in the end, and how many were is reported."""

    def run(machine: type[Edits], part: int, *, promised: int, share: float = 1.0) -> None:
        usual = round(EXAMPLES * share)
        examples = int(os.environ.get("ZEROREPO_RANDOM_EXAMPLES", usual))
        chosen = seed_of(part)
        phases = (
            [Phase.generate] if os.environ.get("ZEROREPO_RANDOM_SHRINK") == "no" else [Phase.generate, Phase.shrink]
        )
        before = CASES.total()
        try:
            run_state_machine_as_test(
                seed(chosen)(type(machine.__name__, (machine,), {})),
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=STEPS,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                    database=None,
                    derandomize=False,
                    phases=phases,
                    print_blob=False,
                ),
            )
        except BaseException as error:
            error.add_note(
                f"Replay it with:\n\n  ZEROREPO_RANDOM_SEED={chosen} ZEROREPO_RANDOM_EXAMPLES={examples} "
                f"python -m pytest '{request.node.nodeid}'\n"
            )
            raise
        cases = CASES.total() - before
        record_property("random_cases", cases)
        assert cases >= (promised if examples >= usual else 0)

    return run
