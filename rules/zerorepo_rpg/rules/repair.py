"""Mending a node: edits of its code or its tests by syntax tree, or another interface. Each answer is gated before it is used.

Knows nothing of why it is mended, or of how often.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zerorepo.errors import TargetFailed
from zerorepo.rule import RuleContext
from zerorepo.values import Value
from zerorepo_llm.ask import ask_json
from zerorepo_rpg.edits import Repair, apply_edits
from zerorepo_rpg.gate import asserted, asserts_less, check_code, check_tests
from zerorepo_rpg.interface_checks import check_interface
from zerorepo_rpg.plan_model import NodeInterface
from zerorepo_rpg.rules.asking import template
from zerorepo_rpg.rules.proving import covered, pass_without_code, plan_problems, type_problems
from zerorepo_rpg.validate import messages


class Correction(Value):
    """A model's answer: what of an interface changes. The rest, above all its name and place, stays."""

    signature: str
    docstring: str
    raises: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()


async def mend_code(
    ctx: RuleContext[Any], interface: NodeInterface, seen: Mapping[str, object], source: str, purpose: str
) -> str | None:
    """The code after a repair that passed every gate; None when none did."""

    def check(code: str) -> list[str]:
        return check_code(code, interface, ctx.attrs.dependencies, ctx.attrs.permissions)

    async def proof(answer: Repair) -> Sequence[str]:
        return await type_problems(ctx, apply_edits(source, answer.edits))

    return await _mend(ctx, "repair_code.md", seen, source, purpose, check, proof)


async def mend_tests(
    ctx: RuleContext[Any], interface: NodeInterface, seen: Mapping[str, object], source: str, tests: str, purpose: str
) -> str | None:
    """The tests after a repair that asserts and covers no less than before; None when none did."""
    before = asserted(tests)

    def check(code: str) -> list[str]:
        return [*check_tests(code, interface), *asserts_less(before, asserted(code))]

    async def proof(answer: Repair) -> Sequence[str]:
        mended = apply_edits(tests, answer.edits)
        report, hollow = await pass_without_code(ctx, mended)
        if report is not None and report.passed:
            return [f"All {len(hollow)} tests pass although `{interface.name}` has no code; assert what it does."]
        if emptied := sorted(set(hollow) - set((await pass_without_code(ctx, tests))[1])):
            return [
                f"Without any code of `{interface.name}` these pass now: {', '.join(emptied)}; assert what it does."
            ]
        return _covers_less(await covered(ctx, source, tests), await covered(ctx, source, mended))

    return await _mend(ctx, "repair_tests.md", seen, tests, purpose, check, proof)


async def _mend(
    ctx: RuleContext[Any],
    prompt: str,
    seen: Mapping[str, object],
    old: str,
    purpose: str,
    check: Callable[[str], Sequence[str]],
    proof: Callable[[Repair], Any],
) -> str | None:
    def problems(answer: Repair) -> Sequence[str]:
        try:
            new = apply_edits(old, answer.edits)
        except ValueError as error:
            return [str(error)]
        return ["the edits change nothing"] if new == old else check(new)

    try:
        answer = await ask_json(
            ctx, template(prompt), seen, Repair,
            tier="strong", purpose=purpose, check=problems, proof=proof,
        )  # fmt: skip
    except TargetFailed:
        return None
    return apply_edits(old, answer.edits)


async def correct_interface(
    ctx: RuleContext[Any], interface: NodeInterface, seen: Mapping[str, object], purpose: str
) -> NodeInterface | None:
    """Another interface of the same name, sound by itself; None when none was offered."""

    def problems(answer: Correction) -> Sequence[str]:
        changed = interface.model_copy(update=dict(answer))
        if changed == interface:
            return ["it is the interface as it was; change what is wrong with it"]
        return messages(check_interface(changed))

    async def proof(answer: Correction) -> Sequence[str]:
        return await plan_problems(ctx, interface.model_copy(update=dict(answer)))

    try:
        answer = await ask_json(
            ctx, template("correct_interface.md"), seen, Correction,
            tier="strong", purpose=purpose, check=problems, proof=proof,
        )  # fmt: skip
    except TargetFailed:
        return None
    return interface.model_copy(update=dict(answer))


def _covers_less(before: int | None, after: int | None) -> list[str]:
    if after is None:
        return [
            "The tests did not run to their end, so what they cover is not known; mend what is wrong without testing less."
        ]
    if before is None or after >= before:
        return []
    return [f"The tests ran {before} lines of the code and now run {after}; mend what is wrong without testing less."]


__all__ = ["correct_interface", "mend_code", "mend_tests"]
