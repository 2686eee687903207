"""Provider ``litellm``: any model that litellm reaches. The only file that knows litellm; imported when first asked.

litellm retries, loads ``.env``, fetches prices and reports cut-off and refused answers as success unless told otherwise
(notes-models, 1 and 4): all of that is switched off or checked here. Retries are ours (``service``).
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import logging
import os
import sys
import time
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from zerorepo.errors import UsageError
from zerorepo_llm import faults
from zerorepo_llm.action import Answer
from zerorepo_llm.faults import Fault, ModelFault, classify
from zerorepo_llm.prices import Price
from zerorepo_llm.providers import ModelFacts, Request, Setup
from zerorepo_llm.secrets import resolved
from zerorepo_llm.settings import TIERS, ModelSettings, endpoint_of, litellm_name, provider_of

if TYPE_CHECKING:
    from zerorepo_llm.providers.batch import Batches


_OF_BODIES = ("messages", "max_tokens", "temperature", "response_format")


def load_litellm() -> Any:
    """litellm, imported (about 3 s) and silenced: no network, no ``.env``, nothing on stdout."""
    os.environ.update(LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_OFFLINE_MODE="true", LITELLM_MODE="PRODUCTION")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import litellm
    # Its models warn about fields that servers add; nothing of that is ours to mend.
    warnings.filterwarnings("ignore", module=r"pydantic\..*")
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.drop_params = False
    if sys.platform == "linux" and not urllib.request.getproxies():
        # It looks for a proxy at every request, a twentieth of its CPU time. There is none in this process's environment.
        litellm.disable_aiohttp_trust_env = True
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logger = logging.getLogger(name)
        # Its messages can hold headers. What matters arrives as an exception, and is redacted.
        logger.handlers.clear()
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False
    return litellm


def _without_its_logging() -> None:
    """Tell litellm that this task's calls are parts of a larger one. It then builds no logging payload of each, with the
    whole prompt in it and a fifth of its CPU time, for callbacks that nobody has registered.
    """
    try:
        from litellm._internal_context import is_internal_call
    except ImportError:
        return
    is_internal_call.set(True)


class LiteLLMProvider:
    """Asks through ``litellm.acompletion``, one request a call."""

    name = "litellm"
    limited = True

    def __init__(self, setup: Setup) -> None:
        self._settings = setup.settings
        self._workspace = setup.workspace
        self._litellm: Any = None
        self._state_dir = setup.state_dir
        self._schema_models: dict[str, bool] = {}
        self._batches: Batches | None = None

    async def ask(self, request: Request) -> Answer:
        """One request. ModelFault, classified, when there is no usable answer."""
        arguments = await self._arguments(request)
        litellm = await self._loaded()
        if request.action.answer_schema is not None and self._takes_schema(arguments["model"]):
            arguments["response_format"] = _response_format(request.action.answer_schema)
        if request.shared_prefix and self._must_be_told(arguments["model"]):
            arguments["messages"][0] = _marked(arguments["messages"][0])
        _without_its_logging()
        own = self._settings.providers.get(provider_of(request.action.model))
        if own is not None and own.batch:
            return await self._ask_in_batch(request, arguments)
        try:
            response = await litellm.acompletion(**arguments)
        except Exception as error:  # noqa: BLE001  (a boundary: litellm raises classes of several libraries)
            raise fault_of(error) from None
        return read_response(response, request.action.model)

    async def _ask_in_batch(self, request: Request, arguments: Mapping[str, Any]) -> Answer:
        from zerorepo_llm.providers.batch import Batches

        if self._batches is None:
            self._batches = Batches(self._litellm, self._settings.batch, self._state_dir, fault_of)
        name = provider_of(request.action.model)
        kind, _, model = arguments["model"].partition("/")
        body = {key: value for key, value in arguments.items() if key in _OF_BODIES}
        endpoint = {"custom_llm_provider": kind, **await self.endpoint(request.action.model)}
        # A fallback has its question's key, and is another question to its provider.
        id_ = f"{request.key.hex}-{model}"
        request.progress(f"waits for a batch of {name}")
        found = await self._batches.ask(name, id_, {**body, "model": model}, endpoint, fresh=request.refresh)
        try:
            return read_response(self._litellm.ModelResponse(**found), request.action.model)
        except ModelFault:
            self._batches.forget(name, id_)
            raise

    async def close(self) -> None:
        """Close its connections."""
        if self._batches is not None:
            await self._batches.close()
        if self._litellm is not None:
            await self._litellm.close_litellm_async_clients()

    async def facts(self, model: str) -> ModelFacts:
        """What litellm's own table says; it is part of the installed version, and never fetched."""
        litellm = await self._loaded()
        name = litellm_name(self._settings, model)
        self._tell_price(name, self._settings.models.get(model))
        row = litellm.model_cost.get(name) or litellm.model_cost.get(name.partition("/")[2])
        window = (row or {}).get("max_input_tokens")
        own = self._settings.providers.get(provider_of(model))
        price = Price.of_table(row, batch=own is not None and own.batch)
        return ModelFacts(price, window if isinstance(window, int) else None)

    def _tell_price(self, name: str, own: ModelSettings | None) -> None:
        """Tell litellm a price that the user has given: it searches for one at every answer, long when it knows none."""
        if own is None or own.input_usd is None or own.output_usd is None:
            return
        price = {"input_cost_per_token": own.input_usd / 1e6, "output_cost_per_token": own.output_usd / 1e6}
        facts = {"litellm_provider": name.partition("/")[0], "mode": "chat", **price}
        self._litellm.register_model({name: {**self._litellm.model_cost.get(name, {}), **facts}})

    def count_tokens(self, model: str, text: str) -> int:
        """By the model's tokenizer where litellm has it, else by a similar one."""
        return int(self._litellm.token_counter(model=litellm_name(self._settings, model), text=text))

    async def _loaded(self) -> Any:
        if self._litellm is None:
            self._litellm = await asyncio.to_thread(load_litellm)
        return self._litellm

    async def _arguments(self, request: Request) -> dict[str, Any]:
        action, settings = request.action, self._settings
        if action.model in TIERS:
            raise UsageError(
                f"The tier `{action.tier or action.model}` has no model",
                where="zerorepo.toml [llm.tiers]",
                hint=f'name one that litellm knows, such as {action.model} = "anthropic/…" or "openai/…"',
            )
        arguments: dict[str, Any] = {
            "model": litellm_name(self._settings, action.model),
            "messages": [message.model_dump() for message in action.messages],
            "max_tokens": action.max_tokens,
            "max_retries": 0,
            "num_retries": 0,
            "timeout": settings.timeout_s,
            "stream": False,
        }
        if action.temperature is not None:
            arguments["temperature"] = action.temperature
        return {**arguments, **await self.endpoint(action.model)}

    async def endpoint(self, model: str) -> dict[str, Any]:
        """``api_base`` and ``api_key`` for ``model``: its provider's own section, or that of all."""
        source = endpoint_of(self._settings, model)
        found: dict[str, Any] = {}
        if source.api_base:
            found["api_base"] = source.api_base
        if source.api_key:
            found["api_key"] = await resolved(source.api_key, self._workspace)
        return found

    def _takes_schema(self, model: str) -> bool:
        """Whether litellm can pass a schema on. The prompt holds it in any case."""
        if model not in self._schema_models:
            known = self._litellm.get_supported_openai_params(model=model)
            self._schema_models[model] = known is not None and "response_format" in known
        return self._schema_models[model]

    def _must_be_told(self, model: str) -> bool:
        """Whether the provider caches only the prefixes that are marked. Others (OpenAI) do so by themselves."""
        return (
            self._settings.prompt_cache
            and "claude" in model
            and self._litellm.utils.supports_prompt_caching(model=model)
        )


def _marked(message: Mapping[str, Any]) -> dict[str, Any]:
    """``message`` as the end of a prefix to be cached."""
    block = {"type": "text", "text": message["content"], "cache_control": {"type": "ephemeral"}}
    return {**message, "content": [block]}


def _response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    title = "".join(c if c.isalnum() else "_" for c in str(schema.get("title", "answer")))[:64] or "answer"
    # Not strict: that forbids optional fields and defaults, and answers are validated here anyway.
    return {"type": "json_schema", "json_schema": {"name": title, "schema": dict(schema), "strict": False}}


def read_response(response: Any, model: str) -> Answer:
    """The answer in a successful response; ModelFault when it is not one that may be used or repaired."""
    usage = getattr(response, "usage", None)
    prompt, completion = _number(usage, "prompt_tokens"), _number(usage, "completion_tokens")
    consumed = (prompt, completion) if prompt or completion else None

    def unusable(fault: Fault, detail: str) -> ModelFault:
        return ModelFault(fault, detail, status=200, consumed=consumed)

    if not response.choices:
        raise unusable(faults.NO_CHOICES, "the reply has no choices")
    choice = response.choices[0]
    message, reason = choice.message, choice.finish_reason or "stop"
    refusal = getattr(message, "refusal", None) or (message.provider_specific_fields or {}).get("refusal")
    if reason == "content_filter":
        raise unusable(faults.CONTENT_POLICY, "the provider filtered the answer")
    if refusal:
        raise unusable(faults.REFUSAL, str(refusal))
    text = message.content or ""
    if not text.strip() and reason != "length":
        raise unusable(faults.NO_CHOICES, f"the answer has no text (finish_reason {reason})")
    cost = response._hidden_params.get("response_cost")
    return Answer(
        text=text,
        finish_reason="length" if reason == "length" else "stop",
        model=str(response.model or model),
        prompt_tokens=prompt,
        cached_tokens=_number(getattr(usage, "prompt_tokens_details", None), "cached_tokens"),
        completion_tokens=completion,
        reasoning_tokens=_number(getattr(usage, "completion_tokens_details", None), "reasoning_tokens"),
        cost_usd=None if cost is None else float(cost),
    )


def _number(usage: Any, name: str) -> int:
    return int(getattr(usage, name, 0) or 0)


def fault_of(error: Exception) -> ModelFault:
    """An exception of litellm or of what it stands on, classified."""
    status = getattr(error, "status_code", None)
    status = status if isinstance(status, int) else None
    chain = list(_chain(error))
    unreadable = status in (None, 500) and any(isinstance(cause, json.JSONDecodeError) for cause in chain)
    fault = classify(
        status=status,
        codes=_codes(error),
        classes=[cls.__name__ for cls in type(error).__mro__],
        causes=[type(cause).__name__ for cause in chain[1:]],
        unreadable=unreadable,
    )
    return ModelFault(fault, str(error) or type(error).__name__, status=status, retry_after_s=_retry_after(chain))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _codes(error: Exception) -> list[str]:
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, Mapping) else {}
    found = [inner.get("code"), inner.get("type")] if isinstance(inner, Mapping) else []
    return [str(code) for code in (*found, getattr(error, "code", None)) if code]


def _retry_after(chain: list[BaseException]) -> float | None:
    """Seconds that the server asked us to wait: ``retry-after-ms``, or ``retry-after`` as seconds or as a date."""
    for error in chain:
        for source in (
            getattr(error, "litellm_response_headers", None),
            getattr(getattr(error, "response", None), "headers", None),
        ):
            if not source:
                continue
            headers = {str(name).lower(): str(value) for name, value in dict(source).items()}
            seconds = parse_retry_after(headers)
            if seconds is not None:
                return seconds
    return None


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """The pause that lower-case ``headers`` ask for in seconds, or None. RFC 9110, 10.2.3."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            return max(0.0, float(value) * unit)
        except ValueError:
            pass
        try:
            return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
        except ValueError:
            continue
    return None
