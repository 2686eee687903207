"""Makes workspaces of odd shapes and names, in the neutral JSON of the query oracle, and questions with naive answers.

    python tests/query/odd_workspaces.py FOLDER [--targets 10000] [--queries 500] [--seed 1]

writes ``graph.json``, ``queries.json`` and ``patterns.json``, which ``python tests/query_oracle.py FOLDER`` then asks. Names are
all that Bazel allows, graphs have long chains, wide fans, tools, suites and attributes of every kind. Knows nothing of our
evaluator.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from naive_oracle import NaiveOracle
from odd_questions import Questions

PACKAGES = (
    "", "a", "a/b", "a/b/c", "a-b", "a.b", "a+b", "a=b", "a,b", "a~b", "p@1", "a b", "B(x)", "x/y/z", "x/y0", "x-y",
    "empty", "empty/too", "tools",
)  # fmt: skip
NAMES = (
    "a.b", "a-b", "a+b", "a=b", "a,b", "a@b", "a~b", "a b", "a'b", 'a"b', "a#b", "a$b", "a&b", "a(b)", "a[b]", "a{b}", "a|b",
    "a%b", "a!b", "a;b", "a<b>", "a?b", "a^b", "a*b", "sub/dir/name", "sub/dir", "all", "all-targets", "union", "in", "let",
    "set", "deps", "intersect", "$x", "-dash", "..dots", ".hidden", "1", "_", "BUILD.x", "UPPER.TXT", "a", "b", "c", "x", "été",
    "z" * 180,
)  # fmt: skip
TAGS = ("slow", "gpu", "net", "manual", "smoke", "a b", "no-cache", "[x]", "it's")
SPECS = (
    "//visibility:public",
    "//visibility:private",
    "//a:__pkg__",
    "//a:__subpackages__",
    "//:__subpackages__",
    "//x/y/z:__pkg__",
)
LABEL_LISTS: Mapping[str, tuple[str, ...]] = {
    "lib": ("srcs", "deps", "data"),
    "bin": ("srcs", "deps", "data"),
    "unit_test": ("srcs", "deps", "data"),
    "filegroup": ("srcs", "data"),
    "genrule": ("srcs", "tools"),
    "test_suite": ("tests",),
    "alias": ("actual",),
    # Kinds that the recorded workspaces do not have: all that is known of them is what the JSON says.
    "py_odd_library": ("srcs", "deps", "runtime_deps"),
    "odd_test": ("srcs", "deps"),
    "proto.thing": ("exports",),
}
CHAIN, FAN = 0.3, 0.15  # shares of all targets


class Workspace:
    """One workspace being made. Targets depend on earlier ones only."""

    def __init__(self, size: int, seed: int) -> None:
        self.choose = random.Random(seed)
        self.targets: dict[str, dict[str, Any]] = {}
        self.edges: dict[tuple[str, str, str, bool], None] = {}
        self.sources: dict[str, None] = {}
        self.generated: dict[str, str] = {}
        chain, fan = int(size * CHAIN), int(size * FAN)
        for i in range(chain):
            self.add("chain", f"c{i}", "lib", deps=[f"//chain:c{i - 1}"] if i else [])
        for i in range(fan):
            self.add(f"fan/p{i % 40}", f"f{i}", "filegroup", deps=[])
        if fan:
            self.add("fan", "all_of_it", "lib", deps=[f"//fan/p{i % 40}:f{i}" for i in range(fan)])
        while len(self.targets) < size:
            self.odd()
        self._suites()

    def add(
        self, package: str, name: str, rule: str, *, deps: Sequence[str], attribute: str = "deps"
    ) -> dict[str, Any]:
        label = f"//{package}:{name}"
        target = {"label": label, "package": package, "name": name, "rule": rule}
        self.targets[label] = target
        if deps:
            target[attribute] = list(deps)
            self.edges |= {(label, each, attribute, False): None for each in deps}
        return target

    def odd(self) -> None:
        """One target of any name and any attributes."""
        choose = self.choose
        package = choose.choice([name for name in PACKAGES if not name.startswith("empty")])
        name = choose.choice(NAMES) if choose.random() < 0.4 else f"t{len(self.targets)}"
        rule = choose.choice([rule for rule in LABEL_LISTS if rule != "test_suite"])
        label = f"//{package}:{name}"
        if label in self.targets or label in self.sources or label in self.generated:
            return
        earlier = list(self.targets)
        target = self.add(package, name, rule, deps=[])
        for attribute in LABEL_LISTS[rule]:
            self._references(target, attribute, earlier)
        if rule == "genrule":
            self._outputs(target)
        self._attributes(target)

    def _references(self, target: dict[str, Any], attribute: str, earlier: list[str]) -> None:
        choose, label, package = self.choose, target["label"], target["package"]
        if attribute == "actual":
            target["actual"] = choose.choice(earlier) if earlier else label
            self.edges[(label, target["actual"], "actual", False)] = None
            return
        found = [choose.choice(earlier) for _ in range(choose.choice((0, 0, 1, 2, 3))) if earlier]
        if attribute == "srcs":
            for _ in range(choose.choice((0, 1, 2))):
                source = f"//{package}:{choose.choice(('s', 'dir/s', 'odd s', 's+'))}{choose.randrange(30)}.txt"
                if source not in self.targets and source not in self.generated:
                    self.sources[source] = None
                    found.append(source)
            found += [choose.choice(list(self.generated))] if self.generated and choose.random() < 0.2 else []
        if found := [each for each in dict.fromkeys(found) if each != label]:
            target[attribute] = found
            self.edges |= {(label, each, attribute, attribute == "tools"): None for each in found}

    def _outputs(self, target: dict[str, Any]) -> None:
        outs = [f"{target['name']}_{i}.out" for i in range(self.choose.choice((1, 2)))]
        target["outs"] = outs
        for out in outs:
            label = f"//{target['package']}:{out}"
            self.generated[label] = target["label"]
            self.edges[(label, target["label"], "", False)] = None

    def _attributes(self, target: dict[str, Any]) -> None:
        choose, rule = self.choose, target["rule"]
        if choose.random() < 0.5:
            target["tags"] = sorted(choose.sample(TAGS, choose.choice((1, 2, 3))))
        if choose.random() < 0.3:
            target["visibility"] = (
                sorted(choose.sample(SPECS[2:], choose.choice((1, 2))))
                if choose.random() < 0.6
                else [choose.choice(SPECS)]
            )
        if rule == "unit_test":
            target["size"] = choose.choice(("small", "medium", "large", "enormous"))
            target |= {"flaky": True} if choose.random() < 0.3 else {}
            target |= {"shard_count": choose.randrange(1, 9)} if choose.random() < 0.3 else {}
        if rule == "genrule":
            target["cmd"] = choose.choice(("cat $(SRCS) > $@", "echo 'a b' \"c\"", ""))
        if rule in ("py_odd_library", "odd_test", "proto.thing"):
            target |= {
                "text": choose.choice(("", "plain", "two words", "{}", "été")),
                "count": choose.choice((0, 1, -1, 2**40)),
                "flag": choose.choice((True, False)),
                "words": choose.choice(([], ["one"], ["one", "two, three"])),
                "table": choose.choice(({}, {"k": "v"}, {"k": "v", "k2": ["a", "b"]})),
                "nothing": None,
            }
        if choose.random() < 0.1:
            target["testonly"] = True

    def _suites(self) -> None:
        choose = self.choose
        tests = [label for label, target in self.targets.items() if target["rule"] in ("unit_test", "odd_test")]
        made: list[str] = []
        for i in range(max(3, len(tests) // 20)):
            package = choose.choice([self.targets[test]["package"] for test in tests] or ["a"])
            target = self.add(package, f"suite{i}", "test_suite", deps=[])
            if choose.random() < 0.5:
                target["tags"] = sorted(
                    {choose.choice(("slow", "-slow", "+gpu", "manual", "small", "-large")) for _ in range(2)}
                )
            members = [choose.choice(tests) for _ in range(3) if tests] + [
                choose.choice(made) for _ in range(2) if made
            ]
            if choose.random() < 0.6 and members:
                target["tests"] = list(dict.fromkeys(members))
                self.edges |= {(target["label"], each, "tests", False): None for each in target["tests"]}
            else:
                implied = [
                    t
                    for t in tests
                    if self.targets[t]["package"] == package and "manual" not in self.targets[t].get("tags", ())
                ]
                if implied:
                    target["implicit_tests"] = implied
                    self.edges |= {(target["label"], each, "$implicit_tests", False): None for each in implied}
            made.append(target["label"])

    def data(self) -> dict[str, Any]:
        """The neutral JSON."""
        names = {target["package"] for target in self.targets.values()} | {"empty", "empty/too", "tools", ""}
        loads = ["//tools:defs.bzl"]
        packages = [
            {
                "name": name,
                "build_file": f"//{name}:BUILD",
                "loads": [] if name in ("tools", "empty") else loads,
                "default_visibility": ["//visibility:private" if name in ("tools", "a-b") else "//visibility:public"],
            }
            for name in sorted(names)
        ]
        files = [{"label": package["build_file"], "kind": "source file"} for package in packages]
        files += [{"label": label, "kind": "source file"} for label in self.sources]
        files += [
            {"label": label, "kind": "generated file", "generated_by": by} for label, by in self.generated.items()
        ]
        return {
            "packages": packages,
            "targets": list(self.targets.values()),
            "files": sorted(files, key=lambda file: str(file["label"])),
            "edges": [list(edge) for edge in self.edges],
        }


def make(size: int, seed: int) -> dict[str, Any]:
    """A workspace of ``size`` targets, and some test suites."""
    return Workspace(size, seed).data()


def ask(data: Mapping[str, Any], count: int, seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Cases of queries.json and of patterns.json about a workspace, with the naive answers."""
    oracle, questions = NaiveOracle(data), Questions(data, seed)
    queries = [oracle.case(f"odd-{i}", *questions.question()) for i in range(count)]
    return queries, [oracle.build_case(questions.build_arguments()) for _ in range(count // 5)]


def main() -> None:
    """Write a folder for the oracle's script."""
    parser = argparse.ArgumentParser(description="Makes an odd workspace, and questions with naive answers.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--targets", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    data = make(given.targets, given.seed)
    queries, patterns = ask(data, given.queries, given.seed)
    given.folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("graph", data), ("queries", {"queries": queries}), ("patterns", patterns)):
        (given.folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    print(
        f"{len(data['targets'])} targets, {len(data['edges'])} edges, {len(queries)} queries, {len(patterns)} patterns"
    )


if __name__ == "__main__":
    main()
