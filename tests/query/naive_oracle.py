"""The query language over a workspace of neutral JSON, written from Bazel's definitions: labels, sets, and trees in place of text.

Shares nothing with the evaluator, not even the parser. Knows the rule kinds of tests/query_oracle.py by their defaults only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from odd_questions import Tree, text_of

WILDCARDS = ("all", "*", "all-targets")
TIMEOUTS = {"small": "short", "medium": "moderate", "large": "long", "enormous": "eternal"}
LISTS: Mapping[str, tuple[str, ...]] = {
    "lib": ("srcs", "deps", "data"),
    "bin": ("srcs", "deps", "data"),
    "unit_test": ("srcs", "deps", "data"),
    "filegroup": ("srcs", "data"),
    "genrule": ("srcs", "tools"),
    "test_suite": ("tests",),
}


class Unanswerable(Exception):
    """The expression cannot be evaluated: exit code 7."""


class Unreadable(Exception):
    """The expression does not parse: exit code 2."""


class NaiveOracle:
    """Answers about one workspace."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.targets = {target["label"]: target for target in data["targets"]}
        self.files = {file["label"]: file for file in data["files"]}
        self.packages = {package["name"]: package for package in data["packages"]}
        self.edges = data["edges"]
        self.loaded = {load for package in data["packages"] for load in package["loads"]}
        self.members: dict[str, set[str]] = {name: set() for name in self.packages}
        for label in (*self.targets, *self.files):
            self.members[package_of(label)].add(label)

    def case(self, name: str, tree: Tree, cwd: str, flags: list[str]) -> dict[str, Any]:
        """A case of queries.json with the answer."""
        case: dict[str, Any] = {
            "id": name,
            "expr": text_of(tree),
            "flags": flags,
            "cwd": cwd,
            "mode": "set",
            "exit_code": 0,
        }
        self.cwd = cwd
        self.below, self.above = self._adjacency(tools="--notool_deps" not in flags)
        scope = [flag.partition("=")[2].split(",") for flag in flags if flag.startswith("--universe_scope")]
        try:
            readable(tree)
            self.universe = self._scope(scope[0]) if scope else set()
            if tree[:2] == ("call", "somepath"):
                sources, targets = (self.answer(each, {}) for each in tree[2])
                reached = self.walk(self.below, sources, None)
                return case | {
                    "mode": "somepath",
                    "path_exists": bool(reached & targets),
                    "from_set": sorted(sources),
                    "to_set": sorted(targets),
                }
            return case | {"labels": sorted(self.answer(tree, {}))}
        except Unreadable:
            return case | {"mode": "any", "exit_code": 2}
        except Unanswerable:
            return case | {"mode": "any", "exit_code": 7}

    def _adjacency(self, *, tools: bool) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
        below: dict[str, set[str]] = {}
        above: dict[str, set[str]] = {}
        for source, target, _attribute, is_tool in self.edges:
            if tools or not is_tool:
                below.setdefault(source, set()).add(target)
                above.setdefault(target, set()).add(source)
        return below, above

    def _scope(self, patterns: Iterable[str]) -> set[str]:
        found: set[str] = set()
        for text in patterns:
            found = found - self.pattern(text[1:]) if text.startswith("-") else found | self.pattern(text)
        return self.walk(self.below, found, None)

    def walk(
        self, edges: Mapping[str, set[str]], start: set[str], steps: int | None, within: set[str] | None = None
    ) -> set[str]:
        found, last = set(start), set(start)
        while last and steps != 0:
            last = {b for a in last for b in edges.get(a, ()) if within is None or b in within} - found
            found |= last
            steps = None if steps is None else steps - 1
        return found

    def pattern(self, text: str) -> set[str]:
        """What a target pattern names."""
        if text.startswith("@") and not text.startswith("@//"):
            raise Unanswerable(text)
        body = text.removeprefix("@")
        absolute = body.startswith("//")
        if not absolute and self.cwd:
            body = self.cwd + body if body.startswith(":") else f"{self.cwd}/{body}"
        body = body.removeprefix("//")
        if body.endswith("/BUILD"):
            body = body[:-6] + ":BUILD"
        package, colon, name = body.rpartition(":") if ":" in body else (body, "", "")
        if package == "..." or package.endswith("/..."):
            return self._beneath(package[:-3].rstrip("/"), name)
        if colon and name in WILDCARDS and not (absolute and self.exists(f"//{package}:{name}")):
            self._package(package)
            return {x for x in self.members[package] if name != "all" or x in self.targets}
        if colon:
            return self._one(package, name)
        if absolute:
            return self._one(package, package.rpartition("/")[2])
        return self._path(body)

    def _beneath(self, base: str, name: str) -> set[str]:
        if name not in ("", *WILDCARDS):
            raise Unanswerable(base)
        packages = [p for p in self.packages if not base or p == base or p.startswith(base + "/")]
        if not packages:
            raise Unanswerable(base)
        return {x for p in packages for x in self.members[p] if name in ("*", "all-targets") or x in self.targets}

    def _path(self, path: str) -> set[str]:
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if "/".join(parts) in self.packages:
            return self._one("/".join(parts), parts[-1])
        for i in range(len(parts) - 1, -1, -1):
            if "/".join(parts[:i]) in self.packages:
                return self._one("/".join(parts[:i]), "/".join(parts[i:]))
        raise Unanswerable(path)

    def exists(self, label: str) -> bool:
        return label in self.targets or label in self.files

    def _package(self, name: str) -> None:
        if name not in self.packages:
            raise Unanswerable(name)

    def _one(self, package: str, name: str) -> set[str]:
        self._package(package)
        if not self.exists(f"//{package}:{name}"):
            raise Unanswerable(name)
        return {f"//{package}:{name}"}

    def answer(self, tree: Tree, variables: Mapping[str, set[str]]) -> set[str]:
        match tree:
            case ("pattern", text):
                if re.fullmatch(r"\$[A-Za-z_]\w*", text, re.ASCII):
                    return self.answer(("variable", text[1:]), variables)
                return self.pattern(text)
            case ("variable", name):
                if name not in variables:
                    raise Unanswerable(name)
                return variables[name]
            case ("set", texts):
                return {x for text in texts for x in self.answer(("pattern", text), variables)}
            case ("let", name, value, body):
                return self.answer(body, {**variables, name: self.answer(value, variables)})
            case ("sum", first, rest):
                found = self.answer(first, variables)
                for sign, other in rest:
                    right = self.answer(other, variables)
                    found = found | right if sign == "+" else found - right if sign == "-" else found & right
                return found
            case ("call", function, arguments):
                values = [self.answer(each, variables) if isinstance(each, tuple) else each for each in arguments]
                return self.call(function, values)
        raise AssertionError(tree)

    def call(self, function: str, values: list[Any]) -> set[str]:
        match function, values:
            case "deps", [x, *steps]:
                return self.walk(self.below, x, *steps or [None])
            case "rdeps", [universe, x, *steps]:
                within = self.walk(self.below, universe, None)
                return self.walk(self.above, x & within, *steps or [None], within=within)
            case "allrdeps", [x, *steps]:
                return self.walk(self.above, x & self.universe, *steps or [None], within=self.universe)
            case "allpaths", [a, b]:
                leading = self.walk(self.above, b, None)
                return self.walk(self.below, a, None) & leading
            case "kind", [regex, x]:
                return {y for y in x if re.search(regex, self.kind(y))}
            case "filter", [regex, x]:
                return {y for y in x if re.search(regex, y)}
            case "attr", [name, regex, x]:
                texts = {y: self.text(y, name) for y in x if y in self.targets}
                return {y for y, text in texts.items() if text is not None and re.search(regex, text)}
            case "labels", [name, x]:
                return {z for y in x if y in self.targets for z in self.references(y, name)}
            case "siblings", [x]:
                return {z for y in x for z in self.members[package_of(y)]}
            case "same_pkg_direct_rdeps", [x]:
                return {z for y in x for z in self.above.get(y, ()) if package_of(z) == package_of(y)}
            case "tests", [x]:
                return {z for y in x if y in self.targets for z in self.tests(y, ())}
            case "buildfiles" | "loadfiles", [x]:
                return self.build_files({package_of(y) for y in x}, build=function == "buildfiles")
            case "visible", [x, y]:
                return {z for z in y if all(self.visible(z, package_of(w)) for w in x)}
        raise AssertionError(function)

    def kind(self, label: str) -> str:
        if label in self.targets:
            return f"{self.targets[label]['rule']} rule"
        return str(self.files[label]["kind"]) if label in self.files else "source file"

    def references(self, label: str, name: str) -> list[str]:
        """The labels in an attribute."""
        target = self.targets[label]
        if name == "outs":
            return [f"//{target['package']}:{out}" for out in target.get("outs", [])]
        return [b for a, b, attribute, _tool in self.edges_of(label) if attribute == name]

    def edges_of(self, label: str) -> list[list[Any]]:
        if not hasattr(self, "_edges_of"):
            self._edges_of: dict[str, list[list[Any]]] = {}
            for edge in self.edges:
                self._edges_of.setdefault(edge[0], []).append(edge)
        return self._edges_of.get(label, [])

    def text(self, label: str, name: str) -> str | None:
        """What ``attr`` matches against."""
        target = self.targets[label]
        rule = target["rule"]
        defaults: dict[str, Any] = {each: [] for each in LISTS.get(rule, ())} | {
            "testonly": rule in ("unit_test", "test_suite"),
            "tags": [],
        }
        defaults["visibility"] = self.packages[target["package"]]["default_visibility"]
        if rule == "genrule":
            defaults["outs"] = []
        if rule == "unit_test":
            defaults |= {
                "size": "medium",
                "timeout": TIMEOUTS[target.get("size", "medium")],
                "flaky": False,
                "shard_count": -1,
            }
        value = target.get(name, defaults.get(name))
        return shown(self.references(label, name) if name == "outs" and rule == "genrule" else value)

    def tests(self, label: str, within: tuple[str, ...]) -> set[str]:
        target = self.targets[label]
        if target["rule"].endswith("_test"):
            return {label}
        if target["rule"] != "test_suite" or label in within:
            return set()
        members = target.get("tests") or target.get("implicit_tests") or []
        direct = {m for m in members if self.targets[m]["rule"].endswith("_test")}
        words = [tag for tag in target.get("tags", ()) if tag != "manual"]
        wanted, unwanted = {w.lstrip("+") for w in words if w[0] != "-"}, {w[1:] for w in words if w[0] == "-"}
        # The tests of suites among its members were filtered by those.
        nested = {t for m in members if m not in direct for t in self.tests(m, (*within, label))}
        return {t for t in direct if wanted <= self.tags(t) and not unwanted & self.tags(t)} | nested

    def tags(self, test: str) -> set[str]:
        return {*self.targets[test].get("tags", ()), self.targets[test].get("size", "medium")}

    def build_files(self, packages: set[str], *, build: bool) -> set[str]:
        loads = {load for name in packages for load in self.packages[name]["loads"]}
        if not build:
            return loads
        return loads | {f"//{name}:BUILD" for name in packages | {package_of(load) for load in loads}}

    def visible(self, label: str, package: str) -> bool:
        if label in self.files and self.files[label]["kind"] == "generated file":
            return self.visible(self.files[label]["generated_by"], package)
        own = package_of(label)
        if label in self.loaded and label not in self.files:
            return True
        default = self.packages[own]["default_visibility"]
        specs = self.targets.get(label, {}).get("visibility") or default
        return package == own or any(allows(spec, package) for spec in specs)

    def build_case(self, arguments: Sequence[str]) -> dict[str, Any]:
        """A case of patterns.json: what a ``build`` of these patterns is about."""
        self.cwd = ""
        flags = [each for each in arguments if each.startswith("--") and each != "--"]
        found: set[str] = set()
        tests: set[str] = set()
        for text in (each for each in arguments if not each.startswith("--")):
            named = self.pattern(text.removeprefix("-"))
            wildcard = text.endswith((":all", ":*", ":all-targets", "...")) and not self.exists(text)
            if wildcard and not text.startswith("-"):
                named = {x for x in named if "manual" not in self.targets.get(x, {}).get("tags", ())}
            meant = {t for x in named if x in self.targets for t in self.tests(x, ())}
            found, tests = (found - named, tests - meant) if text.startswith("-") else (found | named, tests | meant)
        suites = {x for x in found if x in self.targets and self.targets[x]["rule"] == "test_suite"}
        built = (found - suites) | {t for x in suites for t in self.tests(x, ())}
        for words in (flag.partition("=")[2].split(",") for flag in flags if flag.startswith("--build_tag")):
            built = {x for x in built if passes(self.targets.get(x, {}).get("tags", ()), words)}
        built = tests if "--build_tests_only" in flags else built
        return {"cmd": "build", "args": list(arguments), "exit_code": 0, "expanded": sorted(built), "tests_run": None}


def readable(tree: Tree) -> None:
    """Unreadable where a pattern begins as none may."""
    for part in tree:
        if isinstance(part, tuple):
            readable(part)
    words = (tree[1],) if tree and tree[0] == "pattern" else tree[1] if tree and tree[0] == "set" else ()
    if any(text.startswith(("-", "*")) for text in words):
        raise Unreadable(tree)


def package_of(label: str) -> str:
    return label[2:].partition(":")[0]


def passes(tags: Sequence[str], words: Sequence[str]) -> bool:
    wanted, unwanted = {w for w in words if w[0] != "-"}, {w[1:] for w in words if w[0] == "-"}
    return not unwanted & {*tags} and (not wanted or bool(wanted & {*tags}))


def allows(spec: str, package: str) -> bool:
    if spec.startswith("//visibility:"):
        return spec == "//visibility:public"
    base, _, name = spec[2:].partition(":")
    return package == base or (name == "__subpackages__" and (not base or package.startswith(base + "/")))


def shown(value: Any) -> str | None:
    """The text of a value as Java writes it."""
    forms: list[tuple[type | tuple[type, ...], Callable[[Any], str]]] = [
        (bool, lambda x: "1" if x else "0"),
        ((str, int), str),
        (list, lambda x: "[" + ", ".join(str(shown(each)) for each in x) + "]"),
        (dict, lambda x: "{" + ", ".join(f"{key}={shown(each)}" for key, each in x.items()) + "}"),
    ]
    return next((form(value) for kind, form in forms if isinstance(value, kind)), None)
