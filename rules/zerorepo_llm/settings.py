"""The ``[llm]`` section of ``zerorepo.toml``. Knows nothing of providers beyond their names.

Only what changes an answer is identity: the models behind the tiers and the sampling parameters. The provider is not,
so that an answer recorded at the desk replays under the key that litellm would have used.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from zerorepo.errors import did_you_mean
from zerorepo.values import COSMETIC, Value

Tier = Literal["cheap", "medium", "strong"]
BUILT_IN_PROVIDERS = ("litellm", "replay", "desk")


class Tiers(Value):
    """The model of each tier, as a litellm model string (``anthropic/…``, ``ollama/…``).

    The defaults are the tiers' own names: enough for people and recorded answers, refused by litellm.
    """

    cheap: str = "cheap"
    medium: str = "medium"
    strong: str = "strong"


class LLMSettings(Value):
    """How models are asked. Every field has a default; without ``provider`` nothing can be asked."""

    provider: Annotated[str | None, COSMETIC] = None
    """``litellm``, ``replay``, ``desk``, or ``module.path:factory`` of another provider."""
    transcripts: Annotated[tuple[str, ...], COSMETIC] = ()
    """Workspace-relative files or folders (``*.jsonl``) of recorded answers; read by ``replay`` and ``desk``."""
    tiers: Tiers = Tiers()
    temperature: float | None = Field(default=None, ge=0, le=2)
    """None: not sent, since several models refuse it."""
    max_tokens: int = Field(default=16_000, gt=0)
    """Bound of one answer, in tokens."""
    api_base: Annotated[str | None, COSMETIC] = None
    """Endpoint of an OpenAI-compatible server or proxy; None: the model's own."""
    api_key: Annotated[str | None, COSMETIC] = None
    """A reference, ``env:NAME``, ``keyring:NAME``, ``file:PATH`` or ``cmd:COMMAND``, never the key itself. None: litellm looks for
    the model's usual variable."""
    timeout_s: Annotated[float, Field(gt=0), COSMETIC] = 300.0
    """Seconds one request may take."""
    attempts: Annotated[int, Field(ge=1, le=20), COSMETIC] = 4
    """Requests made for one answer before giving up, the first included."""
    retry_base_s: Annotated[float, Field(ge=0), COSMETIC] = 1.0
    """The first pause before asking again is at most this many seconds; each further one at most twice the last."""
    retry_cap_s: Annotated[float, Field(ge=0), COSMETIC] = 60.0
    """No pause is longer than this many seconds, whatever Retry-After says."""
    concurrency: Annotated[int, Field(ge=1, le=200), COSMETIC] = 50
    """Requests in flight at once. Above 200 litellm's connections start to fail (measured)."""

    @field_validator("api_key")
    @classmethod
    def _is_a_reference(cls, api_key: str | None) -> str | None:
        from zerorepo_llm.secrets import check_reference

        return None if api_key is None else check_reference(api_key)

    @field_validator("api_base")
    @classmethod
    def _holds_no_password(cls, api_base: str | None) -> str | None:
        if api_base and "@" in api_base.partition("://")[2].partition("/")[0]:
            raise ValueError("an address with a password in it is a key; give the key with `api_key`")
        return api_base

    @field_validator("provider")
    @classmethod
    def _is_known(cls, provider: str | None) -> str | None:
        # Here, so that a misspelt name is found with its line before anything is built.
        if provider is None or provider in BUILT_IN_PROVIDERS or ":" in provider:
            return provider
        near = did_you_mean(provider, BUILT_IN_PROVIDERS) or f"providers: {', '.join(BUILT_IN_PROVIDERS)}"
        raise ValueError(f"there is no provider `{provider}`; {near} (or `module.path:factory` of your own)")


def model_of(settings: LLMSettings, tier: Tier) -> str:
    """The model string that ``tier`` maps to."""
    return str(getattr(settings.tiers, tier))
