"""What a request costs, and what it costs at most. Knows prices as they were given, and nothing of where they are from.

The bound of a prompt needs no tokenizer: no byte-level tokenizer makes more tokens than there are bytes. It is generous;
what is held too much is given back when the answer comes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zerorepo_llm.accounts import Amount
from zerorepo_llm.action import AskModel
from zerorepo_llm.ledger import NUSD
from zerorepo_llm.settings import ModelSettings

_PER_MESSAGE = 16
_PER_REQUEST = 512
"""Tokens of a chat template, of a role, and of what a provider adds by itself to ask for JSON: more than any is known to add."""
_OTHER_SERVICE = ("_priority", "_flex", "_batches")


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a token. ``worst_input`` and ``worst_output`` are what a token may cost at most (a long prompt, a
    write into the prompt cache).
    """

    input: float
    output: float
    cached_input: float
    worst_input: float
    worst_output: float

    @classmethod
    def configured(cls, settings: ModelSettings | None) -> Price | None:
        """The price that the user has given, or None."""
        if settings is None or settings.input_usd is None or settings.output_usd is None:
            return None
        input_, output = settings.input_usd / 1e6, settings.output_usd / 1e6
        cached = input_ if settings.cached_input_usd is None else settings.cached_input_usd / 1e6
        return cls(input_, output, cached, max(input_, cached), output)

    @classmethod
    def of_table(cls, row: Mapping[str, Any] | None, *, batch: bool = False) -> Price | None:
        """The price in a row of litellm's table, that of batches if wanted; None when it has none for a token."""
        if row is None:
            return None
        if batch:  # where the row names no price of batches, that of other requests is the bound
            row = {**row, **{name.removesuffix("_batches"): row[name] for name in row if name.endswith("_batches")}}
        input_, output = row.get("input_cost_per_token"), row.get("output_cost_per_token")
        if not isinstance(input_, (int, float)) or not isinstance(output, (int, float)):
            return None
        cached = row.get("cache_read_input_token_cost")
        return cls(
            float(input_),
            float(output),
            float(cached) if isinstance(cached, (int, float)) else float(input_),
            _worst(row, "input_cost_per_token", "cache_creation_input_token_cost", "cache_read_input_token_cost"),
            _worst(row, "output_cost_per_token", "output_cost_per_reasoning_token"),
        )

    def cost_nusd(self, prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> int:
        """Of an answer; ``cached_tokens`` are among the ``prompt_tokens``."""
        cached = min(cached_tokens, prompt_tokens)
        dollars = (prompt_tokens - cached) * self.input + cached * self.cached_input + completion_tokens * self.output
        return round(dollars * NUSD)


def _worst(row: Mapping[str, Any], *prefixes: str) -> float:
    return max(
        float(value)
        for name, value in row.items()
        if isinstance(value, (int, float)) and name.startswith(prefixes) and not name.endswith(_OTHER_SERVICE)
    )


def prompt_bytes(action: AskModel) -> int:
    """Bytes of everything that a request for ``action`` sends as prompt."""
    schema = len(json.dumps(action.answer_schema)) if action.answer_schema is not None else 0
    return schema + sum(len(message.content.encode("utf-8", "replace")) for message in action.messages)


def most_tokens(action: AskModel) -> int:
    """More tokens than the prompt of ``action`` can have."""
    return prompt_bytes(action) + _PER_MESSAGE * len(action.messages) + _PER_REQUEST


def likely_tokens(action: AskModel) -> int:
    """About as many tokens as the prompt has; for rate limits."""
    return prompt_bytes(action) // 4 + _PER_MESSAGE * len(action.messages)


def worst_case(action: AskModel, price: Price | None) -> Amount:
    """More than one request for ``action`` can come to. Without a price the money is 0: ask for the price first."""
    prompt = most_tokens(action)
    dollars = prompt * price.worst_input + action.max_tokens * price.worst_output if price else 0.0
    return Amount(math.ceil(dollars * NUSD), prompt + action.max_tokens)
