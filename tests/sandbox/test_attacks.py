"""The hostile tests that were collected when sandboxes were measured: none may escape."""

from pathlib import Path

import pytest
import sandbox_attacks

FOLDER = Path(__file__).parents[3] / "shared" / "sandbox" / "attacks"
ATTACKS = sorted(FOLDER.glob("*.py"))


@pytest.mark.skipif(not ATTACKS, reason=f"the attacks are not here: {FOLDER}")
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda path: path.stem)
def test_attack_is_contained_or_detected(attack, context, tier):
    with sandbox_attacks.bait():
        row = context.run(sandbox_attacks.attack(attack, tier, context, longest=4))
    assert row.result in ("contained", "detected"), row
    assert row.behind in ("contained", "detected"), row
