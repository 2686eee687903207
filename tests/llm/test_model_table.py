"""What is told of a model without loading litellm is what litellm itself would say."""

from __future__ import annotations

import subprocess
import sys

import pytest

from zerorepo_llm import model_table
from zerorepo_llm.providers.through_litellm import load_litellm
from zerorepo_llm.settings import LLMSettings

TEXT = "Tokens are counted. Wörter, 日本語, def f(x: int) -> str: ...\n" * 20
MODELS = ("openai/gpt-4o", "openai/gpt-4", "anthropic/claude-sonnet-4-6", "azure/gpt-4o", "my/own")


def test_prices_windows_and_tokens_are_litellms() -> None:
    litellm = load_litellm()
    settings = LLMSettings()
    for model in MODELS:
        row = litellm.model_cost.get(model) or litellm.model_cost.get(model.partition("/")[2]) or {}
        price, window = model_table.price(model, settings), model_table.window(model, settings)
        assert (price.input if price else None) == row.get("input_cost_per_token"), model
        assert (price.output if price else None) == row.get("output_cost_per_token"), model
        assert window == row.get("max_input_tokens"), model
    for model, most in (
        ("openai/gpt-4", 0.0),
        ("openai/gpt-4o", 0.05),
    ):  # of the latter litellm counts with the older encoding
        count, exact = model_table.counter(model)
        theirs = litellm.token_counter(model=model.partition("/")[2], text=TEXT)
        assert exact
        assert abs(count(TEXT) - theirs) <= most * theirs


def test_settings_come_before_the_table() -> None:
    own = {"input_usd": 3, "output_usd": 9, "context_window": 1000}
    settings = LLMSettings.model_validate(
        {"models": {"lab/gpt-4o": own}, "providers": {"lab": {"kind": "openai"}, "two": {"kind": "openai"}}}
    )
    price = model_table.price("lab/gpt-4o", settings)
    assert price is not None
    assert (price.input, price.output, model_table.window("lab/gpt-4o", settings)) == (3e-6, 9e-6, 1000)
    other = model_table.price("two/gpt-4o", settings)  # a name of the user's own, of a kind that the table knows
    assert other is not None
    assert other.input == 2.5e-6


def test_of_a_model_without_a_tokenizer_the_number_is_an_estimate() -> None:
    count, exact = model_table.counter("my/own")
    assert not exact
    assert 0.2 < count(TEXT) / len(TEXT) < 0.6


def test_special_tokens_in_a_text_are_text() -> None:
    count, _ = model_table.counter("openai/gpt-4o")
    assert count("<|endoftext|>") > 1


@pytest.mark.parametrize("broken", ["_folder", "_table"])
def test_without_litellms_files_nothing_is_known_and_nothing_is_fetched(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_table, broken, lambda: None if broken == "_folder" else {})
    model_table._table.cache_clear() if broken == "_folder" else None
    model_table._encoding.cache_clear()
    try:
        assert model_table.price("openai/gpt-4o", LLMSettings()) is None
        assert model_table.counter("openai/gpt-4o")[0]("four") >= 1
    finally:
        monkeypatch.undo()
        model_table._table.cache_clear()
        model_table._encoding.cache_clear()


def test_looking_loads_no_litellm() -> None:
    code = (
        "import sys; from zerorepo_llm import model_table; from zerorepo_llm.settings import LLMSettings\n"
        "assert model_table.price('openai/gpt-4o', LLMSettings())\n"
        "model_table.counter('openai/gpt-4o')[0]('text')\n"
        "assert not {'litellm', 'openai', 'httpx', 'requests'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
