"""A specification for people and other programs: JSON, YAML, Markdown, HTML, or a summary of a few lines."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable

from zerorepo_rpg.spec_conflicts import Conflict
from zerorepo_rpg.spec_model import RepositorySpec


def to_json(spec: RepositorySpec) -> str:
    """All fields."""
    return spec.model_dump_json(indent=2) + "\n"


def to_yaml(spec: RepositorySpec) -> str:
    """All fields."""
    import yaml

    text: str = yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)
    return text


def to_markdown(spec: RepositorySpec) -> str:
    """A document with a heading for everything that the specification says."""
    parts = [f"# {spec.title}", spec.description, f"Package `{spec.package_name}`."]
    by_epic = {epic.title: epic.requirements for epic in spec.epics}
    placed = {each for ids in by_epic.values() for each in ids}
    rest = tuple(each.id for each in spec.requirements if each.id not in placed)
    known = {each.id: each for each in spec.requirements}
    if rest:
        by_epic["Requirements"] = rest
    for title, ids in by_epic.items():
        parts.append(_list(title, [f"{known[i].text} ({known[i].priority}, `{i}`)" for i in ids if i in known]))
    flows = [f"{flow.source} → {flow.target}{f': {flow.data}' if flow.data else ''}" for flow in spec.data_flows]
    listed = {
        "Technology": [
            f"{name}: {', '.join(values)}"
            for name, values in (
                ("languages", spec.languages),
                ("frameworks", spec.frameworks),
                ("dependencies", spec.dependencies),
                ("platforms", spec.platforms),
                ("deployment", spec.deployment_targets),
                ("scope", spec.scope),
            )
            if values
        ],
        "Constraints": [f"{each.text} ({each.priority})" for each in spec.constraints],
        "Quality": [f"{each.kind}: {each.text}" for each in spec.quality_attributes],
        "Components": list(spec.components),
        "Data flows": flows,
        "Data models": [f"{each.name}: {each.description}" for each in spec.data_models],
        "Functions": [f"`{each.signature or each.name}`: {each.description}" for each in spec.functions],
        "API": [f"{each.method} {each.path}" for each in spec.api_endpoints],
        "Files": list(spec.file_recommendations),
        "References": [f"{each.title}: {', '.join(c.name for c in each.concepts)}".rstrip(": ") for each in spec.references],
        "Conflicts": [_conflict(each) for each in spec.conflicts],
        "History": [f"{each.when} {each.action}: {each.text} {each.answer}".strip() for each in spec.refinements],
    }  # fmt: skip
    parts += [_list(title, items) for title, items in listed.items()]
    return "\n\n".join(part for part in parts if part) + "\n"


def _conflict(each: Conflict) -> str:
    return f"{each.severity}: {each}" + (f" (accepted: {each.accepted})" if each.accepted else "")


def _list(title: str, items: list[str]) -> str:
    return "\n".join([f"## {title}", "", *(f"- {item}" for item in items)]) if items else ""


def to_html(spec: RepositorySpec) -> str:
    """One page without scripts or anything from elsewhere."""
    body = []
    open_list = False
    for line in to_markdown(spec).splitlines():
        item = line.startswith("- ")
        if open_list and not item:
            body.append("</ul>")
        if item and not open_list:
            body.append("<ul>")
        open_list = item
        if heading := re.match(r"(#{1,2}) (.*)", line):
            body.append(f"<h{len(heading[1])}>{_inline(heading[2])}</h{len(heading[1])}>")
        elif item:
            body.append(f"<li>{_inline(line[2:])}</li>")
        elif line:
            body.append(f"<p>{_inline(line)}</p>")
    if open_list:
        body.append("</ul>")
    head = f'<meta charset="utf-8"><title>{html.escape(spec.title)}</title>'
    style = "<style>body{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto;padding:0 1em}</style>"
    return (
        "\n".join(["<!doctype html>", f'<html lang="en"><head>{head}{style}</head><body>', *body, "</body></html>"])
        + "\n"
    )


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def to_summary(spec: RepositorySpec) -> str:
    """A few lines."""
    counts = Counter(str(each.priority) for each in spec.requirements)
    said = ", ".join(f"{count} {name}" for name, count in counts.items())
    needed = ", ".join(spec.dependencies or spec.frameworks) or "no dependencies named"
    stated = f"{len(spec.requirements)} requirements" + (f" ({said})" if said else "")
    lines = [
        f"{spec.title} (package {spec.package_name})",
        f"{stated} in {len(spec.epics)} epics, {len(spec.sections)} sections",
        f"{', '.join(spec.languages)}; {needed}; {spec.license or 'no licence'}",
    ]
    if spec.conflicts:
        lines.append(
            f"{len(spec.conflicts)} conflicts, {sum(each.stops for each in spec.conflicts)} of which stop a build"
        )
    return "\n".join(lines) + "\n"


EXPORTERS: dict[str, Callable[[RepositorySpec], str]] = {
    "json": to_json,
    "yaml": to_yaml,
    "markdown": to_markdown,
    "html": to_html,
    "summary": to_summary,
}
"""Format name to function."""

__all__ = ["EXPORTERS", "to_html", "to_json", "to_markdown", "to_summary", "to_yaml"]
