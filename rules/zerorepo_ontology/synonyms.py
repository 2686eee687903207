"""Queries widened by what means the same: "ANOVA" beside "analysis of variance". Knows nothing of how queries are answered."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

_TABLE = "data/synonyms.toml"


def widened(query: str) -> str:
    """``query`` with the other names of what it names in brackets; as it is when there are none."""
    pattern, groups = _known()
    found = {match.group(0).casefold() for match in pattern.finditer(query)}
    added = list(
        dict.fromkeys(
            other for each in sorted(found) for other in groups[each] if other.casefold() not in query.casefold()
        )
    )
    return f"{query} ({', '.join(added)})" if added else query


@lru_cache(maxsize=1)
def _known() -> tuple[re.Pattern[str], Mapping[str, tuple[str, ...]]]:
    table = tomllib.loads(files("zerorepo_ontology").joinpath(_TABLE).read_text("utf-8"))
    groups: dict[str, tuple[str, ...]] = {}
    for group in table["groups"]:
        for name in group:
            groups[name.casefold()] = tuple(each for each in group if each != name)
    longest_first = sorted(groups, key=lambda name: (-len(name), name))
    return re.compile(rf"\b({'|'.join(map(re.escape, longest_first))})\b", re.IGNORECASE), groups
