"""A change of the plan: what the answer does not name stays as it was; what has lost its reason goes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zerorepo_rpg.plan_change import (
    FeatureChange,
    InterfaceChange,
    InterfaceMend,
    merge_features,
    merge_interfaces,
    merge_mend,
)
from zerorepo_rpg.plan_model import Feature, ModulePlan, NodeInterface

from .sample import plan

SORT = Feature(id="sort-rows", name="Sort", description="sorts", requirements=("sorts", "raises"))
FILTER = Feature(id="filter-rows", name="Filter", requirements=("filters",))
REQUIREMENTS = {"sorts", "filters", "raises"}


def node(name: str, *features: str, docstring: str = "") -> NodeInterface:
    return NodeInterface(
        id=f"rows/{name}",
        module="rows",
        file="lib/rows/core.py",
        name=name,
        signature=f"def {name}() -> None",
        docstring=docstring,
        features=features,
    )


def test_features_that_a_change_leaves_out_are_the_same_objects() -> None:
    changed = SORT.model_copy(update={"description": "sorts the other way"})
    merged = merge_features([FILTER, SORT], FeatureChange(features=(changed,)), REQUIREMENTS)
    assert merged.features == (FILTER, changed)


def test_a_feature_whose_requirements_are_gone_is_gone() -> None:
    assert merge_features([FILTER, SORT], FeatureChange(), {"sorts", "raises"}).features == (SORT,)


def test_a_feature_loses_only_the_requirement_that_is_gone() -> None:
    (kept,) = merge_features([SORT], FeatureChange(), {"sorts"}).features
    assert kept.requirements == ("sorts",)


def test_a_named_feature_is_removed_though_its_requirements_stand() -> None:
    assert merge_features([FILTER, SORT], FeatureChange(removed=("sort-rows",)), REQUIREMENTS).features == (FILTER,)


def test_interfaces_that_a_change_leaves_out_stay_and_new_ones_come_in_order() -> None:
    module = ModulePlan(id="rows", features=("filter-rows", "sort-rows", "take-rows"))
    old = [node("filter_rows", "filter-rows"), node("sort_rows", "sort-rows")]
    new, changed = node("take_rows", "take-rows"), node("sort_rows", "sort-rows", docstring="the other way")
    merged = merge_interfaces(old, InterfaceChange(interfaces=(new, changed)), module)
    assert merged.interfaces == (old[0], changed, new)


def test_an_interface_whose_feature_left_the_module_is_gone() -> None:
    module = ModulePlan(id="rows", features=("sort-rows",))
    old = [node("filter_rows", "filter-rows"), node("sort_rows", "sort-rows")]
    assert merge_interfaces(old, InterfaceChange(), module).interfaces == (old[1],)


def test_a_feature_that_a_changed_interface_takes_over_is_not_served_twice() -> None:
    module = ModulePlan(id="rows", features=("filter-rows", "sort-rows"))
    old = [node("filter_rows", "filter-rows"), node("sort_rows", "sort-rows")]
    both = node("arrange", "filter-rows", "sort-rows")
    assert merge_interfaces(old, InterfaceChange(interfaces=(both,)), module).interfaces == (both,)


IDS = st.sampled_from([f"f{number}" for number in range(5)])
REQS = st.sets(st.sampled_from("pqrs"), min_size=1).map(sorted).map(tuple)
SETS = st.lists(
    st.builds(Feature, id=IDS, name=st.sampled_from("xy"), requirements=REQS),
    max_size=5,
    unique_by=lambda each: each.id,
)


@given(SETS, SETS, st.sets(IDS).map(sorted).map(tuple), st.sets(st.sampled_from("pqrs")))
def test_merging_a_change_of_features(
    old: list[Feature], given_: list[Feature], removed: tuple[str, ...], present: set[str]
) -> None:
    change = FeatureChange(features=tuple(given_), removed=removed)
    merged = merge_features(old, change, present).features
    assert [each.id for each in merged] == sorted({each.id for each in merged})
    named = {each.id for each in given_}
    assert set(given_) <= set(merged)
    for each in old:
        left = tuple(name for name in each.requirements if name in present)
        found = next((other for other in merged if other.id == each.id), None)
        if each.id in named:
            continue
        if each.id in removed or not left:
            assert found is None
        elif left == each.requirements:
            assert found is each, "what is not concerned is the same object"
        else:
            assert found is not None and found.requirements == left
    assert merge_features(merged, FeatureChange(), {r for each in merged for r in each.requirements}).features == merged


NODES = {each.id: each for each in plan().nodes()}
MENDED = st.dictionaries(st.sampled_from(sorted(NODES)), st.sampled_from(["one", "two"]), max_size=4)


@given(MENDED, st.booleans())
def test_a_mend_changes_what_it_names_and_nothing_else(docstrings: dict[str, str], without_base: bool) -> None:
    before = plan()
    bases = {each.id: each for each in before.base_classes.classes}
    mend = InterfaceMend(
        interfaces=tuple(
            NODES[name].model_copy(update={"docstring": text}) for name, text in docstrings.items() if name not in bases
        ),
        base_classes=tuple(
            bases[name].model_copy(update={"docstring": text}) for name, text in docstrings.items() if name in bases
        ),
        removed=("shared/TextError",) if without_base else (),
    )
    merged = merge_mend(before, mend)
    assert (merged.features, merged.modules, merged.layout) == (before.features, before.modules, before.layout)
    found = {each.id: each for each in merged.nodes()}
    assert set(NODES) - set(found) == ({"shared/TextError"} if without_base else set())
    for name, node in found.items():
        assert node == NODES[name].model_copy(update={"docstring": docstrings.get(name, NODES[name].docstring)})
    assert merge_mend(merged, mend) == merged
    unknown = InterfaceMend(interfaces=(NODES["slug/slugify"].model_copy(update={"module": "nowhere"}),))
    assert merge_mend(before, unknown) == before
