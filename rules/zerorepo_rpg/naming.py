"""Names: slugs for ids that survive rewording, and which words may name a Python module or object.

Knows nothing of specs, plans or files.
"""

from __future__ import annotations

import keyword
import re
import sys
import unicodedata
from collections.abc import Iterable

_NOT_SLUG = re.compile(r"[^a-z0-9]+")
_NOT_IDENTIFIER = re.compile(r"[^a-z0-9_]+")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODULE = re.compile(r"[a-z_][a-z0-9_]*")

STDLIB_MODULES = frozenset(sys.stdlib_module_names)


def slug(text: str, *, fallback: str = "item", max_words: int = 0) -> str:
    """Lower-case ASCII words joined by hyphens; ``fallback`` when nothing is left. ``max_words`` 0 keeps all."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    words = [word for word in _NOT_SLUG.split(plain.replace("'", "")) if word]
    return "-".join(words[:max_words] if max_words else words) or fallback


def identifier(text: str, *, fallback: str = "package") -> str:
    """A valid lower-case Python identifier made of ``text``; keywords and standard-library names get ``_kit``."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    name = _NOT_IDENTIFIER.sub("_", plain).strip("_") or fallback
    if name[0].isdigit():
        name = f"_{name}"
    return f"{name}_kit" if keyword.iskeyword(name) or name in STDLIB_MODULES else name


def unique(wanted: str, taken: Iterable[str]) -> str:
    """``wanted``, or ``wanted-2``, ``wanted-3``, … : the first that is not taken."""
    used = taken if isinstance(taken, (set, frozenset, dict)) else set(taken)
    if wanted not in used:
        return wanted
    number = 2
    while f"{wanted}-{number}" in used:
        number += 1
    return f"{wanted}-{number}"


def identifier_problem(name: str) -> str | None:
    """Why ``name`` cannot name a function or class, or None. ASCII only: other letters normalise when imported."""
    if not _IDENTIFIER.fullmatch(name):
        return "is not a Python identifier (letters, digits, underscore; no digit first)"
    if keyword.iskeyword(name):
        return "is a Python keyword"
    return None


def module_name_problem(name: str) -> str | None:
    """Why ``name`` cannot name a module or package of generated code, or None."""
    if not _MODULE.fullmatch(name):
        return "is not a module name (lower-case letters, digits, underscore; no digit first)"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return "is a Python keyword"
    if name in STDLIB_MODULES:
        return "shadows the standard library module of that name"
    return None


__all__ = ["STDLIB_MODULES", "identifier", "identifier_problem", "module_name_problem", "slug", "unique"]
