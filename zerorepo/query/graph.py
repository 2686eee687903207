"""The graph that queries run on: targets and files as integers, edges as tuples of integers.

Nodes are numbered in the order of their labels (by package, then by name), so that sorting a set of numbers sorts it by
label, and the members of a package are one range of numbers. Knows nothing of workspaces, rules or expressions;
`builder.py` makes graphs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from zerorepo.query.reach import Reach
from zerorepo.query.walk import Adjacency as Adjacency
from zerorepo.query.walk import Nodes as Nodes

if TYPE_CHECKING:
    from zerorepo.query.details import Details

Attributes: TypeAlias = Mapping[str, object]

SOURCE_FILE = "source file"
GENERATED_FILE = "generated file"
PACKAGE_GROUP = "package group"
_RULE_SUFFIX = " rule"
_NO_ATTRIBUTES: Attributes = {}
_NO_REFERENCES: Mapping[str, Sequence[str]] = {}


@dataclass(frozen=True, slots=True)
class PackageInfo:
    """A package: the label of its build file, the labels of files that this loads, and its error when it is broken."""

    name: str
    build_file: str | None = None
    loads: tuple[str, ...] = ()
    error: str | None = None
    default_visibility: tuple[str, ...] = ("//visibility:public",)


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """What a node is, apart from its edges.

    ``references`` are its attributes that hold labels (``srcs``, ``deps``, ``outs`` …), ``attributes`` the others, or a
    function that finds them when first asked.
    """

    kind: str
    location: str = ""
    tags: tuple[str, ...] = ()
    is_test: bool = False
    attributes: Attributes | Callable[[], Attributes] = field(default_factory=dict)
    references: Mapping[str, Sequence[str]] = field(default_factory=dict)
    generated_by: str | None = None

    @property
    def is_rule(self) -> bool:
        """Whether this is a target made by a rule, not a file or a package group."""
        return self.kind.endswith(_RULE_SUFFIX)

    @property
    def rule(self) -> str:
        """The rule's name; the kind itself for files."""
        return self.kind.removesuffix(_RULE_SUFFIX)


class QueryGraph:
    """An immutable graph of targets and files.

    ``missing`` names, for a node, the labels it depends on that do not exist; ``hidden`` are files that only
    ``buildfiles`` and ``loadfiles`` speak of; ``tool_edges`` are dependencies needed to run a rule, not to read.
    A stored graph gives functions for what not every query needs.
    """

    def __init__(
        self,
        labels: Sequence[str],
        infos: Details,
        forward: Adjacency | Callable[[], Adjacency],
        packages: Mapping[str, PackageInfo],
        *,
        missing: Mapping[int, tuple[str, ...]] | None = None,
        hidden: Iterable[int] = (),
        tool_edges: Iterable[tuple[int, int]] = (),
        defaults: Mapping[str, Attributes] | None = None,
        reverse: Callable[[], Adjacency] | None = None,
        by_kind: Callable[[], Mapping[str, frozenset[int]]] | None = None,
    ) -> None:
        self.labels = labels
        self.infos = infos
        self.packages = packages
        self._forward = forward
        self._reverse = reverse
        self._by_kind = by_kind
        self.missing = missing or {}
        self.hidden = frozenset(hidden)
        self.tool_edges = frozenset(tool_edges)
        self._defaults = defaults or {}
        self._package_names = sorted(packages)
        self.has_broken_packages = any(info.error for info in packages.values())
        self._keys = _RangeKeys(labels)
        self._attributes: dict[int, Attributes] = {}

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def forward(self) -> Adjacency:
        """For each node, those that it depends on directly, ascending."""
        return self._forward() if callable(self._forward) else self._forward

    @cached_property
    def _index(self) -> Mapping[str, int]:
        return {label: node for node, label in enumerate(self.labels)}

    def find(self, label: str) -> int | None:
        """The node of a canonical label, None when there is none that patterns may name."""
        node = self._index.get(label)
        return None if node is None or node in self.hidden else node

    def find_file(self, label: str) -> int | None:
        """As `find`, and also files that patterns may not name."""
        return self._index.get(label)

    def package_of(self, node: int) -> str:
        """The package of a node, "" for the root."""
        label = self.labels[node]
        return label[2 : label.index(":")]

    def name_of(self, node: int) -> str:
        """The part of the label after the colon."""
        return self.labels[node].partition(":")[2]

    def members(self, package: str) -> Nodes:
        """Every target and file of one package."""
        return self._visible(range(*self._keys.bounds(f"//{package}:")))

    def packages_beneath(self, package: str) -> Sequence[str]:
        """The package, when it is one, and those below it, sorted. "" is the root: all."""
        names = self._package_names
        if not package:
            return names
        start = bisect_left(names, package + "/")
        stop = bisect_left(names, package + "0", start)  # "0" follows "/" in ASCII
        return ([package] if package in self.packages else []) + names[start:stop]

    def members_beneath(self, package: str) -> Nodes:
        """Every target and file of the package and of those below it."""
        if not package:
            return self.all_nodes
        below = range(*self._keys.bounds(f"//{package}/"))
        return self.members(package) | self._visible(below)

    def _visible(self, nodes: range) -> Nodes:
        found = frozenset(nodes)
        return found - self.hidden if self.hidden else found

    @cached_property
    def all_nodes(self) -> Nodes:
        """Every target and file that patterns may name."""
        return frozenset(range(len(self.labels))) - self.hidden

    @cached_property
    def rules(self) -> Nodes:
        """Every target made by a rule."""
        return frozenset().union(*(nodes for kind, nodes in self.by_kind.items() if kind.endswith(_RULE_SUFFIX)))

    @cached_property
    def by_kind(self) -> Mapping[str, frozenset[int]]:
        """The nodes of each kind."""
        if self._by_kind is not None:
            return self._by_kind()
        groups: dict[str, list[int]] = {}
        for node, row in enumerate(self.infos.rows):
            groups.setdefault(row[0], []).append(node)
        return {kind: frozenset(nodes) for kind, nodes in groups.items()}

    @cached_property
    def broken(self) -> Nodes:
        """The nodes of packages whose build file has errors."""
        return frozenset().union(*(self.members(name) for name, info in self.packages.items() if info.error))

    @cached_property
    def reverse(self) -> Adjacency:
        """For each node, those that depend on it directly, ascending."""
        if self._reverse is not None:
            return self._reverse()
        lists: list[list[int]] = [[] for _ in self.labels]
        for node, targets in enumerate(self.forward):
            for target in targets:
                lists[target].append(node)
        return [tuple(sources) for sources in lists]

    @cached_property
    def reach(self) -> Reach:
        """What depends on what, over any number of steps."""
        return Reach(len(self.labels), lambda: self.forward, lambda: self.reverse)

    @property
    def defaults(self) -> Mapping[str, Attributes]:
        """The values that ``attr`` sees where a target does not say, by rule; of visibility the package knows the value."""
        return self._defaults

    @cached_property
    def without_tools(self) -> QueryGraph:
        """The same graph without tool edges; itself when it has none."""
        if not self.tool_edges:
            return self
        forward = [tuple(b for b in targets if (a, b) not in self.tool_edges) for a, targets in enumerate(self.forward)]
        return QueryGraph(
            self.labels,
            self.infos,
            forward,
            self.packages,
            missing=self.missing,
            hidden=self.hidden,
            defaults=self._defaults,
        )

    def attributes(self, node: int) -> Attributes:
        """The attributes written down for a node, label attributes not among them."""
        value = self.infos[node].attributes
        if not callable(value):
            return value
        if node not in self._attributes:
            self._attributes[node] = value()
        return self._attributes[node]

    def attribute(self, node: int, name: str) -> object:
        """One attribute, label attributes and defaults included; None when the rule has none of this name."""
        info = self.infos[node]
        if name == "name":
            return self.name_of(node)
        explicit = self.attributes(node)
        if name in explicit:
            return explicit[name]
        if name in info.references:
            return list(info.references[name])
        if name == "tags":
            return list(info.tags)
        defaults = self._defaults.get(info.rule, _NO_ATTRIBUTES)
        if name == "visibility" and name in defaults:
            return list(self.packages[self.package_of(node)].default_visibility)
        return defaults.get(name)


class _RangeKeys:
    """Finds the range of nodes whose labels begin with a prefix that ends in ``:`` or ``/``."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels

    def bounds(self, prefix: str) -> tuple[int, int]:
        low, high = sort_key(prefix), sort_key(prefix) + "\U0010ffff"
        return bisect_left(self._labels, low, key=sort_key), bisect_left(self._labels, high, key=sort_key)


def sort_key(label: str) -> str:
    """Orders labels by package and then by name: a package comes before its subpackages."""
    return label.replace(":", "\0", 1)
