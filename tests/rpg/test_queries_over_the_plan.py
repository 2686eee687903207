"""``node`` and ``flow`` over a plan that a lock holds, and the conditions that ``node`` takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerorepo.errors import UsageError
from zerorepo.query_api import BadArgument
from zerorepo_rpg.condition import parse_condition
from zerorepo_rpg.plan_query import flow, node

ROOT = Path(__file__).resolve().parents[2]
NODES = ("//tables:Table", "//reading:read_table", "//reading:infer_value", "//rendering:render_csv")
TARGETS = frozenset(
    {each + suffix for each in NODES for suffix in ("", ".interface", ".tests", ".code", ".test")}
    | {"//reading:files", "//tables:files", "//:plaintable"}
)
RULES = {
    "files": "rpg_files",
    "interface": "node_interface",
    "tests": "node_tests",
    "code": "node_code",
    "test": "node_test",
}


class View:
    """The example's workspace, its plan accepted."""

    workspace = ROOT

    def targets(self, rule: str) -> Mapping[str, Mapping[str, Any]]:
        if rule == "rpg_plan":
            return {"//:plaintable.plan": {"lock_path": "zerorepo.lock"}}
        return {each: {} for each in TARGETS if RULES.get(each.rpartition(":")[2].rpartition(".")[2], "node") == rule}

    def exists(self, label: str) -> bool:
        return label in TARGETS


def test_node_finds_targets_by_the_attributes_of_their_node() -> None:
    of_table = {each for each in TARGETS if each.startswith("//tables:Table")}
    assert node(View(), TARGETS, "level=FEATURE and module=tables") == of_table
    assert node(View(), TARGETS, "level=feature and interface_type=class") == of_table
    assert node(View(), TARGETS, "level=MODULE") == {"//reading:files", "//tables:files"}
    assert node(View(), frozenset({"//reading:read_table.code"}), 'signature~"delimiter"') == {
        "//reading:read_table.code"
    }
    assert "//:plaintable" not in node(View(), TARGETS, "not level=MODULE or level=MODULE")


def test_flow_follows_data_to_its_consumers() -> None:
    start = frozenset({"//tables:Table.code"})
    assert flow(View(), start, 0) == start
    reached = flow(View(), start, None)
    assert {"//reading:files", "//reading:read_table.code", "//rendering:render_csv"} < reached
    assert flow(View(), start, 1) == reached  # tables is needed by all, who hand nothing on
    assert flow(View(), frozenset({"//rendering:render_csv"}), None) == {"//rendering:render_csv"}


@pytest.mark.parametrize(
    ("text", "offset"),
    [("levl=X", 0), ("level", 5), ("level=", 6), ("level=A and", 11), ("(level=A", 8), ("level=A level=B", 8),
     ("name~'('", 6), ("!", 0), ("", 0), ("level=A or )", 11)],
)  # fmt: skip
def test_a_wrong_condition_says_where(text: str, offset: int) -> None:
    with pytest.raises(BadArgument) as caught:
        parse_condition(text, ("level", "name"), position=1)
    assert (caught.value.position, caught.value.offset) == (1, offset)


_PIECES = st.sampled_from(
    ["level", "name", "=", "!=", "~", "A", "b", "and", "or", "not", "(", ")", '"x y"', "'", "[", "\0"]
)


@given(st.lists(_PIECES, max_size=12).map(" ".join) | st.text(max_size=8))
def test_no_condition_makes_another_error(text: str) -> None:
    try:
        parse_condition(text, ("level", "name"), position=1)(lambda key: ["A"])
    except BadArgument as error:
        assert 0 <= error.offset <= len(text)


_ATOMS = [("level=a", True), ("level=b", False), ("name!=x", True), ("name~y", False)]


@given(st.recursive(
    st.sampled_from(_ATOMS),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: (f"({two[0][0]}) and ({two[1][0]})", two[0][1] and two[1][1])),
        st.tuples(inner, inner).map(lambda two: (f"({two[0][0]}) or ({two[1][0]})", two[0][1] or two[1][1])),
        inner.map(lambda one: (f"not ({one[0]})", not one[1])),
    ),
    max_leaves=6,
))  # fmt: skip
def test_conditions_mean_what_logic_says(case: tuple[str, bool]) -> None:
    values = {"level": ["A"], "name": ["c", "d"]}
    assert parse_condition(case[0], ("level", "name"), position=1)(lambda key: values[key]) is case[1]


def test_and_binds_closer_than_or() -> None:
    holds = parse_condition("level=A or level=A and name=nosuch", ("level", "name"), position=1)
    assert holds(lambda key: ["A"])


@pytest.mark.parametrize(
    "text",
    ["schema = 99", "[[", 'schema = 1\n[[module]]\nid = "a"\n[[flow]]\nsource = "a"\ntarget = "b"\ndata_name = "d"\n'],
)
def test_a_plan_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "zerorepo.lock").write_text(text)

    class Broken(View):
        workspace = tmp_path

    with pytest.raises(UsageError) as caught:
        node(Broken(), TARGETS, "level=MODULE")
    assert (caught.value.where or "").startswith("zerorepo.lock")


def test_without_a_plan_there_are_no_nodes(tmp_path: Path) -> None:
    class Empty(View):
        workspace = tmp_path

    assert node(Empty(), TARGETS, "level=MODULE") == set()
    assert flow(Empty(), frozenset({"//tables:Table"}), None) == {"//tables:Table"}
