"""Checks the query language against answers of real Bazel: ``python tests/query_oracle.py FOLDER``.

Loads ``FOLDER/graph.json`` into a QueryGraph, runs ``queries.json`` and ``patterns.json`` through the code of the command
line, prints each mismatch, and as its last line ``N passed, N failed``. Knows the rule kinds that those files name.

Where the language goes beyond the recorded Bazel (4.2.3): ``some(x, n)`` exists, as in later Bazel versions, so that a
case of mode ``some`` may also give n members.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zerorepo.errors import QueryError
from zerorepo.query import (
    GraphBuilder,
    QueryGraph,
    QueryResult,
    TargetFilters,
    expand_patterns,
    run_query,
)

_LABEL_LISTS: Mapping[str, tuple[str, ...]] = {
    "lib": ("srcs", "deps", "data"),
    "bin": ("srcs", "deps", "data"),
    "unit_test": ("srcs", "deps", "data"),
    "filegroup": ("srcs", "data"),
    "genrule": ("srcs", "tools", "exec_tools"),
    "test_suite": ("tests",),
    "alias": ("actual",),
}
_TIMEOUTS = {"small": "short", "medium": "moderate", "large": "long", "enormous": "eternal"}
_TEST_RULES = ("unit_test", "test_suite")
# The macro that the recorded workspaces call: its expansions know its name.
_MACRO_TARGETS = ("//quirks:mac", "//quirks:mac_base")
# What Bazel 4.2.3 gives every target, and targets of one rule, that say nothing else.
_EVERY_RULE: Mapping[str, object] = {
    **dict.fromkeys(("generator_name", "generator_function", "generator_location"), ""),
    **dict.fromkeys(("features", "compatible_with", "restricted_to", "applicable_licenses"), ()),
    **dict.fromkeys(("transitive_configs", "$config_dependencies"), ()),
}
_EXECUTED: Mapping[str, object] = {
    **dict.fromkeys(("toolchains", "exec_compatible_with", "target_compatible_with"), ()),
    "exec_properties": {},
}
_RUN: Mapping[str, object] = {**_EXECUTED, "expect_failure": "", "args": (), "exit_code": 0, "$is_executable": True}
_TESTED: Mapping[str, object] = {
    "size": "medium",
    "timeout": "moderate",
    "flaky": False,
    "shard_count": -1,
    "local": False,
}
_COMMANDS: Mapping[str, object] = {
    **dict.fromkeys(("cmd", "cmd_bash", "cmd_bat", "cmd_ps", "message"), ""),
    **dict.fromkeys(
        ("output_to_bindir", "local", "executable", "$is_executable", "heuristic_label_expansion", "stamp"), False
    ),
}
_OF_RULE: Mapping[str, Mapping[str, object]] = {
    "lib": {"expect_failure": "", **_EXECUTED},
    "bin": _RUN,
    "unit_test": {**_RUN, **_TESTED},
    "filegroup": {"output_group": "", "path": "", "distribs": ("INTERNAL",)},
    "genrule": {**_EXECUTED, **_COMMANDS, "outs": (), "distribs": ("INTERNAL",)},
    "test_suite": {"$implicit_tests": (), "distribs": ("INTERNAL",)},
}


def load_graph(data: Mapping[str, Any]) -> QueryGraph:
    """The QueryGraph of a graph.json. Of rules that this file does not know, what the edges say are labels."""
    builder = GraphBuilder()
    for package in data["packages"]:
        builder.add_package(
            package["name"],
            build_file=package["build_file"],
            loads=package["loads"],
            default_visibility=package["default_visibility"],
        )
    build_files = {package["build_file"] for package in data["packages"]}
    tools: dict[str, list[str]] = {}
    references: dict[str, dict[str, list[str]]] = {}
    for source, target, attribute, is_tool in data["edges"]:
        references.setdefault(source, {}).setdefault(attribute, []).append(target)
        if is_tool:
            tools.setdefault(source, []).append(target)
    for target in data["targets"]:
        label = target["label"]
        _add_target(builder, target, references.get(label, {}), tools.get(label, ()))
    for file in data["files"]:
        if file["kind"] == "source file" and file["label"] not in build_files:
            package = file["label"][2:].partition(":")[0]
            builder.add_source_file(file["label"], location=f"{package}/BUILD".lstrip("/"))
    for rule in {target["rule"] for target in data["targets"]}:
        builder.set_defaults(rule, _defaults(rule))
    return builder.freeze()


def _defaults(rule: str) -> dict[str, object]:
    lists = dict.fromkeys((name for name in _LABEL_LISTS.get(rule, ()) if name != "actual"), ())
    return {"testonly": rule in _TEST_RULES, "visibility": None, **_EVERY_RULE, **lists, **_OF_RULE.get(rule, {})}


def _add_target(
    builder: GraphBuilder, target: Mapping[str, Any], references: Mapping[str, Sequence[str]], tools: Sequence[str]
) -> None:
    rule = target["rule"]
    deps: dict[str, Sequence[str]] = {}
    for name in dict.fromkeys((*_LABEL_LISTS.get(rule, ()), *references)):
        value = target.get(name) or references.get(name)
        if value and not (name == "$implicit_tests" and target.get("tests")):
            deps[name] = [value] if isinstance(value, str) else value
    told = ("label", "package", "name", "rule", "tags", "outs", "implicit_tests")
    # `actual` is one label, not a list of them.
    attrs: dict[str, object] = {
        name: value for name, value in target.items() if name not in told and (name == "actual" or name not in deps)
    }
    if attrs.get("visibility"):
        attrs["visibility"] = sorted(target["visibility"])  # as the tags: Bazel does not keep the order
    if rule == "unit_test" and "timeout" not in attrs:
        attrs["timeout"] = _TIMEOUTS[target.get("size", "medium")]
    if target["label"] in _MACRO_TARGETS:
        attrs["generator_function"] = "lib_pair"
    builder.add_target(
        target["label"],
        rule,
        deps,
        outs=[f"//{target['package']}:{out}" for out in target.get("outs", [])],
        tool_deps=tools,
        attrs=attrs,
        location=f"{target['package']}/BUILD".lstrip("/"),
        tags=sorted(target.get("tags", [])),
        is_test=rule.endswith("_test"),
    )


# Flags that ask for what is so here anyway.
_NO_DIFFERENCE = (
    "--noimplicit_deps",
    "--tool_deps",
    "--host_deps",
    "--graph:factored",
    "--nokeep_going",
    "--relative_locations",
)


def run_case(graph: QueryGraph, query: Mapping[str, Any], expression: str | None = None) -> QueryResult:
    """One case of queries.json (or another expression under its flags) through the command line's entry point."""
    options: dict[str, Any] = {}
    for flag in query["flags"]:
        name, _, value = flag.partition("=")
        match name:
            case "--output":
                options["output"] = value
            case "--order_output":
                options["order"] = value
            case "--universe_scope":
                options["universe_scope"] = value.split(",")
            case "--keep_going" | "-k":
                options["keep_going"] = True
            case "--notool_deps" | "--nohost_deps":
                options["tool_deps"] = False
            case "--nograph:factored":
                options["factored"] = False
            case "--graph:node_limit":
                options["node_limit"] = int(value)
            case name if name in _NO_DIFFERENCE:
                pass
            case _:
                return QueryResult("", 2, [f"unknown flag {flag}"])
    return run_query(query["expr"] if expression is None else expression, graph, cwd_package=query["cwd"], **options)


def query_problem(graph: QueryGraph, edges: set[tuple[str, str]], query: Mapping[str, Any]) -> str | None:
    """What is wrong with our answer to a case, None when nothing is."""
    if query["mode"] == "somepath":
        # The order of a path is that of its edges.
        query = {**query, "flags": [flag for flag in query["flags"] if not flag.startswith("--order_output")]}
    result = run_case(graph, query)
    if query["mode"] == "some":
        return _some_problem(graph, query, result)
    if result.exit_code != query["exit_code"]:
        return f"exit code {result.exit_code}, Bazel's is {query['exit_code']}: {result.messages}"
    if result.exit_code:
        return None if result.messages else "an error without a message"
    labels = result.text.splitlines()
    if query["mode"] == "somepath":
        return _path_problem(
            edges, query, labels, *(_members(graph, query, query[end]) for end in ("from_set", "to_set"))
        )
    if query["mode"] != "set":
        return None
    expected = query["labels"]
    if expected is None:
        return None if len(labels) == query["count"] else f"{len(labels)} labels, Bazel's are {query['count']}"
    if sorted(labels) == sorted(expected):
        return None
    return f"extra {sorted(set(labels) - set(expected))[:6]}, missing {sorted(set(expected) - set(labels))[:6]}"


def _some_problem(graph: QueryGraph, query: Mapping[str, Any], result: QueryResult) -> str | None:
    if result.exit_code:
        return None if result.exit_code == query["exit_code"] else f"exit code {result.exit_code}"
    labels = result.text.splitlines()
    whole = set(run_case(graph, query, query["of"]).text.splitlines())
    if len(labels) == min(query["count"], len(whole)) and whole.issuperset(labels):
        return None
    return f"{labels} are not {query['count']} members of {query['of']}"


def _members(graph: QueryGraph, query: Mapping[str, Any], recorded: str | list[str]) -> set[str]:
    """Large sets are recorded as the expression that gives them."""
    return set(run_case(graph, query, recorded).text.splitlines() if isinstance(recorded, str) else recorded)


def _path_problem(
    edges: set[tuple[str, str]], query: Mapping[str, Any], labels: list[str], sources: set[str], targets: set[str]
) -> str | None:
    if bool(labels) != query["path_exists"]:
        return f"a path {'exists' if query['path_exists'] else 'does not exist'}, ours is {labels}"
    if not labels:
        return None
    if labels[0] not in sources or labels[-1] not in targets:
        return f"the path {labels} does not lead from and to the arguments"
    wrong = [pair for pair in itertools.pairwise(labels) if pair not in edges]
    return f"no such edges: {wrong}" if wrong else None


def pattern_problem(graph: QueryGraph, case: Mapping[str, Any]) -> str | None:
    """What is wrong with our expansion of a build or test command's patterns, None when nothing is."""
    words = [word for word in case["args"] if word != "--"]
    flags = [word for word in words if word.startswith("--")]
    patterns = [word for word in words if not word.startswith("--")]
    values = {name: value.split(",") for name, _, value in (flag.partition("=") for flag in flags)}
    filters = TargetFilters(
        build_tags=values.get("--build_tag_filters", ()),
        test_tags=values.get("--test_tag_filters", ()),
        test_sizes=values.get("--test_size_filters", ()),
        test_timeouts=values.get("--test_timeout_filters", ()),
        test_rules=values.get("--test_lang_filters", ()),
    )
    try:
        found = expand_patterns(
            graph,
            patterns,
            keep_going="--keep_going" in flags,
            tests_only="--build_tests_only" in flags,
            filters=filters,
        )
    except QueryError as error:
        return None if case["exit_code"] == 1 and not case["expanded"] else error.render()
    if found.targets != sorted(case["expanded"], key=graph.find_file) and sorted(found.targets) != case["expanded"]:
        extra, missing = set(found.targets) - set(case["expanded"]), set(case["expanded"]) - set(found.targets)
        return f"to build: extra {sorted(extra)[:6]}, missing {sorted(missing)[:6]}"
    if case["tests_run"] is not None and set(found.tests) != set(case["tests_run"]):
        return f"to test: {sorted(set(found.tests) ^ set(case['tests_run']))[:6]} differ"
    return None


def problems(folder: Path) -> Iterator[tuple[str, str | None]]:
    """Every case of a folder: its name, and what is wrong or None."""
    data = json.loads((folder / "graph.json").read_text(encoding="utf-8"))
    graph = load_graph(data)
    edges = {(source, target) for source, target, *_ in data["edges"]}
    ours = {(graph.labels[a], graph.labels[b]) for a, targets in enumerate(graph.forward) for b in targets}
    yield "edges", None if ours == edges else f"the graph's edges differ: {sorted(ours ^ edges)[:6]}"
    queries = folder / "queries.json"
    if queries.exists():
        for query in json.loads(queries.read_text(encoding="utf-8"))["queries"]:
            yield f"{query['id']} {query['expr']!r} {query['flags']}", query_problem(graph, edges, query)
    patterns = folder / "patterns.json"
    if patterns.exists():
        for case in json.loads(patterns.read_text(encoding="utf-8")):
            # Reading patterns from a file belongs to the command line, and the recording does not say what the file holds.
            if not any(word.startswith("--target_pattern_file") for word in case["args"]):
                yield f"{case['cmd']} {' '.join(case['args'])}", pattern_problem(graph, case)


def main(arguments: Sequence[str]) -> int:
    """Check the folders given; the exit code is 1 when anything differs."""
    passed = failed = 0
    for folder in arguments:
        for name, problem in problems(Path(folder)):
            if problem is None:
                passed += 1
            else:
                failed += 1
                print(f"MISMATCH {name}: {problem}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
