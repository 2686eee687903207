"""What questions are likely to cost: by what like ones have cost in this workspace, else by the model's price and their size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from zerorepo.values import Value
from zerorepo_llm import model_table
from zerorepo_llm.files import state_dir
from zerorepo_llm.ledger import Call, Ledger, usd
from zerorepo_llm.prices import Price
from zerorepo_llm.settings import LLMSettings, Tier, model_of
from zerorepo_rpg.expected_questions import Asked

_MEDIUM = ("rpg_spec", "rpg_limits", "rpg_files")
_INSTRUCTIONS = 1500
"""Tokens of a prompt besides what it shows: instructions and the schema of the answer, measured to the nearest 500."""
_ANSWER = (300, 2000)
"""Tokens of an answer: of a small change, and of what is usual."""


class _Cost(Value):
    """Of one question, in nUSD. ``basis`` says where it is from; "" when nothing is known."""

    low: float = 0.0
    likely: float = 0.0
    high: float = 0.0
    basis: str = ""


def money_lines(
    groups: Mapping[str, Sequence[Asked]], llm: LLMSettings, workspace: Path, shown_bytes: int
) -> Iterator[str]:
    """The expected cost of each group of questions, with its basis. ``shown_bytes``: what a question shows at most."""
    if llm.provider in ("replay", "desk"):
        yield f"cost: none, since the provider `{llm.provider}` takes answers from {_SOURCES[llm.provider]}"
        return
    ledger = Ledger(state_dir(workspace))
    try:
        calls = list(ledger.calls())
    finally:
        ledger.close()
    bases: dict[str, None] = {}
    for name, asked in groups.items():
        low = likely = high = 0.0
        for each in asked:
            cost = _cost(each.stage, calls, llm, shown_bytes)
            bases[cost.basis or f"the price of {_model(llm, each.stage)} is not known: [llm.models] can give it"] = None
            low, likely, high = (
                low + each.low * cost.low,
                likely + each.likely * cost.likely,
                high + each.high * cost.high,
            )
        if high:
            yield f"cost: at least {_usd(low)}, expected {_usd(likely)}, at most {_usd(high)} {name}"
    yield f"({'; '.join(bases)})"


_SOURCES = {"replay": "recordings", "desk": "people"}


def _model(llm: LLMSettings, stage: str) -> str:
    tier: Tier = "medium" if stage in _MEDIUM else "strong"
    return model_of(llm, tier, stage)


def _cost(stage: str, calls: Sequence[Call], llm: LLMSettings, shown_bytes: int) -> _Cost:
    model = _model(llm, stage)
    mine = [each for each in calls if each.stage == stage and each.outcome in ("answered", "recorded")]
    paid = [each.cost_nusd for each in mine if each.model == model and each.cost_nusd]
    if paid:
        return _Cost(low=min(paid), likely=fmean(paid), high=max(paid), basis="by what like questions have cost here")
    price = model_table.price(model, llm)
    if price is None:
        return _Cost()
    sizes = [(each.prompt_tokens, each.completion_tokens) for each in mine if each.completion_tokens]
    if sizes:
        amounts = [price.cost_nusd(prompt, 0, answer) for prompt, answer in sizes]
        basis = f"by the price of {model} and the size of like questions here"
        return _Cost(low=min(amounts), likely=fmean(amounts), high=max(amounts), basis=basis)
    return _by_size(price, model, shown_bytes, llm.max_tokens)


def _by_size(price: Price, model: str, shown_bytes: int, most: int) -> _Cost:
    shown = shown_bytes // 3  # more tokens than English or Python text of that size has
    answers = [min(each, most) for each in (*_ANSWER, most)]
    prompts = (_INSTRUCTIONS, _INSTRUCTIONS + shown // 2, _INSTRUCTIONS + shown)
    low, likely, high = (price.cost_nusd(prompt, 0, answer) for prompt, answer in zip(prompts, answers, strict=True))
    return _Cost(
        low=low, likely=likely, high=high, basis=f"by the price of {model} and the size of specification and plan"
    )


def _usd(nusd: float) -> str:
    return f"${usd(round(nusd)):.4f}" if nusd < 1e9 else f"${usd(round(nusd)):.2f}"


__all__ = ["money_lines"]
