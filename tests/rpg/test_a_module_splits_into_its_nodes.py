"""Splitting a merged module gives sources that merge into it again, each with what it needs and nothing of the others."""

from __future__ import annotations

import pytest

from zerorepo_rpg.merge import Part, merge_file
from zerorepo_rpg.split import split_module

PARTS = [
    Part(
        "m/one",
        "one",
        "import math\n\n_LIMIT = 3\n\n\n# Rounds up.\ndef _up(x: float) -> int:\n    return math.ceil(x)\n\n\n"
        "def one(x: float) -> int:\n    return min(_up(x), _LIMIT)\n",
    ),
    Part(
        "m/two",
        "two",
        "from __future__ import annotations\nimport re\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
        "    from collections.abc import Sequence\nfrom p.m import one\n\n\ndef two(xs: Sequence[float]) -> str:\n"
        '    return re.sub("1", "one", str([one(x) for x in xs]))\n',
        ("m/one",),
    ),
    Part("m/Kind", "Kind", "class Kind:\n    def go(self) -> int:\n        return 1\n"),
]
NAMES = [part.name for part in PARTS]


def test_what_is_split_merges_into_the_same_module() -> None:
    merged = merge_file("p/m.py", PARTS, docstring="All of it.")
    parts = split_module(merged, "p.m", NAMES)
    assert list(parts) == NAMES
    again = [part._replace(source=parts[part.name]) for part in PARTS]
    assert merge_file("p/m.py", again, docstring="All of it.") == merged


def test_each_part_has_what_it_needs_only() -> None:
    parts = split_module(merge_file("p/m.py", PARTS), "p.m", NAMES)
    assert "import math" in parts["one"]
    assert "# Rounds up.\ndef _up" in parts["one"]
    assert "_LIMIT = 3" in parts["one"]
    assert "import re" not in parts["one"]
    assert "from p.m import one" in parts["two"]
    assert "_up" not in parts["two"]
    assert "Sequence" in parts["two"]
    assert parts["Kind"].count("import") == 1  # that of the future


def test_a_node_that_was_removed_is_left_out() -> None:
    assert split_module("def one() -> int:\n    return 1\n", "p.m", NAMES).keys() == {"one"}


def test_what_is_no_python_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="not Python"):
        split_module("def one(:\n", "p.m", NAMES)
