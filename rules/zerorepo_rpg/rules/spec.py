"""Stage ``spec``: a Markdown or text file becomes a ``RepositorySpec``, section by section.

Each section is asked about by itself, so an edited sentence asks about its section only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from zerorepo.errors import TargetFailed
from zerorepo.label import Label
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo.target import SourcePath
from zerorepo_llm.ask import ask_json
from zerorepo_llm.fence import checked
from zerorepo_rpg.rules.asking import template
from zerorepo_rpg.rules.references import read_references
from zerorepo_rpg.rules.sound_lock import SoundLock
from zerorepo_rpg.rules.spec_review import model_conflicts
from zerorepo_rpg.spec_conflicts import Conflict, find_conflicts
from zerorepo_rpg.spec_model import RepositorySpec, SectionFacts, SpecSection, is_dependency, merge_sections
from zerorepo_rpg.spec_reading import with_findings
from zerorepo_rpg.spec_refine import history_path, parse_history
from zerorepo_rpg.spec_review import together
from zerorepo_rpg.spec_sections import split_sections
from zerorepo_rpg.spec_text import without_directives

_MIN_CHARS, _MAX_CHARS = 10, 50_000


class SpecAttrs(Attrs):
    """Attributes of ``rpg_spec``."""

    src: SourcePath
    model_conflicts: bool = False
    """Whether a model looks for conflicts, too."""
    lock: Label | None = None
    """The lock that must be sound before anything is asked."""


@rule("rpg_spec", version=3, attrs=SpecAttrs, provides=[RepositorySpec])
async def rpg_spec(ctx: RuleContext[SpecAttrs]) -> RepositorySpec:
    """Parse the specification; sections are asked about at once, each its own action."""
    if ctx.attrs.lock is not None:
        await ctx.provider(ctx.attrs.lock, SoundLock)
    raw = ctx.read(await ctx.source(ctx.attrs.src))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TargetFailed(f"The specification is not UTF-8 (byte {error.start})", where=ctx.attrs.src) from None
    if len(text.strip()) < _MIN_CHARS:
        raise TargetFailed(
            f"The specification has {len(text.strip()):,} characters; at least {_MIN_CHARS} are needed",
            where=ctx.attrs.src,
            hint="describe what the library does",
        )
    # As a whole, so that an error names its place in the file and not in a section of it.
    checked(
        text.replace("\r\n", "\n").replace("\r", "\n").rstrip(), "specification", _MAX_CHARS, where=str(ctx.attrs.src)
    )
    conflicts = find_conflicts(text)
    _stop_at(conflicts, ctx.attrs.src)
    references = await read_references(ctx, ctx.attrs.src, text)
    if ctx.attrs.model_conflicts:
        conflicts = together(conflicts, await model_conflicts(ctx, text))
        _stop_at(conflicts, ctx.attrs.src)
    history = await ctx.source_or_none(history_path(ctx.attrs.src))
    sections = split_sections(without_directives(text))
    facts = await ctx.concurrently(_asker(section, _path(sections, index)) for index, section in enumerate(sections))
    spec = merge_sections("", sections, facts)
    if not spec.requirements:
        raise TargetFailed(
            "The specification states nothing that the repository should do",
            where=ctx.attrs.src,
            hint="write what a user of it can do, one sentence each",
        )
    refinements = parse_history(ctx.read(history).decode("utf-8", "replace")) if history else ()
    return with_findings(spec, text, sections, references=references, conflicts=conflicts, refinements=refinements)


def _stop_at(conflicts: Sequence[Conflict], src: str) -> None:
    """TargetFailed when something in the specification cannot be built."""
    if stopping := [each for each in conflicts if each.stops]:
        listed = "\n".join(f"- {each}" for each in stopping)
        raise TargetFailed(
            f"The specification contradicts itself:\n{listed}",
            where=f"{src}:{stopping[0].lines[0] if stopping[0].lines else 1}",
            hint=_way_out(stopping[0]),
        )


def _way_out(conflict: Conflict) -> str:
    if conflict.checks == ("directive",):
        return "mend the directive"
    words = ' "words of it"' if len(conflict.messages) > 1 else ""
    return f"mend it, or accept it there: <!-- zerorepo: accept {conflict.checks[0]}{words}: why -->"


def _path(sections: Sequence[SpecSection], index: int) -> str:
    """The headings above a section, outermost first: where it stands in the text."""
    path: list[str] = []
    level = sections[index].level
    for section in reversed(sections[:index]):
        if section.level < level:
            path.insert(0, section.heading)
            level = section.level
    return " > ".join([*path, sections[index].heading])


def _asker(section: SpecSection, path: str) -> Callable[[RuleContext[Any]], Awaitable[SectionFacts]]:
    return lambda ctx: _facts(ctx, section, path)


async def _facts(ctx: RuleContext[Any], section: SpecSection, path: str) -> SectionFacts:
    if not section.text.strip():
        return SectionFacts()
    body = _flat(section.text)

    def check(facts: SectionFacts) -> list[str]:
        misquoted = [
            f"The requirement {item.text!r} does not stand in the section word for word; quote its sentence exactly."
            for item in facts.requirements
            if _flat(item.text) not in body
        ]
        # These stand outside of fences in later prompts, so nothing but a name may pass.
        unnamed = [
            f"The dependency {name[:80]!r} is no name of a distribution; leave out what the section does not name."
            for name in facts.dependencies
            if not is_dependency(name)
        ]
        return [*misquoted, *unnamed]

    facts = await ask_json(
        ctx,
        template("parse_section.md"),
        {"heading": path, "text": section.text},
        SectionFacts,
        tier="medium",
        purpose=f"parse the section {section.id}",
        check=check,
    )
    # Ids come from the sentence itself, so that reading a section again cannot rename what did not change.
    plain = tuple(item.model_copy(update={"name": ""}) for item in facts.requirements)
    return facts.model_copy(update={"requirements": plain})


def _flat(text: str) -> str:
    """The words alone: quoting may join lines and drop list markers and emphasis."""
    return " ".join(text.replace("*", "").split())
