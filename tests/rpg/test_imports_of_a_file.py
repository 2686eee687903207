"""What code is told that its file imports already: what the file's other nodes need, and what a person's file has."""

from __future__ import annotations

from rpg.sample import plan
from zerorepo_rpg.plan_model import NodeInterface, Plan
from zerorepo_rpg.python_names import imports_of
from zerorepo_rpg.skeleton import file_imports


def with_imports(made: Plan, **imports: tuple[str, ...]) -> Plan:
    """The plan with other imports of some nodes, by name."""

    def changed(node: NodeInterface) -> NodeInterface:
        return node.model_copy(update={"imports": imports.get(node.name, node.imports)})

    modules = tuple(
        each.model_copy(update={"interfaces": tuple(map(changed, each.interfaces))}) for each in made.interfaces
    )
    return made.model_copy(update={"interfaces": modules})


def test_a_node_is_told_of_the_imports_of_its_file_that_it_has_not() -> None:
    made = with_imports(
        plan(), split_words=("import re", "from collections.abc import Iterator, Mapping"), clean=("import re",)
    )
    found = file_imports(made)
    assert found["words/clean"] == ("from collections.abc import Iterator", "from collections.abc import Mapping")
    assert found["words/split_words"] == ()


def test_files_know_nothing_of_each_other_and_an_obvious_import_counts_though_it_was_forgotten() -> None:
    for made in (plan(), with_imports(plan(), unique_slug=())):
        found = file_imports(made)
        assert {name: lines for name, lines in found.items() if lines} == {
            "slug/slugify": ("from collections.abc import Collection",)
        }


def test_the_imports_of_a_source_are_listed_one_by_one() -> None:
    source = b'''"""Text."""
from __future__ import annotations
import os, re as regex
from typing import (
    Any,
    Final,
)
from ours.words import split
from . import near
import ours.slugs
def f(): import late
'''
    assert imports_of(source, but_of="ours") == {
        "import os",
        "import re as regex",
        "from typing import Any",
        "from typing import Final",
    }
    assert imports_of(b"def", but_of="ours") == set() == imports_of(b"\x00", but_of="ours")
