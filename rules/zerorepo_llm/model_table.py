"""What is known of a model offline: litellm's own table and tokenizers, read from its files without importing it (3 s).

Both belong to the installed version and are never fetched. Knows nothing of what is asked.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from zerorepo_llm.prices import Price
from zerorepo_llm.settings import LLMSettings, litellm_name, provider_of

_TABLE = "model_prices_and_context_window_backup.json"
_TOKENIZERS = "litellm_core_utils/tokenizers"
# Names of tiktoken's files: the SHA-1 of the addresses that it would load them from.
_ENCODINGS = {
    "o200k_base": "fb374d419588a4632f3f557e76b4b70aebbca790",
    "cl100k_base": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
}


def row(model: str) -> Mapping[str, Any] | None:
    """litellm's row of a model string, with or without its provider; None when there is none."""
    table = _table()
    found = table.get(model) or table.get(model.partition("/")[2])
    return found if isinstance(found, dict) else None


def price(model: str, settings: LLMSettings) -> Price | None:
    """The price that the settings give, or litellm's; None when it is not known."""
    own = settings.providers.get(provider_of(model))
    table = Price.of_table(row(litellm_name(settings, model)), batch=own is not None and own.batch)
    return Price.configured(settings.models.get(model)) or table


def window(model: str, settings: LLMSettings) -> int | None:
    """Tokens that a prompt may have; None when that is not known."""
    configured = settings.models.get(model)
    if configured is not None and configured.context_window is not None:
        return configured.context_window
    found = (row(litellm_name(settings, model)) or {}).get("max_input_tokens")
    return found if isinstance(found, int) else None


def counter(model: str) -> tuple[Callable[[str], int], bool]:
    """A function that counts the tokens of a text, and whether it is the model's own tokenizer or one like it."""
    name = _encoding_name(model)
    encoding = _encoding(name or "o200k_base")
    if encoding is None:
        return lambda text: len(text.encode()) // 4 + 1, False
    return lambda text: len(encoding.encode(text, disallowed_special=())), name is not None


@cache
def _folder() -> Path | None:
    found = importlib.util.find_spec("litellm")
    places = list(found.submodule_search_locations or []) if found else []
    return Path(places[0]) if places else None


@cache
def _table() -> Mapping[str, Any]:
    folder = _folder()
    try:
        table = json.loads((folder / _TABLE).read_bytes()) if folder else {}
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}


def _encoding_name(model: str) -> str | None:
    try:
        from tiktoken.model import encoding_name_for_model

        name = encoding_name_for_model(model.rpartition("/")[2])
    except (ImportError, KeyError):
        return None
    return name if name in _ENCODINGS else None


@cache
def _encoding(name: str) -> Any:
    folder = _folder()
    if folder is None or not (folder / _TOKENIZERS / _ENCODINGS[name]).is_file():
        return None  # tiktoken would go and fetch it
    try:
        import tiktoken
    except ImportError:
        return None
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder / _TOKENIZERS)
    try:
        return tiktoken.get_encoding(name)
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before
