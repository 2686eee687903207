"""What every source is mined into: one line of JSON for each thing that software was seen to do. Knows no source and no tree."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

Origin = Literal["mined", "curated", "own", "model"]
"""``mined``: from a library or a standard list; ``curated``: written by this project; ``own``: the user's; ``model``: a model's."""


class Entry(NamedTuple):
    """``text`` is the feature in words; ``path`` says where it was seen (``scipy.optimize.minimize``).

    ``place`` is domain / area / capability, as far as the source knows; the tree completes it. ``section`` is the module or class
    that it belongs to, with ``section_text``, what that says of itself. ``tier``: A a function or class, M a method, N named but
    not documented, T a row of a table.
    """

    text: str
    path: str
    kind: str
    source: str
    version: str
    license: str
    origin: Origin
    place: tuple[str, ...] = ()
    section: str = ""
    section_text: str = ""
    signature: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    tier: str = "A"
    weight: int = 1
    """How often it was seen, for sources that count."""


def dump(entries: Iterable[Entry]) -> bytes:
    """JSON lines, in the order given."""
    return "".join(json.dumps(list(each), ensure_ascii=False) + "\n" for each in entries).encode()


def load(data: bytes) -> list[Entry]:
    """The inverse of ``dump``."""
    return [_entry(json.loads(line)) for line in data.splitlines()]


def _entry(row: list[Any]) -> Entry:
    each = Entry(*row)
    return each._replace(place=tuple(each.place), tags=tuple(each.tags))
