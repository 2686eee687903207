"""Files that a person wrote in the place of generated ones: how each rule takes them, and whose an edited file of the package is.

An edit of an assembled module goes to the nodes it concerns when they, put together again, give exactly the edited module; else
the file as a whole stands for the assembled one. Nobody is asked for what was adopted; it is tested like everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zerorepo.digest import Digest
from zerorepo.errors import TargetFailed
from zerorepo.label import Label
from zerorepo.rule import Adopt, Named, Origin, RuleContext
from zerorepo_rpg.assemble import package_files, test_path
from zerorepo_rpg.gate import check_definition
from zerorepo_rpg.plan_model import NodeInterface, Plan
from zerorepo_rpg.providers import AssembledRepository, NodeCode, NodeTests
from zerorepo_rpg.python_source import format_python, parse
from zerorepo_rpg.rules.plan import node_label
from zerorepo_rpg.split import split_module


def _file_of(label: Label, suffix: str, prefix: str = "") -> str:
    return label.sibling(prefix + label.name.removesuffix(suffix) + ".py").path


def code_file(label: Label) -> str:
    """The one file that ``//module:node.code`` takes."""
    return _file_of(label, ".code")


def tests_file(label: Label) -> str:
    """The one file that ``//module:node.tests`` takes."""
    return _file_of(label, ".tests", "test_")


def text_of(ctx: RuleContext[Any], files: Named, name: str) -> str:
    """The text of an adopted Python file. TargetFailed when it is none."""
    digest = files.get(name)
    if digest is None:
        taken = ", ".join(files)
        raise TargetFailed(f"`{ctx.label}` was adopted as `{taken}`; it takes the file `{name}`", where=str(ctx.label))
    try:
        text = ctx.read(digest).decode()
        parse(text)
    except ValueError as error:
        raise TargetFailed(f"What `{ctx.label}` was adopted as cannot be used: {error}", hint="mend the file") from None
    return text


def check_adopted_code(ctx: RuleContext[Any], source: str, interface: NodeInterface) -> None:
    """Others rely on the interface, whoever wrote the code. TargetFailed when the source is not what it says."""
    if problems := check_definition(source, interface):
        listed = "\n".join(f"- {text}" for text in problems)
        raise TargetFailed(
            f"The adopted code of `{interface.id}` is not what its interface says:\n{listed}",
            hint="mend the file, or change the interface in the plan",
        )


async def adopted_tests(ctx: RuleContext[Any], files: Named) -> NodeTests:
    """A person's tests of a node. They are not mended by anyone else."""
    return NodeTests(source=text_of(ctx, files, tests_file(ctx.label)), by_hand=True)


TESTS = Adopt(
    make=adopted_tests,
    names=lambda label, attrs: (tests_file(label),),
    current=lambda label, provider: {tests_file(label): provider(NodeTests).source},
)


def code_adopt(make: Callable[[Any, Named], Any]) -> Adopt:
    """How ``node_code`` takes a file; ``make`` proves it."""
    return Adopt(
        make=make,
        names=lambda label, attrs: (code_file(label),),
        current=lambda label, provider: {code_file(label): provider(NodeCode).source},
    )


def assembled_adopt(implementation: Callable[[Any], Any]) -> Adopt:
    """How ``rpg_assemble`` takes files: each in the place of the one that it put together."""

    async def make(ctx: RuleContext[Any], files: Named) -> AssembledRepository:
        made: AssembledRepository = await implementation(ctx)
        if unknown := sorted(set(files) - set(made.files)):
            raise TargetFailed(
                f"`{unknown[0]}` was adopted, and is none of the repository's files any more",
                hint=f"see where its content belongs now, then `zerorepo adopt --undo {ctx.label}`",
            )
        return made.model_copy(update={"files": {**made.files, **files}})

    return Adopt(make=make)


async def origins(ctx: Any, edited: Mapping[str, Digest]) -> Sequence[Origin]:
    """Whose each edited file of the written repository is. ``ctx.attrs`` are those of ``rpg_repository``."""
    repository: AssembledRepository = await ctx.provider(ctx.attrs.assembled, AssembledRepository)
    plan: Plan = await ctx.provider(ctx.attrs.plan, Plan)
    tests = {test_path(node): node for node in plan.nodes()}
    found: list[Origin] = []
    for output, digest in edited.items():
        path, content = output.removeprefix(f"{ctx.attrs.folder}/"), ctx.read(digest)
        if path not in repository.files:
            found.append(Origin(output, None, note="it is written anew from each test run, so it cannot be a source"))
        elif path in tests:
            label = node_label(ctx.attrs.plan, tests[path].id, ".tests")
            found.append(Origin(output, label, tests_file(label), content, f"the tests of {tests[path].id}"))
        else:
            nodes = [node for node in plan.nodes() if node.file == path]
            parts = await _parts(ctx, plan, nodes, path, output, content, {*edited})
            whole = Origin(output, ctx.attrs.assembled, path, content, "the whole file")
            found += parts or [whole]
    return found


async def _parts(
    ctx: Any, plan: Plan, nodes: Sequence[NodeInterface], path: str, output: str, content: bytes, edited: set[str]
) -> list[Origin]:
    """The nodes that an edit of a module concerns; none when the module is more than its nodes put together."""
    ids = [node.id for node in plan.nodes()]
    code: Sequence[NodeCode] = await ctx.providers(
        [node_label(ctx.attrs.plan, each, ".code") for each in ids], NodeCode
    )
    bodies = {node_id: each.source for node_id, each in zip(ids, code, strict=True)}
    names = [node.name for node in nodes]
    try:
        text = content.decode()
        module = nodes[0].import_path if nodes else ""
        before = split_module(package_files(plan, bodies)[path], module, names) if nodes else {}
        after = split_module(text, module, names) if nodes else {}
        changed = [node for node in nodes if node.name in after and after[node.name] != before.get(node.name)]
        again = package_files(plan, {**bodies, **{node.id: after[node.name] for node in changed}})
        if not changed or again[path] != format_python(text, (plan.package_name,)):
            return []
    except ValueError:
        return []  # not Python, or not text: whoever tests it will say so
    accepted = dict(zip(ids, code, strict=True))
    found: list[Origin] = []
    for node in changed:
        label = node_label(ctx.attrs.plan, node.id, ".code")
        found.append(Origin(output, label, code_file(label), after[node.name].encode(), f"the code of {node.id}"))
        found += await _accepted_tests(ctx, node, accepted[node.id], output, edited)
    return found


async def _accepted_tests(ctx: Any, node: NodeInterface, code: NodeCode, output: str, edited: set[str]) -> list[Origin]:
    """Tests that were mended along with the code: without it, nobody would mend them again."""
    label = node_label(ctx.attrs.plan, node.id, ".tests")
    first: NodeTests = await ctx.provider(label, NodeTests)
    if first.source == code.tests or f"{ctx.attrs.folder}/{test_path(node)}" in edited:
        return []
    return [Origin(output, label, tests_file(label), code.tests.encode(), f"the tests that {node.id} passed")]
