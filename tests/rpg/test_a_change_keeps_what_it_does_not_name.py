"""A change of the plan: what the answer does not name stays as it was; what has lost its reason goes."""

from __future__ import annotations

from zerorepo_rpg.plan_change import FeatureChange, InterfaceChange, merge_features, merge_interfaces
from zerorepo_rpg.plan_model import Feature, ModulePlan, NodeInterface

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
