"""Keys: resolved from a reference at the last moment, and kept out of everything that is written. Knows no provider.

More kinds of reference (``keyring:``, ``file:``, ``cmd:``) belong into ``_RESOLVERS``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping

from zerorepo.errors import UsageError

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:API_?KEY|ACCESS_?KEY|SECRET_?KEY|PRIVATE_?KEY|KEY|SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIALS?)(?:_|$)",
    re.IGNORECASE,
)
# Shorter values are words that appear by chance ("none", "test"); no provider's key is that short.
_SHORTEST = 8
REDACTED = "[redacted]"


def _from_environment(name: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise UsageError(
            f"The environment variable `{name}` with the model's key is not set",
            where="zerorepo.toml [llm] api_key",
            hint=f"export {name}=…, or use provider `replay` or `desk`, which need no key",
        )
    return value


_RESOLVERS: Mapping[str, Callable[[str], str]] = {"env": _from_environment}


def resolve(reference: str) -> str:
    """The key that ``reference`` stands for. UsageError when it is none, or not a reference; its text is never
    shown.
    """
    scheme, colon, rest = reference.partition(":")
    resolver = _RESOLVERS.get(scheme)
    if not colon or resolver is None:
        # Whatever stands there may be the key itself, so it is not repeated.
        raise UsageError(
            "`api_key` must be a reference to a key, not the key itself",
            where="zerorepo.toml [llm] api_key",
            hint='write api_key = "env:NAME" and put the key into the environment variable NAME',
        )
    return resolver(rest)


class Redactor:
    """Removes key values from text. Knows the values only in memory."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = {value for value in (v.strip() for v in values) if len(value) >= _SHORTEST}
        self._pattern = self._compile()

    @classmethod
    def from_environment(cls, *references: str) -> Redactor:
        """Of every variable that looks like a secret by its name, and of the keys behind ``references``."""
        values = [value for name, value in os.environ.items() if _SECRET_NAME.search(name)]
        for reference in references:
            values.append(os.environ.get(reference[4:], "") if reference.startswith("env:") else reference)
        return cls(values)

    def _compile(self) -> re.Pattern[str] | None:
        if not self._values:
            return None
        return re.compile("|".join(re.escape(value) for value in sorted(self._values, key=len, reverse=True)))

    def clean(self, text: str) -> str:
        """``text`` without any key value."""
        return self._pattern.sub(REDACTED, text) if self._pattern else text

    def finds(self, text: str) -> bool:
        """Whether ``text`` holds a key value."""
        return bool(self._pattern and self._pattern.search(text))
