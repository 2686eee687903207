"""What must never be written: secret values, by exact match, and texts in the form of a well-known key. Part of the plugin API.

Whoever learns a secret says so (``conceal``); every edge where text leaves the process (events, errors, command output, recorded
answers) asks ``mask`` or ``redact``. Values are held in memory only. Knows nothing of what a secret is for.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import cache

REDACTED = "[redacted]"
SHORTEST = 8
"""Shorter values are words that appear by chance ("none", "test"); no provider's key is that short."""

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:API_?KEY|ACCESS_?KEY|SECRET_?KEY|PRIVATE_?KEY|KEY|SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIALS?)(?:_|$)",
    re.IGNORECASE,
)
# What the owners of these formats publish for scanners of secrets. Where a prefix could begin ordinary text, a digit must follow.
_FORMATS = (
    r"sk-ant-[A-Za-z0-9_\-]{16,}",  # Anthropic
    r"sk-(?=[A-Za-z_\-]*\d)[A-Za-z0-9_\-]{20,}",  # OpenAI, OpenRouter, DeepSeek
    r"gsk_[A-Za-z0-9]{20,}",  # Groq
    r"xai-[A-Za-z0-9]{20,}",  # xAI
    r"hf_[A-Za-z0-9]{20,}",  # Hugging Face
    r"r8_[A-Za-z0-9]{20,}",  # Replicate
    r"pplx-[A-Za-z0-9]{20,}",  # Perplexity
    r"AIza[A-Za-z0-9_\-]{35}",  # Google
    r"ya29\.[A-Za-z0-9_\-]{20,}",  # Google OAuth
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}",  # AWS
    r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}",  # GitHub
    r"glpat-[A-Za-z0-9_\-]{20,}",  # GitLab
    r"xox[abeoprs]-[A-Za-z0-9\-]{10,}",  # Slack
    r"eyJ[A-Za-z0-9_\-]{10,}\.eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{10,}",  # JSON web token
    r"(?<=://)[^/\s:@]{1,100}:[^/\s:@]{1,200}(?=@)",  # user:password in an address
    r"(?i:(?<=bearer )|(?<=basic ))(?=[A-Za-z._~+/\-]*\d)[A-Za-z0-9._~+/\-]{16,}=*",  # an Authorization header
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
)

_CONTROL = re.compile(r"\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

_concealed: dict[str, str] = {}
"""Form of a value to where the value comes from; the longest first, so that a part never hides the whole."""


def visible(text: str) -> str:
    """Text with control characters written out, but for tabs and line ends: what a program printed must not steer a terminal."""
    return _CONTROL.sub(lambda found: repr(found.group())[1:-1], text)


def conceal(value: str, source: str) -> None:
    """Never write ``value`` from now on. ``source`` says where it comes from (``env:NAME``), for errors; it may be shown.

    Its usual disguises (JSON, percent encoding, base64) are concealed too. Values shorter than ``SHORTEST`` are not.
    """
    global _concealed
    value = value.strip()
    if len(value) < SHORTEST or value in _concealed:
        return
    more = {**dict.fromkeys(_forms(value), source), **_concealed}
    # Replaced, never changed: other threads may be reading it.
    _concealed = dict(sorted(more.items(), key=lambda item: -len(item[0])))


def _forms(value: str) -> list[str]:
    # Here, since a command that meets no secret needs neither.
    import base64
    from urllib.parse import quote

    encoded = base64.b64encode(value.encode("utf-8", "surrogateescape")).decode()
    escaped = json.dumps(value)[1:-1]
    return [value, escaped, json.dumps(escaped)[1:-1], quote(value, safe=""), encoded, encoded.rstrip("=")]


def is_secret_name(name: str) -> bool:
    """Whether a variable or setting of this name holds a secret (``OPENAI_API_KEY``, ``api_key``, ``db_password``)."""
    return bool(_SECRET_NAME.search(name))


def conceal_environment(environment: Mapping[str, str] = os.environ) -> None:
    """Conceal every variable whose name says that it holds a secret (``…_API_KEY``, ``…TOKEN``, ``…PASSWORD``)."""
    for name, value in environment.items():
        if is_secret_name(name):
            conceal(value, f"env:{name}")


def concealed_in(text: str) -> tuple[str, int] | None:
    """Where the first concealed value found in ``text`` comes from, and its index; None when there is none."""
    found = [(text.index(form), source) for form, source in _concealed.items() if form in text]
    if not found:
        return None
    index, source = min(found)
    return source, index


def mask(text: str) -> str:
    """``text`` without any concealed value: for content, which nothing else may change."""
    for form in _concealed:
        if form in text:
            text = text.replace(form, REDACTED)
    return text


def redact(text: str) -> str:
    """``text`` without any concealed value, and without anything that has the form of a well-known key: for messages and logs."""
    return _formats().sub(REDACTED, mask(text))


def looks_like_a_key(text: str) -> bool:
    """Whether ``text`` holds something that has the form of a well-known key."""
    return bool(_formats().search(text))


@cache
def _formats() -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_FORMATS)})")


__all__ = [
    "REDACTED",
    "SHORTEST",
    "conceal",
    "conceal_environment",
    "concealed_in",
    "is_secret_name",
    "looks_like_a_key",
    "mask",
    "redact",
    "visible",
]
