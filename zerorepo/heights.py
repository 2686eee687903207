"""How long a chain of others waits for a target: what many wait for goes first where several want one place.

Knows nothing of places, or of how long anything takes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)


def heights(needs: Mapping[KeyT, Iterable[KeyT]]) -> dict[KeyT, int]:
    """Links of the longest chain of keys that each need the one before, beginning with this one; 0: nothing needs it.

    Keys that nothing is known of have no needs. Of a circle, and of what it needs, the least that is known.
    """
    left: defaultdict[KeyT, int] = defaultdict(int)
    edges = {key: {each for each in found if each != key} for key, found in needs.items()}
    for found in edges.values():
        for each in found:
            left[each] += 1
    high = dict.fromkeys(edges, 0)
    ready = [key for key in edges if not left[key]]
    while ready:
        key = ready.pop()
        for each in edges.get(key, ()):
            high[each] = max(high.get(each, 0), high[key] + 1)
            left[each] -= 1
            if not left[each]:
                ready.append(each)
    return high


__all__ = ["heights"]
