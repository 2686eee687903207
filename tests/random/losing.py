"""How the tests lose parts of a cache: the one place here that knows how the cache is stored.

Knows nothing of worlds. Whoever stores the cache otherwise adapts this file only.
"""

from __future__ import annotations

from collections.abc import Collection

from zerorepo.store import Store
from zerorepo.testing import RuleRunner

KINDS = {"traces": b"t", "actions": b"a", "blobs": b"b"}


def lose(runner: RuleRunner, kinds: Collection[str], every: int, how: str) -> None:
    """Lose every ``every``-th entry of these kinds: ``how`` is "delete" or "damage" (its bytes are overwritten)."""
    folder = runner.workspace().cache_dir / "xxh3"
    if not folder.exists():
        return
    store = Store(folder)
    for kind in sorted(kinds):
        for key in store.keys(KINDS[kind])[::every]:
            if how == "damage":
                store.put(key, b"damage")
            else:
                store.delete(key)
    store.close()
