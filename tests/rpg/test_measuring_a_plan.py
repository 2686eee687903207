"""Cohesion, coupling, modularity, cycles broken at the weakest edge, and moves that are accepted only when they improve."""

from __future__ import annotations

import math
from itertools import combinations

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shipped import ROOT

from zerorepo_rpg.layout_checks import planned_lines
from zerorepo_rpg.plan_metrics import (
    Move,
    WeightedEdge,
    break_cycles,
    cohesion,
    cosine,
    feature_weights,
    lexical_vectors,
    measure,
    modularity,
    moved,
    refined,
)
from zerorepo_rpg.plan_model import DataFlow, Feature, FilePlan, ModulePlan, ModuleSet, Plan
from zerorepo_rpg.validate import validate_plan

from .commands import zerorepo
from .sample import FEATURES, plan, spec

NAMES = "abcdef"
WEIGHTS = st.dictionaries(
    st.sampled_from(list(combinations(NAMES, 2))), st.integers(1, 5).map(float), min_size=1, max_size=12
)


@settings(deadline=None)
@given(WEIGHTS, st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_modularity_is_newmans(weights, groups) -> None:  # type: ignore[no-untyped-def]
    graph = networkx.Graph()
    graph.add_nodes_from(NAMES)
    graph.add_weighted_edges_from((a, b, weight) for (a, b), weight in weights.items())
    parts = [[name for name, group in zip(NAMES, groups, strict=True) if group == number] for number in range(4)]
    theirs = networkx.community.modularity(graph, [part for part in parts if part])
    assert modularity(parts, weights) == pytest.approx(theirs, abs=1e-9)


def test_modularity_without_edges_and_of_one_group_is_nothing() -> None:
    assert modularity([["a"], ["b"]], {}) == 0.0
    assert modularity([["a", "b"]], {("a", "b"): 1.0}) == 0.0
    # Edges between modules alone: never above 0, which is why features are measured.
    assert modularity([["a"], ["b"], ["c"]], {("a", "b"): 1.0, ("b", "c"): 1.0}) < 0


def test_cosine_and_cohesion() -> None:
    vectors = {"a": {"x": 1.0}, "b": {"x": 2.0}, "c": {"y": 1.0}, "d": {}}
    assert cosine(vectors["a"], vectors["b"]) == pytest.approx(1.0) and cosine(vectors["a"], vectors["c"]) == 0.0
    assert cosine(vectors["d"], vectors["a"]) == 0.0
    assert cohesion(["a", "b", "c"], vectors) == pytest.approx(1 / 3) and cohesion(["a"], vectors) == 1.0
    found = lexical_vectors({"s": "sort the rows", "f": "sorting rows of a table", "m": "render markdown"})
    assert cosine(found["s"], found["f"]) > 0.3 > cosine(found["s"], found["m"])


def test_coupling_counts_distinct_neighbours() -> None:
    found = measure(plan().modules, plan().features.features, feature_weights(plan()))
    assert {each.id: each.coupling for each in found.modules} == {"counting": 1, "slug": 1, "words": 2}
    assert found.coupling == pytest.approx(4 / 3)
    twice = plan().modules.model_copy(
        update={"flows": (*plan().modules.flows, DataFlow(source="words", target="slug", data_name="more"))}
    )
    assert measure(twice, plan().features.features, {}).coupling == pytest.approx(4 / 3)


EDGES = st.lists(
    st.builds(
        WeightedEdge,
        source=st.sampled_from(NAMES),
        target=st.sampled_from(NAMES),
        weight=st.integers(1, 9).map(float),
        confidence=st.sampled_from([0.1, 0.5, 1.0]),
    ),
    max_size=14,
)


@settings(deadline=None)
@given(EDGES)
def test_after_breaking_there_is_no_cycle_and_nothing_was_broken_in_vain(edges: list[WeightedEdge]) -> None:
    kept, broken = break_cycles(edges)
    assert sorted(map(str, [*kept, *broken])) == sorted(map(str, edges))

    def graph(of: list[WeightedEdge]) -> networkx.DiGraph:
        found = networkx.DiGraph()
        found.add_edges_from((edge.source, edge.target) for edge in of)
        return found

    assert networkx.is_directed_acyclic_graph(graph(kept))
    for edge in broken:
        assert not networkx.is_directed_acyclic_graph(graph([*kept, edge]))
    assert break_cycles(reversed(edges)) == (kept, broken)


def test_a_cycle_is_broken_where_weight_times_confidence_is_least() -> None:
    edges = [
        WeightedEdge(source="a", target="b", weight=5, confidence=0.5),
        WeightedEdge(source="b", target="c", weight=2, confidence=1.0),
        WeightedEdge(source="c", target="a", weight=9, confidence=0.25),
    ]
    assert [(edge.source, edge.target) for edge in break_cycles(edges)[1]] == [("b", "c")]


def grouping(*groups: str) -> ModuleSet:
    modules = tuple(ModulePlan(id=f"m{number}", features=tuple(group)) for number, group in enumerate(groups))
    flows = tuple(DataFlow(source=f"m{n}", target=f"m{n + 1}", data_name="d") for n in range(len(groups) - 1))
    return ModuleSet(modules=modules, flows=flows)


TOPICS = [
    Feature(id=name, name=text)
    for name, text in zip("abcd", ("sort rows", "filter rows", "write html", "write text"), strict=True)
]
TIED = {("a", "b"): 2.0, ("c", "d"): 2.0, ("b", "c"): 1.0}


def test_moves_are_accepted_only_when_they_improve() -> None:
    better, accepted = refined(
        grouping("abc", "d"), TOPICS, TIED, [Move(features=("a",), into="m1"), Move(features=("c",), into="m1")]
    )
    assert [move.features for move in accepted] == [("c",)]
    assert [module.features for module in better.modules] == [("a", "b"), ("d", "c")]
    same, none = refined(
        better, TOPICS, TIED, [Move(features=("a", "b"), into="m1"), Move(features=("a",), into="new")]
    )
    assert (same, none) == (better, ())


def test_a_merge_takes_the_flows_along_and_a_split_makes_a_module() -> None:
    merged = moved(grouping("ab", "c", "d"), Move(features=("c",), into="m0"))
    assert [module.id for module in merged.modules] == ["m0", "m2"]
    assert [(flow.source, flow.target) for flow in merged.flows] == [("m0", "m2")]
    split = moved(merged, Move(features=("b",), into="b_alone"))
    assert [module.id for module in split.modules] == ["b_alone", "m0", "m2"]


@given(
    st.lists(
        st.builds(
            Move,
            features=st.sets(st.sampled_from("abcd"), min_size=1).map(sorted).map(tuple),
            into=st.sampled_from(["m0", "m1", "x"]),
        ),
        max_size=5,
    )
)
def test_no_move_loses_or_doubles_a_feature(moves: list[Move]) -> None:
    now = grouping("ab", "cd")
    for move in moves:
        now = moved(now, move)
        assert sorted(name for module in now.modules for name in module.features) == list("abcd")
    better, accepted = refined(grouping("ab", "cd"), TOPICS, TIED, moves)
    before, after = (measure(each, TOPICS, TIED) for each in (grouping("ab", "cd"), better))
    assert after.modularity >= before.modularity - 1e-6 and after.cohesion >= before.cohesion - 1e-6
    assert math.isfinite(after.coupling) and len(accepted) <= len(moves)


def test_a_folder_for_each_feature_is_told() -> None:
    data = plan()
    files = tuple(
        FilePlan(path=f"textkit/slug/{name}/code.py", module="slug", features=(feature,))
        for name, feature in zip(("one", "two", "three"), FEATURES[2:5], strict=True)
    )
    layout = data.layout.model_copy(update={"files": (*(f for f in data.layout.files if f.module != "slug"), *files)})
    problems = validate_plan(data.model_copy(update={"layout": layout}), spec())
    assert "folder_per_feature" in {problem.check for problem in problems}
    together = tuple(file.model_copy(update={"path": f"textkit/slug/{file.path.split('/')[2]}.py"}) for file in files)
    layout = layout.model_copy(update={"files": (*layout.files[:2], *together)})
    assert "folder_per_feature" not in {
        problem.check for problem in validate_plan(data.model_copy(update={"layout": layout}), spec())
    }


def test_a_file_with_too_much_in_it_is_told_with_about_how_much() -> None:
    data = plan()
    module = data.interfaces[0]
    node = module.interfaces[0]
    many = "class Counts:\n" + "".join(f"    def m{n}(self) -> int:\n        ...\n" for n in range(45))
    assert planned_lines(node) < 30 < 500 < planned_lines(node.model_copy(update={"signature": many}))
    changed = module.model_copy(update={"interfaces": (node.model_copy(update={"signature": many}),)})
    large = data.model_copy(update={"interfaces": (changed, *data.interfaces[1:])})
    problems = [str(each) for each in validate_plan(large, spec()) if each.check == "file_lines"]
    assert len(problems) == 1 and "lines are planned, at most 500" in problems[0]


def mutate(data: dict, path: list[object], value: object) -> None:  # type: ignore[type-arg]
    for key in path[:-1]:
        data = data[key]  # type: ignore[index]
    data[path[-1]] = value  # type: ignore[index]


def places(data: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Every string of a plan."""
    if isinstance(data, dict):
        return [place for key, value in data.items() for place in places(value, (*path, key))]
    if isinstance(data, list):
        return [place for key, value in enumerate(data) for place in places(value, (*path, key))]
    return [path] if isinstance(data, str) else []


PLACES = places(plan().model_dump(mode="json"))
FREE = {"description", "docstring", "kind", "data_type", "title"}


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(PLACES),
    st.sampled_from(
        [
            "",
            "..",
            "/etc",
            "a/../b",
            "class",
            "JSON",
            "slug",
            "x y",
            "textkit/ab/x.py",
            "def (",
            "\x00",
            "ß",
            "words/clean",
        ]
    ),
)
def test_whatever_a_hand_writes_into_a_plan_is_judged_and_never_a_crash(path: tuple[object, ...], value: str) -> None:
    data = plan().model_dump(mode="json")
    was = data
    for key in path:
        was = was[key]
    mutate(data, list(path), value)
    if path[-1] == "kind":
        return
    problems = validate_plan(Plan.model_validate(data), spec())
    assert problems == validate_plan(Plan.model_validate(data), spec())
    identity = path[-1] in ("id", "module", "file", "path", "package_name", "signature")
    if identity and was != value:
        assert problems, (path, value)
    assert all(problem.check and problem.message for problem in problems)


def test_the_check_command_tells_problems_and_measures(workspace) -> None:  # type: ignore[no-untyped-def]
    sound = zerorepo(workspace, "plan", "--check")
    assert sound.returncode == 0 and "every check passes" in sound.stdout and "modularity" in sound.stdout
    lock = workspace / "zerorepo.lock"
    lock.write_text(lock.read_text().replace('file = "plaintable/tables/', 'file = "plaintable/../tables/'))
    broken = zerorepo(workspace, "plan", "--check")
    assert broken.returncode == 1 and "[interface_file]" in broken.stdout
    assert zerorepo(workspace, "plan", "--check", "--locked").returncode == 2
    back = '[[flow]]\nsource = "rendering"\ntarget = "tables"\ndata_name = "text"\ndata_type = "str"\n'
    lock.write_text((ROOT / "zerorepo.lock").read_text().replace("[[file]]", f"{back}\n[[file]]", 1))
    circle = zerorepo(workspace, "plan", "--check")
    assert circle.returncode == 1 and "[flow_acyclic]" in circle.stdout
    assert "the weakest link of a circle is " in circle.stdout


def test_signatures_that_do_not_fit_together_stop_the_plan_before_a_body_is_asked_for(workspace) -> None:  # type: ignore[no-untyped-def]
    lock = workspace / "zerorepo.lock"
    text = lock.read_text()
    # A default of the wrong type: no check of one interface by itself sees it, mypy does.
    assert "precision: int = 2" in text
    lock.write_text(text.replace("precision: int = 2", "precision: int = 'x'", 1))
    planned = zerorepo(workspace, "plan", "--locked")
    assert planned.returncode == 1, planned.stdout
    assert "skeleton_types" in planned.stderr and "Incompatible default" in planned.stderr
    lock.write_text(text)
    assert zerorepo(workspace, "plan", "--locked").returncode == 0
