"""Random worlds, random edits, random builds: the result is that of a clean build, and exactly the minimum ran.

``ZEROREPO_RANDOM_EXAMPLES=5000`` makes it a night's work, another one each night. A failure prints its program, and the command
that replays it (with ``ZEROREPO_RANDOM_SEED``). The default run is the same each time, so that a landing never hangs on a die.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from edits import Edits
from lossy_edits import ForgetfulEdits, LossyEdits

PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_random_edits_run_the_minimum(part: int, random_run: Callable[..., None]) -> None:
    random_run(Edits, part, promised=400)


@pytest.mark.parametrize("part", range(2))
def test_random_edits_run_the_minimum_without_traces_or_results(part: int, random_run: Callable[..., None]) -> None:
    random_run(ForgetfulEdits, part, promised=400)


@pytest.mark.parametrize("part", range(2))
def test_random_edits_survive_a_lossy_cache(part: int, random_run: Callable[..., None]) -> None:
    random_run(LossyEdits, part, promised=400)
