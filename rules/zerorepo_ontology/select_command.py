"""``zerorepo select``: choose features for a specification, and tell how it went. Knows nothing of how they are chosen."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from zerorepo.errors import EnvironmentFailure, ExitCode, UsageError
from zerorepo.redaction import mask

_SHOWN = 12


def select(
    what: Annotated[
        str, typer.Argument(metavar="SPEC|LABEL", help="A specification, or a target of rule feature_selection.")
    ],
    no_model: Annotated[
        bool, typer.Option("--no-model", help="Exploit and explore only; no self-check, nothing proposed.")
    ] = False,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", metavar="PACKAGE", help="Leave out; repeatable.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw coverage and diversity (.png or .svg).")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the walk through the tree.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="The whole report on standard output.")] = False,
) -> None:
    """Select features out of the ontology for a specification; stop when it is covered, or no longer grows."""
    from zerorepo import commands

    if plot is not None and plot.suffix.lower() not in (".png", ".svg"):
        raise UsageError(f"`{plot.name}` is no picture that can be drawn", hint="a name that ends in .png or .svg")
    if what.startswith(("//", ":")):
        if no_model or exclude or seed:
            raise UsageError("These options are attributes of the target", hint="write them into its [[target]]")
        code = commands.build([what], quiet=as_json)
        label = what.lstrip("/")
        file = commands.output_folder() / f"{label.replace(':', '/').lstrip('/')}.selection.json"
    else:
        if not no_model:
            raise UsageError(
                "A model is asked for a target of a workspace only, where it is configured",
                hint='--no-model selects without one; or declare a target: rule = "feature_selection", spec = "spec.md"',
            )
        root = _workspace(Path(what), tuple(exclude or ()), seed)
        code = commands.build(["//:selection"], root, quiet=as_json)
        file = root / "out" / "selection.selection.json"
    if code is not ExitCode.OK:
        raise typer.Exit(code)
    report = json.loads(file.read_bytes())
    if plot is not None:
        draw(report, plot)
    if as_json:
        typer.echo(mask(json.dumps(report, indent=1, ensure_ascii=False)))
    else:
        for line in lines(report):
            typer.echo(line)


def _workspace(spec: Path, exclude: tuple[str, ...], seed: int) -> Path:
    """A workspace in the user's data folder with a copy of ``spec``."""
    from zerorepo_ontology import home

    root = home.made("select")
    try:
        shutil.copyfile(spec, root / "spec.md")
        own = home.folder() / "out" / "ontology.ontology"
        settings = home.load()
    except OSError as error:
        raise UsageError(f"The specification cannot be read: {error.strerror}", where=str(spec)) from None
    head = f"[ontology]\nweights = {json.dumps(settings.weights)}\n" if settings.weights else ""
    ontology = ""
    if own.is_file():
        shutil.copyfile(own, root / "own.ontology")
        ontology = 'ontology = "//:own"\n\n[[target]]\nname = "own"\nrule = "ontology_file"\nsrc = "own.ontology"\n'
    target = (
        '[[target]]\nname = "selection"\nrule = "feature_selection"\nspec = "spec.md"\nmodel = false\n'
        f"exclude = {json.dumps(list(exclude))}\nlimits = {{ seed = {seed} }}\n"
    )
    (root / "zerorepo.toml").write_text(f'[workspace]\nname = "select"\n{head}\n{target}{ontology}', "utf-8")
    return root


def lines(report: dict[str, Any]) -> list[str]:
    """The report for a person: iterations, what was selected, and what nothing serves."""
    made = ["iteration  proposed  accepted  requirements  branches  distance"]
    for step in report["iterations"]:
        by = {kind: sum(each["by"] == kind for each in step["accepted"]) for kind in ("exploit", "explore", "missing")}
        shown = ", ".join(f"{count} {kind}" for kind, count in by.items() if count)
        made.append(
            f"{step['iteration']:>9}  {step['proposed']:>8}  {len(step['accepted']):>8}  {step['requirements']:>12.0%}  "
            f"{step['branches']:>8.0%}  {step['distance']:>8.2f}  {shown}"
        )
    made += ["", f"{len(report['features'])} features selected. Stopped: {report['stopped']}."]
    if report["skipped"]:
        made.append(f"Without a model: {' and '.join(report['skipped'])} were skipped.")
    sections: dict[str, list[dict[str, Any]]] = {}
    for each in report["features"]:
        sections.setdefault(each["section"], []).append(each)
    for section, features in sections.items():
        made += ["", section or "(no heading)"]
        made += [f"  {each['text']}  ({each['by']}, {each['cosine']:.2f})" for each in features[:_SHOWN]]
        if len(features) > _SHOWN:
            made.append(f"  and {len(features) - _SHOWN} more (--json shows all)")
    texts = {each["id"]: each["text"] for each in report["requirements"]}
    if report["unserved"]:
        made += ["", "Nothing selected serves:", *(f"  {texts[each]}" for each in report["unserved"])]
    return made


def draw(report: dict[str, Any], file: Path) -> None:
    """Coverage and diversity over iterations, as a picture. EnvironmentFailure without matplotlib."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise EnvironmentFailure(
            "Drawing needs the package `matplotlib`, which is not installed",
            hint='python -m pip install "zerorepo[plot]"',
        ) from None
    steps = report["iterations"]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    numbers = [step["iteration"] for step in steps]
    for key, name in (
        ("coverage", "coverage"),
        ("requirements", "requirements"),
        ("branches", "branches"),
        ("distance", "mean distance"),
    ):
        axes.plot(
            numbers,
            [step[key] for step in steps],
            marker="o",
            markersize=3,
            label=name,
            linestyle="--" if key == "distance" else "-",
        )
    axes.set_xlabel("iteration")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(0, 1.02)
    axes.legend(loc="lower right")
    axes.set_title(f"{len(report['features'])} features; {report['stopped']}", fontsize=9, wrap=True)
    try:
        figure.savefig(file)
    except OSError as error:
        raise UsageError(f"The picture cannot be written: {error.strerror}", where=str(file)) from None
