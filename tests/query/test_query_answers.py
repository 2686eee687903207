"""Answers of the query language compared with its definitions, on random graphs and expressions."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from naive_query import Model, below, expressions, models, naive

from zerorepo.query import GraphBuilder, QueryGraph, evaluate_query, expand_patterns, run_query, unparse
from zerorepo.query.formats import FORMATS
from zerorepo.query.reach import MOST_BITS, WALKED_QUERIES
from zerorepo.query.stored import pack, unpack
from zerorepo.query.syntax import Expression


@settings(max_examples=400, deadline=None)
@given(models(), expressions)
def test_every_expression_gives_the_set_that_the_definitions_give(model: Model, expression: Expression) -> None:
    graph, expected = model.graph(), naive(model, expression, {})
    for _ in range(WALKED_QUERIES + 2):
        assert set(evaluate_query(unparse(expression), graph).labels) == expected


@settings(max_examples=100, deadline=None)
@given(models(), expressions, expressions)
def test_somepath_is_a_shortest_path_wherever_one_exists(model: Model, source: Expression, target: Expression) -> None:
    graph = model.graph()
    path = evaluate_query(f"somepath({unparse(source)}, {unparse(target)})", graph).labels
    starts, ends = naive(model, source, {}), naive(model, target, {})
    distance = next((n for n in range(len(model.rules)) if below(model, starts, n) & ends), None)
    assert len(path) == (0 if distance is None else distance + 1)
    if path:
        assert starts.intersection(path) and ends.intersection(path)
        inside = {(a, b) for a, b in model.edges if a in path and b in path}
        found = {*starts} & {*path}
        for _ in path:
            found |= {b for a, b in inside if a in found}
        assert found >= set(path)


@settings(max_examples=60, deadline=None)
@given(models(), expressions)
def test_allrdeps_is_rdeps_of_the_universe_scope(model: Model, expression: Expression) -> None:
    graph, text = model.graph(), unparse(expression)
    answer = evaluate_query(f"allrdeps({text}, 2)", graph, universe_scope=["//a/...", "-//a/b/..."])
    assert answer.labels == evaluate_query(f"rdeps(//a/... - //a/b/..., {text}, 2)", graph).labels


@settings(max_examples=100, deadline=None)
@given(models(), expressions, st.sampled_from(sorted(FORMATS)), st.sampled_from(["full", "deps", "no"]))
def test_every_format_writes_every_answer_and_the_same_one_twice(
    model: Model, expression: Expression, output: str, order: str
) -> None:
    first = run_query(unparse(expression), model.graph(), output=output, order=order)
    again = run_query(unparse(expression), model.graph(), output=output, order=order)
    assert (first.exit_code, first.messages) == (0, [])
    assert first == again


@settings(max_examples=100, deadline=None)
@given(models(), expressions)
def test_full_order_lists_dependents_first_unless_they_are_in_a_cycle(model: Model, expression: Expression) -> None:
    labels = run_query(unparse(expression), model.graph()).text.splitlines()
    assert sorted(labels) == sorted(naive(model, expression, {}))
    members = set(labels)
    inside = Model(model.rules, model.tags, {(a, b) for a, b in model.edges if a in members and b in members})
    for a, b in inside.edges:
        if a not in below(inside, {b}, None):
            assert labels.index(a) < labels.index(b)


@settings(max_examples=60, deadline=None)
@given(models(), expressions)
def test_ranks_are_shortest_and_longest_distances_from_roots(model: Model, expression: Expression) -> None:
    acyclic = Model(model.rules, model.tags, {(a, b) for a, b in model.edges if a < b})
    members = naive(acyclic, expression, {})
    edges = {(a, b) for a, b in acyclic.edges if a in members and b in members}

    def rank(node: str, choose: type[min] | type[max]) -> int:
        return choose((rank(a, choose) + 1 for a, b in edges if b == node), default=0)

    for output, choose in (("minrank", min), ("maxrank", max)):
        lines = run_query(unparse(expression), acyclic.graph(), output=output).text.splitlines()
        assert {line.split()[1]: int(line.split()[0]) for line in lines} == {x: rank(x, choose) for x in members}


@settings(max_examples=60, deadline=None)
@given(models(), expressions)
def test_the_factored_drawing_has_the_same_edges_as_the_plain_one(model: Model, expression: Expression) -> None:
    def edges(text: str) -> set[tuple[str, str]]:
        pairs = [line.strip().split(" -> ") for line in text.splitlines() if "->" in line]
        ends = [[side.strip('"').split("\\n") for side in pair] for pair in pairs]
        return {(a, b) for left, right in ends for a in left for b in right}

    def draw(factored: bool) -> str:
        return run_query(unparse(expression), model.graph(), output="graph", factored=factored, node_limit=-1).text

    members = naive(model, expression, {})
    expected = {(a, b) for a, b in model.edges if a in members and b in members}
    assert edges(draw(True)) == edges(draw(False)) == expected


@settings(max_examples=60, deadline=None)
@given(models())
def test_a_negative_pattern_takes_away_what_came_before_it(model: Model) -> None:
    found = expand_patterns(model.graph(), ["//...", "-//a/...", "//a:t0"]).targets
    assert found == evaluate_query("//... - //a/... + //a:t0", model.graph()).labels


TAGS = ("slow", "gpu", "small", "medium")


@st.composite
def suites(draw: st.DrawFn) -> tuple[dict[str, set[str]], dict[str, tuple[list[str], list[str]]]]:
    """Tests with their tags, and suites with tag filters over tests and suites, cycles included."""
    tests = {
        f"//a:t{i}": set(draw(st.lists(st.sampled_from(TAGS[:2]), max_size=2))) for i in range(draw(st.integers(1, 4)))
    }
    names = [f"//a:s{i}" for i in range(draw(st.integers(1, 3)))]
    filters = st.lists(st.sampled_from([sign + tag for tag in TAGS for sign in ("", "-", "+")]), max_size=2)
    members = st.lists(st.sampled_from([*tests, *names]), max_size=4)
    return tests, {name: (draw(members), draw(filters)) for name in names}


@settings(max_examples=200, deadline=None)
@given(suites())
def test_a_suite_is_its_own_tests_filtered_by_its_tags_and_the_tests_of_its_suites(
    case: tuple[dict[str, set[str]], dict[str, tuple[list[str], list[str]]]],
) -> None:
    tests, listed = case

    def meant(suite: str, within: frozenset[str]) -> set[str]:
        members, words = listed[suite]
        wanted = {word.lstrip("+") for word in words if word[0] != "-"}
        unwanted = {word[1:] for word in words if word[0] == "-"}
        direct = {x for x in members if x in tests}
        nested = {x for member in members if member not in {*tests, *within} for x in meant(member, within | {member})}
        return {
            x for x in direct if wanted <= tests[x] | {"medium"} and not unwanted & (tests[x] | {"medium"})
        } | nested

    builder = GraphBuilder()
    for label, tags in tests.items():
        builder.add_target(label, "unit_test", tags=sorted(tags), is_test=True)
    for label, (members, words) in listed.items():
        builder.add_target(label, "test_suite", {"tests": members}, tags=words)
    graph = builder.freeze()
    for suite in listed:
        assert set(evaluate_query(f"tests({suite})", graph).labels) == meant(suite, frozenset({suite}))


@settings(max_examples=60, deadline=None)
@given(models(), expressions, st.integers(1, 5))
def test_some_is_that_many_members_or_all(model: Model, expression: Expression, count: int) -> None:
    whole = naive(model, expression, {})
    if whole:
        found = evaluate_query(f"some({unparse(expression)}, {count})", model.graph()).labels
        assert len(found) == min(count, len(whole)) and whole.issuperset(found)


@settings(max_examples=60, deadline=None)
@given(models(), expressions)
def test_a_stored_graph_answers_as_the_one_that_was_stored(model: Model, expression: Expression) -> None:
    graph, text = model.graph(), unparse(expression)
    again = unpack(pack(graph))
    for output in ("label", "xml", "jsonl", "tree"):
        assert run_query(text, again, output=output) == run_query(text, graph, output=output)


def test_an_attribute_called_outs_that_holds_labels_is_a_dependency_and_what_a_target_makes_is_none() -> None:
    builder = GraphBuilder()
    builder.add_target("//:y", "cat")
    row = ("pair rule", "BUILD.toml:1", (), False, {}, {"outs": ["//:y"]}, None)
    builder.add_rows({"//:x": row}, {"//:x": ["//:x.txt"]})
    graph = builder.freeze()

    def answer(expression: str) -> set[str]:
        return {graph.labels[node] for node in evaluate_query(expression, graph).nodes}

    assert answer("deps(//:x)") == {"//:x", "//:y"}
    assert answer("rdeps(//..., //:y)") == {"//:x", "//:y"}
    assert answer("labels(outs, //:x)") == {"//:y", "//:x.txt"}


def test_an_index_of_a_large_graph_answers_as_the_walk_did() -> None:
    choose, size = random.Random(5), MOST_BITS + 100
    builder = GraphBuilder()
    for i in range(size):
        builder.add_target(f"//p{i % 7}:t{i}", "lib", [f"//p{j % 7}:t{j}" for j in choose.sample(range(i), min(i, 2))])
    graph = builder.freeze()
    questions = (
        f"deps(//p{(size - 1) % 7}:t{size - 1})",
        "rdeps(//..., //p3:t10)",
        "rdeps(//p5:all, //p3:t10)",
        "allpaths(//p0/..., //p3:t10)",
        "rdeps(//p6:t13, //p3:t10)",
    )
    walked = [
        evaluate_query(question, QueryGraph(graph.labels, graph.infos, graph.forward, graph.packages)).nodes
        for question in questions
    ]
    assert all(map(len, walked[:4]))
    for _ in range(WALKED_QUERIES + 1):
        assert [evaluate_query(question, graph).nodes for question in questions] == walked
