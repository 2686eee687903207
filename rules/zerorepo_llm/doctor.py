"""For ``zerorepo doctor``: whether the configured provider could be asked. Asks no model and spends nothing.

Knows whether a key is there and whether the endpoint takes it, never what it is. litellm is asked in a process of its own, and only
when it is configured.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request

from zerorepo.checks import CheckContext, Finding, Health
from zerorepo.errors import EnvironmentFailure, ZeroRepoError
from zerorepo_llm.providers.facts import Known, known
from zerorepo_llm.secrets import resolve
from zerorepo_llm.settings import TIERS, LLMSettings, endpoint_of, fallbacks_of, litellm_name, model_of, provider_of

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
    return [*await _litellm(settings), *findings]


def _transcript(context: CheckContext, name: str) -> Finding:
    path = context.workspace / name
    if not path.exists():
        return Finding("transcripts", Health.FAIL, f"there is no {name}", "correct [llm] transcripts")
    files = [path] if path.is_file() else sorted(path.rglob("*.jsonl"))
    return Finding("transcripts", Health.OK, f"{name}: {len(files)} file{'' if len(files) == 1 else 's'}")


async def _litellm(settings: LLMSettings) -> list[Finding]:
    models = _models(settings)
    named = {model: endpoint_of(settings, model) for model in models if model not in TIERS}
    try:
        facts = await known(
            {model: (litellm_name(settings, model), source.api_base) for model, source in named.items()}
        )
    except EnvironmentFailure as error:
        return [Finding("provider", Health.FAIL, error.message, error.hint or "")]
    keys, findings = await asyncio.to_thread(_keys, settings, set(named))
    findings = [Finding("provider", Health.OK, "litellm"), *findings]
    for model, tier in models.items():
        if model in TIERS:
            fix = f'name a model: [llm] tiers = {{ {tier} = "provider/model", … }}'
            findings.append(Finding(f"model {model}", Health.FAIL, f"the tier `{tier}` names no model", fix))
            continue
        reference = named[model].api_key or ""
        key = keys.get(reference, "")
        fact = facts[model]
        findings.append(await asyncio.to_thread(_model, f"model {model}", fact, bool(reference), key))
    return findings


def _models(settings: LLMSettings) -> dict[str, str]:
    """Every model that may be asked, fallbacks and those of single rules among them, and the tier that it is for."""
    found: dict[str, str] = {}
    for rule in ("", *settings.rules):
        for tier in TIERS:
            for model in (model_of(settings, tier, rule), *fallbacks_of(settings, tier, rule)):
                found.setdefault(model, tier)
    return found


def _keys(settings: LLMSettings, models: set[str]) -> tuple[dict[str, str], list[Finding]]:
    """What each reference to a key stands for, and whether it is there."""
    keys: dict[str, str] = {}
    findings = []
    for model in sorted(models):
        reference = endpoint_of(settings, model).api_key
        if reference is None or reference in keys:
            continue
        part = "key" if reference == settings.api_key else f"key of {provider_of(model)}"
        keys[reference] = ""
        try:
            keys[reference] = resolve(reference)
            findings.append(Finding(part, Health.OK, "present"))
        except ZeroRepoError as error:
            findings.append(Finding(part, Health.FAIL, error.message, error.hint or ""))
    return keys, findings


def _model(part: str, fact: Known, has_reference: bool, key: str) -> Finding:
    if fact.unknown:
        fix = "see litellm's list of providers"
        return Finding(part, Health.FAIL, f"litellm does not know it: {fact.unknown}", fix)
    missing = [name for name in fact.needs if not os.environ.get(name)]
    if missing and not has_reference and not fact.is_configured:
        fix = f'export {missing[0]}=…, or name another: [llm] api_key = "env:NAME"'
        return Finding(part, Health.FAIL, f"its key is missing: {' and '.join(missing)}", fix)
    if not fact.base:
        found = f"provider {fact.provider}, key present; its address is litellm's own matter"
        return Finding(part, Health.OK, found)
    return _endpoint(part, fact.base, key)


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
