"""``zerorepo ontology``: build, search, look at, extend and export. Knows nothing of how any of it is done."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from zerorepo.errors import ExitCode, UsageError, did_you_mean
from zerorepo.redaction import mask

ontology_app = typer.Typer(help="What software can do: features mined from real libraries.", no_args_is_help=True)

From = Annotated[
    Path | None, typer.Option("--from", metavar="FILE", help="This ontology, instead of the built or shipped one.")
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="PACKAGE", help="Leave out what only this package shows; repeatable."),
]
EngineOption = Annotated[
    str | None, typer.Option("--engine", help="int8, fp32, api:MODEL, or bm25 (words alone, no weights needed).")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


PLATFORMS = {
    "web-features": "ontology_web_features",
    "browser-data": "ontology_browser_data",
    "cloud-services": "ontology_cloud_services",
}
"""What ``extend`` takes by name."""
_SOURCE = f"NAME==VERSION, a CSV or JSON file, a folder of code, or {', '.join(PLATFORMS)}."


def _print_json(value: Any) -> None:
    typer.echo(mask(json.dumps(value, indent=2, ensure_ascii=False)))


def _engine(text: str | None) -> str | None:
    from zerorepo_ontology.settings import check_engine

    if text is None:
        return None
    try:
        return check_engine(text)
    except ValueError as error:
        raise UsageError(str(error)[:1].upper() + str(error)[1:]) from None


def _settings() -> tuple[Any, Path]:
    """``[ontology]`` of the workspace around here, if there is one."""
    from zerorepo import commands
    from zerorepo_ontology.settings import OntologySettings

    try:
        root = commands.workspace_root()
    except UsageError:
        return OntologySettings(), Path.cwd()
    return commands.settings("ontology", OntologySettings), root


@ontology_app.command()
def build(
    label: Annotated[str | None, typer.Argument(metavar="[LABEL]", help="A target of this workspace, not your own.")] = None,
    exclude: Exclude = None,
    package: Annotated[list[str] | None, typer.Option("--package", help="Only these starter packages; repeatable.")] = None,
    engine: EngineOption = None,
    wheels: Annotated[Path | None, typer.Option("--wheels", metavar="DIR", help="A folder of wheels to take.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Also write the ontology here.")] = None,
) -> None:  # fmt: skip
    """Mine the sources and build the ontology: only what changed is mined and embedded again."""
    from zerorepo import commands
    from zerorepo_ontology import home

    if label is not None:
        if exclude or package or engine or wheels:
            raise UsageError("These options are attributes of the target", hint="write them into its [[target]]")
        code = commands.build([label])
        _copy(commands.output_folder() / f"{label.split(':')[-1].split('/')[-1]}.ontology", output, code)
        raise typer.Exit(code)
    chosen = home.load()
    update: dict[str, Any] = {}
    for key, value in (("exclude", exclude), ("packages", package)):
        if value is not None:
            from zerorepo_ontology import starter

            starter.chosen(value, ())
            update[key] = tuple(value)
    if engine is not None:
        update["engine"] = _engine(engine)
    if wheels is not None:
        update["wheels"] = str(wheels.absolute())
    home.save(chosen.model_copy(update=update))
    code = commands.build(["//:ontology"], home.folder())
    _copy(home.folder() / "out" / "ontology.ontology", output, code)
    raise typer.Exit(code)


def _copy(made: Path, output: Path | None, code: ExitCode) -> None:
    if code is ExitCode.OK and output is not None:
        try:
            output.write_bytes(made.read_bytes())
        except OSError as error:
            raise UsageError(f"The ontology cannot be written: {error.strerror}", where=str(output)) from None


@ontology_app.command()
def search(
    query: Annotated[list[str], typer.Argument(metavar="TEXT...", help="What the software should do.")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="Hits at most.")] = 10,
    level: Annotated[
        list[str] | None, typer.Option("--level", help="domain, area, capability or feature; repeatable.")
    ] = None,
    below: Annotated[
        str, typer.Option("--below", metavar="NAME", help="Only below this domain, area or capability.")
    ] = "",
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Only with this tag; repeatable.")] = None,
    source: Annotated[str, typer.Option("--source", metavar="PACKAGE", help="Only what this package shows.")] = "",
    exclude: Exclude = None,
    engine: EngineOption = None,
    file: From = None,
    as_json: Json = False,
) -> None:
    """The nodes nearest in meaning to a text, with their paths and scores."""
    from zerorepo_ontology import opened
    from zerorepo_ontology.searching import DEFAULT_LEVELS, Filter

    found = opened.find(file, exclude or ())
    settings, root = _settings()
    searcher = found.searcher(_engine(engine) or found.engine, settings, root)
    filter_ = Filter(levels=tuple(level or DEFAULT_LEVELS), below=below, tags=tuple(tag or ()), source=source)
    hits = searcher.search(" ".join(query), limit, filter_)
    if as_json:
        rows = [
            {
                "score": round(hit.score, 4),
                "cosine": round(hit.cosine, 4),
                "path": list(hit.path),
                **_row(found.ontology, hit.node),
            }
            for hit in hits
        ]
        _print_json(rows)
        return
    if not hits:
        typer.echo("Nothing found.", err=True)
    for hit in hits:
        typer.echo(f"{hit.score:.2f}  {' / '.join(hit.path)}")
        if hit.node.examples:
            shown = ", ".join(example.path for example in hit.node.examples[:2])
            more = f" and {len(hit.node.examples) - 2} more" if len(hit.node.examples) > 2 else ""
            typer.echo(f"      {shown}{more}")


def _row(ontology: Any, node: Any) -> dict[str, Any]:
    return {
        "id": node.id,
        "level": node.level,
        "name": node.name,
        "description": node.description,
        "origin": node.origin,
        "tags": list(node.tags),
        "frequency": {"packages": node.packages, "apis": node.apis},
        "also": [" / ".join(ontology.path(ontology.by_id[each])) for each in node.also],
        "sources": [
            {
                "path": each.path,
                "signature": each.signature,
                "kind": each.kind,
                "package": ontology.sources[each.source].name,
                "version": ontology.sources[each.source].version,
                "license": ontology.sources[each.source].license,
            }
            for each in node.examples
        ],
    }


@ontology_app.command()
def stats(
    by_source: Annotated[bool, typer.Option("--sources", help="A row for each source, with its licence.")] = False,
    exclude: Exclude = None,
    file: From = None,
    as_json: Json = False,
) -> None:
    """How large the ontology is: distinct nodes, sources, per domain."""
    from zerorepo_ontology import opened, statistics

    found = opened.find(file, exclude or ())
    numbers = statistics.of(found.ontology, found.size, found.identity)
    if as_json:
        _print_json(numbers)
        return
    typer.echo(f"{found.where}, {found.size / 1e6:.1f} MB, vectors: {found.identity or 'none'}")
    for line in statistics.lines(numbers, by_source=by_source):
        typer.echo(line)


@ontology_app.command()
def show(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A node by id, name or path a/b/c; none: the domains.")
    ] = None,
    exclude: Exclude = None,
    file: From = None,
    as_json: Json = False,
) -> None:
    """One node, where it was seen, and what is below it."""
    from zerorepo_ontology import opened

    found = opened.find(file, exclude or ()).ontology
    if name is None:
        nodes = list(found.children.get("", ()))
    else:
        parts = [part.strip().casefold() for part in name.split("/")]
        nodes = [
            node for node in found.nodes
            if node.id == name or node.name.casefold() == name.casefold()
            or (len(parts) > 1 and [each.casefold() for each in found.path(node)][-len(parts):] == parts)
        ]  # fmt: skip
        if not nodes:
            near = did_you_mean(name, {node.name for node in found.nodes if node.level != "feature"})
            raise UsageError(
                f"There is no node `{name}`", hint=near or "zerorepo ontology search finds nodes by meaning"
            )
    if as_json:
        _print_json(
            [
                {**_row(found, node), "below": [child.name for child in found.children.get(node.id, ())]}
                for node in nodes
            ]
        )
        return
    for node in nodes:
        typer.echo(f"{' / '.join(found.path(node))}  ({node.level} {node.id}, {_seen(node)})")
        if name is None:
            continue
        if node.description:
            typer.echo(f"  {node.description}")
        for example in node.examples:
            source = found.sources[example.source]
            typer.echo(
                f"  {example.path}{example.signature}  [{source.name} {source.version}, {source.license}]".replace(
                    "  [", "  ["
                )
            )
        for child in found.children.get(node.id, ()):
            typer.echo(f"  - {child.name}  ({_seen(child)})")


def _seen(node: Any) -> str:
    """In how many sources and examples, for a person."""
    many = (("source", node.packages), ("example", node.apis))
    return ", ".join(f"{count:,} {what}{'' if count == 1 else 's'}" for what, count in many)


@ontology_app.command()
def extend(
    what: Annotated[str, typer.Argument(metavar="SOURCE", help=_SOURCE)],
    domain: Annotated[str, typer.Option("--domain", help="Where it belongs; default: where its features are nearest.")] = "",
    area: Annotated[str, typer.Option("--area", help="The area in that domain.")] = "",
    any_license: Annotated[bool, typer.Option("--any-license", help="Even if its licence is not permissive.")] = False,
) -> None:  # fmt: skip
    """Add a source to your own ontology and build it: only the new source is mined and embedded."""
    from zerorepo import commands
    from zerorepo_ontology import home

    path = Path(what)
    place = [domain, area or domain] if domain else []
    if what in PLATFORMS and not path.exists():
        added = home.Added(name=f"own.{what}", rule=PLATFORMS[what], attrs={})
    elif "==" in what and not path.exists():
        added = _pinned(what, place, any_license, home.load().wheels)
    elif path.is_dir():
        added = home.take_folder(path)
    elif path.is_file() and path.suffix.lower() in (".csv", ".json"):
        added = home.take_table(path)
    else:
        raise UsageError(
            f"`{what}` is no package, table, folder or platform",
            hint=did_you_mean(what, (*PLATFORMS, *_beside(path)))
            or f"NAME==VERSION, a .csv or .json file, a folder of code, or one of {', '.join(PLATFORMS)}",
        )
    if place and what not in PLATFORMS and added.rule != "ontology_table":
        added = added.model_copy(update={"attrs": {**added.attrs, "place": place}})
    before = home.load()
    home.save(home.add(before, added))
    code = commands.build(["//:ontology"], home.folder())
    if code is not ExitCode.OK:
        home.save(before)
        typer.echo(f"`{what}` was not added.", err=True)
    raise typer.Exit(code)


def _beside(path: Path) -> list[str]:
    """Tables and folders that stand where ``path`` would."""
    try:
        found = [each for each in path.parent.iterdir() if each.suffix.lower() in (".csv", ".json") or each.is_dir()]
    except OSError:
        return []
    return [str(path.parent / each.name) for each in found]


def _pinned(what: str, place: list[str], any_license: bool, wheels: str) -> Any:
    """Find the wheel of a version and pin it by its hash."""
    from zerorepo_ontology import fetch, home, starter
    from zerorepo_sandbox.pip import download

    name, _, version = what.partition("==")
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name) or not re.fullmatch(r"[A-Za-z0-9.+!_-]+", version):
        raise UsageError(f"`{what}` is not of the form NAME==VERSION")
    with tempfile.TemporaryDirectory(prefix="zerorepo-extend-") as folder:
        target = Path(folder)
        own = Path(wheels) if wheels else None
        hint = f"it was looked for in {own}: `zerorepo ontology build --wheels` said so" if own else fetch.HINT
        asyncio.run(download(what, ["--no-deps", what], target, folder=own, longest_s=fetch.LONGEST_S, hint=hint))
        wheel = next(iter(sorted(target.glob("*.whl"))))
        attrs: dict[str, Any] = {
            "package": name, "version": version, "wheel": wheel.name,
            "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        }  # fmt: skip
    if any_license:
        attrs["any_license"] = True
    return home.Added(name=f"own.{starter.normalized(name)}", rule="ontology_distribution", attrs=attrs)


@ontology_app.command()
def export(
    form: Annotated[str, typer.Option("--format", help="nested (names and frequencies), paths, or nodes.")] = "nested",
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Default: standard output.")] = None,
    exclude: Exclude = None,
    file: From = None,
) -> None:  # fmt: skip
    """Write the ontology out as JSON, or as one path a line."""
    from zerorepo_ontology import opened
    from zerorepo_ontology.ontology import nested

    forms = ("nested", "paths", "nodes")
    if form not in forms:
        raise UsageError(f"There is no format `{form}`", hint=did_you_mean(form, forms) or ", ".join(forms))
    found = opened.find(file, exclude or ()).ontology
    if form == "paths":
        text = "".join(f"{'/'.join(part.replace('/', '|') for part in found.path(node))}\n" for node in found.nodes)
    elif form == "nodes":
        rows = (json.dumps({**_row(found, node), "path": found.path(node)}, ensure_ascii=False) for node in found.nodes)
        text = "".join(f"{row}\n" for row in rows)
    else:
        tree, frequency = nested(found)
        text = json.dumps({"tree": tree, "frequency": frequency}, ensure_ascii=False) + "\n"
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"This cannot be written: {error.strerror}", where=str(output)) from None


@ontology_app.command()
def keep(
    place: Annotated[
        str, typer.Argument(metavar="[PLACE]", help="A folder or http://host:port; default: [ontology] store.")
    ] = "",
    query: Annotated[
        str, typer.Option("--search", metavar="TEXT", help="Ask what is kept there instead of writing.")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="Hits at most.")] = 10,
    exclude: Exclude = None,
    file: From = None,
) -> None:
    """Keep the ontology's vectors in Chroma, for other programs, or search there."""
    from zerorepo_ontology import opened
    from zerorepo_ontology.store import VectorStore, records_of

    settings, root = _settings()
    place = place or settings.store
    if not place:
        raise UsageError("No place is named", hint='zerorepo ontology keep FOLDER, or [ontology] store = "FOLDER"')
    found = opened.find(file, exclude or ())
    if found.vectors is None:
        raise UsageError(
            "This ontology has no vectors to keep", where=found.where, hint="build it with another engine than bm25"
        )
    where = place if place.startswith(("http://", "https://")) else str(root / place)
    store = VectorStore(where, found.identity, found.vectors.shape[1])
    if query:
        vector = found.searcher(found.engine, settings, root).embedder([query])[0]
        for hit in store.search(vector, limit):
            typer.echo(f"{hit.cosine:.2f}  {hit.text}")
        return
    store.put(records_of(found.ontology), found.vectors)
    typer.echo(f"{store.count():,} vectors in {where}", err=True)
