"""The plan as stages: features, modules with data flow, files, base classes, interfaces; each is a provider.

Says what is in a plan, not whether it is good (``validate``), nor how it is stored (``lock``) or shown (``graph``).

Ids: a feature is a slug (``make-slug``); a module a Python identifier (``slug``); a node ``<module>/<name>``
(``slug/slugify``), so that it is also the label ``//slug:slugify``. Base classes that belong to no module are in the
reserved module ``shared``.
"""

from __future__ import annotations

import ast
from enum import StrEnum
from pathlib import PurePosixPath

from zerorepo.target import Provider
from zerorepo.values import Value
from zerorepo_rpg import digraph
from zerorepo_rpg.graph import EdgeType, InterfaceType, Level, NodeType, RPGEdge, RPGGraph, RPGNode, Source
from zerorepo_rpg.limits import LimitSet

SHARED = "shared"
"""The reserved module of base classes that several modules use. It has no features."""


class InterfaceKind(StrEnum):
    """What a node is in code."""

    FUNCTION = "FUNCTION"
    CLASS = "CLASS"


class Feature(Value):
    """Something a user of the repository can do. ``requirements`` are ids of the specification's requirements."""

    id: str
    name: str
    description: str = ""
    requirements: tuple[str, ...] = ()


class FeatureSet(Provider):
    """Stage ``features``."""

    features: tuple[Feature, ...] = ()


class ModulePlan(Value):
    """A group of features that belong together; ``id`` names its package in code. ``features`` are feature ids."""

    id: str
    name: str = ""
    description: str = ""
    features: tuple[str, ...] = ()


class DataFlow(Value):
    """Data that module ``source`` makes and module ``target`` takes: *source is needed by target*."""

    source: str
    target: str
    data_name: str
    data_type: str = ""
    description: str = ""


class ModuleSet(Provider):
    """Stage ``modules``."""

    modules: tuple[ModulePlan, ...] = ()
    flows: tuple[DataFlow, ...] = ()

    def needs(self) -> dict[str, tuple[str, ...]]:
        """Module to the modules whose data it takes directly."""
        found: dict[str, list[str]] = {module.id: [] for module in self.modules}
        for flow in self.flows:
            found.setdefault(flow.target, []).append(flow.source)
        return {module: tuple(sorted(set(sources))) for module, sources in found.items()}

    def upstream(self) -> dict[str, tuple[str, ...]]:
        """Module to the modules whose nodes it may use: those whose data it takes, and after them those further up."""
        needs = self.needs()
        found = {}
        for module, direct in needs.items():
            further = digraph.reachable(needs, direct) - {*direct, module}
            found[module] = (*direct, *sorted(further))
        return found


class FilePlan(Value):
    """A file of the package (``textkit/slug/core.py``), its module, and the ids of the features that it implements."""

    path: str
    module: str
    features: tuple[str, ...] = ()
    description: str = ""


class FileLayout(Provider):
    """Stage ``files``: the files of all modules, in the folder ``package_name``. ``__init__.py`` is never planned."""

    package_name: str
    files: tuple[FilePlan, ...] = ()


class NodeInterface(Provider):
    """What others may know of a function or class: everything but its body.

    ``signature`` is source: ``def slugify(text: str, *, separator: str = "-") -> str`` (a body ``...`` is allowed), or
    a class with its annotated fields and the signatures and docstrings of its public methods. ``uses`` are ids of nodes
    that its annotations, bases or body need; ``imports`` the import statements its annotations need beyond those.
    """

    id: str
    module: str
    file: str
    name: str
    kind: InterfaceKind = InterfaceKind.FUNCTION
    signature: str
    docstring: str = ""
    raises: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    description: str = ""
    features: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()

    @property
    def import_path(self) -> str:
        """The module to import it from: ``textkit.slug.core``."""
        return module_of(self.file)


class BaseClassPlan(Value):
    """A class that several nodes share. ``users`` are ids of the features (at least two) that need it."""

    id: str
    module: str = SHARED
    file: str
    name: str
    signature: str
    docstring: str = ""
    description: str = ""
    users: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    raises: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()

    def interface(self) -> NodeInterface:
        """The node that it is: written and tested like any other, but serving no feature by itself."""
        return NodeInterface(
            id=self.id,
            module=self.module,
            file=self.file,
            name=self.name,
            kind=InterfaceKind.CLASS,
            signature=self.signature,
            docstring=self.docstring,
            raises=self.raises,
            examples=self.examples,
            description=self.description,
            uses=self.uses,
            imports=self.imports,
        )


class BaseClasses(Provider):
    """Stage ``base_classes``; often empty."""

    classes: tuple[BaseClassPlan, ...] = ()


class ModuleInterfaces(Provider):
    """Stage ``interfaces`` of one module; base classes are not repeated here."""

    module: str
    interfaces: tuple[NodeInterface, ...] = ()


class Plan(Provider):
    """The whole plan."""

    features: FeatureSet
    modules: ModuleSet
    layout: FileLayout
    base_classes: BaseClasses = BaseClasses()
    interfaces: tuple[ModuleInterfaces, ...] = ()
    limits: LimitSet = LimitSet()

    @property
    def package_name(self) -> str:
        """The name that users import."""
        return self.layout.package_name

    def nodes(self) -> tuple[NodeInterface, ...]:
        """Every node, base classes included, sorted by id."""
        found = [base.interface() for base in self.base_classes.classes]
        found.extend(node for module in self.interfaces for node in module.interfaces)
        return tuple(sorted(found, key=lambda node: node.id))

    def node(self, node_id: str) -> NodeInterface:
        """The node of that id; KeyError when there is none."""
        for node in self.nodes():
            if node.id == node_id:
                return node
        raise KeyError(node_id)

    def uses(self) -> dict[str, tuple[str, ...]]:
        """Node id to the ids that it uses directly, sorted; unknown ids and itself left out."""
        nodes = self.nodes()
        known = {node.id for node in nodes}
        return {node.id: tuple(sorted((set(node.uses) & known) - {node.id})) for node in nodes}

    def order(self) -> tuple[tuple[str, ...], ...]:
        """Layers of node ids: what a node uses stands in an earlier layer. ValueError with the path on a cycle."""
        return digraph.layers(self.uses())

    def closure(self, wanted: set[str]) -> set[str]:
        """``wanted`` and everything that it uses, directly or not. KeyError on an unknown id."""
        uses = self.uses()
        for node_id in sorted(wanted):
            if node_id not in uses:
                raise KeyError(node_id)
        return wanted | digraph.reachable(uses, wanted)

    def to_graph(self) -> RPGGraph:
        """The Repository Planning Graph: modules over files over nodes, with the edges in the design's directions."""
        nodes = self.nodes()
        listed = [*self._module_nodes(nodes), *_file_nodes(self.layout, nodes), *map(_code_node, nodes)]
        return RPGGraph.build(listed, [*_flow_edges(self.modules), *_ordering_edges(nodes), *use_edges(nodes)])

    def _module_nodes(self, nodes: tuple[NodeInterface, ...]) -> list[RPGNode]:
        plans = {module.id: module for module in self.modules.modules}
        if any(node.module == SHARED for node in nodes):
            plans.setdefault(
                SHARED, ModulePlan(id=SHARED, name="shared", description="Base classes of several modules.")
            )
        folders: dict[str, list[PurePosixPath]] = {}
        files = {(file.path, file.module) for file in self.layout.files} | {(node.file, node.module) for node in nodes}
        for path, module in sorted(files):
            folders.setdefault(module, []).append(PurePosixPath(path).parent)
        return [
            RPGNode(
                id=module.id,
                name=module.name or module.id,
                level=Level.MODULE,
                node_type=NodeType.FOLDER_AUGMENTED if module.id in folders else NodeType.FUNCTIONALITY,
                folder_path=_common_folder(folders[module.id]) if module.id in folders else "",
                description=module.description,
                features=module.features,
                source=Source.MODEL,
            )
            for module in plans.values()
        ]


def _common_folder(folders: list[PurePosixPath]) -> str:
    common = folders[0].parts
    for folder in folders[1:]:
        length = 0
        while length < min(len(common), len(folder.parts)) and common[length] == folder.parts[length]:
            length += 1
        common = common[:length]
    return "/".join(common)


def _file_nodes(layout: FileLayout, nodes: tuple[NodeInterface, ...]) -> list[RPGNode]:
    plans = {file.path: file for file in layout.files}
    for node in nodes:
        plans.setdefault(node.file, FilePlan(path=node.file, module=node.module))
    return [
        RPGNode(
            id=file.path,
            name=PurePosixPath(file.path).name,
            level=Level.COMPONENT,
            node_type=NodeType.FILE_AUGMENTED,
            parent=file.module,
            folder_path=str(PurePosixPath(file.path).parent),
            file_path=file.path,
            description=file.description,
            features=file.features,
        )
        for file in plans.values()
    ]


def _code_node(node: NodeInterface) -> RPGNode:
    return RPGNode(
        id=node.id,
        name=node.name,
        level=Level.FEATURE,
        node_type=NodeType.FUNCTION_AUGMENTED,
        parent=node.file,
        folder_path=str(PurePosixPath(node.file).parent),
        file_path=node.file,
        interface_type=InterfaceType(node.kind.value),
        signature=node.signature,
        docstring=node.docstring,
        description=node.description,
        features=node.features,
    )


def _flow_edges(modules: ModuleSet) -> list[RPGEdge]:
    return [
        RPGEdge(
            type=EdgeType.DATA_FLOW,
            source=flow.source,
            target=flow.target,
            data_name=flow.data_name,
            data_type=flow.data_type,
            description=flow.description,
        )
        for flow in modules.flows
    ]


def _ordering_edges(nodes: tuple[NodeInterface, ...]) -> list[RPGEdge]:
    files = {node.id: node.file for node in nodes}
    pairs = {(files[used], node.file) for node in nodes for used in node.uses if used in files}
    return [RPGEdge(type=EdgeType.ORDERING, source=a, target=b) for a, b in sorted(pairs) if a != b]


def use_edges(nodes: tuple[NodeInterface, ...]) -> list[RPGEdge]:
    """INHERITANCE and INVOCATION between these nodes."""
    names = {node.id: node.name for node in nodes}
    edges = []
    for node in nodes:
        bases = _base_names(node)
        for used in sorted(set(node.uses)):
            if used in names:
                kind = EdgeType.INHERITANCE if names[used] in bases else EdgeType.INVOCATION
                edges.append(RPGEdge(type=kind, source=node.id, target=used))
    return edges


def _base_names(node: NodeInterface) -> set[str]:
    """Names among the bases of a class; empty for a function, or for a signature that does not parse."""
    if node.kind is not InterfaceKind.CLASS:
        return set()
    try:
        tree = ast.parse(node.signature)
    except SyntaxError:
        return set()
    classes = [item for item in tree.body if isinstance(item, ast.ClassDef)]
    return {name.id for item in classes for base in item.bases for name in ast.walk(base) if isinstance(name, ast.Name)}


def module_of(path: str) -> str:
    """The dotted module of a file of the package: ``textkit.slug.core`` of ``textkit/slug/core.py``."""
    dotted = path.removesuffix(".py").replace("/", ".")
    return dotted.removesuffix(".__init__")


__all__ = [
    "SHARED",
    "BaseClassPlan",
    "BaseClasses",
    "DataFlow",
    "Feature",
    "FeatureSet",
    "FileLayout",
    "FilePlan",
    "InterfaceKind",
    "ModuleInterfaces",
    "ModulePlan",
    "ModuleSet",
    "NodeInterface",
    "Plan",
    "module_of",
    "use_edges",
]
