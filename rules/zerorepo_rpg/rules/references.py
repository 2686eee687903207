"""References of a specification, read as sources of its target; what each is about is found by a cached action."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from zerorepo.action import Action, ActionContext, ActionResult
from zerorepo.digest import Digest
from zerorepo.errors import ActionFailed, TargetFailed
from zerorepo.rule import RuleContext
from zerorepo.values import COSMETIC
from zerorepo_rpg.spec_references import Concept, Reference, ReferenceKind, concepts_of, references_in


class Concepts(ActionResult):
    """What a reference is about."""

    concepts: tuple[Concept, ...] = ()


class ReadReference(Action):
    """Find the concepts of a reference's files. ``where`` is the line that names it, for errors."""

    mnemonic: ClassVar[str] = "ReadReference"
    result: ClassVar[type[ActionResult]] = Concepts

    kind: ReferenceKind
    files: Mapping[str, Digest]
    where: Annotated[str, COSMETIC]

    async def execute(self, context: ActionContext) -> Concepts:
        """Read them, as data."""
        try:
            contents = {path: context.read(digest) for path, digest in self.files.items()}
            return Concepts(concepts=concepts_of(self.kind, contents))
        except ValueError as error:
            raise ActionFailed(f"A reference cannot be read: {error}", where=self.where) from None


def local_path(src: str, target: str) -> str | None:
    """The path in the workspace that a reference in ``src`` names; None when it leads out of it."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(src), target))
    return None if target.startswith("/") or path == ".." or path.startswith("../") or "\\" in target else path


async def read_references(ctx: RuleContext[Any], src: str, text: str) -> tuple[Reference, ...]:
    """The references with their concepts. TargetFailed, with the line, for one that is missing or cannot be read."""
    found = []
    for each in references_in(text):
        where = f"{src}:{each.line}"
        if each.kind in (ReferenceKind.TEXT, ReferenceKind.LINK):
            found.append(each)
            continue
        path = local_path(src, each.target)
        if path is None:
            raise TargetFailed(
                f"The reference `{each.target}` leads out of the workspace", where=where, hint="copy it in"
            )
        if each.kind is ReferenceKind.FOLDER:
            names: tuple[str, ...] = await ctx.glob([f"{path}/**/*.py"])
        else:
            names = (path,)
        contents = {name: await ctx.source_or_none(name) for name in names}
        files = {name: digest for name, digest in contents.items() if digest is not None}
        if not files:
            what = "a folder with Python files" if each.kind is ReferenceKind.FOLDER else "a file"
            raise TargetFailed(f"The reference `{each.target}` is not there: `{path}` is not {what}", where=where)
        made: Concepts = await ctx.run(ReadReference(kind=each.kind, files=files, where=where))
        found.append(each.model_copy(update={"concepts": made.concepts}))
    return tuple(found)


__all__ = ["ReadReference", "local_path", "read_references"]
