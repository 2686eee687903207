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
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from zerorepo.errors import UsageError
from zerorepo_llm import faults
from zerorepo_llm.action import Answer
from zerorepo_llm.faults import ModelFault, classify
from zerorepo_llm.providers import Request, Setup
from zerorepo_llm.secrets import resolved
from zerorepo_llm.settings import Tiers

# litellm's own timeout cancels the request; ours is for the case that it does not fire.
_GRACE_S = 5.0


def load_litellm() -> Any:
    """litellm, imported (about 3 s) and silenced: no network, no ``.env``, nothing on stdout."""
    os.environ.update(LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_OFFLINE_MODE="true", LITELLM_MODE="PRODUCTION")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import litellm
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.drop_params = False
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logger = logging.getLogger(name)
        # Its messages can hold headers. What matters arrives as an exception, and is redacted.
        logger.handlers.clear()
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False
    return litellm


class LiteLLMProvider:
    """Asks through ``litellm.acompletion``, one request a call."""

    name = "litellm"
    limited = True

    def __init__(self, setup: Setup) -> None:
        self._settings = setup.settings
        self._workspace = setup.workspace
        self._litellm: Any = None

    async def ask(self, request: Request) -> Answer:
        """One request. ModelFault, classified, when there is no usable answer."""
        arguments = self._arguments(request)
        if self._settings.api_key:
            arguments["api_key"] = await resolved(self._settings.api_key, self._workspace)
        if self._litellm is None:
            request.progress("loading litellm")
            self._litellm = await asyncio.to_thread(load_litellm)
        if request.action.answer_schema is not None and self._takes_schema(request.action.model):
            arguments["response_format"] = _response_format(request.action.answer_schema)
        timeout = self._settings.timeout_s
        with warnings.catch_warnings():
            # Its models warn about fields that servers add; nothing of that is ours to mend.
            warnings.filterwarnings("ignore", module=r"pydantic\..*")
            try:
                async with asyncio.timeout(timeout + _GRACE_S):
                    response = await self._litellm.acompletion(**arguments)
            except Exception as error:  # noqa: BLE001  (a boundary: litellm raises classes of several libraries)
                raise fault_of(error) from None
        return read_response(response, request.action.model)

    async def close(self) -> None:
        """Close its connections."""
        if self._litellm is not None:
            await self._litellm.close_litellm_async_clients()

    def _arguments(self, request: Request) -> dict[str, Any]:
        action, settings = request.action, self._settings
        if action.model in Tiers.model_fields:
            raise UsageError(
                f"The tier `{action.tier or action.model}` has no model",
                where="zerorepo.toml [llm.tiers]",
                hint=f'name one that litellm knows, such as {action.model} = "anthropic/…" or "openai/…"',
            )
        arguments: dict[str, Any] = {
            "model": action.model,
            "messages": [message.model_dump() for message in action.messages],
            "max_tokens": action.max_tokens,
            "max_retries": 0,
            "num_retries": 0,
            "timeout": settings.timeout_s,
            "stream": False,
        }
        if action.temperature is not None:
            arguments["temperature"] = action.temperature
        if settings.api_base:
            arguments["api_base"] = settings.api_base
        return arguments

    def _takes_schema(self, model: str) -> bool:
        """Whether litellm can pass a schema on. The prompt holds it in any case."""
        known = self._litellm.get_supported_openai_params(model=model)
        return known is not None and "response_format" in known


def _response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    title = "".join(c if c.isalnum() else "_" for c in str(schema.get("title", "answer")))[:64] or "answer"
    # Not strict: that forbids optional fields and defaults, and answers are validated here anyway.
    return {"type": "json_schema", "json_schema": {"name": title, "schema": dict(schema), "strict": False}}


def read_response(response: Any, model: str) -> Answer:
    """The answer in a successful response; ModelFault when it is not one that may be used or repaired."""
    if not response.choices:
        raise ModelFault(faults.NO_CHOICES, "the reply has no choices", status=200)
    choice = response.choices[0]
    message, reason = choice.message, choice.finish_reason or "stop"
    refusal = getattr(message, "refusal", None) or (message.provider_specific_fields or {}).get("refusal")
    if reason == "content_filter":
        raise ModelFault(faults.CONTENT_POLICY, "the provider filtered the answer", status=200)
    if refusal:
        raise ModelFault(faults.REFUSAL, str(refusal), status=200)
    text = message.content or ""
    if not text.strip() and reason != "length":
        raise ModelFault(faults.NO_CHOICES, f"the answer has no text (finish_reason {reason})", status=200)
    usage = getattr(response, "usage", None)
    cost = response._hidden_params.get("response_cost")
    return Answer(
        text=text,
        finish_reason="length" if reason == "length" else "stop",
        model=str(response.model or model),
        prompt_tokens=int(getattr(usage, "prompt_tokens", 0) or 0),
        completion_tokens=int(getattr(usage, "completion_tokens", 0) or 0),
        cost_usd=None if cost is None else float(cost),
    )


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
