"""The query language written from its definitions, slowly, and random graphs and expressions to compare with.

Works on labels and plain sets of edges; shares nothing with the evaluator but the syntax tree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hypothesis import strategies as st

from zerorepo.query import GraphBuilder, QueryGraph
from zerorepo.query.syntax import Binary, Call, Expression, Integer, Let, Operator, SetOf, Target, Variable, Word

RULES = ("lib", "bin", "unit_test")
PACKAGES = ("", "a", "a/b", "c")


@dataclass
class Model:
    """A workspace as sets: ``rules`` and ``tags`` by label, and edges."""

    rules: dict[str, str] = field(default_factory=dict)
    tags: dict[str, list[str]] = field(default_factory=dict)
    edges: set[tuple[str, str]] = field(default_factory=set)

    def graph(self) -> QueryGraph:
        builder = GraphBuilder()
        for label, rule in self.rules.items():
            deps = [b for a, b in sorted(self.edges) if a == label]
            builder.add_target(label, rule, deps, tags=self.tags[label], is_test=rule == "unit_test")
        return builder.freeze()


def package(label: str) -> str:
    return label[2:].split(":")[0]


def below(model: Model, start: set[str], depth: int | None) -> set[str]:
    found = set(start)
    for _ in range(len(model.rules) if depth is None else depth):
        found = found | {b for a, b in model.edges if a in found}
    return found


def above(model: Model, start: set[str], depth: int | None, within: set[str]) -> set[str]:
    found = start & within
    for _ in range(len(model.rules) if depth is None else depth):
        found = found | {a for a, b in model.edges if b in found and a in within}
    return found


def pattern(model: Model, text: str) -> set[str]:
    if text == "//...":
        return set(model.rules)
    if text.endswith("/..."):
        base = text[2:-4]
        return {x for x in model.rules if package(x) == base or package(x).startswith(base + "/")}
    if text.endswith((":all", ":*")):
        return {x for x in model.rules if package(x) == text[2:].split(":")[0]}
    return {text}


def naive(model: Model, expression: Expression, variables: dict[str, set[str]]) -> set[str]:
    match expression:
        case Target(text):
            return pattern(model, text)
        case Variable(name):
            return variables[name]
        case SetOf(targets):
            return {x for target in targets for x in pattern(model, target.text)}
        case Let(name, value, body):
            return naive(model, body, {**variables, name: naive(model, value, variables)})
        case Binary(first, rest):
            result = naive(model, first, variables)
            for operator, other in rest:
                right = naive(model, other, variables)
                if operator is Operator.UNION:
                    result = {x for x in model.rules if x in result or x in right}
                elif operator is Operator.EXCEPT:
                    result = {x for x in result if x not in right}
                else:
                    result = {x for x in result if x in right}
            return result
        case Call(function, arguments):
            values = [
                a.text if isinstance(a, Word) else a.value if isinstance(a, Integer) else naive(model, a, variables)
                for a in arguments
            ]
            return call(model, function, values)
    raise AssertionError(expression)


def call(model: Model, function: str, values: list) -> set[str]:
    match function, values:
        case "deps", [x, *depth]:
            return below(model, x, *depth or [None])
        case "rdeps", [universe, x, *depth]:
            return above(model, x, *depth or [None], below(model, universe, None))
        case "allpaths", [a, b]:
            return {x for x in below(model, a, None) if below(model, {x}, None) & b}
        case "same_pkg_direct_rdeps", [x]:
            return {a for a, b in model.edges if b in x and package(a) == package(b)}
        case "siblings", [x]:
            return {y for y in model.rules if package(y) in {package(z) for z in x}}
        case "kind", [regex, x]:
            return {y for y in x if re.search(regex, model.rules[y] + " rule")}
        case "filter", [regex, x]:
            return {y for y in x if re.search(regex, y)}
        case "attr", ["tags", regex, x]:
            return {y for y in x if re.search(regex, "[" + ", ".join(model.tags[y]) + "]")}
        case "labels", ["deps", x]:
            return {b for a, b in model.edges if a in x}
        case "tests", [x]:
            return {y for y in x if model.rules[y] == "unit_test"}
    raise AssertionError(function)


@st.composite
def models(draw: st.DrawFn) -> Model:
    """Small workspaces in every package, cycles and self-edges included."""
    model = Model()
    for name in PACKAGES:
        for number in range(draw(st.integers(1, 4))):
            label = f"//{name}:t{number}"
            model.rules[label] = draw(st.sampled_from(RULES))
            model.tags[label] = draw(st.lists(st.sampled_from(["slow", "gpu", "net"]), unique=True, max_size=2))
    labels = st.sampled_from(sorted(model.rules))
    model.edges = draw(st.sets(st.tuples(labels, labels), max_size=24))
    return model


_TARGETS = [f"//{name}:t0" for name in PACKAGES] + ["//...", "//a/...", "//a/b/...", "//a:all", "//:all", "//c:*"]
_DEPTHS = st.integers(0, 4).map(Integer)


def _calls(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    def one(function: str, *arguments: st.SearchStrategy) -> st.SearchStrategy[Call]:
        return st.tuples(*arguments).map(lambda values: Call(function, values))

    kinds = st.sampled_from(["lib", "^bin", "rule", "test rule$", "(?i)LIB"]).map(Word)
    filters = st.sampled_from(["a", ":t1$", "^//a[:/]", "t[12]"]).map(Word)
    tags = st.sampled_from(["slow", r"^\[\]$", r"[\[ ]gpu[,\]]"]).map(Word)
    return st.one_of(
        one("deps", inner),
        one("deps", inner, _DEPTHS),
        one("rdeps", inner, inner),
        one("rdeps", inner, inner, _DEPTHS),
        one("allpaths", inner, inner),
        one("same_pkg_direct_rdeps", inner),
        one("siblings", inner),
        one("kind", kinds, inner),
        one("filter", filters, inner),
        one("attr", st.just(Word("tags")), tags, inner),
        one("labels", st.just(Word("deps")), inner),
        one("tests", inner),
    )


def _extend(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    operands = st.tuples(st.sampled_from(list(Operator)), inner)
    sums = st.builds(Binary, inner, st.lists(operands, min_size=1, max_size=3).map(tuple))
    lets = st.builds(
        lambda value, other: Let("x", value, Binary(Variable("x"), ((Operator.UNION, other),))), inner, inner
    )
    return st.one_of(_calls(inner), sums, lets, _calls(st.one_of(inner, sums)))


_LEAVES: st.SearchStrategy[Expression] = st.one_of(
    st.sampled_from(_TARGETS).map(Target),
    st.lists(st.sampled_from(_TARGETS).map(Target), max_size=3).map(lambda targets: SetOf(tuple(targets))),
)

expressions = st.recursive(_LEAVES, _extend, max_leaves=8)
