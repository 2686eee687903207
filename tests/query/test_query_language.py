"""The grammar: round trips, errors that point at their place, and no input that makes a traceback."""

from __future__ import annotations

import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_query import expressions

from zerorepo.query import (
    BUILTINS,
    Arguments,
    Function,
    GraphBuilder,
    Nodes,
    Parameter,
    QueryContext,
    QueryGraph,
    QuerySyntaxError,
    evaluate_query,
    parse,
    run_query,
    unparse,
)
from zerorepo.query.formats import FORMATS
from zerorepo.query.syntax import Binary, Expression, Operator, Target


@pytest.fixture(scope="module")
def graph() -> QueryGraph:
    builder = GraphBuilder()
    builder.add_target("//app:app", "bin", ["//lib:base"], srcs=["//app:main.py"], location="app/BUILD.toml:3")
    builder.add_target("//app:check", "unit_test", ["//app:app"], is_test=True, tags=["slow"], attrs={"size": "small"})
    builder.add_target("//lib:base", "lib", srcs=["//lib:gen.py"])
    builder.add_target("//lib:maker", "genrule", outs=["//lib:gen.py"], tool_deps=["//lib:tool"])
    builder.add_target("//lib:tool", "bin")
    builder.add_package("lib", build_file="//lib:BUILD.toml")
    builder.add_target("//lib/sub:dir/x", "lib", attrs=lambda: {"size": "large", "flaky": True, "env": {"A": "1"}})
    return builder.freeze()


@settings(max_examples=300, deadline=None)
@given(expressions)
def test_unparsed_text_parses_to_the_same_expression(expression: Expression) -> None:
    assert parse(unparse(expression), BUILTINS) == expression


_PIECES = st.one_of(
    st.sampled_from(
        ["deps(", "rdeps(", "kind(", "some(", "(", ")", ",", "+", "-", "^", "=", "union", "except", "in", "let"]
    ),
    st.sampled_from(["set(", "set", "$x", "//...", "//a:b", "1", "99999999999", "''"]),
    st.sampled_from([" ", "'", '"', "\n", "\t", "*", "'[['", "'('", "//", "@x//y", "..", "\0", "é", "#"]),
    st.text(max_size=3),
)


@settings(max_examples=600, deadline=None)
@given(st.lists(_PIECES, max_size=12).map(" ".join) | st.lists(_PIECES, max_size=12).map("".join))
def test_no_text_makes_a_traceback(graph: QueryGraph, text: str) -> None:
    for keep_going in (False, True):
        result = run_query(text, graph, keep_going=keep_going)
        assert result.exit_code in (0, 2, 3, 7)
        assert bool(result.messages) == (result.exit_code != 0)


@pytest.mark.parametrize("text", ["(" * 5000, "deps(" * 5000, "let x = " * 5000, "(" * 1001 + "//..." + ")" * 1001])
def test_deeper_nesting_than_anybody_writes_is_an_error_and_no_overflow(graph: QueryGraph, text: str) -> None:
    before = sys.getrecursionlimit()
    result = run_query(text, graph)
    assert result.exit_code == 2
    assert len(max(result.messages[0].splitlines(), key=len)) < 120
    assert sys.getrecursionlimit() == before


@pytest.mark.parametrize("start", ["(", "deps(", "let x = //... in (", "some(siblings("])
def test_nesting_as_a_program_may_write_it_is_answered(graph: QueryGraph, start: str) -> None:
    levels = 990 // start.count("(") // (1 + start.count("let"))
    text = start * levels + "//app:app" + ")" * start.count("(") * levels
    assert run_query(text, graph).exit_code == 0


def test_the_place_in_a_long_expression_is_shown_without_the_rest(graph: QueryGraph) -> None:
    text = " + ".join(["//app:app"] * 3000 + ["//app:ap"] + ["//app:app"] * 3000)
    _message, line, caret, *_ = run_query(text, graph).messages[0].splitlines()
    assert len(line) < 110
    assert line[caret.index("^") :].startswith("//app:ap +")


def test_a_sum_of_ten_thousand_terms_is_answered(graph: QueryGraph) -> None:
    assert len(evaluate_query(" + ".join(["//app:app"] * 10_000), graph).nodes) == 1


def test_operators_have_one_precedence_and_associate_to_the_left() -> None:
    expected = Binary(Target("a"), ((Operator.UNION, Target("b")), (Operator.INTERSECT, Target("c"))))
    assert parse("a + b ^ c", BUILTINS) == parse("a union b intersect c", BUILTINS) == expected


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("dep(//...)", 0, "`deps`"),
        ("//... + knd(lib, //...)", 8, "`kind`"),
        ("kind(//...)", 10, "kind(word, expression)"),
        ("deps(//..., x)", 12, "expected an integer"),
        ("some(//..., 0)", 12, "1 or more"),
        ("//a 'b", 4, "never closed"),
        ("//... - -//a/...", 8, "not `-//a/...`"),
        ("//a:b=c", 5, "quotes"),
        ("//a:b%c", 5, 'as in "//a:b%c"'),
        ("'-//app:app'", 0, "may not begin with `-`"),
        ("//app:app + *x", 12, "may not begin with `*`"),
        ("set(//a '-b')", 8, "may not begin"),
        ("//app:app\x1b[31m", 9, "unexpected `\\x1b[31m`"),
        ("let x //a in $x", 6, "`=`"),
        ("deps(union)", 5, "keyword"),
        ("", 0, "empty"),
    ],
)
def test_a_syntax_error_says_where_and_what_to_do(graph: QueryGraph, text: str, column: int, words: str) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        evaluate_query(text, graph)
    assert caught.value.column == column
    assert words in caught.value.render()
    assert caught.value.render().splitlines()[2] == "  " + " " * column + "^"
    assert run_query(text, graph).exit_code == 2


@pytest.mark.parametrize(
    ("text", "caret", "words"),
    [
        ("deps(//lib:bas)", 5, "`//lib:base`"),
        ("//... +\n //ap:x", 1, "`//app`"),
        ("//other:base", 0, "no package `//other`"),
        ("//app:tool", 0, "`//lib:tool`"),
        ("//nowhere/...", 0, "beneath"),
        ("kind('(', //...)", 0, "regular expression"),
        ("let abc = //... in $abd", 19, "`abc`"),
        ("some(set())", 0, "empty set"),
        ("let 1x = //... in //app:app", 0, "no name"),
        ("%", 0, "no package"),
        ("@repo//app:app", 0, "external"),
        ("tests(///app)", 6, "Bad label"),
    ],
)
def test_an_evaluation_error_says_where_and_what_is_near(graph: QueryGraph, text: str, caret: int, words: str) -> None:
    result = run_query(text, graph)
    assert (result.exit_code, result.text) == (7, "")
    assert words in result.messages[0]
    assert result.messages[0].splitlines()[2].index("^") == caret + 2


def test_keep_going_answers_the_rest_and_says_what_it_left_out(graph: QueryGraph) -> None:
    result = run_query("//lib:base + //lib:nosuch + //no/...", graph, keep_going=True)
    assert (result.exit_code, result.text) == (3, "//lib:base\n")
    assert len(result.messages) == 2


@pytest.mark.parametrize(
    ("text", "cwd", "labels"),
    [
        ("app", "", ["//app:app"]),
        (":tool", "lib", ["//lib:tool"]),
        ("tool", "lib", ["//lib:tool"]),
        ("sub/dir/x", "lib", ["//lib/sub:dir/x"]),
        ("lib/sub/dir/x", "", ["//lib/sub:dir/x"]),
        ("sub:all", "lib", ["//lib/sub:dir/x"]),
        ("...", "lib/sub", ["//lib/sub:dir/x"]),
        ("sub/...:*", "lib", ["//lib/sub:dir/x"]),
        ("app/main.py", "", ["//app:main.py"]),
        ("@//lib:tool", "app", ["//lib:tool"]),
        ("@@//lib:tool", "app", ["//lib:tool"]),
        ("./tool", "lib", ["//lib:tool"]),
        ("sub//../tool", "lib", ["//lib:tool"]),
        ("../app", "lib", ["//app:app"]),
        ("//lib/BUILD.toml", "", ["//lib:BUILD.toml"]),
        ("lib/BUILD.toml", "", ["//lib:BUILD.toml"]),
        ("let x = tool in set($x //app)", "lib", ["//app:app", "//lib:tool"]),
        ("let x = //app in let x = $x + :tool in $x", "lib", ["//app:app", "//lib:tool"]),
    ],
)
def test_a_pattern_is_read_relative_to_the_package_it_is_typed_in(
    graph: QueryGraph, text: str, cwd: str, labels: list[str]
) -> None:
    assert evaluate_query(text, graph, cwd_package=cwd).labels == labels


def test_a_generated_file_depends_on_its_maker_and_tools_can_be_left_out(graph: QueryGraph) -> None:
    assert evaluate_query("deps(//lib:gen.py, 1)", graph).labels == ["//lib:gen.py", "//lib:maker"]
    assert "//lib:tool" in evaluate_query("deps(//lib:gen.py)", graph).labels
    assert "//lib:tool" not in evaluate_query("deps(//lib:gen.py)", graph, tool_deps=False).labels


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("attr(size, large, //...)", ["//lib/sub:dir/x"]),
        ("attr(flaky, '^1$', //...)", ["//lib/sub:dir/x"]),
        ("attr(env, 'A=1', //...)", ["//lib/sub:dir/x"]),
        ("attr(name, '^t', //...)", ["//lib:tool"]),
        ("attr(nosuch, '', //...)", []),
        ("labels(outs, //...)", ["//lib:gen.py"]),
        ("some(//lib:all, 99)", ["//lib:base", "//lib:maker", "//lib:tool"]),
    ],
)
def test_attributes_match_as_text(graph: QueryGraph, text: str, labels: list[str]) -> None:
    assert evaluate_query(text, graph).labels == labels


def test_a_missing_dependency_or_broken_package_is_seen_by_deps() -> None:
    builder = GraphBuilder()
    builder.add_target("//a:x", "lib", ["//b:gone"], location="a/BUILD.toml:7")
    builder.add_package("bad", error="bad/BUILD.toml:1: not TOML")
    graph = builder.freeze()
    assert run_query("//a:x", graph).exit_code == 0
    assert run_query("deps(//a:x)", graph).exit_code == 7
    assert "a/BUILD.toml:7" in run_query("deps(//a:x)", graph).messages[0]
    partial = run_query("deps(//...)", graph, keep_going=True)
    assert (partial.exit_code, partial.text, len(partial.messages)) == (3, "//a:x\n", 2)
    assert "not TOML" in run_query("//bad:all", graph).messages[0]


def test_a_registered_function_is_parsed_called_and_ordered_by(graph: QueryGraph) -> None:
    def cost(context: QueryContext, arguments: Arguments) -> Nodes:
        nodes = arguments.nodes(1)
        context.ranking.update({node: float(len(context.graph.labels[node])) for node in nodes})
        return nodes if arguments.word(0) == "all" else set()

    table = BUILTINS.extended([Function("cost", (Parameter.WORD, Parameter.EXPRESSION), cost, summary="dear first")])
    result = run_query("cost(all, //app:all)", graph, functions=table)
    assert result.text == "//app:check\n//app:app\n"
    assert run_query("cost(all, //app:all)", graph).exit_code == 2
    assert run_query("cost(all, //app:all)", graph, functions=table, order="no").text == "//app:app\n//app:check\n"
    assert run_query("some(cost(all, //app:all))", graph, functions=table).text == "//app:check\n"


@pytest.mark.parametrize(("option", "word"), [("output", "lable"), ("order", "fulll")])
def test_an_unknown_output_or_order_is_a_usage_error(graph: QueryGraph, option: str, word: str) -> None:
    result = run_query("//...", graph, **{option: word})
    assert result.exit_code == 2
    assert "did you mean" in result.messages[0]


def test_the_tree_is_drawn_from_its_roots_and_repeats_nothing(graph: QueryGraph) -> None:
    text = run_query("deps(//app:all) - //lib:tool", graph, output="tree").text
    assert text == (
        "//app:check\n"
        "└── //app:app\n"
        "    ├── //app:main.py\n"
        "    └── //lib:base\n"
        "        └── //lib:gen.py\n"
        "            └── //lib:maker\n"
    )


@pytest.mark.parametrize("output", sorted(FORMATS))
def test_a_chain_of_five_thousand_targets_is_written_in_every_format(output: str) -> None:
    builder = GraphBuilder()
    for i in range(5000):
        builder.add_target(f"//p:t{i}", "lib", [f"//p:t{i + 1}"] if i < 4999 else [])
    result = run_query("deps(//p:t0)", builder.freeze(), output=output)
    assert result.exit_code == 0
    assert len(result.text) < 3_000_000
    if output == "tree":
        names = [line.split("//p:")[1] for line in result.text.splitlines()]
        assert {name for name in names if " " not in name} == {f"t{i}" for i in range(5000)}


def test_marked_up_text_has_no_bare_control_character() -> None:
    builder = GraphBuilder()
    builder.add_target("//a:x", "lib", attrs={"text": 'a\x1b[31m\0\x7f\r\n\t<"\\', "words": ["\x01"]})
    graph = builder.freeze()
    xml, build = (run_query("//a:x", graph, output=output).text for output in ("xml", "build"))
    assert 'value="a&#27;[31m\ufffd&#127;&#13;&#10;&#9;&lt;&quot;\\"' in xml
    assert 'text = "a\\x1b[31m\\x00\\x7f\\r\\n\\t<\\"\\\\"' in build
    assert all(char.isprintable() or char in "\n\ufffd" for char in xml + build)


def test_an_open_call_says_what_may_follow() -> None:
    for text, wanted in (
        ("deps(//...", "`)`, or `,` and another argument"),
        ("rdeps(//...", "`,` and another argument"),
    ):
        with pytest.raises(QuerySyntaxError, match=re.escape(f"expected {wanted}, but the expression ends")):
            parse(text, BUILTINS)
