"""Providers: whoever answers. One small protocol for the built-in ones and for third parties; found by import path.

Knows nothing of any one provider; the journal, retries, redaction and metering are done for all of them in ``service``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from zerorepo.digest import Digest
from zerorepo.errors import UsageError, did_you_mean
from zerorepo.label import Label
from zerorepo_llm.action import Answer, AskModel
from zerorepo_llm.prices import Price
from zerorepo_llm.settings import BUILT_IN_PROVIDERS, LLMSettings

_BUILT_IN = {
    "litellm": "zerorepo_llm.providers.through_litellm:LiteLLMProvider",
    "replay": "zerorepo_llm.providers.replay:ReplayProvider",
    "desk": "zerorepo_llm.providers.desk:DeskProvider",
}
assert tuple(_BUILT_IN) == BUILT_IN_PROVIDERS

NOTHING_CONFIGURED = (
    'No model is configured. In zerorepo.toml, [llm]: provider = "litellm" with api_key = "env:NAME" and '
    "models in [llm.tiers];\n"
    'or provider = "replay" with transcripts = ["FOLDER"]: answers recorded before, no key and no network needed;\n'
    'or provider = "desk": every prompt is parked as a file, and you or an agent answers it (zerorepo desk --help).'
)


@dataclass(frozen=True, slots=True)
class Setup:
    """What a provider is made from."""

    settings: LLMSettings
    workspace: Path
    state_dir: Path


@dataclass(frozen=True, slots=True)
class Request:
    """One question for a provider. ``progress`` shows a short line; ``no_wait``: do not wait for people.

    ``action.model`` is the model to ask: the question's own, or one of its fallbacks. ``shared_prefix``: other questions of
    this build begin with the same system message. ``refresh``: do not give an answer that was recorded.
    """

    key: Digest
    label: Label
    action: AskModel
    no_wait: bool = False
    progress: Callable[[str], None] = lambda text: None
    shared_prefix: bool = False
    refresh: bool = False


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a provider knows of a model offline; None: not known. ``window``: tokens that a prompt may have."""

    price: Price | None = None
    window: int | None = None


@runtime_checkable
class KnowsModels(Protocol):
    """A provider that knows prices and context windows, or counts tokens. Others leave that to ``[llm.models]``."""

    async def facts(self, model: str) -> ModelFacts:
        """Of ``model``, without asking anyone."""

    def count_tokens(self, model: str, text: str) -> int:
        """About how many tokens ``text`` has for ``model``. Called after ``facts``."""


class ModelProvider(Protocol):
    """Answers requests. ``name`` is for people; ``limited``: its requests go through the limits, the circuit breaker, the
    budgets and the fallbacks of ``[llm]``, as those of a paid service must.
    """

    name: str
    limited: bool

    async def ask(self, request: Request) -> Answer:
        """One answer, from one attempt. Raises ModelFault (classified; retried where that helps) or a ZeroRepoError.

        A cancelled call must leave nothing running.
        """

    async def close(self) -> None:
        """Release everything; called once, also after failures."""


Factory = Callable[[Setup], ModelProvider]


def open_provider(setup: Setup) -> ModelProvider:
    """The provider that the settings name; UsageError when there is none or it cannot be imported."""
    name = setup.settings.provider
    if not name:
        raise UsageError(NOTHING_CONFIGURED)
    return factory_of(name)(setup)


def factory_of(name: str) -> Factory:
    """The factory behind ``litellm``, ``replay``, ``desk`` or ``module.path:factory``."""
    where = "zerorepo.toml [llm] provider"
    path = _BUILT_IN.get(name, name)
    module, colon, attribute = path.partition(":")
    if not colon:
        raise UsageError(
            f"Unknown provider `{name}`",
            where=where,
            hint=did_you_mean(name, BUILT_IN_PROVIDERS)
            or f"providers: {', '.join(BUILT_IN_PROVIDERS)}, or `module.path:factory` of your own",
        )
    try:
        factory: Factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"Cannot load the provider `{name}`: {error}", where=where) from error
    return factory
