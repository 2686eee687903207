"""Prompt files: Jinja2 templates with a ``[system]`` and a ``[user]`` section. Knows nothing of what is asked or of
whom.

The file is split before it is rendered, so no value can open a section; undefined names are errors; every value is
either short and plain, or fenced (``| data("name")``), or vouched for by the author (``| trusted``).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from zerorepo.errors import InternalError, UsageError
from zerorepo_llm.fence import MAX_DATA_CHARS, Fenced, check_fences, fence, plain

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

PREAMBLE = ("zerorepo_llm", "prompts/preamble.md")

Template = tuple[str, str]
"""Python package and name of a file inside it: ``("zerorepo_rpg", "prompts/parse_spec.md")``."""
Fetch = Callable[[str, str], Awaitable[bytes]]
"""``RuleContext.resource``."""

_SECTION = re.compile(r"^\[(system|user)\][ \t]*$", re.MULTILINE)


class CountsAs(str):
    """A text for a prompt that counts as another one, ``counted``: it is shown as it is, and a change that leaves
    ``counted`` alone is no reason to ask again.
    """

    counted: str

    def __new__(cls, text: str, counted: str) -> CountsAs:
        made = super().__new__(cls, text)
        made.counted = counted
        return made


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt: what to do, and what to do it with."""

    system: str
    user: str


def split(source: str, where: str) -> dict[str, str]:
    """The two sections of a prompt file; InternalError when they are not there, once each, system first."""
    parts = _SECTION.split(source.replace("\r\n", "\n"))
    before, names = parts[0], parts[1::2]
    if names != ["system", "user"] or re.sub(r"\{#.*?#\}", "", before, flags=re.DOTALL).strip():
        raise InternalError(
            f"The prompt file `{where}` has the sections {names or 'none'}",
            hint="it needs a line [system], the instructions, a line [user], the task with its data; nothing before",
        )
    return dict(zip(names, parts[2::2], strict=True))


@lru_cache(maxsize=64)  # compiling a template takes many times as long as rendering it
def _environment(templates: tuple[tuple[str, str], ...], where: str) -> SandboxedEnvironment:
    from jinja2 import DictLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def finalize(value: Any) -> Any:
        # An undefined value must reach Jinja, which raises for it.
        return value if isinstance(value, StrictUndefined) else plain(value, where)

    environment = ImmutableSandboxedEnvironment(
        loader=DictLoader(dict(templates)),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        finalize=finalize,
    )
    environment.filters["data"] = _data
    environment.filters["trusted"] = _trusted
    return environment


def _text(value: Any) -> str:
    from jinja2 import StrictUndefined

    if isinstance(value, StrictUndefined):
        str(value)  # raises, and names the variable
    if not isinstance(value, str):
        raise InternalError(
            f"A {type(value).__name__} cannot be put into a prompt as text", hint="make it text first, or use | tojson"
        )
    return str(value)


def _data(value: Any, name: str, limit: int = MAX_DATA_CHARS, clean: bool = False) -> Fenced:
    return fence(_text(value), name, limit=limit, clean=clean)


def _trusted(value: Any) -> Fenced:
    return Fenced(_text(value))


@lru_cache(maxsize=256)
def _referenced(source: str) -> tuple[str | None, ...]:
    """The files that a template includes; None for one whose name is computed."""
    from jinja2 import Environment, meta

    return tuple(meta.find_referenced_templates(Environment().parse(source)))


async def _sources(fetch: Fetch, template: Template) -> dict[str, str]:
    """The sections, and every file that they include, by name."""
    from jinja2 import TemplateSyntaxError

    package, name = template
    sections = split((await fetch(package, name)).decode("utf-8"), f"{package}/{name}")
    sources = {f"[{section}]": text.strip("\n") for section, text in sections.items()}
    waiting = list(sources)
    while waiting:
        current = waiting.pop()
        try:
            referenced = _referenced(sources[current])
        except TemplateSyntaxError as error:
            raise InternalError(
                f"The prompt file `{package}/{name}` is not a valid template: {error.message}",
                where=f"{current}, line {error.lineno}",
            ) from None
        for other in referenced:
            if other is None:
                raise InternalError(f"The prompt file `{package}/{name}` includes a file whose name is computed")
            if other not in sources:
                sources[other] = (await fetch(package, other)).decode("utf-8")
                waiting.append(other)
    return sources


async def render(fetch: Fetch, template: Template, variables: Mapping[str, object]) -> Prompt:
    """Render a prompt file. Everything read comes through ``fetch``, so that it is recorded.

    UsageError for data that may not be sent; InternalError for a fault of the file, such as an undefined name.
    """
    sources = tuple((await _sources(fetch, template)).items())
    where = "/".join(template)
    if all(isinstance(value, str) for value in variables.values()):
        # A ``Fenced`` equals the text that it holds, and is shown in another way.
        given = tuple((name, type(value), value) for name, value in variables.items())
        rendered = _rendered_before(sources, where, given)
    else:
        rendered = _rendered(sources, where, variables)
    preamble = (await fetch(*PREAMBLE)).decode("utf-8").strip()
    return Prompt(system=f"{preamble}\n\n{rendered['[system]']}", user=rendered["[user]"])


@lru_cache(maxsize=32)  # the samples of a vote are one text
def _rendered_before(
    sources: tuple[tuple[str, str], ...], where: str, given: tuple[tuple[str, type, object], ...]
) -> Mapping[str, str]:
    return _rendered(sources, where, {name: value for name, _, value in given})


def _rendered(sources: tuple[tuple[str, str], ...], where: str, variables: Mapping[str, object]) -> Mapping[str, str]:
    from jinja2 import TemplateError

    environment = _environment(sources, where)
    rendered: dict[str, str] = {}
    for section in ("[system]", "[user]"):
        try:
            rendered[section] = environment.get_template(section).render(dict(variables)).strip()
        except (InternalError, UsageError):
            raise
        except TemplateError as error:
            raise InternalError(
                f"The prompt file `{where}` cannot be rendered: {error}",
                hint=f"it was given: {', '.join(sorted(variables)) or 'nothing'}",
            ) from None
        check_fences(rendered[section])
    return rendered
