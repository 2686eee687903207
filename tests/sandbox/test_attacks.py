"""Hostile tests in every tier: the ones collected when sandboxes were measured, and our own. None may escape, and after each the
sandbox must serve ordinary requests as before."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sandbox_attacks
from sandbox_harness import MemoryContext, need

COLLECTED = Path(__file__).parents[3] / "shared" / "sandbox" / "attacks"
OWN = Path(__file__).parent / "attacks"
ATTACKS = [*sorted(COLLECTED.glob("*.py")), *sorted(OWN.glob("*.py"))]
TIERS = ["bubblewrap", "docker", "gvisor"]


@pytest.fixture(scope="module", params=TIERS)
def arena(request: pytest.FixtureRequest, state_dir: Path) -> Iterator[sandbox_attacks.Health]:
    """One sandbox for all attacks, as in a build; healthy to begin with."""
    need(request.param)
    context = MemoryContext(state_dir)
    health = sandbox_attacks.Health(context, request.param)
    assert context.run(health.why_not()) == ""
    yield health
    context.end()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda path: path.stem)
def test_attack_is_contained_or_detected_and_the_sandbox_stays_healthy(attack, arena):
    with sandbox_attacks.bait():
        row = arena.context.run(sandbox_attacks.attack(attack, arena.tier, arena.context, longest=5))
    assert row.result in ("contained", "detected"), row
    assert row.behind in ("contained", "detected"), row
    assert arena.context.run(arena.why_not()) == ""


@pytest.mark.skipif(not COLLECTED.is_dir(), reason=f"the collected attacks are not here: {COLLECTED}")
def test_there_are_all_thirty_three():
    numbers = {int(path.name[:2]) for path in ATTACKS}
    assert set(range(1, 34)) <= numbers


@pytest.mark.parametrize("name", ["02_read_host_files", "06_net_external", "16_unshare", "30_kernel_entry_points"])
def test_an_attack_that_is_not_held_back_is_seen_to_escape(name, state_dir):
    """These do no harm, so they may run unconfined: a test of the attacks, and of the table that they make."""
    context = MemoryContext(state_dir, unsafe=True)
    try:
        with sandbox_attacks.bait():
            row = context.run(sandbox_attacks.attack(OWN / f"{name}.py", "unsafe", context, longest=10))
    finally:
        context.end()
    assert row.behind == "escaped", row
