"""Makes a `QueryGraph` from targets given one by one, in any order.

As Bazel does: a label of the same package that nobody declared is a source file, an output is a file that depends on
the target that makes it. Knows nothing of where targets come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from zerorepo.errors import UsageError
from zerorepo.query.details import Details, Row
from zerorepo.query.graph import (
    GENERATED_FILE,
    PACKAGE_GROUP,
    SOURCE_FILE,
    Attributes,
    PackageInfo,
    QueryGraph,
    sort_key,
)


class GraphBuilder:
    """Collects targets, files and packages; `freeze` makes the graph. Labels are canonical text: ``//package:name``."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._edges: dict[str, Sequence[str]] = {}
        self._tools: dict[str, tuple[str, ...]] = {}
        self._packages: dict[str, PackageInfo] = {}
        self._defaults: dict[str, Attributes] = {}
        self._outs: list[tuple[str, str, str]] = []

    def add_target(
        self,
        label: str,
        rule: str,
        deps: Mapping[str, Sequence[str]] | Sequence[str] = (),
        *,
        srcs: Sequence[str] = (),
        outs: Sequence[str] = (),
        tool_deps: Sequence[str] = (),
        attrs: Attributes | Callable[[], Attributes] | None = None,
        location: str = "",
        tags: Iterable[str] = (),
        is_test: bool = False,
    ) -> None:
        """Add one target of a rule.

        ``deps`` maps attribute names to the labels they hold (a plain sequence is the attribute ``deps``); all of these
        are edges, and ``labels(attribute, x)`` finds them. ``tool_deps`` says which of them are tools. ``attrs`` are the
        other attributes, or a function that finds them when a query asks. ``location`` is like ``app/BUILD.toml:14``.

        Raises UsageError when the label is not canonical or is taken.
        """
        if isinstance(deps, Mapping):
            references = {"srcs": srcs, **deps} if srcs else deps
        else:
            references = {name: value for name, value in (("srcs", srcs), ("deps", deps)) if value}
        if len(references) == 1:
            (edges,) = references.values()
        else:
            edges = [target for targets in references.values() for target in targets]
        if outs:
            references = {**references, "outs": outs}
            self._outs.extend((out, label, location) for out in outs)
        if tool_deps:
            self._tools[label] = tuple(tool_deps)
            edges = [*edges, *tool_deps]
        row = (f"{rule} rule", location, tuple(tags), is_test, {} if attrs is None else attrs, references, None)
        self._add(label, row, edges)

    def add_rows(self, rows: Mapping[str, Row], outs: Mapping[str, Sequence[str]] | None = None) -> None:
        """Add targets whose details are at hand, by canonical label. All labels in their references are edges; ``outs`` are not."""
        if taken := self._rows.keys() & rows.keys():
            raise UsageError(f"Target `{min(taken)}` is declared twice")
        self._rows.update(rows)
        edges = self._edges
        for label, row in rows.items():
            references = row[5]
            if len(references) == 1:
                (edges[label],) = references.values()
            else:
                edges[label] = [each for values in references.values() for each in values]
        for label, made in (outs or {}).items():
            row = rows[label]
            self._outs += [(out, label, row[1]) for out in made]
            self._rows[label] = (*row[:5], {**row[5], "outs": [*row[5].get("outs", ()), *made]}, row[6])
        for package in {label[2 : label.index(":")] for label in rows} - self._packages.keys():
            self._packages[package] = PackageInfo(package)

    def add_source_file(self, label: str, *, location: str = "") -> None:
        """Add a file of the workspace. Those that a target of the same package names need not be added."""
        self._add(label, (SOURCE_FILE, location, (), False, {}, {}, None), ())

    def add_generated_file(self, label: str, generated_by: str, *, location: str = "") -> None:
        """Add an output that its target does not list in ``outs``."""
        self._add(label, (GENERATED_FILE, location, (), False, {}, {}, generated_by), (generated_by,))

    def add_package_group(self, label: str, packages: Sequence[str], *, location: str = "") -> None:
        """Add a named list of package specifications such as ``//a/...``, for ``visible``."""
        self._add(label, (PACKAGE_GROUP, location, (), False, {"packages": list(packages)}, {}, None), ())

    def add_package(
        self,
        name: str,
        *,
        build_file: str | None = None,
        loads: Sequence[str] = (),
        error: str | None = None,
        default_visibility: Sequence[str] = ("//visibility:public",),
    ) -> None:
        """Say more of a package than that it has targets. ``error`` marks its build file as broken."""
        if build_file is not None and build_file not in self._rows:
            self.add_source_file(build_file, location=build_file[2:].replace(":", "/").lstrip("/"))
        self._packages[name] = PackageInfo(name, build_file, tuple(loads), error, tuple(default_visibility))

    def set_defaults(self, rule: str, defaults: Attributes) -> None:
        """The values that ``attr`` sees where a target of this rule does not say."""
        self._defaults[rule] = defaults

    def freeze(self) -> QueryGraph:
        """The graph of everything added so far."""
        for out, label, location in self._outs:
            if out not in self._rows:
                self.add_generated_file(out, label, location=location)
        self._add_implicit_files()
        hidden = self._add_hidden_files()
        labels = sorted(self._rows, key=sort_key)
        index = {label: node for node, label in enumerate(labels)}
        missing: dict[int, tuple[str, ...]] = {}
        forward: list[tuple[int, ...]] = []
        node_of = index.__getitem__
        for node, label in enumerate(labels):
            edges = self._edges[label]
            try:
                targets = set(map(node_of, edges))
            except KeyError:
                targets = {index[target] for target in edges if target in index}
                missing[node] = tuple(dict.fromkeys(target for target in edges if target not in index))
            forward.append(tuple(sorted(targets)))
        return QueryGraph(
            labels,
            Details(len(labels), [self._rows[label] for label in labels]),
            forward,
            self._packages,
            missing=missing,
            hidden=(index[label] for label in hidden),
            tool_edges=((index[a], index[b]) for a, tools in self._tools.items() for b in tools if b in index),
            defaults=self._defaults,
        )

    def _add(self, label: str, row: Row, edges: Sequence[str]) -> None:
        package, colon, name = label[2:].partition(":")
        if not (label.startswith("//") and colon and name):
            raise UsageError(f"Bad label `{label}` in a query graph", hint="write it in full, as //package:name")
        if label in self._rows:
            raise UsageError(f"Target `{label}` is declared twice", where=row[1] or None)
        self._rows[label] = row
        self._edges[label] = edges
        if package not in self._packages:
            self._packages[package] = PackageInfo(package)

    def _add_implicit_files(self) -> None:
        known, names = self._rows, set(self._rows)
        found: dict[str, str] = {}
        for label, edges in self._edges.items():
            if names.issuperset(edges):
                continue
            prefix = label[: label.index(":") + 1]
            location = known[label][1]
            found.update((t, location) for t in edges if t.startswith(prefix) and t not in known and t not in found)
        for label, location in found.items():
            self.add_source_file(label, location=location)

    def _add_hidden_files(self) -> list[str]:
        loaded = dict.fromkeys(load for info in self._packages.values() for load in info.loads)
        hidden = [label for label in loaded if label not in self._rows]
        packages = dict(self._packages)
        for label in hidden:
            self.add_source_file(label)
        # A loaded file does not make its folder a package.
        self._packages = packages
        return hidden
