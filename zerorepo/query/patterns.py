"""What a target pattern in a query means: which nodes of a graph it names.

The syntax of patterns is label.py's; here is what needs to know which packages exist: that ``a/b`` is package ``a/b``
or, where there is none, target ``b`` of package ``a``. Knows nothing of expressions.
"""

from __future__ import annotations

import difflib

from zerorepo.errors import UsageError, did_you_mean
from zerorepo.label import Label, Pattern, parse_pattern
from zerorepo.query.errors import QueryEvaluationError
from zerorepo.query.graph import Nodes, QueryGraph

# More candidates than these make the search for near misses slower than the query.
_MAX_CANDIDATES = 2000


_WILDCARDS = ("all", "*", "all-targets")


def _exactly(package: str, name: str) -> Pattern:
    """A pattern for one target, even if its name reads like a wildcard."""
    label = Label(package, name)
    if name not in _WILDCARDS:
        return parse_pattern(str(label))
    return Pattern(label.package, label.name, text=str(label))


def _normal(path: str) -> str:
    """A relative path without empty parts, ``.`` and ``..``; those at its beginning stay."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


class PatternResolver:
    """Resolves patterns over one graph, relative to ``cwd_package``."""

    def __init__(self, graph: QueryGraph, cwd_package: str = "") -> None:
        self._graph = graph
        self._cwd = cwd_package
        self._resolved: dict[str, Nodes] = {}

    def resolve(self, text: str) -> Nodes:
        """The nodes that a positive pattern names. QueryEvaluationError when it names nothing that exists."""
        if text not in self._resolved:
            self._resolved[text] = self.expand(self.parse(text))
        return self._resolved[text]

    def parse(self, text: str) -> Pattern:
        """The pattern, its package settled. QueryEvaluationError when it is not one."""
        try:
            return self._parse(text.lstrip("@") if text.startswith(("@//", "@@//")) else text)
        except UsageError as error:
            raise QueryEvaluationError(error.message, hint=error.hint) from None

    def _parse(self, text: str) -> Pattern:
        if text.startswith(("//", "@")) or ":" in text or text == "..." or text.endswith("/..."):
            if text.startswith("@"):
                raise UsageError(f"Bad target pattern `{text}`: there are no external repositories")
            if text.startswith("//") and text.rpartition(":")[2] in _WILDCARDS and self._graph.find(text) is not None:
                return _exactly(
                    text[2:].rpartition(":")[0], text.rpartition(":")[2]
                )  # as in Bazel, a target of this name
            head, slash, last = text.rpartition("/")
            if slash and head != "/" and ":" not in text and f"{head}:{last}" == self._build_file(head[2:]):
                return _exactly(head[2:], last)  # as in Bazel, //a/BUILD is //a:BUILD
            return parse_pattern(text, self._cwd)
        if not text or text.startswith("/"):
            raise UsageError(f"Bad target pattern `{text}`", hint="patterns look like //a/..., //a:b, :b or a/b")
        path = _normal(f"{self._cwd}/{text}" if self._cwd else text)
        packages = self._graph.packages
        if path in packages:
            return _exactly(path, path.rpartition("/")[2])
        package = path
        while package:
            package = package.rpartition("/")[0]
            if package in packages:
                name = path[len(package) + 1 :] if package else path
                return _exactly(package, name)
        # Not even the root is a package: say which package it would have to be.
        return parse_pattern(f"//{path}")

    def _build_file(self, package: str) -> str | None:
        info = self._graph.packages.get(package)
        return info.build_file if info else None

    def expand(self, pattern: Pattern) -> Nodes:
        """The nodes of a parsed pattern, its sign left aside."""
        graph = self._graph
        if not pattern.wildcard:
            return frozenset((self._one(pattern.label),))
        if pattern.recursive:
            self._check_beneath(pattern.package)
            if not pattern.package and not pattern.files:
                return graph.rules
            nodes = graph.members_beneath(pattern.package)
        else:
            self._check_package(pattern.package)
            nodes = graph.members(pattern.package)
        return nodes if pattern.files else nodes & graph.rules

    def broken_packages(self, text: str) -> list[str]:
        """The errors of the packages that a pattern touches."""
        pattern = self.parse(text)
        packages = self._graph.packages
        names = self._graph.packages_beneath(pattern.package) if pattern.recursive else [pattern.package]
        return [error for name in names if name in packages and (error := packages[name].error)]

    def _one(self, label: Label) -> int:
        node = self._graph.find(str(label))
        if node is None:
            self._check_package(label.package)
            raise QueryEvaluationError(f"There is no target `{label}`", hint=self._near_targets(label))
        return node

    def _check_package(self, package: str) -> None:
        if package not in self._graph.packages:
            raise QueryEvaluationError(f"There is no package `//{package}`", hint=self._near_packages(package))

    def _check_beneath(self, package: str) -> None:
        if not self._graph.packages_beneath(package):
            raise QueryEvaluationError(f"There are no targets beneath `//{package}`", hint=self._near_packages(package))

    def _near_packages(self, package: str) -> str | None:
        names = [f"//{name}" for name in self._graph.packages]
        return did_you_mean(f"//{package}", names) if len(names) <= _MAX_CANDIDATES else None

    def _near_targets(self, label: Label) -> str | None:
        graph = self._graph
        names = [graph.name_of(node) for node in sorted(graph.members(label.package))[:_MAX_CANDIDATES]]
        near = difflib.get_close_matches(label.name, names, n=3)
        if near:
            return "did you mean " + " or ".join(f"`{label.sibling(name)}`" for name in near) + "?"
        suffix = f":{label.name}"
        elsewhere = [other for other in graph.labels if other.endswith(suffix)][:3]
        if elsewhere:
            return "there is " + " and ".join(f"`{other}`" for other in elsewhere)
        return None
