"""Circles of data flow are broken by rule and told; with ``refine`` a grouping is improved, and never made worse."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from e2e.scripted_library import ScriptedLibrary, Tinytext
from hypothesis import given, settings
from hypothesis import strategies as st

from zerorepo.errors import ExitCode
from zerorepo_ontology import minilm_weights
from zerorepo_ontology.register import RULE_SET as ONTOLOGY
from zerorepo_rpg import digraph
from zerorepo_rpg.grouping import belonging, refine, without_cycles
from zerorepo_rpg.lock import parse_lock
from zerorepo_rpg.plan_metrics import lexical_vectors, measure
from zerorepo_rpg.plan_model import DataFlow, Feature, FeatureSet, ModulePlan, ModuleSet
from zerorepo_rpg.validate import check_modules

MODULES = "//:tinytext.modules"
GROUP = "group the features into modules"
FLOWS = {("words", "slugs"): "words", ("slugs", "paths"): "slug", ("paths", "words"): "visit_count"}


def grouped(flows: dict[tuple[str, str], str], **features: list[str]) -> str:
    """A grouping as a model answers it."""
    listed = [{"id": name, "description": f"All about {name}.", "features": ids} for name, ids in features.items()]
    named = [{"source": a, "target": b, "data_name": name, "data_type": "str"} for (a, b), name in flows.items()]
    return json.dumps({"modules": listed, "flows": named})


AS_SKETCHED: dict[str, list[str]] = {
    "words": ["split-words", "initials"],
    "slugs": ["make-slug"],
    "paths": ["page-path"],
}


def notes(built: Any) -> list[str]:
    """What the build told, as whoever looks on reads it."""
    return [e.title for e in built.run.events if e.kind == "action" and e.mnemonic == "PlanNote" and e.new == "done"]


def test_a_circle_of_data_flow_is_broken_at_its_weakest_edge_and_told_without_asking_again(tmp_path: Path) -> None:
    tiny = Tinytext(tmp_path / "ws")
    tiny.library.say(GROUP, grouped(FLOWS, **AS_SKETCHED))
    built = tiny.build("//:tinytext.plan")
    assert built.code is ExitCode.OK, built.failures
    assert built.asked.count(GROUP) == 1
    # Nobody speaks of visits.
    assert notes(built) == ["left out the flow paths -> words (visit_count): the weakest edge of a circle"]
    modules = parse_lock(tiny.lock_path.read_text()).modules
    assert modules is not None
    assert [(flow.source, flow.target) for flow in modules.flows] == [("slugs", "paths"), ("words", "slugs")]
    assert notes(tiny.build("//:tinytext.plan")) == []


def test_a_circle_beside_another_problem_is_asked_about_with_both(tmp_path: Path) -> None:
    tiny = Tinytext(tmp_path / "ws")
    tiny.library.say(GROUP, grouped(FLOWS, **{**AS_SKETCHED, "slugs": []}))
    assert tiny.build(MODULES).code is ExitCode.OK
    again = tiny.library.asked_for(GROUP)[1].action.messages[-1].content
    assert "data flows in a circle" in again and "is in no module" in again


FEATURES = tuple(
    Feature(id=name, name=text, description=text, requirements=(f"r-{name}",))
    for name, text in {
        "read-csv": "read a table from csv text",
        "read-json": "read a table from json text",
        "sniff-text": "sniff the delimiter of csv text",
        "draw-bars": "draw a chart of bars",
        "draw-lines": "draw a chart of lines",
        "draw-pie": "draw a chart as a pie",
    }.items()
)
IDS = [feature.id for feature in FEATURES]


def grouping(*groups: list[str]) -> ModuleSet:
    """Modules ``alpha``, ``beta``, … of which each takes data of the one before."""
    names = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"][: len(groups)]
    modules = tuple(ModulePlan(id=n, description=n, features=tuple(g)) for n, g in zip(names, groups, strict=True))
    flows = tuple(DataFlow(source=a, target=b, data_name="d", data_type="str") for a, b in pairwise(names))
    return ModuleSet(modules=modules, flows=flows)


def test_a_misplaced_feature_is_moved_to_its_like() -> None:
    start = grouping(["read-csv", "sniff-text"], ["draw-bars", "read-json"], ["draw-lines", "draw-pie"])
    better, steps = refine(start, FEATURES)
    assert {frozenset(module.features) for module in better.modules} >= {
        frozenset({"read-csv", "sniff-text", "read-json"})
    }
    assert steps and all("cohesion" in str(step) for step in steps)
    assert refine(better, FEATURES) == (better, ())


@settings(deadline=None, max_examples=60)
@given(st.permutations(IDS), st.lists(st.integers(1, 4), min_size=2, max_size=2))
def test_refining_never_makes_worse_and_what_it_makes_is_sound(order: list[str], cuts: list[int]) -> None:
    first, second = cuts[0], min(cuts[0] + cuts[1], 5)
    if second <= first:
        return
    start = grouping(order[:first], order[first:second], order[second:])
    better, steps = refine(start, FEATURES)
    assert check_modules(better, FeatureSet(features=FEATURES)) == []
    vectors = lexical_vectors({each.id: f"{each.name} {each.description}" for each in FEATURES})
    before, after = (measure(each, FEATURES, belonging(FEATURES, vectors), vectors) for each in (start, better))
    assert after.modularity >= before.modularity - 1e-6 and after.cohesion >= before.cohesion - 1e-6
    assert after.coupling <= before.coupling + 1e-6
    assert bool(steps) == (better != start)
    assert_data_reaches(start, better)


def assert_data_reaches(start: ModuleSet, better: ModuleSet) -> None:
    """What reached a feature before, directly or through other modules, reaches it still, and in the same direction."""
    homes = {name: module.id for module in better.modules for name in module.features}
    upstream = better.upstream()
    before = {module.id: module.features for module in start.modules}
    for module, sources in start.upstream().items():
        for taker in before[module]:
            for giver in (name for source in sources for name in before[source]):
                assert homes[giver] in (homes[taker], *upstream[homes[taker]]), (giver, taker)


def test_two_moves_do_not_turn_a_flow_round() -> None:
    # `draw-bars` goes to `beta`; then `sniff-text`, which takes its data, must not go where that comes from.
    start = grouping(["read-csv", "read-json", "draw-bars"], ["sniff-text", "draw-lines"], ["draw-pie"])
    better, steps = refine(start, FEATURES)
    assert steps
    assert_data_reaches(start, better)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"), st.sampled_from(["x", "yy"])), max_size=9))
def test_after_breaking_no_circle_is_left_and_a_sound_grouping_stays(ends: list[tuple[str, str, str]]) -> None:
    flows = tuple(DataFlow(source=a, target=b, data_name=name) for a, b, name in dict.fromkeys(ends))
    start = ModuleSet(modules=tuple(ModulePlan(id=name) for name in "abcd"), flows=flows)
    kept, broken = without_cycles(start, ())
    assert digraph.cycles(kept.needs()) == []
    assert sorted(map(str, (*kept.flows, *broken))) == sorted(map(str, flows))
    assert without_cycles(kept, ()) == (kept, ())


def test_refining_is_off_unless_the_target_says_so(tmp_path: Path) -> None:
    odd = {"alpha": ["split-words", "page-path"], "beta": ["make-slug", "initials"]}
    answer = grouped({("alpha", "beta"): "text"}, **odd)
    for number, setting in enumerate(("", 'refine = "words"\n')):
        tiny = Tinytext(tmp_path / str(number), ScriptedLibrary())
        (tiny.root / "zerorepo.toml").write_text((tiny.root / "zerorepo.toml").read_text() + setting)
        tiny.library.say(GROUP, answer)
        built = tiny.build(MODULES)
        assert built.code is ExitCode.OK, built.failures
        made = built.run.provider(MODULES, ModuleSet)
        as_answered = {module.id: list(module.features) for module in made.modules} == odd
        assert as_answered is (setting == "")
        assert bool(notes(built)) is (setting != "")


@pytest.mark.parametrize("engine", ["int8", "bm25"])
def test_embeddings_come_from_the_ontologys_engine(tmp_path: Path, engine: str) -> None:
    tiny = Tinytext(tmp_path / "ws")
    more = f'refine = "embeddings"\n\n[ontology]\nengine = "{engine}"\n'
    (tiny.root / "zerorepo.toml").write_text((tiny.root / "zerorepo.toml").read_text() + more)
    tiny.runner.registry.add(ONTOLOGY)
    odd = {"alpha": ["split-words", "make-slug"], "beta": ["initials"], "gamma": ["page-path"]}
    tiny.library.say(GROUP, grouped({("alpha", "beta"): "text", ("beta", "gamma"): "text"}, **odd))
    built = tiny.build(MODULES)
    embedded = ("EmbedTexts", MODULES) in built.run.actions
    if engine == "int8" and minilm_weights.find(None, minilm_weights.INT8_MODULE, minilm_weights.INT8_FILE) is None:
        assert built.code is not ExitCode.OK and "weights" in built.failures
        return
    assert built.code is ExitCode.OK, built.failures
    assert embedded is (engine == "int8")
