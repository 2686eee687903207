"""For ``zerorepo doctor``: whether the configured provider could be asked. Asks no model and spends nothing.

Knows whether a key is there and whether the endpoint takes it, never what it is; imports a provider only when it is configured.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from zerorepo.checks import CheckContext, Finding, Health
from zerorepo.errors import ZeroRepoError
from zerorepo_llm.secrets import resolve
from zerorepo_llm.settings import LLMSettings

_TIERS = ("cheap", "medium", "strong")
_CONNECT_S = 8.0
_NOT_CONFIGURED = 'nothing can be asked; write [llm] provider = "litellm", "replay" or "desk"'


async def check(context: CheckContext) -> list[Finding]:
    """Provider, key, endpoint; recorded answers."""
    settings = context.settings("llm", LLMSettings)
    if settings.provider is None:
        return [Finding("provider", Health.WARN, "none is configured", _NOT_CONFIGURED)]
    findings = [_transcript(context, name) for name in settings.transcripts]
    if settings.provider != "litellm":
        return [Finding("provider", Health.OK, settings.provider), *findings]
    return [*await asyncio.to_thread(_litellm, settings), *findings]


def _transcript(context: CheckContext, name: str) -> Finding:
    path = context.workspace / name
    if not path.exists():
        return Finding("transcripts", Health.FAIL, f"there is no {name}", "correct [llm] transcripts")
    files = [path] if path.is_file() else sorted(path.rglob("*.jsonl"))
    return Finding("transcripts", Health.OK, f"{name}: {len(files)} file{'' if len(files) == 1 else 's'}")


def _litellm(settings: LLMSettings) -> list[Finding]:
    try:
        import litellm
    except ImportError as error:
        return [Finding("provider", Health.FAIL, f"litellm cannot be imported: {error}", "pip install litellm")]
    findings = [Finding("provider", Health.OK, "litellm")]
    key = ""
    if settings.api_key is not None:
        try:
            key = resolve(settings.api_key)
            findings.append(Finding("key", Health.OK, "present"))
        except ZeroRepoError as error:
            findings.append(Finding("key", Health.FAIL, error.message, error.hint or ""))
    asked: set[str] = set()
    for tier in _TIERS:
        model = str(getattr(settings.tiers, tier))
        if model in asked:
            continue
        asked.add(model)
        findings += _model(litellm, settings, tier, model, key)
    return findings


def _model(litellm: Any, settings: LLMSettings, tier: str, model: str, key: str) -> list[Finding]:
    part = f"model {model}"
    if model in _TIERS:
        fix = f'name a model: [llm] tiers = {{ {tier} = "provider/model", … }}'
        return [Finding(part, Health.FAIL, f"the tier `{tier}` names no model", fix)]
    try:
        _, provider, _, base = litellm.get_llm_provider(model, api_base=settings.api_base)
    except Exception as error:  # noqa: BLE001  (litellm raises what it likes for a model that it does not know)
        said = str(error).splitlines()[0][:200]
        return [Finding(part, Health.FAIL, f"litellm does not know it: {said}", "see litellm's list of providers")]
    if not key and not settings.api_key:
        missing = litellm.validate_environment(model).get("missing_keys") or []
        if missing and settings.api_base is None:
            fix = f'export {missing[0]}=…, or name another: [llm] api_key = "env:NAME"'
            return [Finding(part, Health.FAIL, f"its key is missing: {' and '.join(missing)}", fix)]
    base = settings.api_base or base or ""
    if not base:
        return [Finding(part, Health.OK, f"provider {provider}, key present; its address is litellm's own matter")]
    return [_endpoint(part, base, key)]


def _endpoint(part: str, base: str, key: str) -> Finding:
    """Connect, and ask for the list of models, which costs nothing and says whether the key is taken."""
    url = urllib.parse.urlsplit(base)
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    where = f"{host}:{port}"
    fix = "is the network, the proxy or the address ([llm] api_base) right?"
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_S) as connection:
            if url.scheme == "https":
                ssl.create_default_context().wrap_socket(connection, server_hostname=host).close()
    except OSError as error:
        return Finding(part, Health.FAIL, f"{where} cannot be reached: {error}", fix)
    if not key:
        return Finding(part, Health.OK, f"{where} answers")
    request = urllib.request.Request(f"{base.rstrip('/')}/models", headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=_CONNECT_S):
            return Finding(part, Health.OK, f"{where} answers and takes the key")
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return Finding(part, Health.FAIL, f"{where} refuses the key ({error.code})", "is it the right key?")
        return Finding(part, Health.OK, f"{where} answers")
    except OSError as error:
        return Finding(part, Health.WARN, f"{where} answers, but not to a question for its models: {error}", fix)
