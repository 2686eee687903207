"""The ``[llm]`` section of ``zerorepo.toml``. Knows nothing of providers beyond their names.

Only what changes an answer is identity: the models behind the tiers and the sampling parameters. Who answers is not, so
that an answer recorded at the desk replays under the key that litellm would have used; nor are fallbacks, which stand
in for a model without becoming the question's (docs/models.md says why).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from zerorepo.errors import did_you_mean
from zerorepo.values import COSMETIC, Value

Tier = Literal["cheap", "medium", "strong"]
TIERS: tuple[Tier, ...] = ("cheap", "medium", "strong")
BUILT_IN_PROVIDERS = ("litellm", "replay", "desk")

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]
Money = Annotated[float, Field(ge=0)]
Models = Annotated[tuple[str, ...], Field(min_length=1)]


def _is_a_reference(text: str) -> str:
    from zerorepo_llm.secrets import check_reference

    return check_reference(text)


def _holds_no_password(address: str) -> str:
    if "@" in address.partition("://")[2].partition("/")[0]:
        raise ValueError("an address with a password in it is a key; give the key with `api_key`")
    return address


KeyReference = Annotated[str, AfterValidator(_is_a_reference)]
"""``env:NAME``, ``keyring:NAME``, ``file:PATH`` or ``cmd:COMMAND``; never the key itself."""
Address = Annotated[str, AfterValidator(_holds_no_password)]


def _split(tiers: Any) -> Any:
    """``strong = ["a", "b"]`` as the tier ``a`` with the fallback ``b``."""
    if not isinstance(tiers, Mapping):
        return tiers
    given, fallbacks = dict(tiers), dict(tiers.get("fallbacks") or {})
    for name in TIERS:
        value = given.get(name)
        if isinstance(value, (list, tuple)):
            if not value:
                raise ValueError(f"the tier `{name}` needs at least one model")
            given[name], fallbacks[name] = value[0], tuple(value[1:])
    given["fallbacks"] = fallbacks
    return given


class Tiers(Value):
    """The model of each tier, as a litellm model string (``anthropic/…``, ``ollama/…``), or a list: the model, then its
    fallbacks in order.

    The defaults are the tiers' own names: enough for people and recorded answers, refused by litellm.
    """

    cheap: str = "cheap"
    medium: str = "medium"
    strong: str = "strong"
    fallbacks: Annotated[Mapping[Tier, tuple[str, ...]], COSMETIC] = Field(default_factory=dict)
    """Asked instead when a tier's model cannot be had, in this order."""

    _lists = model_validator(mode="before")(_split)


class RuleTiers(Value):
    """Other models for the targets of one rule; a tier that is left out is the workspace's."""

    cheap: str | None = None
    medium: str | None = None
    strong: str | None = None
    fallbacks: Annotated[Mapping[Tier, tuple[str, ...]], COSMETIC] = Field(default_factory=dict)

    _lists = model_validator(mode="before")(_split)


class ProviderSettings(Value):
    """``[llm.providers.NAME]``: where and how one provider is asked. ``NAME`` is what a model string has before its ``/``."""

    kind: str | None = None
    """litellm's name of it, when ``NAME`` is your own: two OpenAI-compatible servers are two names of kind ``openai``."""
    api_base: Address | None = None
    api_key: KeyReference | None = None
    concurrency: Count | None = None
    """Requests in flight at once, within ``[llm] concurrency``."""
    requests_per_minute: Positive | None = None
    tokens_per_minute: Positive | None = None
    batch: bool = False
    """Ask through the provider's batch API: cheaper, and it may take a day."""


class ModelSettings(Value):
    """``[llm.models."NAME"]``: what litellm does not know of a model, or knows differently. Prices are USD for a million
    tokens.
    """

    input_usd: Money | None = None
    output_usd: Money | None = None
    cached_input_usd: Money | None = None
    """Of input read from the provider's prompt cache; default: as other input."""
    context_window: Count | None = None
    """Tokens that a prompt may have."""

    @model_validator(mode="after")
    def _whole_price(self) -> ModelSettings:
        if (self.input_usd is None) != (self.output_usd is None):
            raise ValueError("`input_usd` and `output_usd` make a price together")
        return self


class BreakerSettings(Value):
    """``[llm.breaker]``: when a provider is given a rest."""

    failures: Count = 8
    """Failures in a row that open the circuit."""
    open_s: Positive = 15.0
    """Seconds until one request probes; doubled, up to 20 times this, each time that the probe fails."""


class BudgetSettings(Value):
    """``[llm.budget]``: ceilings. A request that could pass one is not sent. Days are UTC."""

    build_usd: Money | None = None
    day_usd: Money | None = None
    workspace_usd: Money | None = None
    build_tokens: Count | None = None
    day_tokens: Count | None = None
    workspace_tokens: Count | None = None


class QuotaSettings(Value):
    """``[llm.quota]``: ceilings of one user over all workspaces of a machine. Days and months are UTC."""

    day_usd: Money | None = None
    month_usd: Money | None = None
    day_tokens: Count | None = None
    month_tokens: Count | None = None
    token: KeyReference | None = None
    """A reference (as ``api_key``) to a token that stands for the user; None: the user of the operating system."""
    file: str | None = None
    """Where it is counted; None: ``zerorepo/quota.sqlite`` in the user's state folder."""


class BatchSettings(Value):
    """``[llm.batch]``: how questions are gathered for providers with ``batch = true``."""

    gather_s: Positive = 5.0
    """A batch is sent when no question has come for this long."""
    most: Count = 1000
    """Questions of one batch at most."""
    poll_s: Positive = 30.0
    wait_s: Positive = 90_000.0
    """How long an answer is waited for; providers promise 24 hours. A later build goes on waiting for the same batch."""


class LLMSettings(Value):
    """How models are asked. Every field has a default; without ``provider`` nothing can be asked."""

    provider: Annotated[str | None, COSMETIC] = None
    """``litellm``, ``replay``, ``desk``, or ``module.path:factory`` of another provider."""
    transcripts: Annotated[tuple[str, ...], COSMETIC] = ()
    """Workspace-relative files or folders (``*.jsonl``) of recorded answers; read by ``replay`` and ``desk``."""
    tiers: Tiers = Tiers()
    rules: Mapping[str, RuleTiers] = Field(default_factory=dict)
    """Rule name to the models of its targets."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    """None: not sent, since several models refuse it."""
    max_tokens: int = Field(default=16_000, gt=0)
    """Bound of one answer, in tokens."""
    api_base: Annotated[Address | None, COSMETIC] = None
    """Endpoint of an OpenAI-compatible server or proxy, for every provider without a section of its own; None: the
    model's own.
    """
    api_key: Annotated[KeyReference | None, COSMETIC] = None
    """A reference, ``env:NAME``, ``keyring:NAME``, ``file:PATH`` or ``cmd:COMMAND``, never the key itself. None: litellm looks for
    the model's usual variable."""
    timeout_s: Annotated[float, Field(gt=0), COSMETIC] = 300.0
    """Seconds one request may take."""
    deadline_s: Annotated[float, Field(gt=0), COSMETIC] = 1800.0
    """Seconds one question may take in all: requests, pauses, limits and fallbacks."""
    build_deadline_s: Annotated[Positive | None, COSMETIC] = None
    """Seconds from a build's first question to the end of its last; None: no such bound."""
    attempts: Annotated[int, Field(ge=1, le=20), COSMETIC] = 4
    """Requests made of one model for one answer before giving up, the first included."""
    careful_attempts: Annotated[int, Field(ge=1, le=20), COSMETIC] = 2
    """Of them, those that may end the same way when they may have been paid for (timeout, unreadable or empty reply)."""
    retry_base_s: Annotated[float, Field(ge=0), COSMETIC] = 1.0
    """The first pause before asking again is at most this many seconds; each further one at most twice the last."""
    retry_cap_s: Annotated[float, Field(ge=0), COSMETIC] = 60.0
    """No pause is longer than this many seconds, whatever Retry-After says."""
    concurrency: Annotated[int, Field(ge=1, le=200), COSMETIC] = 50
    """Requests in flight at once. Above 200 litellm's connections start to fail (measured)."""
    prompt_cache: Annotated[bool, COSMETIC] = True
    """Mark the instructions that several questions share for the provider's prompt cache, where it must be told."""
    providers: Annotated[Mapping[str, ProviderSettings], COSMETIC] = Field(default_factory=dict)
    models: Annotated[Mapping[str, ModelSettings], COSMETIC] = Field(default_factory=dict)
    breaker: Annotated[BreakerSettings, COSMETIC] = BreakerSettings()
    budget: Annotated[BudgetSettings, COSMETIC] = BudgetSettings()
    quota: Annotated[QuotaSettings, COSMETIC] = QuotaSettings()
    batch: Annotated[BatchSettings, COSMETIC] = BatchSettings()

    @field_validator("provider")
    @classmethod
    def _is_known(cls, provider: str | None) -> str | None:
        # Here, so that a misspelt name is found with its line before anything is built.
        if provider is None or provider in BUILT_IN_PROVIDERS or ":" in provider:
            return provider
        near = did_you_mean(provider, BUILT_IN_PROVIDERS) or f"providers: {', '.join(BUILT_IN_PROVIDERS)}"
        raise ValueError(f"there is no provider `{provider}`; {near} (or `module.path:factory` of your own)")


def model_of(settings: LLMSettings, tier: Tier, rule: str = "") -> str:
    """The model string that ``tier`` maps to for targets of ``rule``."""
    own = getattr(settings.rules.get(rule), tier, None)
    return str(own if own is not None else getattr(settings.tiers, tier))


def fallbacks_of(settings: LLMSettings, tier: Tier, rule: str = "") -> tuple[str, ...]:
    """The models that are asked, in this order, when the one of ``tier`` cannot be had.

    A rule with fallbacks of its own, or with a model of its own for the tier, does not take the workspace's.
    """
    own = settings.rules.get(rule)
    if own is not None and (tier in own.fallbacks or getattr(own, tier) is not None):
        return own.fallbacks.get(tier, ())
    return settings.tiers.fallbacks.get(tier, ())


def key_references(settings: LLMSettings) -> list[str]:
    """Every reference to a secret in the section."""
    given = [settings.api_key, settings.quota.token, *(each.api_key for each in settings.providers.values())]
    return [reference for reference in given if reference]


def endpoint_of(settings: LLMSettings, model: str) -> ProviderSettings | LLMSettings:
    """Whose ``api_base`` and ``api_key`` count for ``model``: its provider's own section, or that of all."""
    own = settings.providers.get(provider_of(model))
    return own if own is not None and (own.api_base or own.api_key or own.kind) else settings


def litellm_name(settings: LLMSettings, model: str) -> str:
    """The model string for litellm: with the kind of the provider in the place of a name that the user gave it."""
    provider, slash, rest = model.partition("/")
    own = settings.providers.get(provider)
    return f"{own.kind}/{rest}" if slash and own is not None and own.kind else model


def provider_of(model: str) -> str:
    """What a model string has before its first ``/``: the provider's name; all of it when there is none."""
    return model.partition("/")[0]
