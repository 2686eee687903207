"""A plan that its stages made and that does not hold together goes back to the model, with the exact checks, and that is bounded.

Only what was planned anew may be changed: what stands in the lock was accepted, by a person or a build. So a lock edited into a
plan that does not hold together is told, and nobody is asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from importlib.metadata import version
from typing import Any

from zerorepo.errors import TargetFailed
from zerorepo.rule import RuleContext
from zerorepo_llm.ask import ask_json
from zerorepo_rpg.plan_change import InterfaceMend, merge_mend
from zerorepo_rpg.plan_model import SHARED, NodeInterface, Plan
from zerorepo_rpg.providers import LockedBaseClasses, LockedModulePlans
from zerorepo_rpg.rules.asking import forbid_when_locked, template
from zerorepo_rpg.rules.notes import PlanNote
from zerorepo_rpg.rules.skeleton_types import CheckTypes, TypeProblems
from zerorepo_rpg.skeleton import skeleton
from zerorepo_rpg.spec_model import RepositorySpec
from zerorepo_rpg.type_checks import plan_notes
from zerorepo_rpg.validate import messages, validate_interfaces, validate_plan

ROUNDS = 3
"""How often the interfaces of a plan are mended."""


async def mended(ctx: RuleContext[Any], plan: Plan, spec: RepositorySpec, existing: Collection[str] = ()) -> Plan:
    """The plan itself when it holds together, else one whose new interfaces a model has mended.

    ``ctx.attrs`` are those of ``rpg_plan``; ``existing`` are files that people wrote. TargetFailed with what is wrong when nothing
    may be mended, or mending did not help.
    """
    for round_ in range(1, ROUNDS + 2):
        problems = messages(validate_plan(plan, spec, existing))
        types = [] if problems else await _type_problems(ctx, plan)
        if not problems and not types:
            for note in plan_notes(plan):
                await ctx.run(PlanNote(text=f"plan: {note}"))
            return plan
        beyond = [each for each in problems if each not in messages(validate_interfaces(plan, spec))]
        new = set() if beyond or round_ > ROUNDS else await _planned_anew(ctx, plan)
        allowed = _concerned(plan, problems or types) & new
        if not allowed:
            raise _failure(ctx.attrs.lock_path, problems, types)
        await forbid_when_locked(ctx, "plan", ctx.attrs.lock_path)
        plan = await _ask(ctx, plan, spec, problems or types, allowed, round_, existing)
    raise AssertionError("the last round returns or raises")


async def _type_problems(ctx: RuleContext[Any], plan: Plan) -> list[str]:
    """What mypy says of the package without bodies: none is asked for while its signatures do not fit together."""
    files = skeleton(plan)
    checked: TypeProblems = await ctx.run(CheckTypes(files=files, package=plan.package_name, mypy=version("mypy")))
    return [_with_source(line, files) for line in checked.lines]


def _with_source(line: str, files: dict[str, str]) -> str:
    found = re.match(r"([^:]+):(\d+)", line)
    lines = files.get(found[1], "").split("\n") if found else []
    number = int(found[2]) if found else 0
    return f"{line}\n    {lines[number - 1].strip()}" if 0 < number <= len(lines) else line


def _failure(lock: str, problems: Sequence[str], types: Sequence[str]) -> TargetFailed:
    listed = "\n".join(f"- {line}" for line in problems or types)
    if problems:
        return TargetFailed(
            f"The plan does not hold together:\n{listed}",
            where=lock,
            hint=f"mend `{lock}` by hand, or remove the part in question to have it planned anew",
        )
    return TargetFailed(
        f"The interfaces do not fit together (check skeleton_types, by mypy on the package without bodies):\n{listed}",
        where=lock,
        hint=f"mend the signatures in `{lock}` by hand, or remove them to have them planned anew",
    )


async def _planned_anew(ctx: RuleContext[Any], plan: Plan) -> set[str]:
    """Modules whose interfaces are not those of the lock; ``shared`` when the base classes are not."""
    locked = await ctx.provider(ctx.attrs.lock, LockedModulePlans)
    bases = await ctx.provider(ctx.attrs.lock, LockedBaseClasses)
    accepted = {name: module.interfaces.interfaces for name, module in locked.modules.items()}
    found = {each.module for each in plan.interfaces if each.interfaces != accepted.get(each.module)}
    return found | ({SHARED} if plan.base_classes != bases.value else set())


def _concerned(plan: Plan, problems: Iterable[str]) -> set[str]:
    """Modules that the problems name, by id, node or file, and those whose nodes they use."""
    nodes = {node.id: node for node in plan.nodes()}
    modules = {node.module for node in nodes.values()} | {module.id for module in plan.modules.modules}
    files = {node.file: node.module for node in nodes.values()}
    found: set[str] = set()
    for text in problems:
        for word in re.findall(r"[\w./-]+", text):
            name = word.strip(".")
            found |= {nodes[name].module} if name in nodes else set()
            found |= {files[name]} if name in files else set()
            found |= {name} & modules
    uses = plan.uses()
    return found | {nodes[used].module for node in nodes.values() if node.module in found for used in uses[node.id]}


async def _ask(
    ctx: RuleContext[Any],
    plan: Plan,
    spec: RepositorySpec,
    problems: Sequence[str],
    allowed: set[str],
    round_: int,
    existing: Collection[str],
) -> Plan:
    modules = sorted(allowed - {SHARED})
    shown = [each.model_dump(mode="json") for each in plan.interfaces if each.module in allowed]
    bases = [base.model_dump(mode="json") for base in plan.base_classes.classes] if SHARED in allowed else []

    def check(mend: InterfaceMend) -> list[str]:
        wrong = [
            f"`module` of `{node.id}` is `{node.module}`; only these may be changed: {', '.join(modules) or 'none'}."
            for node in mend.interfaces
            if node.module not in modules
        ]
        known = {base["id"] for base in bases}
        touched = [*(base.id for base in mend.base_classes), *mend.removed]
        wrong += [f"`{name}` is no base class that may be changed." for name in touched if name not in known]
        merged = merge_mend(plan, mend)
        if not wrong and merged == plan:
            return ["Nothing is different, so the problems are still there."]
        return wrong or messages(validate_plan(merged, spec, existing))

    mend = await ask_json(
        ctx,
        template("mend_interfaces.md"),
        {
            "package": plan.package_name,
            "modules": ", ".join(modules) or "none",
            "problems": "\n".join(f"- {text}" for text in problems),
            "interfaces": json.dumps(shown, indent=1, ensure_ascii=False),
            "bases": json.dumps(bases, indent=1, ensure_ascii=False) if bases else "",
            "others": "\n\n".join(_seen(node) for node in plan.nodes() if node.module not in allowed) or "none",
        },
        InterfaceMend,
        tier="strong",
        purpose=f"mend the interfaces, round {round_}",
        check=check,
    )
    return merge_mend(plan, mend)


def _seen(node: NodeInterface) -> str:
    return f"{node.id}\nfrom {node.import_path} import {node.name}\n{node.signature.rstrip()}"


__all__ = ["ROUNDS", "mended"]
