"""Which packages may depend on a target, from its ``visibility`` attribute.

Knows nothing of expressions. Files are visible where the target that makes them is, source files as their package says.
"""

from __future__ import annotations

from zerorepo.query.graph import GENERATED_FILE, PACKAGE_GROUP, QueryGraph


def is_visible(graph: QueryGraph, node: int, package: str) -> bool:
    """Whether a target of ``package`` may depend on ``node``."""
    info = graph.infos[node]
    if info.kind == GENERATED_FILE and info.generated_by is not None:
        maker = graph.find(info.generated_by)
        return maker is None or is_visible(graph, maker, package)
    if graph.package_of(node) == package or node in graph.hidden:
        return True
    return any(_allows(graph, specification, package) for specification in visibility_of(graph, node))


def visibility_of(graph: QueryGraph, node: int) -> list[str]:
    """The visibility of a target, the default of its package where it says nothing."""
    value = graph.attributes(node).get("visibility")
    if isinstance(value, list | tuple) and value:
        return [str(item) for item in value]
    return list(graph.packages[graph.package_of(node)].default_visibility)


def _allows(graph: QueryGraph, specification: str, package: str) -> bool:
    if specification.startswith("//visibility:"):
        return specification == "//visibility:public"
    base, _, name = specification.removeprefix("//").partition(":")
    if name == "__pkg__":
        return package == base
    if name == "__subpackages__":
        return _beneath(package, base)
    group = graph.find(specification)
    if group is None or graph.infos[group].kind != PACKAGE_GROUP:
        return False
    packages = graph.attributes(group).get("packages")
    specs = [str(item) for item in packages] if isinstance(packages, list | tuple) else []
    return any(_group_allows(spec, package) for spec in specs)


def _group_allows(spec: str, package: str) -> bool:
    base = spec.removeprefix("//")
    if base == "...":
        return True
    return _beneath(package, base[:-4]) if base.endswith("/...") else package == base


def _beneath(package: str, base: str) -> bool:
    return not base or package == base or package.startswith(base + "/")
