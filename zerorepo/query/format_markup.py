"""Results as XML (Bazel's ``--output xml``) and as build-file text (``--output build``).

Only attributes that a target sets are written. Knows nothing of expressions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zerorepo.query.graph import GENERATED_FILE, QueryGraph
from zerorepo.query.rendering import Rendering

_HEADER = '<?xml version="1.1" encoding="UTF-8" standalone="no"?>\n'
_INDENT = "    "
_ENTITIES = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&quot;",
        "\0": "\ufffd",  # which XML cannot say
        **{chr(code): f"&#{code};" for code in (*range(1, 32), *range(127, 160))},
    }
)
_ESCAPES = str.maketrans(
    {
        "\\": "\\\\",
        '"': '\\"',
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        **{chr(code): f"\\x{code:02x}" for code in (*range(9), 11, 12, *range(14, 32), 127)},
    }
)


def as_xml(result: Rendering) -> str:
    """The result as one XML document."""
    if not result.nodes:
        return _HEADER + '<query version="2"/>\n'
    lines = ['<query version="2">']
    for node in result.ordered:
        lines += [_INDENT + line for line in _xml_node(result.graph, node)]
    return _HEADER + "\n".join([*lines, "</query>", ""])


def _xml_node(graph: QueryGraph, node: int) -> Iterator[str]:
    info = graph.infos[node]
    place = f"location={_quoted(info.location)} name={_quoted(graph.labels[node])}"
    if not info.is_rule:
        if info.kind == GENERATED_FILE:
            yield f"<generated-file generating-rule={_quoted(info.generated_by or '')} {place}/>"
            return
        tag = info.kind.replace(" ", "-")
        package = graph.packages[graph.package_of(node)]
        if package.build_file == graph.labels[node]:
            place += f' package_contains_errors="{"true" if package.error else "false"}"'
            yield f"<{tag} {place}>"
            yield from (f"{_INDENT}<load name={_quoted(load)}/>" for load in package.loads)
        else:
            yield f"<{tag} {place}>"
        yield f'{_INDENT}<visibility-label name="//visibility:public"/>'
        yield f"</{tag}>"
        return
    yield f"<rule class={_quoted(info.rule)} {place}>"
    for name, value in _attributes(graph, node):
        yield from _xml_attribute(name, value, labels=name in info.references or name == "visibility")
    for target in graph.forward[node]:
        yield f"{_INDENT}<rule-input name={_quoted(graph.labels[target])}/>"
    for output in info.references.get("outs", ()):
        yield f"{_INDENT}<rule-output name={_quoted(output)}/>"
    yield "</rule>"


def _attributes(graph: QueryGraph, node: int) -> Iterator[tuple[str, object]]:
    info = graph.infos[node]
    explicit = graph.attributes(node)
    yield "name", graph.name_of(node)
    for first in ("visibility", "tags"):
        value = explicit.get(first) or (list(info.tags) if first == "tags" else None)
        if value:
            yield first, value
    for name, value in explicit.items():
        if name not in ("name", "visibility", "tags") and name not in info.references:
            yield name, value
    for name, labels in info.references.items():
        if labels:
            yield name, explicit.get(name, list(labels))


def _xml_attribute(name: str, value: object, *, labels: bool) -> Iterator[str]:
    item = "output" if name == "outs" else "label" if labels else "string"
    if isinstance(value, list | tuple):
        yield f"{_INDENT}<list name={_quoted(name)}>"
        for element in value:
            yield f"{_INDENT * 2}<{item} value={_quoted(str(element))}/>"
        yield f"{_INDENT}</list>"
    elif isinstance(value, Mapping):
        yield f"{_INDENT}<dict name={_quoted(name)}>"
        for key, element in value.items():
            yield f"{_INDENT * 2}<pair>"
            yield f"{_INDENT * 3}<string value={_quoted(str(key))}/>"
            yield f"{_INDENT * 3}<string value={_quoted(str(element))}/>"
            yield f"{_INDENT * 2}</pair>"
        yield f"{_INDENT}</dict>"
    elif isinstance(value, bool):
        yield f'{_INDENT}<boolean name={_quoted(name)} value="{str(value).lower()}"/>'
    elif isinstance(value, int):
        yield f'{_INDENT}<int name={_quoted(name)} value="{value}"/>'
    elif value is not None:
        kind = "label" if labels else "string"
        yield f"{_INDENT}<{kind} name={_quoted(name)} value={_quoted(str(value))}/>"


def _quoted(text: str) -> str:
    # xml.sax would do it, and takes 25 ms to import.
    return f'"{text.translate(_ENTITIES)}"'


def as_build(result: Rendering) -> str:
    """The targets of the result as build-file text, with a comment that says where each is from. Files have none."""
    graph = result.graph
    return "".join(_build_target(graph, node) for node in result.ordered if graph.infos[node].is_rule)


def _build_target(graph: QueryGraph, node: int) -> str:
    info = graph.infos[node]
    lines = [f"# {info.location}"] if info.location else []
    lines.append(f"{info.rule}(")
    # A dollar sign marks attributes that nobody wrote, and is no part of a name in a build file.
    lines += [
        f"  {name.replace('$', '_')} = {_literal(value)},"
        for name, value in _attributes(graph, node)
        if value is not None
    ]
    return "\n".join([*lines, ")", "", ""])


def _literal(value: object) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_literal, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_literal(key)}: {_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPES)}"'
    return str(value)
