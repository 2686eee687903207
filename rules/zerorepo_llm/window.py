"""Whether a prompt fits a model's context window, and if not, by how much and because of which input. Drops nothing.

Knows the form of fences, and no tokenizer: whoever asks brings one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from zerorepo_llm import faults
from zerorepo_llm.action import AskModel
from zerorepo_llm.faults import ModelFault
from zerorepo_llm.prices import most_tokens

_FENCED = re.compile(
    r'<data-(?P<nonce>[0-9a-f]{16}) name="(?P<name>[^"]*)">\n(?P<body>.*?)\n</data-(?P=nonce)>', re.DOTALL
)
_SAID = re.compile(
    r"maximum context length is (?P<window>[\d,]+) tokens.*?(?P<tokens>[\d,]+) tokens"
    r"|(?P<tokens2>[\d,]+) tokens > (?P<window2>[\d,]+)",
    re.IGNORECASE | re.DOTALL,
)
_SHOWN = 3

Count = Callable[[str], int]


def check(action: AskModel, model: str, window: int | None, count: Count) -> None:
    """ModelFault when the prompt of ``action`` has more tokens than ``window``. ``count`` is called only in doubt."""
    if window is None or most_tokens(action) <= window:
        return
    tokens = sum(count(message.content) for message in action.messages)
    if tokens > window:
        raise ModelFault(faults.CONTEXT_WINDOW, describe(action, model, window, tokens, count))


def describe(action: AskModel, model: str, window: int, tokens: int, count: Count) -> str:
    """By how much it is too long, and which inputs are the longest."""
    text = f"the prompt has about {tokens:,} tokens, {tokens - window:,} more than the {window:,} of {model}"
    parts = largest(action, count)
    return f"{text}; longest inputs: {', '.join(parts)}" if parts else text


def largest(action: AskModel, count: Count) -> list[str]:
    """The longest pieces of data in a prompt, as ``name (n tokens)``."""
    found: dict[str, int] = {}
    for message in action.messages:
        for match in _FENCED.finditer(message.content):
            found[match["name"]] = found.get(match["name"], 0) + count(match["body"])
    ordered = sorted(found.items(), key=lambda item: -item[1])
    return [f"`{name}` ({tokens:,} tokens)" for name, tokens in ordered[:_SHOWN]]


def said(detail: str) -> tuple[int, int] | None:
    """Window and tokens of the prompt as a provider's refusal names them, or None."""
    match = _SAID.search(detail)
    if match is None:
        return None
    window, tokens = match["window"] or match["window2"], match["tokens"] or match["tokens2"]
    return int(window.replace(",", "")), int(tokens.replace(",", ""))
