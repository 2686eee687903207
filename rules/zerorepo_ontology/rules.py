"""The rules: a target for each source, one for the tree, and the macro ``ontology`` for them all.

Knows nothing of how anything is mined, merged or embedded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import field_validator

from zerorepo.digest import Digest
from zerorepo.errors import TargetFailed
from zerorepo.label import Label
from zerorepo.rule import Attrs, RuleContext, macro, rule
from zerorepo.target import Provider, SourcePath
from zerorepo_ontology import artifact, other_sources, starter
from zerorepo_ontology.build_tree import BuildTree, PackOntology, Tree
from zerorepo_ontology.embed import EmbedTexts, Vectors, identity_of
from zerorepo_ontology.fetch import FetchDistribution, Fetched
from zerorepo_ontology.mining import Mined, MineDistribution, MineFolder, Reading
from zerorepo_ontology.settings import BM25, Engine, OntologySettings

_CLASSIFIERS = "trove-classifiers"


class MinedSource(Provider):
    """What one source was mined into."""

    name: str
    entries: Digest
    count: int


class OntologyData(Provider):
    """``artifact``: see ``artifact.load``. ``identity``: of the embedder; "" without vectors."""

    artifact: Digest
    identity: str


class DistributionAttrs(Attrs):
    """Attributes of ``ontology_distribution``: a starter package by name, or any wheel by all of its pin."""

    package: str
    version: str = ""
    wheel: str = ""
    sha256: str = ""
    license: str = ""
    any_license: bool = False
    """Mine it although its licence is not permissive: for an ontology that is not passed on."""
    place: tuple[str, ...] = ()
    names: bool = False
    depth: int = 3
    cap: int = 320


@rule("ontology_distribution", attrs=DistributionAttrs, provides=[MinedSource], version=2)
async def ontology_distribution(ctx: RuleContext[DistributionAttrs]) -> MinedSource:
    """Mine the public API of one pinned distribution."""
    attrs = ctx.attrs
    if attrs.version:
        reading = Reading(place=attrs.place, names=attrs.names, depth=attrs.depth, cap=attrs.cap)
        pin = starter.Pin(
            name=attrs.package,
            version=attrs.version,
            wheel=attrs.wheel,
            sha256=attrs.sha256,
            license=attrs.license,
            reading=reading,
        )
    else:
        pin = await _starter_pin(ctx, attrs.package)
    fetched = await _fetch(ctx, pin)
    mined: Mined = await ctx.run(
        MineDistribution(
            wheel=fetched.wheel, name=pin.name, license=pin.license, reading=pin.reading, any_license=attrs.any_license
        )
    )
    return MinedSource(name=pin.name, entries=mined.entries, count=mined.count)


async def _starter_pin(ctx: RuleContext[Any], package: str) -> starter.Pin:
    pins = starter.parse_pins((await ctx.resource(starter.PACKAGE, starter.PACKAGES)).decode(), starter.PACKAGES)
    pin = pins.get(starter.normalized(package))
    if pin is None:
        raise TargetFailed(
            f"`{package}` is not in the starter set",
            hint="give version, wheel and sha256 (`zerorepo ontology extend` finds them)",
        )
    return pin


async def _fetch(ctx: RuleContext[Any], pin: starter.Pin) -> Fetched:
    settings = await ctx.setting("ontology", OntologySettings)
    fetched: Fetched = await ctx.run(
        FetchDistribution(
            name=pin.name, version=pin.version, wheel=pin.wheel, sha256=pin.sha256, folder=settings.wheels
        )
    )
    return fetched


@rule("ontology_stdlib", attrs=Attrs, provides=[MinedSource])
async def ontology_stdlib(ctx: RuleContext[Attrs]) -> MinedSource:
    """Mine the standard library of this interpreter."""
    places = ctx.write(await ctx.resource(starter.PACKAGE, starter.STDLIB))
    action = other_sources.MineStandardLibrary(places=places, version=other_sources.interpreter())
    return _source("python", await ctx.run(action))


@rule("ontology_classifiers", attrs=Attrs, provides=[MinedSource])
async def ontology_classifiers(ctx: RuleContext[Attrs]) -> MinedSource:
    """Take the topics of the trove classifiers."""
    fetched = await _fetch(ctx, await _starter_pin(ctx, _CLASSIFIERS))
    places = ctx.write(await ctx.resource(starter.PACKAGE, starter.CLASSIFIERS))
    mined = await ctx.run(other_sources.MineClassifiers(wheel=fetched.wheel, places=places))
    return _source(_CLASSIFIERS, mined)


@rule("ontology_curated", attrs=Attrs, provides=[MinedSource])
async def ontology_curated(ctx: RuleContext[Attrs]) -> MinedSource:
    """Take the shipped list of features of applications."""
    table = ctx.write(await ctx.resource(starter.PACKAGE, starter.CURATED))
    return _source("zerorepo", await ctx.run(other_sources.MineCurated(table=table)))


class TableAttrs(Attrs):
    """Attributes of ``ontology_table``."""

    src: SourcePath
    license: str = ""


@rule("ontology_table", attrs=TableAttrs, provides=[MinedSource])
async def ontology_table(ctx: RuleContext[TableAttrs]) -> MinedSource:
    """Take features from a CSV or JSON file."""
    table = await ctx.source(ctx.attrs.src)
    name = str(ctx.attrs.src)
    return _source(name, await ctx.run(other_sources.MineTable(table=table, name=name, license=ctx.attrs.license)))


class FolderAttrs(Attrs):
    """Attributes of ``ontology_folder``."""

    folder: str
    """Relative to the workspace: where packages start."""
    license: str = ""
    place: tuple[str, ...] = ()
    names: bool = False
    depth: int = 4
    cap: int = 320


@rule("ontology_folder", attrs=FolderAttrs, provides=[MinedSource], version=2)
async def ontology_folder(ctx: RuleContext[FolderAttrs]) -> MinedSource:
    """Mine a folder of Python code."""
    attrs = ctx.attrs
    paths = await ctx.glob([f"{attrs.folder}/**/*.py"])
    if not paths:
        raise TargetFailed(
            f"There is no Python file below `{attrs.folder}`", hint="folder is relative to the workspace"
        )
    files = {path.removeprefix(f"{attrs.folder}/"): await ctx.source(path) for path in paths}
    reading = Reading(place=attrs.place, names=attrs.names, depth=attrs.depth, cap=attrs.cap)
    action = MineFolder(name=attrs.folder, files=files, license=attrs.license, reading=reading)
    return _source(attrs.folder, await ctx.run(action))


def _source(name: str, mined: Mined) -> MinedSource:
    return MinedSource(name=name, entries=mined.entries, count=mined.count)


class TreeAttrs(Attrs):
    """Attributes of ``ontology_tree``."""

    sources: tuple[Label, ...]
    engine: Engine | None = None
    """Default: ``[ontology] engine``."""
    refine: bool = False
    """Whether a model gives domains, areas and capabilities better names."""


def _tree_outputs(label: Label, attrs: TreeAttrs) -> list[str]:
    return [f"{label.path}.ontology"]


@rule("ontology_tree", attrs=TreeAttrs, provides=[OntologyData], outputs=_tree_outputs, version=2)
async def ontology_tree(ctx: RuleContext[TreeAttrs]) -> OntologyData:
    """Merge the sources into one tree with vectors, and write it out as one file."""
    sources = await ctx.providers(ctx.attrs.sources, MinedSource)
    engine = ctx.attrs.engine or (await ctx.setting("ontology", OntologySettings)).engine
    entries = tuple(source.entries for source in sources if source.count)
    if not entries:
        raise TargetFailed("Nothing was mined: the ontology would be empty")
    if engine == BM25:
        tree: Tree = await _named(ctx, await ctx.run(BuildTree(entries=entries)))
        return await _packed(ctx, tree, None, "")
    identity = identity_of(engine)
    made: list[Vectors] = await ctx.run_all(
        EmbedTexts(texts=each, of_entries=True, identity=identity, engine=engine) for each in entries
    )
    tree = await _named(ctx, await ctx.run(BuildTree(entries=entries, vectors=tuple(each.vectors for each in made))))
    upper: Vectors = await ctx.run(EmbedTexts(texts=tree.upper, identity=identity, engine=engine))
    return await _packed(ctx, tree, upper, identity)


async def _named(ctx: RuleContext[TreeAttrs], tree: Tree) -> Tree:
    if not ctx.attrs.refine:
        return tree
    from zerorepo_ontology.refining import refined

    return await refined(ctx, tree)


async def _packed(ctx: RuleContext[Any], tree: Tree, upper: Vectors | None, identity: str) -> OntologyData:
    vectors = tree.vectors if upper is not None else None
    packed = await ctx.run(
        PackOntology(
            ontology=tree.ontology, upper=upper.vectors if upper else None, features=vectors, identity=identity
        )
    )
    ctx.output(f"{ctx.label.path}.ontology", packed.artifact)
    return OntologyData(artifact=packed.artifact, identity=identity)


class FileAttrs(Attrs):
    """Attributes of ``ontology_file``."""

    src: SourcePath


@rule("ontology_file", attrs=FileAttrs, provides=[OntologyData])
async def ontology_file(ctx: RuleContext[FileAttrs]) -> OntologyData:
    """Take an ontology that was built elsewhere."""
    digest = await ctx.source(ctx.attrs.src)
    _, _, identity = artifact.load(ctx.read(digest), str(ctx.attrs.src))
    return OntologyData(artifact=digest, identity=identity)


class OntologyAttrs(Attrs):
    """Attributes of the macro ``ontology``."""

    packages: tuple[str, ...] = ()
    """Starter packages; default: all."""
    exclude: tuple[str, ...] = ()
    """Starter packages that are left out, such as those that an evaluation imitates."""
    starter: bool = True
    """Whether starter packages are mined at all."""
    stdlib: bool = True
    classifiers: bool = True
    curated: bool = True
    web: bool = False
    """Features of the web platform (``web-features``) and browser data."""
    cloud: bool = False
    """What the services of a cloud provider can be asked."""
    sources: tuple[Label, ...] = ()
    """More targets to take in: ``ontology_distribution``, ``ontology_table``, ``ontology_folder``."""
    engine: Engine | None = None
    refine: bool = False
    """Whether a model gives domains, areas and capabilities better names."""

    @field_validator("exclude", "packages")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known = starter.starter_pins()
        for name in names:
            if starter.normalized(name) not in known:
                raise ValueError(f"`{name}` is not among the packages of the starter set")
        return names


@macro("ontology", attrs=OntologyAttrs)
def ontology(label: Label, attrs: OntologyAttrs) -> Sequence[tuple[Label, str, Mapping[str, Any]]]:
    """An ontology from the starter packages, the standard library, classifiers, curated features and sources of one's own."""
    made: list[tuple[Label, str, Mapping[str, Any]]] = []

    def add(name: str, rule_name: str, values: Mapping[str, Any]) -> None:
        made.append((label.sibling(f"{label.name}.{name}"), rule_name, {"tags": list(attrs.tags), **values}))

    if attrs.starter:
        for name in starter.chosen(attrs.packages, attrs.exclude):
            if name != _CLASSIFIERS:
                add(name, "ontology_distribution", {"package": name})
    for kind in ("stdlib", "classifiers", "curated"):
        if getattr(attrs, kind):
            add(kind, f"ontology_{kind}", {})
    for kind in (
        *(("web_features", "browser_data") if attrs.web else ()),
        *(("cloud_services",) if attrs.cloud else ()),
    ):
        add(kind, f"ontology_{kind}", {})
    values: dict[str, Any] = {"sources": [*(str(each) for each, _, _ in made), *(str(each) for each in attrs.sources)]}
    if attrs.engine is not None:
        values["engine"] = attrs.engine
    if attrs.refine:
        values["refine"] = True
    return [*made, (label, "ontology_tree", {"tags": list(attrs.tags), **values})]
