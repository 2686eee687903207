"""What ``zerorepo info`` says about models. Knows whether a key is there, never what it is; imports no provider."""

from __future__ import annotations

import importlib.util
import os
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from zerorepo_llm.desk import Desk
from zerorepo_llm.files import WORKSPACE_FILE, state_dir
from zerorepo_llm.journal import Journal
from zerorepo_llm.secrets import shown
from zerorepo_llm.settings import LLMSettings


async def probe(workspace: Path) -> dict[str, Any]:
    """Provider, tiers, whether the key is there, and how many answers and open prompts there are."""
    found: dict[str, Any] = {"litellm": _litellm_version()}
    try:
        with (workspace / WORKSPACE_FILE).open("rb") as file:
            settings = LLMSettings.model_validate(tomllib.load(file).get("llm", {}))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        # The command line reports the workspace file's errors; a value in it may be a key, so none is shown.
        return {
            **found,
            "provider": None,
            "problem": f"{WORKSPACE_FILE} has no readable [llm] section ({type(error).__name__})",
        }
    place = state_dir(workspace)
    return {
        **found,
        "provider": settings.provider,
        "tiers": settings.tiers.model_dump(),
        "key": _key_state(settings.api_key),
        "keys": {name: _key_state(each.api_key) for name, each in settings.providers.items() if each.api_key},
        "transcripts": list(settings.transcripts),
        "answers": len(Journal(place).keys()),
        "open_prompts": len(Desk(place).open()),
    }


def _litellm_version() -> str | None:
    if importlib.util.find_spec("litellm") is None:
        return None
    try:
        return version("litellm")
    except PackageNotFoundError:
        return None


def _key_state(reference: str | None) -> str:
    if reference is None:
        return "not configured"
    scheme, _, name = reference.partition(":")
    if scheme == "env":
        return f"{reference}: {'present' if os.environ.get(name) else 'missing'}"
    if scheme == "file":
        return f"{reference}: {'present' if Path(name).expanduser().is_file() else 'missing'}"
    # Looking would unlock a keyring or run a command.
    return f"{shown(reference)}: looked up when it is needed"
